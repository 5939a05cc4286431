"""Only what Zoom signed, lately, is taken; everything else changes nothing."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import time_machine
from flask import Flask

from portal.zoom.webhooks.signature import sign_webhook
from tests.webhooks.conftest import MEETING, SECRET, Zoom, compact, joined, stored

NOW = 1793577600  # Monday 2 November 2026, 08:00 in Manila
KEY = "whk_test_3f9a"
V1 = (
    b'{"event":"meeting.started","event_ts":1793577600000,"payload":{"account_id":"a",'
    b'"object":{"id":"86123456789","uuid":"/aB//c=="}}}'
)
SIGNED = {
    V1: "57207c6a68b8687e2e1e2c6cbb5a92abd7a28c7370220c513b2304bf43b3ce64",
    V1.replace(b'"account_id":', b'"account_id": '): "35e57c86393290c1b40faef8fbdabb9a994976bbef7525c4dcb526f13281a376",
    '{"event":"meeting.participant_joined","payload":{"object":{"participant":{"user_name":"Niño 😀"}}}}'.encode(): (
        "dbcf83cd1cad1b0553a3972b31580b08bba0c1ecb7d51fea82506ef5dda79337"
    ),
}


@pytest.fixture(autouse=True)
def monday() -> Iterator[None]:
    with time_machine.travel(datetime.fromtimestamp(NOW, UTC), tick=False):
        yield


def test_it_takes_what_was_signed_by_hand(app: Flask, another_portal) -> None:
    zoom = Zoom(another_portal(zoom_webhook_secrets=(KEY,)))
    for raw, digits in SIGNED.items():
        answer = zoom.sends(raw, sent_at=NOW, signature=f"v0={digits}")
        assert (answer.status_code, answer.data) == (200, b"")
    assert stored() == 2, "the second says the same as the first, with one more space"


def test_it_refuses_the_signature_of_other_bytes(app: Flask, another_portal) -> None:
    zoom = Zoom(another_portal(zoom_webhook_secrets=(KEY,)))
    first, second, _ = SIGNED
    for raw in (second, compact(dict(sorted(json.loads(first).items(), reverse=True)))):
        assert zoom.sends(raw, sent_at=NOW, signature=f"v0={SIGNED[first]}").status_code == 401
    assert stored() == 0


def spoiled(good: str) -> dict[str, str]:
    last = "0" if good[-1] != "0" else "1"
    return {
        "one digit": good[:-1] + last,
        "upper case": "v0=" + good[3:].upper(),
        "other version": "v1=" + good[3:],
        "cut": good[:66],
        "bare": good[3:],
        "not ASCII": "v0=" + "é" * 64,
        "long": "v0=" + "a" * 10_000,
        "control characters": "v0=\x01\x02" + good[5:],
        "two": f"{good},{good}",
    }


@pytest.mark.parametrize("how", spoiled("v0=" + "a" * 64))
def test_it_refuses_a_spoiled_signature(zoom: Zoom, how: str) -> None:
    raw = compact(joined())
    answer = zoom.sends(raw, sent_at=NOW, signature=spoiled(sign_webhook(SECRET, NOW, raw))[how])
    assert answer.status_code == 401
    assert stored() == 0


def test_it_says_in_the_log_why_and_nothing_else(zoom: Zoom, caplog: pytest.LogCaptureFixture) -> None:
    raw = compact(joined())
    good = sign_webhook(SECRET, NOW, raw)
    with caplog.at_level(logging.INFO):
        zoom.sends(raw, sent_at=NOW, signature=spoiled(good)["one digit"])
    assert "401 signature_signature" in caplog.text
    assert "Niño" not in caplog.text and MEETING not in caplog.text and good[3:] not in caplog.text


def test_it_refuses_missing_and_empty_headers(app: Flask, zoom: Zoom) -> None:
    raw = compact(joined())
    both = {"x-zm-signature": sign_webhook(SECRET, NOW, raw), "x-zm-request-timestamp": str(NOW)}
    for headers in ({}, *({name: both[name]} for name in both), dict.fromkeys(both, "")):
        assert zoom.sends_unsigned(raw, **headers).status_code == 401, headers
    assert stored() == 0


@pytest.mark.parametrize(
    ("seconds", "status"), [(-7200, 200), (300, 200), (-7201, 401), (301, 401)], ids=lambda value: str(value)
)
def test_it_takes_what_is_two_hours_old_and_five_minutes_ahead_at_most(
    app: Flask, zoom: Zoom, seconds: int, status: int
) -> None:
    before = counts(app)
    assert zoom.sends(joined(), sent_at=NOW + seconds).status_code == status
    assert stored() == (1 if status == 200 else 0)
    assert counts(app).get("accepted_late", 0) - before.get("accepted_late", 0) == (seconds == -7200)
    stale = "signature_stale"
    assert counts(app).get(stale, 0) - before.get(stale, 0) == (seconds == -7201)


@pytest.mark.parametrize(
    "sent_at",
    [
        "nan",
        "inf",
        "1e9",
        f"+{NOW}",
        f" {NOW}",
        "1_793_577_600",
        "-1",
        f"{NOW}000",
        f"{NOW}.0",
        "9" * 400,
        "9" * 5000,
        f"{NOW}\x00",
        "",
    ],
    ids=lambda text: text[:14] or "empty",
)
def test_it_refuses_a_time_that_is_not_ten_digits(zoom: Zoom, sent_at: str) -> None:
    assert zoom.sends(joined(), sent_at=sent_at).status_code == 401
    assert stored() == 0


@pytest.mark.parametrize("digits", ["１７９３５７７６００", "١٧٩٣٥٧٧٦٠٠"], ids=["full width", "Arabic"])
def test_it_refuses_digits_of_other_scripts(app: Flask, digits: str) -> None:
    """A header is bytes; a server hands them on as Latin-1."""
    raw = compact(joined())
    sent_at = digits.encode().decode("latin-1")
    answer = Zoom(app).sends(raw, sent_at=sent_at, signature=sign_webhook(SECRET, digits, raw))
    assert answer.status_code == 401


def test_it_takes_either_secret_while_they_are_rotated(app: Flask, another_portal) -> None:
    rotating = Zoom(another_portal(zoom_webhook_secrets=("new secret of 2026", "old secret of 2025")))
    assert rotating.sends(joined(1), secret="new secret of 2026").status_code == 200
    assert rotating.sends(joined(2), secret="old secret of 2025").status_code == 200
    rotated = Zoom(another_portal(zoom_webhook_secrets=("new secret of 2026",)))
    assert rotated.sends(joined(3), secret="old secret of 2025").status_code == 401
    assert stored() == 2


def test_without_a_secret_it_answers_503_and_never_checks_with_an_empty_key(app: Flask, another_portal) -> None:
    for secrets in ((), ("",)):
        zoom = Zoom(another_portal(zoom_webhook_secrets=secrets))
        raw = compact(joined())
        empty = sign_webhook("x", NOW, raw)  # any signature at all
        assert zoom.sends(raw, signature=empty).status_code in ((503,) if not secrets else (401,))
        assert zoom.sends_unsigned({"event": "endpoint.url_validation"}).status_code in (400, 503)
    assert stored() == 0


def counts(app: Flask) -> dict[str, int]:
    found = app.test_client().get("/healthz").get_json()["deliveries"]
    assert isinstance(found, dict)
    return found
