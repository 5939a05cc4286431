"""Zoom down, slow, wrong, busy or refusing: what is tried again, and what is told."""

import datetime as dt
import gzip
import logging
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import requests
import responses
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from portal.zoom import errors
from portal.zoom.api.transport import BearerAuth, HttpTransport
from portal.zoom.errors import (
    CircuitOpen,
    ZoomBadCredentials,
    ZoomNotAuthorised,
    ZoomRateLimited,
    ZoomRefused,
    ZoomUnavailable,
)
from portal.zoom.models import MeetingDraft, RegistrantInput

ID = "86123456789"
GET = f"GET /v2/meetings/{ID}"
POST = "POST /v2/users/h1/meetings"
ADD = f"POST /v2/meetings/{ID}/registrants"
MEETING = {"id": 86123456789, "topic": "Biology"}
DRAFT = MeetingDraft("Biology", starts_at=dt.datetime(2026, 11, 3, tzinfo=dt.UTC))


def create(zoom):
    return zoom.create_meeting("h1", DRAFT)


def down(act):
    with pytest.raises(ZoomUnavailable) as caught:
        act()
    return caught.value


# Zoom is down


@pytest.mark.parametrize("status", [500, 502, 503, 408, 302])
def test_a_read_is_tried_three_times(server, zoom, clock, reply, status):
    html = reply(status, b"<html>Oops</html>")
    server.on(GET, html, html, reply(200, MEETING))
    assert zoom.get_meeting(ID).id == ID
    assert len(clock.sleeps) == 2
    assert all(0.2 <= pause <= 1.2 for pause in clock.sleeps)


def test_a_read_that_fails_three_times_is_told(server, zoom, reply):
    server.on(GET, reply(500, b"<html>"))
    assert not down(lambda: zoom.get_meeting(ID)).maybe_done
    assert len(server.asked(GET)) == 3


@pytest.mark.parametrize(
    "trouble",
    [
        {"status": 500, "body": b"<html>Oops</html>"},
        {"status": 201, "body": {"id": 1}, "trouble": "reset"},
        {"status": 201, "body": {"id": 1}, "trouble": "cut"},
        {"status": 201, "body": {"id": 1}, "trouble": "chunks cut"},
        {"status": 201, "body": b'{"id": 86123'},
        {"status": 201, "body": b"[1]"},
        {"status": 201, "body": b"\xff\xfe{"},
        {"status": 201, "body": b"[" * 200_000},
        {"status": 201, "body": b"x" * 30_000_000},
        {"status": 307, "body": b"", "headers": {"Location": "/v2/users/h2/meetings"}},
    ],
    ids=["500", "reset", "cut", "chunks-cut", "truncated", "array", "not-utf-8", "deep", "30MB", "redirect"],
)
def test_a_write_that_may_have_happened_is_never_repeated(server, zoom, reply, trouble):
    server.on(POST, reply(**trouble))
    assert down(lambda: create(zoom)).maybe_done
    assert len(server.asked(POST)) == 1
    assert not server.asked("POST /v2/users/h2/meetings")


def test_a_write_without_an_answer_in_time_may_have_happened(server, new_client, reply):
    server.on(POST, reply(trouble="silence"))
    zoom = new_client(timeout=(1, 0.2))
    assert down(lambda: create(zoom)).maybe_done
    assert len(server.asked(POST)) == 1


def test_a_reset_read_is_tried_again(server, zoom, reply):
    server.on(GET, reply(trouble="reset"), reply(200, MEETING))
    assert zoom.get_meeting(ID).id == ID


def test_a_compressed_answer_is_read_and_a_bomb_is_not(server, zoom, reply):
    packed = {"Content-Encoding": "gzip"}
    server.on(GET, reply(200, gzip.compress(b'{"id": 86123456789}'), packed))
    assert zoom.get_meeting(ID).id == ID
    server.on(GET, reply(200, gzip.compress(b" " * 50_000_000), packed))
    down(lambda: zoom.get_meeting(ID))


def test_an_answer_in_chunks_is_read(server, zoom, reply):
    server.on(GET, reply(200, MEETING, trouble="chunks"))
    assert zoom.get_meeting(ID).id == ID


def test_an_answer_that_drips_is_given_up(server, reply):
    server.on(GET, reply(200, b" " * 400, trouble="drip"))
    transport = HttpTransport((1, 1), longest=0.1)
    problem = down(lambda: transport.send("GET", f"{server.url}/v2/meetings/{ID}", template="x", auth=BearerAuth("t")))
    assert not problem.maybe_done


