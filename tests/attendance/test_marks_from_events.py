"""Zoom's events over HTTP in, the CSV out: whatever was lost, late, doubled or shuffled."""

import os
import random
import time
from collections.abc import Callable, Iterator

import pytest

from portal.classes.models import co_teachers
from portal.core.db import write_transaction
from tests.attendance.lesson import Body, Lesson, Says, at, flat

Make = Callable[..., Lesson]
UUID = "/aB//c=="


def cases(zoom: Says, new: Iterator[str]) -> list[tuple[str, list[Body], tuple[int, str]]]:
    """A case for each learner: what is special, Zoom's events, the seconds and the mark."""
    learner = iter(range(1, 100))
    found = []

    def case(what: str, expected: tuple[int, str], *build: Callable[..., object]) -> None:
        who = {"registrant_id": f"R{next(learner)}"}
        found.append((what, list(flat([one(who) for one in build])), expected))

    def stay(joined: str, left: str) -> Callable[..., object]:
        session = next(new)
        return lambda who: zoom.stay(session, at(joined), at(left), **who)

    def say(event: str, session: str, time: str, **more: str) -> Callable[..., object]:
        return lambda who: getattr(zoom, event)(session, at(time), **who, **more)

    case("exactly the threshold", (900, "present"), stay("8:00", "8:15"))
    case("a second short of it", (899, "partial"), stay("8:00", "8:14:59"))
    case("overlapping stays", (720, "partial"), stay("8:00", "8:10"), stay("8:05", "8:12"))
    case("three stays", (900, "present"), stay("8:00", "8:06"), stay("8:03", "8:09"), stay("8:20", "8:26"))
    case("a stay inside another", (2400, "present"), stay("8:00", "8:40"), stay("8:10", "8:20"))
    case("dropped and back", (2340, "present"), stay("8:00", "8:19"), stay("8:20", "8:40"))
    case("phone and laptop", (3000, "present"), stay("8:00", "8:40"), stay("8:10", "8:50"))
    case("the leave is lost", (1800, "present"), say("joined", next(new), "8:30"))
    one = next(new)
    case("waiting does not count", (899, "partial"), say("waits", one, "8:00"), say("admitted", one, "8:10"),
         say("joined", one, "8:10"), say("left", one, "8:24:59"))  # fmt: skip
    one = next(new)
    case("sent back, Zoom says left and joined", (840, "partial"), say("joined", one, "8:00"), say("left", one, "8:10"),
         say("sent_back", one, "8:10"), say("admitted", one, "8:20"), say("joined", one, "8:20"),
         say("left", one, "8:24"))  # fmt: skip
    one = next(new)
    case("sent back, Zoom says neither", (840, "partial"), say("joined", one, "8:00"), say("sent_back", one, "8:10"),
         say("admitted", one, "8:20"), say("left", one, "8:24"))  # fmt: skip
    one = next(new)
    case("sent back twice", (1680, "present"), say("waits", one, "8:00"), say("admitted", one, "8:05"),
         say("joined", one, "8:05"), say("sent_back", one, "8:10"), say("admitted", one, "8:12"),
         say("sent_back", one, "8:20"), say("admitted", one, "8:25"), say("left", one, "8:40"))  # fmt: skip
    one, two = next(new), next(new)
    case("a breakout room over the stay", (3000, "present"), say("joined", one, "8:00"),
         say("joined_room", two, "8:20", parent_user_id=one), say("left_room", two, "8:40", parent_user_id=one),
         say("left", one, "8:50"))  # fmt: skip
    one, two = next(new), next(new)
    case("a breakout room between two stays", (3000, "present"), say("joined", one, "8:00"), say("left", one, "8:20"),
         say("joined_room", two, "8:20", parent_user_id=one), say("left_room", two, "8:40", parent_user_id=one),
         say("joined", one, "8:40"), say("left", one, "8:50"))  # fmt: skip
    one, two = next(new), next(new)
    case("who leaves the meeting leaves its rooms", (1800, "present"), say("joined", one, "8:00"),
         say("joined_room", two, "8:20", parent_user_id=one), say("left", one, "8:30"))  # fmt: skip
    one = next(new)
    case("left a second before the join", (0, "partial"), say("joined", one, "8:00:01"), say("left", one, "8:00"))
    case("never", (0, "absent"))
    case("never let in", (0, "needs review"), say("waits", next(new), "8:02"))
    case("early counts", (1020, "present"), stay("7:55", "8:12"))
    case("only a leave", (0, "needs review"), say("left", next(new), "8:40"))
    case("only a short time before a leave", (0, "partial"), say("left", next(new), "8:02"))
    case("waits for the host and goes", (0, "absent"), lambda who: zoom.waits_for_host(at("7:50"), **who))
    return found


