"""Participants whom nobody recognised: confirmed in one click, remembered, undone in one click."""

from collections.abc import Callable, Iterator

from sqlalchemy import select

from portal.attendance.models import ParticipantAlias, ParticipantMatch
from portal.core.db import db
from tests.attendance.lesson import ZOOM_ID, Lesson, Says, add_meeting, at, row
from tests.people import expire_orm_state

Make = Callable[..., Lesson]
NAMES = ["SANTOS,MARIA, CRUZ", "DELA CRUZ,JUAN, REYES", "PEÑA,MA. TERESA, -"]


def hold(lesson: Lesson, zoom: Says, *events: object) -> None:
    lesson.deliver(zoom.started(), *events, zoom.ended(at("9:00")))  # type: ignore[arg-type]


def remembered() -> list[tuple[str, str]]:
    expire_orm_state()
    rows = db.session.scalars(
        select(ParticipantAlias).order_by(ParticipantAlias.folded_name, ParticipantAlias.learner_id)
    )
    return [(one.folded_name, str(one.learner_id)) for one in rows]


def links() -> int:
    expire_orm_state()
    return len(db.session.scalars(select(ParticipantMatch)).all())


def test_a_name_alone_credits_nobody_and_one_click_does_with_all_stays(
    make_lesson: Make, sessions: Iterator[str]
) -> None:
    lesson, zoom = make_lesson(3, names=NAMES), Says()
    hold(
        lesson,
        zoom,
        zoom.stay(next(sessions), at("8:00"), at("8:40"), user_name="Maria Santos"),
        zoom.stay(next(sessions), at("8:41"), at("8:50"), user_name="Maria Santos"),
        zoom.stay(next(sessions), at("8:30"), at("8:55"), registrant_id="R1"),
    )
    assert lesson.verdicts()[0] == (1500, "present"), "the unmatched stays count for nobody"
    assert "1 person to match" in lesson.sheet()
    lesson.browser.submit("form[action$='/match']", button="Yes, it is him")
    assert "Matched. You can undo it" in lesson.browser.text
    assert lesson.verdicts()[0] == (55 * 60, "present"), "the union of all three stays"
    lesson.browser.get(f"/attendance/{lesson.occurrence.id}")
    lesson.browser.submit("form[action$='/unmatch']")
    assert lesson.verdicts()[0] == (1500, "present")
    assert (links(), remembered()) == (0, [])


def test_a_matched_name_is_remembered_for_the_class_and_suggested_in_another(
    make_lesson: Make, sessions: Iterator[str]
) -> None:
    lesson, zoom = make_lesson(3, names=NAMES), Says()
    hold(lesson, zoom, zoom.stay(next(sessions), at("8:00"), at("8:40"), user_name="Ate's girl"))
    who = str(lesson.learners[2].id)
    lesson.sheet()
    lesson.browser.submit("form[action$='/match']", learner=who)
    assert lesson.verdicts()[2] == (2400, "present")
    next_time = Says(uuid="next", began=at("8:00", 4), zoom_id="111")
    add_meeting(lesson.people.ada, lesson.school_class, [(at("8:00", 4), 60)], zoom_id="111")
    lesson.move(at("9:05", 4))
    lesson.deliver(
        next_time.started(),
        next_time.stay(next(sessions), at("8:00", 4), at("8:30", 4), user_name="ATE'S GIRL"),
        next_time.ended(at("9:00", 4)),
    )
    assert lesson.verdicts(lesson.dates()[1])[2] == (1800, "present"), "remembered"
    physics = lesson.people.school_class(lesson.people.ada, lesson.section, "Physics")
    add_meeting(lesson.people.ada, physics, [(at("10:00", 4), 60)], zoom_id="222")
    lesson.move(at("11:30", 4))
    other = Says(uuid="physics", began=at("10:00", 4), zoom_id="222")
    lesson.deliver(
        other.started(),
        other.stay(next(sessions), at("10:00", 4), at("10:30", 4), user_name="Ate's girl"),
        other.ended(at("11:00", 4)),
    )
    sheet = lesson.dates()[2]
    assert lesson.verdicts(sheet)[2] == (0, "needs review") or lesson.verdicts(sheet)[2] == (0, "absent")
    assert "matched to this name in another class" in lesson.sheet(occurrence=sheet)


def test_siblings_on_one_phone_are_both_there(make_lesson: Make, sessions: Iterator[str]) -> None:
    lesson, zoom = make_lesson(3, names=NAMES), Says()
    hold(lesson, zoom, zoom.stay(next(sessions), at("8:00"), at("8:40"), user_name="Cruz family"))
    lesson.sheet("?several=1")
    two = [str(lesson.learners[0].id), str(lesson.learners[1].id)]
    lesson.browser.submit("form:has(select[multiple])", button="Match", learner=two)
    assert lesson.verdicts()[:2] == [(2400, "present"), (2400, "present")]
    assert len(remembered()) == 2
    lesson.browser.get(f"/attendance/{lesson.occurrence.id}")
    lesson.browser.submit("form[action$='/unmatch']")
    assert [one[0] for one in lesson.verdicts()] == [0, 0, 0]
    assert remembered() == []


def test_a_devices_name_is_matched_but_never_remembered(make_lesson: Make, sessions: Iterator[str]) -> None:
    lesson, zoom = make_lesson(3, names=NAMES), Says()
    hold(lesson, zoom, zoom.stay(next(sessions), at("8:00"), at("8:40"), user_name="OPPO A5s"))
    lesson.sheet()
    lesson.browser.submit("form[action$='/match']", learner=str(lesson.learners[1].id))
    assert lesson.verdicts()[1] == (2400, "present")
    assert remembered() == []


