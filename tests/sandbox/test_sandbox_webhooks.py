"""Webhooks on their way: signed over the bytes sent, repeated as Zoom repeats, disturbed on purpose."""

import hashlib
import hmac
import json
import threading
from datetime import timedelta

import pytest

from portal.sandbox import WebhookAnswer, WebhookSender, defaults
from portal.sandbox.webhook_sender import match_event_name

ADA = "ada@r1.deped.gov.ph"


@pytest.fixture
def science(world, sender):
    return world.create_meeting(ADA, {"topic": "Niño 😀", "type": 1})


def bodies(endpoint):
    return [json.loads(raw) for _, raw in endpoint.got]


def events(endpoint):
    return [body["event"].removeprefix("meeting.") for body in bodies(endpoint)]


def test_the_signature_is_over_the_raw_bytes_which_are_compact_and_unescaped(world, sender, endpoint, science, clock):
    world.start(science.id)
    assert sender.pump() == 2
    headers, raw = endpoint.got[-1]
    assert "Niño 😀".encode() in raw
    assert b": " not in raw
    assert b", " not in raw
    stamp = headers["x-zm-request-timestamp"]
    assert int(stamp) == int(clock().timestamp())
    message = b"v0:" + stamp.encode() + b":" + raw
    right = hmac.new(defaults.WEBHOOK_SECRET.encode(), message, hashlib.sha256).hexdigest()
    assert headers["x-zm-signature"] == "v0=" + right
    assert headers["content-type"] == "application/json; charset=utf-8"


def test_only_what_the_webhook_asked_for_is_sent(world, endpoint):
    sender = WebhookSender(world, "http://portal.test/", "secret", post=endpoint, events=[r"meeting\.ended"])
    made = world.create_meeting(ADA, {"type": 1})
    world.start(made.id)
    world.end(made.id)
    assert sender.pump() == 1
    assert events(endpoint) == ["ended"]
    assert len(world.events(made.id)) == 3


def test_a_server_error_is_repeated_after_5_20_and_60_minutes_and_then_given_up(
    world, sender, endpoint, science, clock
):
    endpoint.statuses = [503]
    sent = [sender.pump()]
    for minutes in (4.9, 0.1, 19.9, 0.1, 59.9, 0.1, 600):
        clock.move(minutes=minutes)
        sent.append(sender.pump())
    assert sent == [1, 0, 1, 0, 1, 0, 1, 0]
    [delivery] = world.deliveries.values()
    assert (delivery.state, delivery.answers) == ("failed", [503] * 4)
    assert len({raw for _, raw in endpoint.got}) == 1


def test_silence_is_repeated_too_and_can_still_succeed(world, sender, endpoint, science, clock):
    endpoint.silent = True
    sender.pump()
    endpoint.silent = False
    clock.move(minutes=5)
    assert sender.pump() == 1
    [delivery] = world.deliveries.values()
    assert (delivery.state, delivery.answers) == ("delivered", [0, 204])


@pytest.mark.parametrize("status", [301, 400, 401, 404, 413, 429])
def test_redirects_and_refusals_are_final(world, sender, endpoint, science, clock, status):
    endpoint.statuses = [status]
    assert sender.pump() == 1
    clock.move(hours=3)
    assert sender.pump() == 0
    [delivery] = world.deliveries.values()
    assert delivery.state == "failed"


def test_a_repeat_carries_the_first_timestamp_unless_told_otherwise(world, sender, endpoint, science, clock):
    endpoint.statuses = [503]
    sender.pump()
    clock.move(minutes=5)
    sender.pump()
    sender.faults.restamp_repeats = True
    clock.move(minutes=20)
    sender.pump()
    first, second, third = (headers["x-zm-request-timestamp"] for headers, _ in endpoint.got)
    assert first == second
    assert int(third) == int(first) + 25 * 60


def test_two_deliveries_of_one_event_differ_in_their_tracking_id_only(world, sender, endpoint, science):
    sender.faults.duplicate = match_event_name(r"meeting\.created")
    assert sender.pump() == 2
    (one, raw), (two, again) = endpoint.got
    assert raw == again
    assert one["x-zm-signature"] == two["x-zm-signature"]
    assert one["x-zm-trackingid"] != two["x-zm-trackingid"]


