"""The sheet while the class runs: who is in, who dropped, who is missing, cheaply renewed."""

from collections.abc import Callable, Iterator

from flask.testing import FlaskClient
from sqlalchemy import event, func, select

from portal.core.audit_log import AuditEntry
from portal.core.db import db
from tests.attendance.lesson import Lesson, Says, at
from tests.browser import words
from tests.people import expire_orm_state

Make = Callable[..., Lesson]


def live(make_lesson: Make, sessions: Iterator[str]) -> tuple[Lesson, Says, str]:
    """8:30: the first learner is in, the second dropped at 8:20, the third was never let in."""
    lesson, zoom, session = make_lesson(3), Says(), next(sessions)
    lesson.move(at("8:30"))
    lesson.deliver(
        zoom.started(),
        zoom.joined(session, at("8:00"), registrant_id="R1"),
        zoom.stay(next(sessions), at("8:05"), at("8:20"), registrant_id="R2"),
        zoom.waits(next(sessions), at("8:06"), registrant_id="R3"),
    )
    return lesson, zoom, session


def renewal(lesson: Lesson) -> str:
    """Where the page asks for news of itself."""
    return str(lesson.browser.page.select_one("#live")["hx-get"])  # type: ignore[index]


def statements(client: FlaskClient, url: str) -> tuple[int, list[str]]:
    """The answer's status, and the statements it took, those of the session aside."""
    seen: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if "user_sessions" not in statement and not statement.startswith(("PRAGMA", "BEGIN", "SET")):
            seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        return client.get(url).status_code, seen
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def test_it_shows_who_is_in_who_dropped_and_when_and_who_is_missing(make_lesson: Make, sessions: Iterator[str]) -> None:
    lesson, _, _ = live(make_lesson, sessions)
    lesson.sheet()
    said = {part: words(lesson.browser.page.select_one(f"#{part}")) for part in ("in", "dropped", "missing")}  # type: ignore[arg-type]
    assert "LEARNER001" in said["in"] and "30 min" in said["in"]
    assert "LEARNER002" in said["dropped"] and "10 min ago" in said["dropped"]
    assert "LEARNER003" in said["missing"] and "Seen in the waiting room only" in said["missing"]
    assert lesson.browser.page.select_one("#look-again[href]"), "readable and renewable without a script"


def test_an_unchanged_class_costs_one_statement_and_no_body(make_lesson: Make, sessions: Iterator[str]) -> None:
    lesson, _, _ = live(make_lesson, sessions)
    lesson.sheet()
    status, seen = statements(lesson.browser.client, renewal(lesson))
    assert (status, len(seen)) == (204, 1), seen


def test_a_change_is_seen_at_the_next_renewal_and_looking_is_audited_once(
    make_lesson: Make, sessions: Iterator[str]
) -> None:
    lesson, zoom, _ = live(make_lesson, sessions)
    lesson.sheet()
    lesson.moving.shift(2)
    lesson.deliver(zoom.joined(next(sessions), at("8:30"), registrant_id="R3"))
    page = lesson.browser.get(renewal(lesson))
    assert "LEARNER003" in words(page.select_one("#in"))  # type: ignore[arg-type]
    assert page.select_one("#live[hx-get]")
    lesson.moving.shift(61)
    assert "31 min" in words(lesson.browser.get(renewal(lesson)).select_one("#in"))  # type: ignore[arg-type]
    expire_orm_state()
    viewed = select(func.count()).select_from(AuditEntry).where(AuditEntry.action == "viewed_sheet")
    assert db.session.scalar(viewed) == 1


def test_when_the_class_is_over_the_whole_page_comes_anew(make_lesson: Make, sessions: Iterator[str]) -> None:
    lesson, zoom, _ = live(make_lesson, sessions)
    lesson.sheet()
    asked = renewal(lesson)
    lesson.moving.move_to(at("9:00"))
    lesson.deliver(zoom.ended(at("9:00")))
    answer = lesson.browser.client.get(asked)
    assert (answer.status_code, answer.headers["HX-Refresh"]) == (204, "true")


def test_a_stranger_gets_nothing(make_lesson: Make, sessions: Iterator[str]) -> None:
    lesson, _, _ = live(make_lesson, sessions)
    from tests.browser import Browser

    bob = lesson.people.sign_in(Browser(lesson.app.test_client()), lesson.people.bob)
    for part in ("live", "history", "file"):
        bob.get(f"/attendance/{lesson.occurrence.id}/{part}", status=404)


def test_a_page_takes_at_most_ten_statements_whatever_the_number_of_rows(
    make_lesson: Make, sessions: Iterator[str]
) -> None:
    lesson, zoom = make_lesson(12), Says()
    stays = [zoom.stay(next(sessions), at("8:00"), at("8:40"), registrant_id=f"R{n}") for n in range(1, 9)]
    strangers = [zoom.stay(next(sessions), at("8:00"), at("8:40"), user_name=f"Guest {n}") for n in "abc"]
    lesson.deliver(zoom.started(), stays, strangers, zoom.ended(at("9:00")))
    status, seen = statements(lesson.browser.client, f"/attendance/{lesson.occurrence.id}")
    seen = [one for one in seen if "audit_log" not in one]
    assert status == 200
    assert len(seen) <= 10, "\n\n".join(seen)
