"""What a delivery may contain: anything in UTF-8 JSON up to 64 kB. Nothing in it makes the portal fail."""

import gzip
import json
import socket
import time

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import create_environ, run_wsgi_app

from bench import events
from portal.core.db import db
from portal.jobs.webhook_projection import project_pending_deliveries
from portal.webhooks.models import ZoomEvent
from portal.zoom.webhooks.signature import sign_webhook
from tests.examples import count_examples
from tests.webhooks.conftest import PATH, SECRET, Zoom, compact, joined, served, stored

UNREADABLE = {
    "cut": b'{"event":',
    "empty": b"",
    "not UTF-8": b'{"event":"x","n":"\xff"}',
    "UTF-16": '{"event":"x"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"event":"x"}',
    "NaN": b'{"event":"x","n":NaN}',
    "no object": b'["event"]',
    "no event": b'{"payload":{}}',
    "event is no text": b'{"event":7}',
    "nested too deep": b'{"event":"x","n":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "a number of 5,000 digits": b'{"event":"x","n":' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_a_signed_body_that_is_no_event_is_refused_without_a_trace(
    zoom: Zoom, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = zoom.sends(UNREADABLE[what])
    assert answer.status_code == 400
    assert "Traceback" not in answer.text + caplog.text
    assert stored() == 0


def test_a_compressed_body_is_refused(zoom: Zoom) -> None:
    raw = compact(joined())
    when = int(time.time())
    answer = zoom.sends(
        gzip.compress(raw), signature=sign_webhook(SECRET, when, raw), sent_at=when, Content_Encoding="gzip"
    )
    assert answer.status_code in (401, 415)
    assert stored() == 0


def padded(size: int) -> bytes:
    empty = len(compact(joined(user_name="")))
    return compact(joined(user_name="x" * (size - empty)))


def test_64_kb_are_taken_and_a_byte_more_is_not(zoom: Zoom) -> None:
    assert zoom.sends(padded(65_536)).status_code == 200
    assert zoom.sends(padded(65_537)).status_code == 413
    assert zoom.sends(padded(1_000_000)).status_code == 413
    assert stored() == 1


def test_a_megabyte_in_chunks_is_refused_by_a_real_server(app: Flask) -> None:
    raw = padded(1_000_000)
    when = int(time.time())
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nx-zm-request-timestamp: {when}\r\n"
        f"x-zm-signature: {sign_webhook(SECRET, when, raw)}\r\n\r\n"
    )
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in _parts(raw, 10_000)) + b"0\r\n\r\n"
    with served(app) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(head.encode() + chunks)
        assert line.recv(100).startswith(b"HTTP/1.1 413")
    assert stored() == 0


def _parts(raw: bytes, size: int) -> list[bytes]:
    return [raw[begin : begin + size] for begin in range(0, len(raw), size)]


class Endless:
    """A body without end that counts what was read of it."""

    def __init__(self) -> None:
        self.read_so_far = 0

    def read(self, size: int = -1) -> bytes:
        assert size >= 0, "an endless body must not be read whole"
        self.read_so_far += size
        return b"x" * size


def test_reading_stops_at_the_limit(app: Flask) -> None:
    body = Endless()
    environ = create_environ(PATH, method="POST") | {
        "HTTP_X_ZM_SIGNATURE": "v0=" + "a" * 64,
        "HTTP_X_ZM_REQUEST_TIMESTAMP": str(int(time.time())),
        "HTTP_TRANSFER_ENCODING": "chunked",
        "wsgi.input": body,
        "wsgi.input_terminated": True,
    }
    _, status, _ = run_wsgi_app(app, environ)
    assert status.startswith("413")
    assert body.read_so_far < 200_000


@pytest.mark.parametrize("name", ["meeting.participant_feedback", "x" * 200, "a\x00b\ud800"])
def test_an_unknown_event_is_kept_and_ignored(zoom: Zoom, name: str, caplog: pytest.LogCaptureFixture) -> None:
    body = joined() | {"event": name}
    assert zoom.sends(json.dumps(body).encode()).status_code == 200
    project_pending_deliveries()
    row = db.session.query(ZoomEvent).one()
    assert (row.state, row.attempts) == ("ignored", 0)
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


def test_other_methods_are_not_allowed(app: Flask) -> None:
    client = app.test_client()
    raw = compact(joined())
    when = int(time.time())
    signed = {"x-zm-signature": sign_webhook(SECRET, when, raw), "x-zm-request-timestamp": str(when)}
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        assert client.open(PATH, method=method, data=raw, headers=signed).status_code == 405
    assert stored() == 0


def test_the_type_of_the_content_does_not_matter(zoom: Zoom) -> None:
    assert zoom.sends(joined(), Content_Type="text/plain").status_code == 200
    assert stored() == 1


def test_an_answer_keeps_the_connection_for_the_next_delivery(app: Flask) -> None:
    requests = [events.request(joined(session), SECRET) for session in range(2)]
    with served(app) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        for request in requests:
            line.sendall(request)
            answer = line.recv(1000)
            assert answer.startswith(b"HTTP/1.1 200") and b"close" not in answer
    assert stored() == 2


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
fields = st.sampled_from(
    ["id", "uuid", "participant", "user_id", "join_time", "leave_time", "user_name", "registrant_id", "host_id"]
)
odd_objects = st.dictionaries(fields, json_values | st.dictionaries(fields, json_values), max_size=6)


@settings(max_examples=count_examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["meeting.participant_joined", "meeting.ended", "meeting.updated", "endpoint.url_validation"])
    | st.text(min_size=1),
    about=odd_objects | json_values,
)
def test_no_signed_object_makes_it_fail(zoom: Zoom, name: str, about: object) -> None:
    body = {"event": name, "payload": {"object": about}}
    assert zoom.sends(json.dumps(body).encode()).status_code in (200, 400)


@settings(max_examples=count_examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=200))
def test_no_signed_bytes_make_it_fail(zoom: Zoom, raw: bytes) -> None:
    assert zoom.sends(raw).status_code in (200, 400)
