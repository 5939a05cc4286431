"""Which class date a running of the meeting belongs to."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

from tests.attendance.lesson import Lesson, Says, at

Make = Callable[..., Lesson]


def whole(lesson: Lesson, zoom: Says, session: str, joined: str, left: str, day: int = 3) -> None:
    """The first learner's stay in a running from its beginning to ten minutes after."""
    stay = zoom.stay(session, at(joined, day), at(left, day), registrant_id="R1")
    lesson.deliver(zoom.started(), stay, zoom.ended(at(left, day) + timedelta(minutes=10)))


def test_one_link_in_the_morning_and_in_the_afternoon_is_two_sheets(make_lesson: Make, sessions: Iterator[str]) -> None:
    lesson = make_lesson(1, dates=[(at("8:00"), 60), (at("13:00"), 60)])
    lesson.move(at("15:00"))
    whole(lesson, Says(uuid="m", began=at("7:55")), next(sessions), "8:00", "8:20")
    whole(lesson, Says(uuid="a", began=at("12:40")), next(sessions), "13:00", "13:50")
    morning, afternoon = lesson.dates()
    assert lesson.verdicts(morning) == [(1200, "present")]
    assert lesson.verdicts(afternoon) == [(3000, "present")]


def test_the_same_number_on_monday_and_wednesday_does_not_run_together(
    make_lesson: Make, sessions: Iterator[str]
) -> None:
    lesson = make_lesson(1, dates=[(at("8:00", 2), 60), (at("8:00", 4), 60)])
    lesson.move(at("12:00", 4))
    whole(lesson, Says(uuid="M", began=at("7:58", 2)), next(sessions), "8:00", "8:20", day=2)
    whole(lesson, Says(uuid="W", began=at("7:58", 4)), next(sessions), "8:00", "8:05", day=4)
    monday, wednesday = lesson.dates()
    assert lesson.verdicts(monday) == [(1200, "present")]
    assert lesson.verdicts(wednesday) == [(300, "partial")]


def test_a_restarted_meeting_is_one_class(make_lesson: Make, sessions: Iterator[str]) -> None:
    lesson = make_lesson(1)
    whole(lesson, Says(uuid="1", began=at("8:00")), next(sessions), "8:00", "8:08")
    whole(lesson, Says(uuid="2", began=at("8:22")), next(sessions), "8:22", "8:31")
    assert lesson.verdicts() == [(1020, "present")]
    assert len(lesson.dates()) == 1


def test_a_restart_whose_first_end_was_lost_is_over_with_the_second(make_lesson: Make, sessions: Iterator[str]) -> None:
    lesson = make_lesson(1)
    first = Says(uuid="1", began=at("8:00"))
    lesson.deliver(first.started(), first.stay(next(sessions), at("8:00"), at("8:16"), registrant_id="R1"))
    whole(lesson, Says(uuid="2", began=at("8:22")), next(sessions), "8:22", "8:31")
    assert lesson.verdicts() == [(1500, "present")]


def test_a_class_over_midnight_belongs_to_the_evening(make_lesson: Make, sessions: Iterator[str]) -> None:
    lesson = make_lesson(1, dates=[(at("23:30", 2), 60)])
    zoom = Says(began=at("23:30", 2))
    lesson.deliver(
        zoom.started(),
        zoom.stay(next(sessions), at("23:50", 2), at("0:10"), registrant_id="R1"),
        zoom.ended(at("0:30")),
    )
    (monday,) = lesson.dates()
    assert monday.local_date.day == 2
    assert lesson.verdicts(monday) == [(1200, "present")]


def test_a_test_run_on_sunday_is_a_date_of_its_own_and_in_no_report_unless_the_teacher_says_so(
    make_lesson: Make, sessions: Iterator[str]
) -> None:
    lesson = make_lesson(2)
    sunday = Says(uuid="sunday", began=at("19:00", 1))
    whole(lesson, sunday, next(sessions), "19:00", "19:20", day=1)
    test_run, lesson_date = lesson.dates()
    assert (test_run.is_scheduled, lesson_date.is_scheduled) == (False, True)
    assert lesson.verdicts(test_run) == [(1200, "present"), (0, "absent")]
    assert lesson.verdicts(lesson_date) == [(0, "pending"), (0, "pending")]
    report = "/reports?from=2026-11-01&to=2026-11-30"
    lesson.browser.get(report)
    assert "50.0" not in lesson.browser.text
    assert "it is in no report" in lesson.sheet(occurrence=test_run)
    lesson.browser.submit("#counts")
    lesson.browser.get(report)
    assert "50.0" in lesson.browser.text


def test_a_running_moves_to_its_date_when_its_times_become_known(make_lesson: Make, sessions: Iterator[str]) -> None:
    """A leave after midnight alone looks like a running of its own on the next day."""
    lesson = make_lesson(1, dates=[(at("23:00", 2), 60)])
    zoom = Says(began=at("22:58", 2))
    joined, left = zoom.stay(next(sessions), at("23:01", 2), at("0:01"), registrant_id="R1")
    for bare in (left, joined):
        del bare["payload"]["object"]["start_time"]
    lesson.deliver(left)
    assert [one.is_scheduled for one in lesson.dates()] == [True, False]
    lesson.deliver(joined, zoom.ended(at("0:05")), zoom.started())
    (monday,) = lesson.dates()
    assert monday.is_scheduled
    assert monday.state == "ended"
    assert lesson.verdicts(monday) == [(3600, "present")]


def test_events_that_come_before_the_portal_knows_the_meeting_attach_by_themselves(
    make_lesson: Make, sessions: Iterator[str]
) -> None:
    from portal.core.db import write_transaction

    lesson = make_lesson(1)
    zoom = Says(zoom_id="99988877766")
    whole(lesson, replace(zoom), next(sessions), "8:00", "8:20")
    assert lesson.verdicts() == [(0, "pending")]
    with write_transaction() as session:
        session.get_one(type(lesson.meeting), lesson.meeting.id).zoom_id = zoom.zoom_id
    lesson.work()
    assert lesson.verdicts() == [(1200, "present")]
