"""What the sheet says of stays that are surely this learner's."""

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from portal.attendance.calculation.marks import compute_sheet


@pytest.mark.parametrize(
    ("stays", "expected"),
    [
        ([("8:00:00", "8:15:00")], (900, "present")),
        ([("8:00:00", "8:14:59")], (899, "partial")),
        ([("8:00", "8:10"), ("8:05", "8:12")], (720, "partial")),
        ([("8:00", "8:06"), ("8:03", "8:09"), ("8:20", "8:26")], (900, "present")),
        ([("8:00", "8:40"), ("8:10", "8:20")], (2400, "present")),
        ([("8:00", "8:19"), ("8:20", "8:40")], (2340, "present")),
        ([("8:00", "8:40"), ("8:10", "8:50")], (3000, "present")),
    ],
)
def test_overlapping_stays_count_once_and_the_threshold_is_exact(morning, stays, expected):
    assert morning.verdict(*[morning.stay(*stay) for stay in stays]) == expected


def test_a_fraction_of_a_second_short_of_the_threshold_is_partial(morning):
    stay = morning.stay("8:00", "8:15")
    assert morning.verdict(replace(stay, left_at=stay.left_at - timedelta(milliseconds=1))) == (
        899,
        "partial",
    )


def test_the_threshold_is_the_one_stored_with_the_class_date(morning):
    stay = morning.stay("8:00", "8:17")
    assert morning.verdict(stay, threshold=900) == (1020, "present")
    assert morning.verdict(stay, threshold=1200) == (1020, "partial")


def test_a_restarted_meeting_is_one_class(morning):
    stays = [morning.stay("8:00", "8:10"), morning.stay("8:12", "8:20", instance="uuid-2")]
    runs = (morning.instance("8:00", "8:10"), morning.instance("8:11", "9:00", "uuid-2"))
    assert morning.verdict(*stays, instances=runs) == (1080, "present")


def test_a_breakout_room_between_and_over_stays_counts_once(morning):
    stays = [morning.stay("8:00", "8:20"), morning.stay("8:20", "8:40"), morning.stay("8:19", "8:50")]
    assert morning.verdict(*stays) == (3000, "present")


def test_a_class_over_midnight_belongs_to_the_evening_it_began(morning):
    stay = morning.stay("-1 23:50", "0:10")
    evening = {
        "planned_start": morning.at("-1 23:30"),
        "planned_end": morning.at("0:30"),
        "instances": (morning.instance("-1 23:30", "0:30"),),
    }
    assert morning.line(stay, **evening).flags == ()
    assert morning.verdict(stay, **evening) == (1200, "present")


def test_time_before_and_after_the_plan_counts_and_is_flagged(morning):
    early = morning.line(morning.stay("7:55", "8:12"))
    assert (early.seconds, early.mark, early.flags) == (1020, "present", ("early",))
    assert morning.line(morning.stay("8:50", "9:10")).flags == ("after",)


def test_times_of_another_zone_give_the_same_sheet_over_a_change_to_winter_time(morning):
    shift = timedelta(days=-2, hours=-1)  # over the night when clocks in New York go back
    new_york = ZoneInfo("America/New_York")
    stay = morning.stay("13:40", "14:20")
    utc = replace(stay, joined_at=stay.joined_at + shift, left_at=stay.left_at + shift)
    there = replace(utc, joined_at=utc.joined_at.astimezone(new_york), left_at=utc.left_at.astimezone(new_york))
    assert morning.verdict(there) == morning.verdict(utc) == (2400, "present")


class TestNobodySeen:
    def test_it_is_pending_before_the_end(self, morning):
        assert morning.verdict(over=False) == (0, "pending")

    def test_it_is_absent_when_the_data_is_complete(self, morning):
        assert morning.line().mark == "absent"
        assert morning.line().flags == ()

    def test_it_needs_review_when_the_data_is_not_complete(self, morning):
        line = morning.line(complete=False)
        assert (line.mark, line.flags) == ("needs_review", ("data_incomplete",))

    def test_a_learner_not_enrolled_on_the_date_has_no_line(self, morning):
        result = compute_sheet(morning.sheet(roster=morning.roster[1:]))
        assert [line.learner_id for line in result.learners] == ["L2", "L3", "L4", "L5", "L6", "L7", "L8"]


