"""Webhook events: what is read from them, and which two are the same."""

import copy
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.zoom.webhooks.events import (
    KNOWN,
    BadEvent,
    event_fingerprint,
    parse_webhook_event,
)


def joined(**participant):
    who = {
        "user_id": "16778240",
        "user_name": "Jill Chill",
        "id": "iFxeBPYun6SAiWUzBcEkX",
        "participant_uuid": "67C1A429-1476-BE1C-7324-EDCA76B69406",
        "join_time": "2026-11-03T00:01:09Z",
        "email": "Jill@Example.com",
        "registrant_id": "abcdefghij0-klmnopq23456",
        "participant_user_id": "iFxeBPYun6SAiWUzBcEkX",
    } | participant
    about = {
        "id": "86123456789",
        "uuid": "/aB//c==",
        "host_id": "x1yCz",
        "topic": "Biology",
        "type": 8,
        "start_time": "2026-11-03T00:00:00Z",
        "duration": 60,
        "participant": {name: value for name, value in who.items() if value is not None},
    }
    return {
        "event": "meeting.participant_joined",
        "event_ts": 1793664069000,
        "payload": {"account_id": "a", "object": about},
    }


def left(**participant):
    body = joined(**({"join_time": None, "leave_time": "2026-11-03T00:40:00Z"} | participant))
    body["event"] = "meeting.participant_left"
    return body


def mark(body):
    return event_fingerprint(parse_webhook_event(body), body)


def test_a_join_is_read():
    event = parse_webhook_event(joined())
    assert event.is_known
    assert event.at == datetime(2026, 11, 3, 0, 1, 9, tzinfo=UTC)
    assert (event.meeting_id, event.uuid, event.host_id) == ("86123456789", "/aB//c==", "x1yCz")
    assert (event.topic, event.minutes, event.type) == ("Biology", 60, 8)
    assert event.start_time == datetime(2026, 11, 3, tzinfo=UTC)
    who = event.participant
    assert who.session == who.user_id == "16778240"
    assert who.zoom_user_id == "iFxeBPYun6SAiWUzBcEkX"
    assert (who.name, who.email) == ("Jill Chill", "jill@example.com")
    assert who.registrant_id == "abcdefghij0-klmnopq23456"
    assert who.join_time == datetime(2026, 11, 3, 0, 1, 9, tzinfo=UTC)
    assert who.leave_time is None


def test_a_guest_has_no_user_id_and_no_address():
    who = parse_webhook_event(joined(id="", participant_user_id="", email="", registrant_id="")).participant
    assert (who.zoom_user_id, who.email, who.registrant_id) == (None, None, None)


def test_the_session_falls_back_to_the_participants_uuid():
    who = parse_webhook_event(joined(user_id=None)).participant
    assert who.session == "67C1A429-1476-BE1C-7324-EDCA76B69406"


def test_ids_are_text_whether_zoom_sends_numbers_or_text():
    body = joined(user_id=16778240)
    body["payload"]["object"]["id"] = 86123456789
    event = parse_webhook_event(body)
    assert (event.meeting_id, event.participant.session) == ("86123456789", "16778240")
    assert mark(body) == mark(joined())


def test_a_breakout_room_names_the_session_it_belongs_to():
    body = joined(user_id="99", parent_user_id="16778240")
    body["event"] = "meeting.participant_joined_breakout_room"
    body["payload"]["object"]["breakout_room_uuid"] = "Ab=="
    event = parse_webhook_event(body)
    assert (event.participant.session, event.participant.parent_session) == ("99", "16778240")
    assert event.breakout_room_uuid == "Ab=="


def test_an_update_says_what_changed():
    body = {
        "event": "meeting.updated",
        "event_ts": 1617628464664,
        "payload": {
            "scope": "single",
            "operator": "Ada@Example.com",
            "object": {"id": 94890226305, "topic": "New"},
            "old_object": {"id": 94890226305, "topic": "Old"},
        },
    }
    event = parse_webhook_event(body)
    assert (event.changes["topic"], event.old["topic"], event.scope) == ("New", "Old", "single")
    assert event.operator == "ada@example.com"


def test_a_deleted_occurrence_is_named():
    body = {
        "event": "meeting.deleted",
        "payload": {
            "operation": "single",
            "object": {"id": 1, "occurrences": [{"occurrence_id": "164"}, "x"]},
        },
    }
    event = parse_webhook_event(body)
    assert (event.occurrence_ids, event.scope) == (("164",), "single")


def test_a_registration_is_read():
    registrant = {"id": "R7", "email": "Jill@Example.com", "status": "approved", "join_url": "https://x/j"}
    body = {
        "event": "meeting.registration_approved",
        "event_ts": 1626230691572,
        "payload": {"object": {"id": 1234567890, "registrant": registrant}},
    }
    found = parse_webhook_event(body).registrant
    assert (found.id, found.email, found.status, found.join_url) == (
        "R7",
        "jill@example.com",
        "approved",
        "https://x/j",
    )


