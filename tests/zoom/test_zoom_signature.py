"""Webhook signatures: what is believed, and the URL validation."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.zoom.webhooks.signature import (
    BadSignature,
    is_clean_token,
    sign_webhook,
    url_validation_answer,
    verify_webhook_signature,
)

SECRET = "whk_test_3f9a"
SENT = 1793577600
NOW = datetime(2026, 11, 2, tzinfo=UTC)
V1 = (
    b'{"event":"meeting.started","event_ts":1793577600000,'
    b'"payload":{"account_id":"a","object":{"id":"86123456789","uuid":"/aB//c=="}}}'
)
V2 = V1.replace(b'"account_id":', b'"account_id": ')
V3 = '{"event":"meeting.participant_joined","payload":{"object":{"participant":{"user_name":"Niño 😀"}}}}'
GOLDEN = [
    (V1, "v0=57207c6a68b8687e2e1e2c6cbb5a92abd7a28c7370220c513b2304bf43b3ce64"),
    (V2, "v0=35e57c86393290c1b40faef8fbdabb9a994976bbef7525c4dcb526f13281a376"),
    (V3.encode(), "v0=dbcf83cd1cad1b0553a3972b31580b08bba0c1ecb7d51fea82506ef5dda79337"),
    (b'{"event":"x","n":"\xff"}', "v0=628c56c75359e7822d32d611d377c5fdd57c30d1b7d00460228c4306d5bfea63"),
    (b"", "v0=76bf2526cab77f67e5e5da55b9c711e84a5d5fce4165a0e6e9c5970eb29a245a"),
]


def headers(timestamp=SENT, raw=V1, secret=SECRET, **changes):
    made = {
        "x-zm-request-timestamp": str(timestamp),
        "x-zm-signature": sign_webhook(secret, str(timestamp), raw),
    }
    return made | {name.replace("_", "-"): value for name, value in changes.items()}


def refused(sent, raw=V1, secrets=(SECRET,)):
    with pytest.raises(BadSignature) as caught:
        verify_webhook_signature(sent, raw, secrets, NOW)
    return caught.value.reason


@pytest.mark.parametrize(("raw", "expected"), GOLDEN)
def test_a_body_is_signed_as_zoom_signs_it(raw, expected):
    assert sign_webhook(SECRET, SENT, raw) == expected
    assert verify_webhook_signature(headers(raw=raw), raw, [SECRET], NOW) == SENT


def test_the_url_validation_is_answered_as_zoom_wants_it():
    assert url_validation_answer("qgg8vlvZRS6UYooatFL8Aw", SECRET) == {
        "plainToken": "qgg8vlvZRS6UYooatFL8Aw",
        "encryptedToken": "8e79c657befa326018407c212573ee04ac1e7a48e868e579c4cc812b3c2961f5",
    }


@pytest.mark.parametrize(
    "token",
    ["v0:1793577600:{}", "short", "a" * 129, "qgg8vlvZ\n", "Ñandú-long", "", None, 12345678, b"qgg8vlvZRS6"],
)
def test_a_token_that_could_be_an_event_is_never_signed(token):
    assert not is_clean_token(token)
    with pytest.raises(ValueError):
        url_validation_answer(token, SECRET)


def test_the_url_validation_is_not_answered_without_a_secret():
    with pytest.raises(ValueError):
        url_validation_answer("qgg8vlvZRS6UYooatFL8Aw", "")


def spoiled(signature):
    flipped = signature[:-1] + ("0" if signature[-1] != "0" else "1")
    return [
        flipped,
        signature.upper(),
        "v0=" + signature[3:].upper(),
        signature.replace("v0", "v1"),
        signature[:66],
        signature + "\n",
        " " + signature,
        "v0=é" + signature[4:],
        "v0=" + "a" * 10_000,
        "v0=" + "\x00" * 64,
        "v0=" + "\ud800" * 64,
    ]


@pytest.mark.parametrize("signature", spoiled(sign_webhook(SECRET, SENT, V1)))
def test_a_spoiled_signature_is_refused(signature):
    assert refused(headers(x_zm_signature=signature)) == "signature"


def test_missing_headers_are_refused():
    whole = headers()
    assert refused({}) == "missing"
    for name in whole:
        assert refused({key: value for key, value in whole.items() if key != name}) == "missing"
        assert refused(whole | {name: ""}) == "missing"


@pytest.mark.parametrize(
    "timestamp",
    [
        "nan",
        "inf",
        "1e9",
        "+1793577600",
        " 1793577600",
        "1793577600\n",
        "1_793_577_600",
        "１７９３５７７６００",
        "١٧٩٣٥٧٧٦٠٠",
        "1793577600000",
        "-1",
        "1" * 400,
        "1" * 5000,
    ],
)
def test_only_ten_plain_digits_are_a_timestamp(timestamp):
    assert refused(headers(timestamp)) == "timestamp"


@pytest.mark.parametrize("sent", [SENT - 7200, SENT, SENT + 300])
def test_a_delivery_within_the_limits_is_accepted(sent):
    assert verify_webhook_signature(headers(sent), V1, [SECRET], NOW) == sent


@pytest.mark.parametrize(("sent", "reason"), [(SENT - 7201, "stale"), (SENT + 301, "future")])
def test_a_delivery_beyond_the_limits_is_refused(sent, reason):
    assert refused(headers(sent)) == reason


def test_age_is_only_told_of_a_correct_signature():
    assert refused(headers(SENT - 9000, secret="another")) == "signature"


def test_white_space_counts():
    assert refused(headers(raw=V1), raw=V2) == "signature"


def test_each_secret_of_a_rotation_is_tried():
    for secret in ("new-secret", "old-secret"):
        assert verify_webhook_signature(headers(secret=secret), V1, ["new-secret", "old-secret"], NOW) == SENT
    assert refused(headers(secret="old-secret"), secrets=["new-secret"]) == "signature"


def test_an_empty_secret_verifies_nothing():
    assert refused(headers(secret=""), secrets=["", ""]) == "signature"
    assert refused(headers(), secrets=[]) == "signature"


def test_header_names_may_be_in_any_case():
    given_names = {name.title(): value for name, value in headers().items()}
    assert verify_webhook_signature(given_names, V1, [SECRET], NOW) == SENT


@given(st.text(), st.text(), st.binary(max_size=200))
def test_no_header_breaks_the_check(timestamp, signature, raw):
    with pytest.raises(BadSignature):
        verify_webhook_signature({"x-zm-request-timestamp": timestamp, "x-zm-signature": signature}, raw, [SECRET], NOW)
