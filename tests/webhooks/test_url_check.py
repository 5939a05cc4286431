"""Zoom's check of the address, every 72 hours, which must never become a machine that signs forgeries."""

import re

import pytest
import time_machine

from portal.zoom.webhooks.signature import sign_webhook, url_validation_answer
from tests.webhooks.conftest import SECRET, Zoom, compact, joined, stored

TOKEN = "qgg8vlvZRS6UYooatFL8Aw"


def check(token: object = TOKEN) -> dict[str, object]:
    return {"event": "endpoint.url_validation", "event_ts": 1793577600000, "payload": {"plainToken": token}}


def test_a_signed_check_is_answered_as_often_as_it_comes(another_portal) -> None:
    zoom = Zoom(another_portal(zoom_webhook_secrets=("whk_test_3f9a",)), "whk_test_3f9a")
    for _ in range(3):
        answer = zoom.sends(check())
        assert answer.status_code == 200
        assert answer.get_json() == {
            "plainToken": TOKEN,
            "encryptedToken": "8e79c657befa326018407c212573ee04ac1e7a48e868e579c4cc812b3c2961f5",
        }
    assert stored() == 0


def test_while_secrets_are_rotated_a_check_is_answered_with_the_secret_that_signed_it(another_portal) -> None:
    zoom = Zoom(another_portal(zoom_webhook_secrets=("new secret of 2026", "old secret of 2025")))
    for secret in ("new secret of 2026", "old secret of 2025"):
        assert zoom.sends(check(), secret=secret).get_json() == url_validation_answer(TOKEN, secret)


def test_an_unsigned_check_is_answered_ten_times_a_minute(app, another_portal) -> None:
    zoom = Zoom(another_portal())
    statuses = [zoom.sends_unsigned(check()).status_code for _ in range(12)]
    assert statuses == [200] * 10 + [401] * 2
    assert zoom.sends(check()).status_code == 200, "a signed one is not counted"


def test_a_check_with_a_wrong_signature_is_refused(zoom: Zoom) -> None:
    answer = zoom.sends(check(), secret="another secret altogether")
    assert answer.status_code == 401


FORGED = 'v0:1793577600:{"event":"meeting.ended"}'


@pytest.mark.parametrize(
    "token", [FORGED, "v0:1", "short", "x" * 129, "with space", "", None, 7, ["a"], {"a": "b"}, "é" * 20, "a\nb" * 5]
)
@pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
def test_nothing_is_signed_that_could_be_an_event(another_portal, token: object, signed: bool) -> None:
    zoom = Zoom(another_portal())
    answer = (zoom.sends if signed else zoom.sends_unsigned)(check(token))
    assert answer.status_code in (400, 401)
    assert not re.search("[0-9a-f]{64}", answer.text)


def test_the_answer_to_a_check_is_no_signature_of_an_event(zoom: Zoom) -> None:
    """Even a clean token gives nothing that passes for the signature of a body."""
    answer = zoom.sends_unsigned(check()).get_json()
    forged = zoom.sends(compact(joined()), signature="v0=" + answer["encryptedToken"])
    assert forged.status_code == 401
    assert (
        url_validation_answer(TOKEN, SECRET)["encryptedToken"] != sign_webhook(SECRET, 1793577600, TOKEN.encode())[3:]
    )


def test_the_minute_passes(another_portal) -> None:
    zoom = Zoom(another_portal())
    with time_machine.travel(1793577600, tick=False) as moving:
        for _ in range(10):
            zoom.sends_unsigned(check())
        assert zoom.sends_unsigned(check()).status_code == 401
        moving.shift(61)
        assert zoom.sends_unsigned(check()).status_code == 200