def test_dropped_events_never_come(world, sender, endpoint, science):
    sender.faults.drop = match_event_name(r"meeting\.started")
    world.start(science.id)
    world.end(science.id)
    sender.pump()
    assert events(endpoint) == ["created", "ended"]
    assert [one.state for one in world.deliveries.values()] == ["delivered", "lost", "delivered"]


def test_held_events_come_when_released(world, sender, endpoint, science):
    sender.faults.hold = match_event_name(r"meeting\.participant_.*")
    world.start(science.id)
    world.join(science.id, host=True)
    world.end(science.id)
    sender.pump()
    assert events(endpoint) == ["created", "started", "ended"]
    assert sender.release() == 2
    sender.pump()
    assert events(endpoint)[3:] == ["participant_joined", "participant_left"]


def test_delayed_events_come_later(world, sender, endpoint, science, clock):
    sender.faults.delayed, sender.faults.delay = match_event_name(r"meeting\.created"), timedelta(seconds=90)
    world.start(science.id)
    sender.pump()
    clock.move(seconds=90)
    sender.pump()
    assert events(endpoint) == ["started", "created"]


def test_a_shuffle_sends_all_in_another_order_the_same_each_time(world, sender, endpoint, science):
    sender.faults.shuffle_seed = 3
    world.start(science.id)
    for number in range(8):
        world.join(science.id, name=f"Learner {number}")
    sender.pump()
    came = [body["event_ts"] for body in bodies(endpoint)], events(endpoint)
    assert len(came[1]) == 10
    assert came[1] != ["created", "started", *["participant_joined"] * 8]


def test_a_bad_signature_and_an_old_timestamp(world, sender, endpoint, science, clock):
    sender.faults.bad_signature, sender.faults.age = match_event_name(".*"), timedelta(hours=3)
    sender.pump()
    headers, raw = endpoint.got[0]
    stamp = headers["x-zm-request-timestamp"]
    assert int(stamp) == int(clock().timestamp()) - 3 * 3600
    message = b"v0:" + stamp.encode() + b":" + raw
    right = hmac.new(defaults.WEBHOOK_SECRET.encode(), message, hashlib.sha256).hexdigest()
    assert headers["x-zm-signature"] != "v0=" + right


def test_a_delivered_event_can_be_sent_again(world, sender, endpoint, science):
    sender.pump()
    sender.send_again(1)
    assert sender.pump() == 1
    assert endpoint.got[0][1] == endpoint.got[1][1]


class Portal:
    """Answers the check of the endpoint with this secret."""

    def __init__(self, secret):
        self.secret = secret

    def __call__(self, url, headers, raw):
        token = json.loads(raw)["payload"]["plainToken"]
        proof = hmac.new(self.secret.encode(), token.encode(), hashlib.sha256).hexdigest()
        return WebhookAnswer(200, json.dumps({"plainToken": token, "encryptedToken": proof}).encode())


def test_the_check_of_the_endpoint_wants_the_right_proof(world):
    sender = WebhookSender(world, "http://portal.test/", "s3cret", post=Portal("s3cret"))
    assert sender.validate()
    assert sender.subscription.valid is True
    for answer in (Portal("other"), lambda *_: WebhookAnswer(200, b"<html>"), lambda *_: 204):
        assert not WebhookSender(world, "http://portal.test/", "s3cret", post=answer).validate()


def test_six_failed_checks_in_a_row_disable_what_was_valid_once(world, endpoint):
    portal = Portal("s3cret")
    sender = WebhookSender(world, "http://portal.test/", "s3cret", post=portal)
    sender.validate()
    portal.secret = "changed"
    for _ in range(5):
        sender.validate()
    assert sender.subscription.enabled
    sender.validate()
    world.create_meeting(ADA, {"type": 1})
    assert not sender.subscription.enabled
    assert sender.pump() == 0


def test_before_it_was_ever_valid_the_check_may_fail_for_ever(world):
    sender = WebhookSender(world, "http://portal.test/", "s3cret", post=Portal("other"))
    for _ in range(10):
        sender.validate()
    assert sender.subscription.enabled


def test_the_thread_delivers_by_itself(world):
    arrived = threading.Event()

    def post(url, headers, raw):
        if json.loads(raw)["event"] == "meeting.created":
            arrived.set()
        return 204

    sender = WebhookSender(world, "http://portal.test/", "s3cret", post=post)
    sender.start()
    world.create_meeting(ADA, {"type": 1})
    assert arrived.wait(5)
    sender.stop()
