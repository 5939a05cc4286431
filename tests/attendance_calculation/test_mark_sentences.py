"""Every mark explains itself."""

from dataclasses import replace

import flask
import pytest
from flask_babel import Babel

from portal.attendance.sheet.explain import MarkOverride, explain_mark


def told(morning, *stays, learner="L1", override=None, threshold=900, **changes):
    line = morning.line(*stays, learner=learner, threshold=threshold, **changes)
    return explain_mark(line, threshold=threshold, override=override)


def test_present_tells_when_how_long_and_how_it_is_known(morning):
    stays = [morning.stay("8:01", "8:20"), morning.stay("8:21", "8:30"), morning.stay("8:31", "8:41")]
    assert told(morning, *stays) == "Joined 8:01 AM, 38 min in 3 stays, matched by registration."


def test_partial_tells_to_the_second_what_was_missing(morning):
    assert told(morning, morning.stay("8:00", "8:14:59")) == (
        "Joined 8:00 AM, 14 min 59 s in 1 stay, matched by registration. Present needs 15 min."
    )


def test_early_time_is_said_to_count(morning):
    assert told(morning, morning.stay("7:41", "8:19")) == (
        "Joined 7:41 AM, 38 min in 1 stay, matched by registration. Time before the planned start counts."
    )


def test_several_ways_of_matching_are_named(morning):
    visit, stay = morning.guest("Maria", "8:01", "8:20"), morning.stay("8:21", "8:50")
    assert told(morning, visit, stay, links=(morning.link(visit, "L1"),)) == (
        "Joined 8:01 AM, 48 min in 2 stays, matched by hand and registration."
    )


def test_absent_says_that_the_data_is_complete(morning):
    assert told(morning) == "Not seen, and Zoom's data is complete."


def test_unknown_is_not_called_absent(morning):
    assert told(morning, complete=False) == ("Not seen, but Zoom's data is incomplete. Unknown is not absent: decide.")


def test_one_who_may_be_on_the_list_of_unmatched_is_named(morning):
    assert told(morning, morning.guest("Maria Santos")) == (
        "Not seen under this name, but “Maria Santos” was in and may be this learner: match or decide."
    )


def test_the_list_of_unmatched_is_named_where_the_names_are_not_at_hand(morning):
    stored = replace(morning.line(morning.guest("Maria Santos")), maybe=())
    assert explain_mark(stored, threshold=900) == (
        "Not seen under this name, but may be among the unmatched participants: match or decide."
    )


def test_the_waiting_room_is_named(morning):
    assert told(morning, morning.wait("8:00", "8:30")) == (
        "Seen in the waiting room only, never let in. Unknown is not absent: decide."
    )


def test_a_lost_leave_is_told(morning):
    assert told(morning, morning.stay("8:00", None)) == (
        "Joined 8:00 AM, 60 min in 1 stay, matched by registration. "
        "Zoom sent no leave: counted until the meeting ended."
    )


def test_needs_review_tells_what_is_missing_and_what_present_needs(morning):
    assert told(morning, morning.stay(None, "8:30")) == (
        "In the meeting, 0 s in 1 stay, matched by registration. "
        "Zoom sent a leave without its join, which is not counted. Present needs 15 min."
    )


def test_pending_tells_how_it_stands(morning):
    live = {"over": False, "complete": False, "now": morning.at("8:20"), "instances": ()}
    assert told(morning, morning.stay("8:02", None), **live) == (
        "Joined 8:02 AM and still in, 18 min in 1 stay so far, matched by registration."
    )
    assert told(morning, **live) == "Not seen yet."


def test_an_override_tells_who_when_and_why_beside_what_zoom_saw(morning):
    override = MarkOverride("present", "Ma. Teresa Reyes", morning.at("9:41"), "brownout, answered by text ")
    assert told(morning, morning.stay("8:00", "8:08"), override=override) == (
        "Zoom saw 8 min in 1 stay. Set to Present by Ma. Teresa Reyes, Tue 3 Nov, 9:41 AM: brownout, answered by text."
    )
    assert told(morning, override=override).startswith("Zoom did not see this learner. Set to Present by")


@pytest.mark.parametrize("text", ["100% signal lost", "%(mark)s {0}"])
def test_a_reason_is_printed_as_it_was_typed(morning, text):
    assert text in told(morning, override=MarkOverride("present", "50% Reyes", morning.at("9:41"), text))


def test_it_speaks_within_a_request_as_well(morning):
    app = flask.Flask("explained")
    Babel(app, locale_selector=lambda: "fil")
    with app.test_request_context():
        assert "8:01 AM" in told(morning, morning.stay("8:01", "8:40"))