class TestWaitingRoom:
    def test_waiting_does_not_count(self, morning):
        stays = [
            morning.wait("8:00", "8:10", session="s1"),
            morning.stay("8:10", "8:24:59", session="s1"),
        ]
        assert morning.verdict(*stays) == (899, "partial")

    def test_being_sent_back_is_taken_out_of_the_stay_around_it(self, morning):
        stays = [morning.stay("8:00", "8:24", session="s1"), morning.wait("8:10", "8:20", session="s1")]
        assert morning.verdict(*stays) == (840, "partial")

    def test_being_sent_back_between_two_stays_counts_the_stays(self, morning):
        stays = [
            morning.stay("8:00", "8:10", session="s1"),
            morning.wait("8:10", "8:20", session="s1"),
            morning.stay("8:20", "8:24", session="s2"),
        ]
        assert morning.verdict(*stays) == (840, "partial")

    def test_a_second_device_in_the_waiting_room_takes_nothing_away(self, morning):
        stays = [morning.stay("8:00", "8:40", session="s1"), morning.wait("8:05", "8:35", session="s2")]
        assert morning.verdict(*stays) == (2400, "present")

    def test_a_learner_never_let_in_needs_review_and_is_not_absent(self, morning):
        line = morning.line(morning.wait("8:00", "8:30"))
        assert (line.seconds, line.stay_count, line.mark) == (0, 0, "needs_review")
        assert line.flags == ("waiting_room_only",)

    def test_a_wait_whose_end_was_lost_before_the_join_ended_with_it(self, morning):
        stays = [morning.wait("7:58", None, session="s1"), morning.stay("8:00", "8:30", session="s1")]
        line = morning.line(*stays)
        assert (line.seconds, line.mark, line.flags) == (1800, "present", ())

    @pytest.mark.parametrize(("since", "until", "sure"), [("8:10", None, 600), (None, "8:25", 300)])
    def test_half_a_wait_inside_a_stay_leaves_the_mark_open(self, morning, since, until, sure):
        stays = [morning.stay("8:00", "8:30", session="s1"), morning.wait(since, until, session="s1")]
        line = morning.line(*stays)
        assert (line.seconds, line.mark, line.flags) == (sure, "needs_review", ("waiting_room_unclear",))

    def test_a_wait_that_ends_as_the_stay_begins_takes_nothing_away(self, morning):
        stays = [morning.stay("8:00", "8:15", session="s1"), morning.wait(None, "8:00:02", session="s1")]
        assert morning.verdict(*stays) == (900, "present")