def test_a_connection_is_used_again(server, zoom, reply):
    server.on(GET, reply(200, MEETING))
    server.on(f"DELETE /v2/meetings/{ID}", reply(204))
    for _ in range(5):
        zoom.get_meeting(ID)
        zoom.delete_meeting(ID)
    assert server.connections == 1


def test_a_redirect_is_never_followed(server, zoom, reply):
    server.on(GET, reply(302, b"", {"Location": f"{server.url}/elsewhere"}))
    down(lambda: zoom.get_meeting(ID))
    assert not server.asked("GET /elsewhere")


def test_a_write_that_was_never_sent_is_tried_again_and_did_not_happen(server, new_client, clock):
    zoom = new_client(api_url="http://127.0.0.1:9")
    assert not down(lambda: create(zoom)).maybe_done
    assert len(clock.sleeps) == 2


def test_an_unknown_name_is_a_write_that_did_not_happen(new_client):
    zoom = new_client(api_url="http://zoom.invalid")
    assert not down(lambda: create(zoom)).maybe_done


@responses.activate
def test_a_connection_that_takes_too_long_is_not_waited_for_again(new_client, clock):
    responses.post("https://zoom.us/oauth/token", json={"access_token": "t", "expires_in": 3600})

    def slow(request):
        clock.move(seconds=3)
        raise requests.ConnectTimeout("too slow")

    responses.add_callback("GET", f"https://api.zoom.us/v2/meetings/{ID}", slow)
    zoom = new_client(api_url="https://api.zoom.us", oauth_url="https://zoom.us")
    down(lambda: zoom.get_meeting(ID))
    assert clock.sleeps == []


@pytest.mark.parametrize("problem", [requests.exceptions.SSLError, requests.exceptions.ProxyError])
@responses.activate
def test_what_fails_before_the_request_did_not_happen(new_client, problem):
    responses.post("https://zoom.us/oauth/token", json={"access_token": "t", "expires_in": 3600})
    responses.post("https://api.zoom.us/v2/users/h1/meetings", body=problem("no"))
    assert not down(lambda: create(new_client(api_url="https://api.zoom.us", oauth_url="https://zoom.us"))).maybe_done