def test_undoing_brings_back_exactly_what_was_before(make_lesson: Make, sessions: Iterator[str]) -> None:
    lesson, zoom = make_lesson(3, names=NAMES), Says()
    hold(lesson, zoom, zoom.stay(next(sessions), at("8:00"), at("8:40"), user_name="Ate's girl"))
    first, second = (str(lesson.learners[n].id) for n in (0, 2))

    def match(to: str) -> None:
        stay = str(db.session.scalars(select(ParticipantMatch.participant_id)).first() or stay_ids[0])
        lesson.browser.post(f"/attendance/{lesson.occurrence.id}/match", {"stay": stay, "learner": to})

    lesson.sheet()
    stay_ids = [str(one["value"]) for one in lesson.browser.page.select("input[name=stay]")]
    match(first)
    before = (lesson.csv(), remembered(), links())
    lesson.sheet()
    match(second)
    assert lesson.verdicts()[2] == (2400, "present")
    lesson.sheet()
    match("nobody")
    assert "Not a learner" in lesson.sheet()
    assert remembered() == []
    for _ in range(2):
        lesson.sheet()
        lesson.browser.submit("form[action$='/unmatch']")
    assert (lesson.csv(), remembered(), links()) == before
    lesson.sheet()
    lesson.browser.submit("form[action$='/unmatch']")
    assert (remembered(), links()) == ([], 0)


def test_a_match_holds_and_can_be_undone_whatever_else_is_told_of_the_same_stay_later(
    make_lesson: Make, sessions: Iterator[str]
) -> None:
    """Matched on the report's row alone; then the late events of the same session come in."""
    lesson, zoom, guest = make_lesson(3, names=NAMES), Says(), next(sessions)
    lesson.zoom.runs[zoom.uuid], lesson.zoom.ends[zoom.uuid] = zoom.began, at("9:00")
    lesson.zoom.rows[zoom.uuid] = [row(guest, at("8:00"), at("8:40"), name="OPPO A5s")]
    lesson.move(at("9:31"))
    lesson.reconcile()
    lesson.sheet()
    lesson.browser.submit("form[action$='/match']", learner=str(lesson.learners[1].id))
    lesson.deliver(zoom.stay(guest, at("8:00"), at("8:40"), user_name="OPPO A5s"))
    assert [seconds for seconds, _ in lesson.verdicts()] == [0, 2400, 0]
    lesson.sheet()
    stay = str(lesson.browser.page.select_one("form[action$='/unmatch'] input[name=stay]")["value"])  # type: ignore[index]
    url = f"/attendance/{lesson.occurrence.id}"
    lesson.browser.post(f"{url}/match", {"stay": stay, "learner": str(lesson.learners[2].id)})
    assert [seconds for seconds, _ in lesson.verdicts()] == [0, 0, 2400], "one phone, one learner"
    for left_over in ([0, 2400, 0], [0, 0, 0]):
        lesson.sheet()
        lesson.browser.submit("form[action$='/unmatch']")
        assert [seconds for seconds, _ in lesson.verdicts()] == left_over


def test_a_guest_visit_linked_later_adds_to_the_registered_stay(make_lesson: Make, sessions: Iterator[str]) -> None:
    lesson, zoom = make_lesson(3, names=NAMES), Says()
    hold(
        lesson,
        zoom,
        zoom.stay(next(sessions), at("8:01"), at("8:20"), user_name="juan"),
        zoom.stay(next(sessions), at("8:21"), at("8:50"), registrant_id="R2"),
    )
    assert lesson.verdicts()[1] == (1740, "present")
    lesson.sheet()
    lesson.browser.submit("form[action$='/match']", learner=str(lesson.learners[1].id))
    assert lesson.verdicts()[1] == (2880, "present")


def test_a_stay_or_a_learner_of_another_sheet_cannot_be_matched(make_lesson: Make, sessions: Iterator[str]) -> None:
    lesson, zoom = make_lesson(3, names=NAMES), Says()
    assert zoom.zoom_id == ZOOM_ID
    hold(lesson, zoom, zoom.stay(next(sessions), at("8:00"), at("8:40"), user_name="Ate's girl"))
    lesson.sheet()
    stay = str(lesson.browser.page.select_one("input[name=stay]")["value"])  # type: ignore[index]
    stranger = lesson.people.learners(lesson.people.section(lesson.people.bob, "Ruby"), 1, start=90)[0]
    lesson.browser.post(f"/attendance/{lesson.occurrence.id}/match", {"stay": stay, "learner": str(stranger.id)})
    assert "not on this sheet any more" in lesson.browser.text
    assert links() == 0


def test_the_teachers_first_page_says_how_many_there_are_and_leads_to_them(
    make_lesson: Make, sessions: Iterator[str]
) -> None:
    lesson, zoom = make_lesson(3, names=NAMES), Says()
    hold(
        lesson,
        zoom,
        zoom.stay(next(sessions), at("8:00"), at("8:40"), user_name="Ate's girl"),
        zoom.stay(next(sessions), at("8:00"), at("8:40"), user_name="OPPO A5s"),
    )
    lesson.sheet()
    lesson.browser.get("/")
    needs = lesson.browser.page.select_one(".needs")
    assert needs and "2 people to match" in " ".join(needs.get_text(" ").split())
    lesson.browser.click("people to match")
    assert "2 people to match" in lesson.browser.text
    lesson.browser.submit("form[action$='/match']", learner=str(lesson.learners[2].id))
    lesson.work()
    lesson.browser.get("/")
    needs = lesson.browser.page.select_one(".needs")
    assert needs and "1 person to match" in " ".join(needs.get_text(" ").split())