class TestLostEnds:
    def test_a_lost_leave_is_closed_by_the_end_of_its_own_instance(self, morning):
        line = morning.line(morning.stay("8:00", None))
        assert (line.seconds, line.mark) == (3600, "present")
        assert line.flags == ("closed_by_meeting_end",)
        assert line.last_leave == morning.at("9:00")

    def test_a_leave_that_was_stored_from_the_end_is_flagged_too(self, morning):
        assert "closed_by_meeting_end" in morning.line(morning.stay("8:00", "9:00", leave_source="ended")).flags

    def test_the_end_of_another_instance_closes_nothing(self, morning):
        runs = (morning.instance("8:00", None), morning.instance("8:30", "9:00", "uuid-2"))
        line = morning.line(morning.stay("8:00", None), instances=runs)
        assert (line.seconds, line.mark) == (0, "needs_review")
        assert "no_leave_seen" in line.flags

    def test_leave_and_end_both_lost_need_review(self, morning):
        line = morning.line(morning.stay("8:00", None), instances=(morning.instance("8:00", None),), complete=False)
        assert (line.seconds, line.mark) == (0, "needs_review")
        assert line.flags == ("no_leave_seen", "no_time", "data_incomplete")
        assert (line.first_join, line.last_leave) == (morning.at("8:00"), None)

    def test_an_instance_never_heard_of_closes_nothing(self, morning):
        assert morning.line(morning.stay("8:00", None), instances=(), complete=False).mark == "needs_review"

    def test_closed_stays_that_suffice_are_present_whatever_else_is_lost(self, morning):
        stays = [morning.stay("8:00", "8:20"), morning.stay("8:30", None), morning.stay(None, "8:25")]
        line = morning.line(*stays, instances=(morning.instance("8:00", None),), complete=False)
        assert (line.seconds, line.mark) == (1200, "present")
        assert line.flags == ("no_join_seen", "no_leave_seen")

    def test_the_reports_answer_heals_the_mark(self, morning):
        stay = morning.stay("8:00", "8:50", source="report", leave_source="report")
        assert morning.verdict(stay, instances=(morning.instance("8:00", None),)) == (3000, "present")

    def test_a_leave_without_a_join_needs_review_if_it_could_have_been_long_enough(self, morning):
        line = morning.line(morning.stay(None, "8:30"))
        assert (line.seconds, line.mark, line.stay_count) == (0, "needs_review", 1)
        assert "no_join_seen" in line.flags
        assert (line.first_join, line.last_leave) == (None, morning.at("8:30"))

    def test_a_leave_without_a_join_is_partial_if_the_meeting_had_just_begun(self, morning):
        assert morning.line(morning.stay(None, "8:05")).mark == "partial"

    def test_a_leave_without_a_join_before_the_known_ones_hides_the_first_join(self, morning):
        assert morning.line(morning.stay(None, "8:05"), morning.stay("8:06", "8:40")).first_join is None

    def test_a_stay_of_which_nothing_is_known_needs_review(self, morning):
        assert morning.line(morning.stay(None, None)).mark == "needs_review"

    def test_a_partial_that_missing_data_could_lift_needs_review(self, morning):
        line = morning.line(morning.stay("8:00", "8:05"), complete=False)
        assert (line.seconds, line.mark, line.flags) == (300, "needs_review", ("data_incomplete",))


class TestStrangeTimes:
    def test_a_leave_one_second_before_its_join_is_no_time_and_flagged(self, morning):
        line = morning.line(morning.stay("8:00:01", "8:00:00"))
        assert (line.seconds, line.mark) == (0, "partial")
        assert line.flags == ("times_reversed", "no_time")

    def test_it_takes_nothing_from_the_other_stays(self, morning):
        stays = [morning.stay("8:00:01", "8:00:00"), morning.stay("8:10", "8:25")]
        assert morning.verdict(*stays) == (900, "present")

    def test_it_takes_nothing_from_the_other_learners(self, morning):
        stays = [morning.stay("8:00:01", "8:00:00"), morning.stay("8:00", "8:30", "R2")]
        assert morning.verdict(*stays, learner="L2") == (1800, "present")

    def test_a_leave_long_before_its_join_is_a_riddle_for_a_person(self, morning):
        line = morning.line(morning.stay("8:30", "8:00"))
        assert (line.seconds, line.mark) == (0, "needs_review")

    def test_a_stay_of_no_length_was_a_join(self, morning):
        line = morning.line(morning.stay("8:10", "8:10"))
        assert (line.mark, line.flags) == ("partial", ("no_time",))


