"""Zoom's own participants file, brought in by the teacher: looked at first, then taken in, or taken back."""

import io
from collections.abc import Callable, Iterator

import pytest

from portal.core.db import write_transaction
from tests.attendance.lesson import ZOOM_ID, Lesson, Says, at

Make = Callable[..., Lesson]
ABOUT = "Meeting ID,Topic,Start Time,End Time\n{meeting},Biology,{day} 08:00:00 AM,{day} 09:00:00 AM\n\n"
STAYS = (
    "Name (Original Name),User Email,Join Time,Leave Time,Duration (Minutes),Guest\n"
    "One,{one},{day} 08:00:00 AM,{day} 08:40:00 AM,40,Yes\n"
    "Two,{two},{day} 08:10:00 AM,{day} 08:20:00 AM,10,Yes\n"
    "Somebody,,{day} 08:10:00 AM,{day} 08:50:00 AM,40,Yes\n"
)
SHUFFLED = (
    "Guest,Leave Time,Join Time,User Email,Name (Original Name)\n"
    "Yes,{day} 08:40:00 AM,{day} 08:00:00 AM,{one},One\n"
    "Yes,{day} 08:20:00 AM,{day} 08:10:00 AM,{two},Two\n"
    "Yes,{day} 08:50:00 AM,{day} 08:10:00 AM,,Somebody\n"
)
TOTALS = "Name (Original Name),User Email,Total Duration (Minutes),Guest\nOne,{one},40,Yes\nTwo,{two},10,Yes\n"
DAY = f"{at('8:00'):%m/%d/%Y}"


def file_for(lesson: Lesson, text: str, *, day: str = DAY, meeting: str = ZOOM_ID) -> bytes:
    """The file's bytes; the first two learners are known by the addresses of the roster."""
    one, two = "one@r1.deped.gov.ph", "two@r1.deped.gov.ph"
    with write_transaction():
        for learner, email in zip(lesson.learners, (one, two), strict=False):
            learner.email = email
    return text.format(one=one, two=two, day=day, meeting=meeting).encode()


def upload(lesson: Lesson, data: bytes, name: str = "participants.csv", status: int = 200) -> str:
    """Choose the file and read it; what the page says."""
    lesson.browser.get(f"/attendance/{lesson.occurrence.id}/file")
    url = f"/attendance/{lesson.occurrence.id}/file"
    lesson.browser.post(url, {"file": (io.BytesIO(data), name)}, status=status, follow=True)
    return lesson.browser.text


def press(lesson: Lesson, what: str) -> None:
    """Submit the form of the page whose action ends so."""
    action = str(lesson.browser.page.select_one(f"main form[action$='/{what}']")["action"])  # type: ignore[index]
    lesson.browser.post(action, follow=True)


@pytest.mark.parametrize("text", [ABOUT + STAYS, STAYS, SHUFFLED])
def test_a_file_changes_nothing_until_it_is_taken_in_and_can_be_taken_back(make_lesson: Make, text: str) -> None:
    lesson = make_lesson(3)
    before = lesson.csv()
    assert "Nothing is saved yet" in upload(lesson, file_for(lesson, text))
    check = lesson.browser.page
    assert lesson.csv() == before
    lesson.browser.page = check
    press(lesson, "confirm")
    assert [seconds for seconds, _ in lesson.verdicts()] == [2400, 600, 0]
    assert lesson.verdicts()[0][1] == "present"
    assert "Somebody" in lesson.sheet()
    lesson.browser.get(f"/attendance/{lesson.occurrence.id}/file")
    press(lesson, "take-back")
    assert [seconds for seconds, _ in lesson.verdicts()] == [0, 0, 0]


def test_the_layout_with_totals_counts_whole_minutes_and_says_so(make_lesson: Make) -> None:
    lesson = make_lesson(2)
    assert "not when" in upload(lesson, file_for(lesson, TOTALS))
    press(lesson, "confirm")
    assert lesson.verdicts()[0] == (2400, "present")


def test_a_file_and_the_events_count_the_same_time_once(make_lesson: Make, sessions: Iterator[str]) -> None:
    lesson, zoom = make_lesson(2), Says()
    lesson.deliver(
        zoom.started(), zoom.stay(next(sessions), at("8:20"), at("8:50"), registrant_id="R1"), zoom.ended(at("9:00"))
    )
    upload(lesson, file_for(lesson, ABOUT + STAYS))
    press(lesson, "confirm")
    assert lesson.verdicts()[0] == (3000, "present")


def test_the_same_file_brought_in_twice_counts_once_and_is_taken_back_whole(make_lesson: Make) -> None:
    lesson = make_lesson(2)
    for _ in range(2):
        upload(lesson, file_for(lesson, STAYS))
        press(lesson, "confirm")
    assert lesson.verdicts()[0][0] == 2400
    lesson.browser.get(f"/attendance/{lesson.occurrence.id}/file")
    press(lesson, "take-back")
    assert not lesson.browser.page.select("form[action$='/take-back']"), "nothing is left that rests on it"
    assert lesson.verdicts()[0][0] == 0


def test_a_file_of_another_class_or_day_cannot_be_taken_in(make_lesson: Make) -> None:
    lesson = make_lesson(2)
    for data, says in [
        (file_for(lesson, ABOUT + STAYS, meeting="99999999999"), "another meeting"),
        (file_for(lesson, STAYS, day="09/01/2026"), "another day"),
    ]:
        assert says in upload(lesson, data)
        assert not lesson.browser.page.select("form[action$='/confirm']")


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n\x00\x00", b"a,b\n1,2\n", b"\xff\xfe\x00"])
def test_what_is_no_such_file_is_told_in_words(make_lesson: Make, data: bytes) -> None:
    lesson = make_lesson(2)
    assert "cannot be read" in upload(lesson, data)
    assert not lesson.browser.page.select("form[action$='/confirm']")


def test_a_finalised_sheet_takes_no_file(make_lesson: Make, sessions: Iterator[str]) -> None:
    lesson, zoom = make_lesson(2), Says()
    lesson.deliver(zoom.started(), zoom.ended(at("9:00")))
    upload(lesson, file_for(lesson, STAYS))
    check = lesson.browser.page
    lesson.browser.post(f"/attendance/{lesson.occurrence.id}/finalise", follow=True)
    before = lesson.csv()
    lesson.browser.page = check
    press(lesson, "confirm")
    assert "finalised" in lesson.browser.page.get_text()
    assert lesson.csv() == before


def test_who_has_no_address_of_her_own_is_known_by_the_one_she_is_registered_with(make_lesson: Make) -> None:
    lesson = make_lesson(2)
    text = STAYS.replace("{one}", f"{lesson.learners[1].lrn}@r1.deped.gov.ph").replace("{two}", "")
    upload(lesson, text.format(day=DAY).encode())
    press(lesson, "confirm")
    assert [seconds for seconds, _ in lesson.verdicts()] == [0, 2400]