@pytest.fixture
def self_signed(tmp_path):
    """An HTTPS server on localhost with a certificate that nobody signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    both = tmp_path / "both.pem"
    both.write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)

    class Quiet(HTTPServer):
        def handle_error(self, request, client_address):
            """The refused handshake is what the test wants."""

        def get_request(self):
            connection, address = super().get_request()
            return context.wrap_socket(connection, server_side=True), address

    server = Quiet(("127.0.0.1", 0), BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"https://localhost:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join(5)


def test_a_certificate_that_nobody_signed_is_refused(new_client, self_signed, server):
    zoom = new_client(api_url=self_signed)
    assert not down(lambda: create(zoom)).maybe_done
    assert len(server.asked("POST /oauth/token")) == 1


def test_after_five_failures_zoom_is_left_in_peace(server, zoom, clock, reply):
    server.on(GET, reply(503, b"down"))
    down(lambda: zoom.get_meeting(ID))
    assert isinstance(down(lambda: zoom.get_meeting(ID)), CircuitOpen)
    assert len(server.asked(GET)) == 5
    assert zoom.is_resting
    for _ in range(60):
        clock.move(seconds=1)
        down(lambda: zoom.get_meeting(ID))
    assert len(server.asked(GET)) == 7
    server.on(GET, reply(200, MEETING))
    clock.move(seconds=30)
    assert zoom.get_meeting(ID).id == ID
    assert not zoom.is_resting


# Tokens


@pytest.mark.parametrize("status", [401, 400])
def test_a_refused_token_is_replaced_once(server, zoom, reply, status):
    server.on(POST, reply(status, {"code": 124, "message": "Invalid access token."}), reply(201, MEETING))
    assert create(zoom).id == ID
    assert [one.headers["authorization"] for one in server.asked(POST)] == ["Bearer tok-1", "Bearer tok-2"]


def test_a_token_that_is_always_refused_is_a_matter_of_credentials(server, zoom, clock, reply):
    server.on(GET, reply(401, {"code": 124, "message": "Invalid access token."}))
    for _ in range(4):
        with pytest.raises(ZoomBadCredentials) as caught:
            zoom.get_meeting(ID)
        clock.move(seconds=60)
    assert "administrator" in caught.value.user_message
    assert len(server.asked("POST /oauth/token")) == 2
    assert len(server.asked(GET)) == 5


def test_threads_whose_token_was_ended_by_another_all_succeed(server, zoom, reply):
    """Each new token ends the one before, and somebody else has just asked for one."""
    alive = {"value": "somebody-elses"}

    def mint(request):
        alive["value"] = f"ours-{len(server.asked('POST /oauth/token'))}"
        return reply(200, server.token(alive["value"]))

    def meeting(request):
        known = request.headers["authorization"] == f"Bearer {alive['value']}"
        return reply(200, MEETING) if known else reply(401, {"code": 124})

    server.on("POST /oauth/token", mint)
    server.on(GET, meeting)
    zoom.get_meeting(ID)
    alive["value"] = "somebody-elses"
    with ThreadPoolExecutor(20) as threads:
        found = list(threads.map(lambda _: zoom.get_meeting(ID).id, range(60)))
    assert found == [ID] * 60
    assert len(server.asked("POST /oauth/token")) == 2


def test_a_refused_token_is_replaced_once_whatever_keeps_the_tokens(server, new_client, clock, reply):
    class EverNew:
        def token(self, mint, *, rejected=None):
            return mint()

    server.on(GET, reply(401, {"code": 124}))
    with pytest.raises(ZoomBadCredentials):
        new_client(tokens=EverNew()).get_meeting(ID)
    assert len(server.asked(GET)) == 2


def test_a_401_that_explains_nothing_is_taken_for_a_refused_token(server, zoom, reply):
    server.on(GET, reply(401, b"<html>"), reply(200, MEETING))
    assert zoom.get_meeting(ID).id == ID


def test_a_token_is_renewed_before_it_ends(server, zoom, clock, reply):
    server.on(GET, reply(200, MEETING))
    for _ in range(90):
        zoom.get_meeting(ID)
        clock.move(minutes=1)
    assert len(server.asked("POST /oauth/token")) == 2


@pytest.mark.parametrize("status", [400, 401])
def test_wrong_credentials_are_told(server, zoom, reply, status):
    wrong = {"reason": "Invalid client_id or client_secret", "error": "invalid_client"}
    server.on("POST /oauth/token", reply(status, wrong))
    with pytest.raises(ZoomBadCredentials, match="invalid_client"):
        zoom.get_meeting(ID)
    assert len(server.requests) == 1


def test_a_token_request_without_an_answer_did_nothing_either(server, new_client, reply):
    server.on("POST /oauth/token", reply(trouble="reset"))
    assert not down(lambda: create(new_client())).maybe_done


def test_a_token_that_cannot_be_had_means_nothing_was_done(server, zoom, reply):
    server.on("POST /oauth/token", reply(500, b"<html>"))
    assert not down(lambda: create(zoom)).maybe_done
    assert len(server.requests) == 3


@pytest.mark.parametrize("body", [{}, {"access_token": ""}, {"access_token": 5}, {"access_token": "a\r\nb"}, b"<html>"])
def test_an_answer_without_a_token_is_no_token(server, zoom, reply, body):
    server.on("POST /oauth/token", reply(200, body))
    down(lambda: zoom.get_meeting(ID))


def test_a_token_of_unknown_length_is_taken_for_an_hour(server, zoom, reply):
    server.on("POST /oauth/token", reply(200, {"access_token": "t", "expires_in": "later", "scope": None}))
    server.on(GET, reply(200, MEETING))
    zoom.get_meeting(ID)
    zoom.get_meeting(ID)
    assert len(server.asked("POST /oauth/token")) == 1


def test_a_busy_token_endpoint_is_waited_for(server, zoom, clock, reply):
    server.on("POST /oauth/token", reply(429, {}), reply(200, server.token("tok-9")))
    server.on(GET, reply(200, MEETING))
    assert zoom.get_meeting(ID).id == ID
    assert len(clock.sleeps) == 1


@pytest.mark.parametrize(
    ("status", "body", "scope"),
    [
        (
            400,
            {
                "code": 4711,
                "message": "Invalid access token, does not contain scopes:[meeting:read:x:admin].",
            },
            "meeting:read:x:admin",
        ),
        (
            400,
            b'{"code":4711,"message":"Invalid access token, does not contain scopes:["meeting:read:y"]."}',
            "meeting:read:y",
        ),
        (401, {"code": 4700, "message": "Jeton invalide."}, "meeting:read:meeting:admin"),
    ],
)
def test_a_missing_scope_is_named(server, zoom, reply, status, body, scope):
    server.on(GET, reply(status, body))
    with pytest.raises(ZoomNotAuthorised) as caught:
        zoom.get_meeting(ID)
    assert caught.value.missing_scopes == (scope,)
    assert scope in str(caught.value)
    assert len(server.asked(GET)) == 1
    assert not isinstance(caught.value, ZoomBadCredentials)


@pytest.mark.parametrize(
    "body", [{"code": 4717, "message": "disabled"}, {"code": 200, "message": "Invalid api key or secret."}]
)
def test_an_app_that_was_switched_off_is_a_matter_of_credentials(server, zoom, reply, body):
    server.on(GET, reply(400, body))
    with pytest.raises(ZoomBadCredentials):
        zoom.get_meeting(ID)


def test_a_netrc_never_replaces_the_token(server, zoom, reply, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login eve password evil\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server.on(GET, reply(200, MEETING))
    zoom.get_meeting(ID)
    assert server.requests[-1].headers["authorization"] == "Bearer tok-1"


# Limits


def too_many(reply, message="", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return reply(429, {"code": 429, "message": message}, named)


def test_a_limit_per_second_is_waited_out_even_for_a_write(server, zoom, clock, reply):
    busy = too_many(reply, X_RateLimit_Type="QPS")
    server.on(POST, busy, busy, reply(201, MEETING))
    assert create(zoom).id == ID
    assert len(clock.sleeps) == 2
    assert all(1 <= pause <= 2 for pause in clock.sleeps)


def test_a_limit_per_second_is_waited_out_five_times_at_most(server, zoom, clock, reply):
    server.on(GET, too_many(reply, X_RateLimit_Type="QPS"))
    with pytest.raises(ZoomRateLimited) as caught:
        zoom.get_meeting(ID)
    assert not caught.value.daily
    assert len(server.asked(GET)) == 5


def test_retry_after_is_kept_in_seconds_and_as_a_date(server, zoom, clock, reply):
    date = format_datetime(clock.now() + dt.timedelta(seconds=2), usegmt=True)
    for value in ("2", date):
        server.on(GET, too_many(reply, Retry_After=value), reply(200, MEETING))
        zoom.get_meeting(ID)
    assert 2 <= clock.sleeps[0] <= 4
    assert len(clock.sleeps) == 2


def test_a_long_wait_is_not_slept_through(server, zoom, clock, reply):
    server.on(GET, too_many(reply, X_RateLimit_Type="QPS", Retry_After="45"))
    with pytest.raises(ZoomRateLimited) as caught:
        zoom.get_meeting(ID)
    assert caught.value.until == clock.now() + dt.timedelta(seconds=45)
    assert clock.sleeps == []


def test_a_daily_limit_is_told_at_once(server, zoom, clock, reply):
    server.on(POST, too_many(reply, X_RateLimit_Type="Daily-limit", Retry_After="2026-11-04T00:00:00Z"))
    with pytest.raises(ZoomRateLimited) as caught:
        create(zoom)
    assert (caught.value.daily, caught.value.until) == (True, dt.datetime(2026, 11, 4, tzinfo=dt.UTC))
    assert (clock.sleeps, len(server.asked(POST))) == ([], 1)
    assert "today" in caught.value.user_message


def test_the_third_registration_of_a_day_concerns_one_registrant(server, zoom, reply):
    words = "You have exceeded the daily rate limit of (3) for Add a registrant API requests for the registrant."
    server.on(ADD, too_many(reply, words))
    with pytest.raises(ZoomRateLimited) as caught:
        zoom.add_registrant(ID, RegistrantInput("x@x.ph", "X"))
    assert (caught.value.per, caught.value.daily) == ("registrant-day", True)


# Refusals


def refusal(act):
    with pytest.raises(ZoomRefused) as caught:
        act()
    return caught.value


@pytest.mark.parametrize(
    ("status", "code", "message", "meaning"),
    [
        (404, 3001, "Réunion introuvable.", "is_deleted"),
        (400, 3001, "", "is_deleted"),
        (404, 1001, "Meeting does not exist: 1.", "is_deleted"),
        (400, 300, "Meeting 1 not found or has expired.", "is_deleted"),
        (400, 3027, "Host can not register", "is_host_not_registrable"),
        (400, 3038, "", "is_over"),
        (400, 3043, "", "is_full"),
        (400, 404, "", "is_registration_off"),
        (404, 300, "Localised.", "is_registration_off"),
        (400, 300, "Registration has not been enabled for this meeting: 1", "is_registration_off"),
        (400, 303, "", "is_batch_unsupported"),
        (400, 200, "Only available for Paid user: x.", "is_host_unlicensed"),
        (400, 3161, "", "is_host_unlicensed"),
    ],
)
def test_a_refused_registration_says_what_it_means(server, zoom, reply, status, code, message, meaning):
    server.on(ADD, reply(status, {"code": code, "message": message}, {"x-zm-trackingid": "WEB_1"}))
    problem = refusal(lambda: zoom.add_registrant(ID, RegistrantInput("x@x.ph", "X")))
    meanings = [name for name in errors._MESSAGES if getattr(problem, name)]
    assert meanings == [meaning]
    assert problem.user_message == errors._MESSAGES[meaning]
    assert (problem.status, problem.code, problem.tracking_id) == (status, code, "WEB_1")
    assert len(server.asked(ADD)) == 1


def test_an_unknown_host_is_not_a_deleted_meeting(server, zoom, reply):
    server.on(POST, reply(404, {"code": 1001, "message": "User does not exist: h1."}))
    problem = refusal(lambda: create(zoom))
    assert problem.is_host_unknown
    assert not problem.is_deleted


def test_an_unknown_user_in_a_meeting_is_not_a_deleted_meeting():
    problem = ZoomRefused(404, 1001, "User does not exist.", resource="meeting")
    assert problem.is_host_unknown
    assert not problem.is_deleted


def test_a_refused_field_is_named(server, zoom, reply):
    complaint = {
        "code": 300,
        "message": "Validation Failed.",
        "errors": [{"field": "user_info.email", "message": "Invalid field: eve@x.ph."}],
    }
    server.on(ADD, reply(400, complaint))
    problem = refusal(lambda: zoom.add_registrant(ID, RegistrantInput("x", "X")))
    assert problem.fields == (("user_info.email", "Invalid field: eve@x.ph."),)
    assert not problem.is_registration_off
    assert "user_info.email" in str(problem)
    assert "eve@x.ph" not in str(problem) + repr(problem)


def test_a_refusal_that_is_no_json_has_no_code(server, zoom, reply):
    server.on(GET, reply(403, b"<html>Forbidden</html>"))
    problem = refusal(lambda: zoom.get_meeting(ID))
    assert (problem.status, problem.code, problem.is_deleted) == (403, None, False)
    assert problem.user_message


def test_a_report_of_last_year_is_too_old(server, zoom, reply):
    server.on("GET /v2/report/meetings/m/participants", reply(400, {"code": 12702}))
    assert refusal(lambda: zoom.report_participants("m")).is_too_old


# The log


def test_the_log_tells_what_was_done_and_nothing_about_anybody(server, zoom, reply, caplog):
    caplog.set_level(logging.DEBUG)
    server.on(GET, reply(200, MEETING, {"x-zm-trackingid": "v=2.0;rid=WEB_7"}))
    server.on(ADD, reply(404, {"code": 3001, "message": "learner@x.ph"}), reply(trouble="reset"))
    server.on(
        "GET /v2/users/ada%40x.ph/meetings",
        reply(200, {"meetings": [], "next_page_token": "tk-page"}),
        reply(200, {"meetings": []}),
    )
    zoom.get_meeting(ID)
    for _ in range(2):
        with pytest.raises((ZoomRefused, ZoomUnavailable)) as caught:
            zoom.add_registrant(ID, RegistrantInput("learner@x.ph", "Hush"))
        assert "learner" not in str(caught.value)
    list(zoom.list_meetings("ada@x.ph"))
    ours = [record.getMessage() for record in caplog.records if record.name == "portal.zoom"]
    assert any(line.startswith("GET /meetings/{} 200 ") and "WEB_7" in line for line in ours)
    assert any("POST /meetings/{}/registrants failed" in line for line in ours)
    for hidden in ("tok-1", "s3cr3t", "learner", "Hush", "tk-page", "ada"):
        assert hidden not in "\n".join(ours)


def test_a_tracking_id_cannot_forge_a_line_of_the_log(server, zoom, reply, caplog):
    caplog.set_level(logging.DEBUG)
    server.on(GET, reply(200, MEETING, {"x-zm-trackingid": "a\x1b[31mb"}))
    zoom.get_meeting(ID)
    assert "\x1b" not in caplog.text