class TestDuringTheClass:
    def live(self, morning, *stays, now="8:20", **changes):
        runs = changes.pop("instances", (morning.instance("8:00", None),))
        return morning.line(*stays, over=False, complete=False, instances=runs, now=morning.at(now), **changes)

    def test_an_open_stay_counts_up_to_now_and_stays_pending(self, morning):
        line = self.live(morning, morning.stay("8:02", None))
        assert (line.seconds, line.mark, line.is_in_meeting) == (1080, "pending", True)
        assert (line.first_join, line.last_leave) == (morning.at("8:02"), None)

    def test_who_dropped_is_no_longer_in_and_the_leave_is_known(self, morning):
        line = self.live(morning, morning.stay("8:02", "8:12"))
        assert (line.is_in_meeting, line.last_leave) == (False, morning.at("8:12"))

    def test_who_was_sent_to_the_waiting_room_is_not_in(self, morning):
        stays = [morning.stay("8:00", None, session="s1"), morning.wait("8:10", None, session="s1")]
        line = self.live(morning, *stays)
        assert (line.seconds, line.is_in_meeting) == (600, False)

    def test_an_instance_followed_by_another_keeps_nobody_in(self, morning):
        runs = (morning.instance("8:00", None), morning.instance("8:10", None, "uuid-2"))
        line = self.live(morning, morning.stay("8:02", None), instances=runs)
        assert (line.seconds, line.is_in_meeting, line.flags) == (0, False, ("no_leave_seen", "no_time"))

    def test_a_join_stamped_a_moment_ahead_of_our_clock_is_no_riddle(self, morning):
        line = self.live(morning, morning.stay("8:20:03", None))
        assert (line.seconds, line.is_in_meeting, line.flags) == (0, True, ())

    def test_the_end_of_the_class_does_not_leave_anybody_in(self, morning):
        line = morning.line(morning.stay("8:00", None), instances=(morning.instance("8:00", None),))
        assert not line.is_in_meeting


class TestLateAndLeftEarly:
    def test_it_is_late_only_beyond_the_grace(self, morning):
        assert not morning.line(morning.stay("8:10", "9:00"), grace_minutes=10).is_late
        assert morning.line(morning.stay("8:10:01", "9:00"), grace_minutes=10).is_late

    def test_it_left_early_only_beyond_the_grace(self, morning):
        assert not morning.line(morning.stay("8:00", "8:50"), grace_minutes=10).left_early
        assert morning.line(morning.stay("8:00", "8:49:59"), grace_minutes=10).left_early

    def test_without_a_grace_setting_nobody_asks(self, morning):
        line = morning.line(morning.stay("8:30", "8:46"))
        assert not line.is_late
        assert not line.left_early

    def test_a_late_teacher_makes_nobody_late(self, morning):
        stays = [morning.stay("8:20", "9:00"), morning.stay("8:15", "9:00", "RT")]
        runs = (morning.instance("8:15", "9:00"),)
        assert not morning.line(*stays, grace_minutes=10, instances=runs).is_late

    def test_a_class_closed_early_has_no_early_leavers(self, morning):
        runs = (morning.instance("8:00", "8:40"),)
        assert not morning.line(morning.stay("8:00", "8:39"), grace_minutes=10, instances=runs).left_early

    def test_it_is_not_late_by_a_join_that_may_not_be_the_first(self, morning):
        stays = [morning.stay("8:30", "9:00")]
        assert not morning.line(*stays, morning.stay(None, "8:29"), grace_minutes=10).is_late
        assert not morning.line(*stays, grace_minutes=10, gap=True).is_late

    def test_it_did_not_leave_early_as_long_as_a_later_stay_may_be_missing(self, morning):
        assert not morning.line(morning.stay("8:00", "8:30"), grace_minutes=10, complete=False).left_early


class TestShortMeeting:
    def test_a_meeting_shorter_than_the_threshold_says_so(self, morning):
        result = compute_sheet(
            morning.sheet(morning.stay("8:00", "8:12"), instances=(morning.instance("8:00", "8:12"),))
        )
        assert (result.learners[0].seconds, result.learners[0].mark) == (720, "partial")
        assert (result.flags, result.meeting_seconds) == (("short_meeting",), 720)

    def test_one_whose_end_is_unknown_does_not(self, morning):
        result = compute_sheet(morning.sheet(instances=(morning.instance("8:00", None),), complete=False, gap=True))
        assert (result.flags, result.meeting_seconds) == (("data_incomplete", "gap"), None)


def test_two_different_stays_under_one_id_are_refused(morning):
    stay = morning.stay("8:00", "8:30")
    with pytest.raises(ValueError, match="two different stays"):
        compute_sheet(morning.sheet(stay, replace(stay, left_at=morning.at("8:40"))))


def test_a_learner_twice_on_the_roster_is_refused(morning):
    with pytest.raises(ValueError, match="twice on the roster"):
        compute_sheet(morning.sheet(roster=morning.roster + morning.roster[:1]))