def script(zoom: Says, new: Iterator[str], of_learners: list[tuple[str, list[Body], tuple[int, str]]]) -> list[Body]:
    """The whole lesson: the host on two devices, the co-teacher's stay, and the learners."""
    return [
        zoom.started(),
        *zoom.host(next(new), at("7:58"), at("9:00")),
        *zoom.host(next(new), at("8:10"), at("8:40")),
        *(event for _, events, _ in of_learners for event in events),
        zoom.ended(at("9:00")),
    ]


def test_every_way_to_be_in_class_gives_the_right_seconds_and_mark(make_lesson: Make, sessions: Iterator[str]) -> None:
    zoom = Says()
    of_learners = cases(zoom, sessions)
    lesson = make_lesson(len(of_learners))
    lesson.deliver(script(zoom, sessions, of_learners))
    said = {what: verdict for (what, _, _), verdict in zip(of_learners, lesson.verdicts(), strict=True)}
    assert said == {what: expected for what, _, expected in of_learners}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_order_repeats_and_batches_change_nothing(make_lesson: Make, sessions: Iterator[str], seed: int) -> None:
    zoom = Says()
    of_learners = cases(zoom, sessions)
    lesson = make_lesson(len(of_learners))
    events = script(zoom, sessions, of_learners)
    dice = random.Random(seed)
    shuffled = events + dice.sample(events, len(events) // 2)
    dice.shuffle(shuffled)
    a, b = sorted(dice.sample(range(len(shuffled)), 2))
    for batch in (shuffled[:a], shuffled[a:b], shuffled[b:]):
        lesson.deliver(batch)
    assert dict(zip([what for what, _, _ in of_learners], lesson.verdicts(), strict=True)) == {
        what: expected for what, _, expected in of_learners
    }
    assert lesson.stored() == len({str(event) for event in events})


def test_the_same_request_five_times_is_one_stay(make_lesson: Make, sessions: Iterator[str]) -> None:
    lesson, zoom = make_lesson(1), Says()
    joined = zoom.joined(next(sessions), at("8:00"), registrant_id="R1")
    lesson.deliver(zoom.started(), joined, zoom.ended(at("9:00")))
    first, stored = lesson.csv(), lesson.stored()
    lesson.deliver([joined] * 4)
    assert (lesson.csv(), lesson.stored()) == (first, stored)
    assert lesson.rows()[0]["stays"] == "1"


def test_the_host_and_a_co_teacher_are_staff_and_in_no_row(make_lesson: Make, sessions: Iterator[str]) -> None:
    lesson, zoom = make_lesson(1), Says()
    with write_transaction() as session:
        bob = lesson.people.bob
        session.execute(co_teachers.insert().values(class_id=lesson.school_class.id, user_id=bob.id))
    lesson.deliver(
        zoom.started(),
        zoom.host(next(sessions), at("7:58"), at("9:00")),
        zoom.host(next(sessions), at("8:10"), at("8:20")),
        zoom.stay(next(sessions), at("8:00"), at("9:00"), user_name="Sir B", email=bob.email),
        zoom.ended(at("9:00")),
    )
    assert lesson.verdicts() == [(0, "absent")]
    sheet = lesson.sheet()
    assert "Staff in the meeting Ada" in sheet and "Sir B 60 min" in sheet.partition("Staff in the meeting")[2]
    assert "to_match" not in sheet


def test_registration_beats_an_address_of_somebody_else(make_lesson: Make, sessions: Iterator[str]) -> None:
    lesson, zoom = make_lesson(2), Says()
    mine = f"{lesson.learners[1].lrn}@r1.deped.gov.ph"
    stay = zoom.stay(next(sessions), at("8:00"), at("8:30"), registrant_id="R1", email=mine)
    with write_transaction():
        lesson.learners[1].email = mine
    lesson.deliver(zoom.started(), stay, zoom.ended(at("9:00")))
    assert lesson.verdicts() == [(1800, "present"), (0, "absent")]
    assert "The e-mail is that of another person" in lesson.sheet()


def test_nobody_is_marked_before_the_end_and_nobody_absent_without_the_whole_story(
    make_lesson: Make, sessions: Iterator[str]
) -> None:
    lesson, zoom = make_lesson(2), Says()
    lesson.move(at("8:30"))
    lesson.deliver(zoom.started(), zoom.joined(next(sessions), at("8:00"), registrant_id="R1"))
    assert lesson.verdicts() == [(1800, "pending"), (0, "pending")]
    lesson.move(at("9:31"))
    assert lesson.verdicts() == [(0, "needs review"), (0, "needs review")], "the end was never told"
    lesson.deliver(zoom.ended(at("9:00")))
    assert lesson.verdicts() == [(3600, "present"), (0, "absent")]


def test_a_meeting_shorter_than_the_threshold_says_so_and_lets_all_be_marked_at_once(
    make_lesson: Make, sessions: Iterator[str]
) -> None:
    lesson, zoom = make_lesson(2), Says(began=at("8:00"))
    lesson.deliver(
        zoom.started(), zoom.stay(next(sessions), at("8:00"), at("8:12"), registrant_id="R1"), zoom.ended(at("8:12"))
    )
    assert lesson.verdicts() == [(720, "partial"), (0, "absent")]
    assert "The class lasted less than 15 minutes" in lesson.sheet()
    lesson.browser.submit("#short", reason="Brownout")
    assert lesson.verdicts() == [(720, "present"), (0, "absent")]
    assert lesson.rows()[0]["reason"] == "Brownout"


def test_a_learner_who_enrols_later_has_no_row(make_lesson: Make) -> None:
    from datetime import date

    lesson = make_lesson(1, since=date(2026, 11, 4))
    lesson.deliver(Says().started(), Says().ended(at("9:00")))
    assert lesson.rows() == []


def test_the_servers_own_time_zone_does_not_matter(make_lesson: Make, sessions: Iterator[str]) -> None:
    lesson, zoom = make_lesson(1), Says()
    lesson.deliver(
        zoom.started(), zoom.stay(next(sessions), at("8:00"), at("8:40"), registrant_id="R1"), zoom.ended(at("9:00"))
    )
    here, before = lesson.csv(), os.environ.get("TZ")
    try:
        os.environ["TZ"] = "America/New_York"
        time.tzset()
        assert lesson.csv() == here
    finally:
        os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
        time.tzset()


def test_the_csv_has_its_columns_and_no_formula(make_lesson: Make, sessions: Iterator[str]) -> None:
    signs = ["=1+1", "+1", "-1", "@SUM(1)", " =1", "＝1"]
    lesson, zoom = make_lesson(len(signs), names=[f"{sign},MARIA, -" for sign in signs]), Says()
    lesson.deliver(
        zoom.started(), zoom.stay(next(sessions), at("8:00"), at("8:40"), user_name="=cmd()"), zoom.ended(at("9:00"))
    )
    everybody = [str(learner.id) for learner in lesson.learners]
    for reason in ("", *signs):
        if reason:
            lesson.browser.get(f"/attendance/{lesson.occurrence.id}")
            lesson.browser.submit("form[action$=marks]", who=everybody, to="present", reason=reason)
        rows = lesson.rows()
        assert ",".join(rows[0]) == "lrn,name,sex,mark,seconds,minutes,first_join,last_leave,stays,override,reason"
        assert len(rows) == len(signs)
        assert not [cell for one in rows for cell in one.values() if cell.strip()[:1] in tuple("=+-@＝")]
        assert all(len(one["lrn"]) == 12 for one in rows)
    lesson.browser.get(f"/attendance/{lesson.occurrence.id}.csv?excel=1")
    assert lesson.browser.response and lesson.browser.response.data.startswith(b"\xef\xbb\xbflrn,name")


def test_a_class_at_midnight_utc_is_one_row_of_its_own_day(make_lesson: Make, sessions: Iterator[str]) -> None:
    """8:00 in Manila is 0:00 in UTC: who comes at 7:55 comes on another day there."""
    lesson = make_lesson(1, dates=[(at("8:00", 2), 60), (at("8:00"), 60), (at("8:00", 4), 60)])
    zoom = Says(began=at("7:50"))
    lesson.deliver(
        zoom.started(), zoom.stay(next(sessions), at("7:55"), at("8:12"), registrant_id="R1"), zoom.ended(at("9:00"))
    )
    monday, tuesday, wednesday = lesson.dates()
    assert lesson.verdicts(tuesday) == [(1020, "present")]
    assert [one["first_join"] for one in lesson.rows(tuesday)] == ["2026-11-03 07:55:00"]
    assert [one["stays"] for day in (monday, wednesday) for one in lesson.rows(day)] == ["0", "0"]
    assert len(lesson.dates()) == 3


def test_a_sheet_of_48_is_a_light_page(make_lesson: Make, sessions: Iterator[str]) -> None:
    lesson, zoom = make_lesson(48), Says()
    stays = [
        zoom.stay(next(sessions), at("8:00"), at("8:10") if n % 7 else at("8:55"), registrant_id=f"R{n}")
        for n in range(1, 44)
    ]
    strangers = [zoom.stay(next(sessions), at("8:00"), at("8:50"), user_name=f"Learner{n:03d} A.") for n in (44, 45)]
    lesson.deliver(zoom.started(), stays, strangers, zoom.ended(at("9:00")))
    answer = lesson.browser.client.get(f"/attendance/{lesson.occurrence.id}", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(answer.data) < 12_000
