"""The participants page: who was invited, who came, when, with a class or without."""

from collections.abc import Callable, Iterator

from portal.core import clock
from portal.core.db import write_transaction
from portal.meetings.models import MeetingInvitation
from portal.registration.models import MeetingRegistrant
from tests.attendance.conftest import make_lesson, sessions
from tests.attendance.lesson import Lesson, Says, add_meeting, at
from tests.browser import Browser, words

__all__ = ["make_lesson", "sessions"]
Cells = dict[str, list[str]]


def tables(browser: Browser) -> dict[str, Cells]:
    """Title of the table, then name and cells of its lines."""
    found: dict[str, Cells] = {}
    for table in browser.page.select("table.stays"):
        title = words(table.select("caption b")[0])
        found[title] = {
            words(r.select("th")[0]): [words(td) for td in r.select("td")] for r in table.select("tbody tr")
        }
    return found


def facts(browser: Browser) -> dict[str, str]:
    return {words(one.select("dt")[0]): words(one.select("dd")[0]) for one in browser.page.select("dl.facts div")}


def test_everybody_is_there_with_their_stays(make_lesson: Callable[..., Lesson], sessions: Iterator[str]) -> None:
    lesson, zoom = make_lesson(4), Says()
    lesson.deliver(
        zoom.started(),
        zoom.host(next(sessions), at("7:58"), at("9:00")),
        zoom.stay(next(sessions), at("8:00"), at("8:20"), registrant_id="R1", user_name="OPPO A5s"),
        zoom.stay(next(sessions), at("8:25"), at("8:55"), registrant_id="R1", user_name="OPPO A5s"),
        zoom.stay(next(sessions), at("8:10"), at("8:20"), registrant_id="R2", user_name="LEARNER002"),
        zoom.waits(next(sessions), at("8:05"), registrant_id="R3", user_name="LEARNER003"),
        zoom.stay(next(sessions), at("8:30"), at("8:40"), user_name="Tita Baby"),
        zoom.ended(at("9:00")),
    )
    lesson.sheet()
    page = lesson.browser
    page.click("Everybody with their stays")
    assert facts(page) == {
        "Joined": "2 of 4 invited",
        "Rate": "50%",
        "Average time": "30 min",
        "Time together": "60 min, meeting 62 min",
    }
    found = tables(page)
    learners = found["Learners"]
    assert learners["LEARNER001, ANA, CRUZ as “OPPO A5s”"] == [
        "Present",
        "50 min",
        "8:00 to 8:20 AM 8:25 to 8:55 AM",
    ]
    assert learners["LEARNER002, ANA, CRUZ"][1:] == ["10 min", "8:10 to 8:20 AM"]
    assert learners["LEARNER003, ANA, CRUZ"][1] == "", "the waiting room alone is no time"
    assert "waiting room" in learners["LEARNER003, ANA, CRUZ"][2]
    assert learners["LEARNER004, ANA, CRUZ"][-1] == "never joined"
    assert found["Not on the roster"] == {"Tita Baby": ["10 min", "8:30 to 8:40 AM"]}
    assert found["Staff"]["Ada"][0] == "62 min"


def test_a_meeting_without_a_class_counts_who_was_invited(
    make_lesson: Callable[..., Lesson], sessions: Iterator[str]
) -> None:
    lesson = make_lesson(1)
    zoom = Says(uuid="other==", zoom_id="700")
    meeting = add_meeting(lesson.people.ada, lesson.school_class, [(at("8:00"), 60)], zoom_id="700")
    with write_transaction() as session:
        session.merge(meeting).class_id = None
        for person, registrant in ((lesson.people.bob, "B1"), (lesson.people.head, None)):
            first, last = person.full_name.split()
            session.add(MeetingInvitation(meeting_id=meeting.id, user_id=person.id, invited_at=clock.now()))
            session.add(
                MeetingRegistrant(
                    meeting_id=meeting.id, user_id=person.id, email=person.email, first_name=first, last_name=last,
                    zoom_registrant_id=registrant, created_at=clock.now(), updated_at=clock.now(),
                )
            )  # fmt: skip
    lesson.deliver(
        zoom.started(),
        zoom.stay(next(sessions), at("8:00"), at("8:20"), registrant_id="B1", user_name="Bobby"),
        zoom.stay(next(sessions), at("8:10"), at("8:30"), registrant_id="B1", user_name="Bobby's phone"),
        zoom.stay(next(sessions), at("8:30"), at("8:40"), user_name="A guest"),
        zoom.ended(at("9:00")),
    )
    occurrence = next(one for one in lesson.dates() if one.meeting_id == meeting.id)
    page = lesson.browser
    page.get(f"/reports/occurrences/{occurrence.id}")
    assert facts(page)["Joined"] == "1 of 3 invited", "the organiser is one of them"
    assert facts(page)["Average time"] == "30 min", "two devices at once count once"
    assert tables(page)["Invited"]["Hedy Abad"] == ["", "never joined"]
    assert tables(page)["Not invited"] == {"A guest": ["10 min", "8:30 to 8:40 AM"]}
    page.get(f"/meetings/{meeting.id}/who-came")
    assert "1 of 3 came" in page.text and "30 min on average, 30 min in all" in page.text, "the same figures"


def test_a_date_of_which_nothing_is_known_says_so(make_lesson: Callable[..., Lesson]) -> None:
    lesson = make_lesson(0)
    lesson.browser.get(f"/reports/occurrences/{lesson.occurrence.id}")
    assert "Nobody was invited, and nobody came" in lesson.browser.text


def test_who_may_not_see_the_sheet_may_not_see_who_was_there(make_lesson: Callable[..., Lesson]) -> None:
    lesson = make_lesson(1)
    bob = lesson.people.sign_in(Browser(lesson.app.test_client()), lesson.people.bob)
    bob.get(f"/reports/occurrences/{lesson.occurrence.id}", status=404)