@pytest.mark.parametrize("body", [None, [], "x", 3, {}, {"event": None}, {"event": 5}, {"event": ""}])
def test_a_body_without_the_name_of_an_event_is_refused(body):
    with pytest.raises(BadEvent):
        parse_webhook_event(body)


def test_a_name_that_no_database_takes_is_cleaned():
    who = parse_webhook_event(joined(user_name="Ni\x00ño \ud800 😀")).participant
    assert who.name == "Niño ? 😀"
    assert who.name.encode()


def test_odd_types_become_none():
    body = joined(user_id={}, participant_uuid=[], join_time=17, email=["x"], registrant_id=True)
    body["event_ts"] = "soon"
    body["payload"]["object"] |= {"id": 1.5, "uuid": "u" * 300, "start_time": "2026-02-30T00:00:00Z"}
    event = parse_webhook_event(body)
    assert (event.at, event.meeting_id, event.uuid, event.start_time) == (None, None, None, None)
    assert (event.participant.session, event.participant.join_time) == (None, None)
    assert (event.participant.email, event.participant.registrant_id) == (None, None)


def test_no_personal_data_is_in_the_repr():
    shown = repr(parse_webhook_event(joined()))
    assert "Jill" not in shown
    assert "example.com" not in shown


def test_a_resend_is_the_same_event():
    again = json.loads(json.dumps(joined(), indent=2))
    again["event_ts"] += 300_000
    again["trackingid"] = "other"
    assert mark(again) == mark(joined())


def test_a_rejoin_another_device_and_a_leave_are_other_events():
    bodies = [
        joined(),
        joined(user_id="2", join_time="2026-11-03T00:20:00Z"),
        joined(user_id="3"),
        joined(join_time="2026-11-03T00:20:00Z"),
        left(),
        left(leave_time="2026-11-03T00:41:00Z"),
    ]
    other = copy.deepcopy(joined())
    other["payload"]["object"]["uuid"] = "another=="
    assert len({mark(body) for body in [*bodies, other]}) == 7


def test_start_and_end_are_told_by_their_times():
    about = {"id": "1", "uuid": "u==", "start_time": "2026-11-03T00:00:00Z"}
    started = {"event": "meeting.started", "event_ts": 1, "payload": {"object": about}}
    ended = {
        "event": "meeting.ended",
        "event_ts": 1,
        "payload": {"object": about | {"end_time": "2026-11-03T01:00:00Z"}},
    }
    assert mark(started) == mark(started | {"event_ts": 2})
    assert mark(ended) == mark(ended | {"event_ts": 2})
    assert mark(started) != mark(ended)


def test_two_nameless_people_who_wait_are_not_one():
    def waiting(name):
        about = {"id": "1", "uuid": "u==", "participant": {"id": "", "user_name": name}}
        return {"event": "meeting.participant_jbh_waiting", "event_ts": 1, "payload": {"object": about}}

    assert mark(waiting("Ana")) != mark(waiting("Ben"))
    assert mark(waiting("Ana")) == mark(json.loads(json.dumps(waiting("Ana"), sort_keys=True)))


def test_two_roles_given_in_one_second_are_not_one():
    def role(**changes):
        body = joined(join_time=None, date_time="2026-11-03T00:10:00Z", **changes)
        body["event"] = "meeting.participant_role_changed"
        return body

    assert mark(role(new_role="co-host")) != mark(role(new_role="host"))
    assert mark(role(bind_user_id="5")) != mark(role(bind_user_id="6"))


def test_an_event_about_no_meeting_counts_as_a_whole():
    body = {"event": "user.created", "event_ts": 1, "payload": {"object": {"email": "a@x.ph"}}}
    assert mark(body) != mark(body | {"event_ts": 2})


def test_two_updates_are_not_one():
    def updated(topic):
        return {"event": "meeting.updated", "event_ts": 1, "payload": {"object": {"id": 1, "topic": topic}}}

    assert mark(updated("A")) != mark(updated("B"))


def test_all_joins_and_leaves_of_zoom_are_known():
    assert {"meeting.participant_joined", "meeting.participant_left", "endpoint.url_validation"} <= KNOWN
    assert not parse_webhook_event({"event": "meeting.participant_feedback"}).is_known


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
FIELDS = ["user_id", "id", "email", "join_time", "leave_time", "date_time", "registrant_id", "user_name"]


@given(
    st.sampled_from(sorted(KNOWN)),
    json_values,
    st.dictionaries(st.sampled_from(FIELDS), json_values),
    st.dictionaries(st.sampled_from(["id", "uuid", "start_time", "end_time", "registrant"]), json_values),
)
def test_nothing_inside_an_event_breaks_reading_it(name, event_ts, participant, about):
    body = {
        "event": name,
        "event_ts": event_ts,
        "payload": {"object": about | {"participant": participant}},
    }
    assert len(mark(body)) == 64
