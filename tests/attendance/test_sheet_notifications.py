"""When Zoom has said all of a class, its teacher is told: the sheet, and whom to match, and no name of anybody."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select

from portal.attendance.models import AttendanceSheet, AttendanceTally
from portal.core import clock
from portal.core.db import db, write_transaction
from portal.jobs import worker
from portal.notifications import digest_mail
from portal.notifications.models import Notification
from tests.attendance.lesson import Lesson, Says, at, row
from tests.people import expire_orm_state

Make = Callable[..., Lesson]


def test_the_sheet_is_told_once_when_it_is_reconciled_with_the_people_to_match(
    make_lesson: Make, sessions: Iterator[str]
) -> None:
    lesson, zoom = make_lesson(2), Says()
    one, two = next(sessions), next(sessions)
    lesson.deliver(
        zoom.started(),
        zoom.stay(one, at("8:00"), at("8:50"), registrant_id="R1"),
        zoom.stay(two, at("8:00"), at("8:50"), user_name="OPPO A5s"),
        zoom.ended(at("9:00")),
    )
    worker.create_due_notifications()
    expire_orm_state()
    assert not db.session.scalars(select(Notification)).all(), "Zoom's report is still to come"
    lesson.zoom.ends[zoom.uuid] = at("9:00")
    lesson.zoom.rows[zoom.uuid] = [
        row(one, at("8:00"), at("8:50"), registrant_id="R1"),
        row(two, at("8:00"), at("8:50"), name="OPPO A5s"),
    ]
    lesson.move(at("9:31"))
    lesson.reconcile()
    for _ in range(2):
        worker.create_due_notifications()
    expire_orm_state()
    rows = db.session.scalars(select(Notification)).all()
    assert sorted(one.kind for one in rows) == ["sheet_ready", "to_match"]
    lesson.browser.get("/notifications")
    assert "Sheet ready: Biology, Grade 8 - Jadeite" in lesson.browser.text
    assert "1 present, 0 partial, 1 absent" in lesson.browser.text
    assert "1 person to match: Biology" in lesson.browser.text
    assert "OPPO" not in lesson.browser.text and "LEARNER" not in lesson.browser.text
    lesson.moving.move_to(at("9:45"))
    expire_orm_state()
    assert digest_mail.queue_due_digests() == 2 and digest_mail.queue_due_digests() == 0
    lesson.browser.submit(".notices form[action$=open]")
    assert lesson.browser.url.startswith(f"/attendance/{lesson.occurrence.id}")


def test_how_many_marks_wait_for_a_person_is_told_too(make_lesson: Make, sessions: Iterator[str]) -> None:
    lesson, zoom = make_lesson(2), Says()
    lesson.deliver(zoom.started(), zoom.stay(next(sessions), at("8:00"), at("8:50"), registrant_id="R1"))
    lesson.zoom.rows[zoom.uuid] = []
    for hours in (0.6, 1.1, 7, 26):
        lesson.move(at("9:00") + timedelta(hours=hours))
        lesson.reconcile()
    worker.create_due_notifications()
    expire_orm_state()
    lesson.browser.get("/notifications")
    assert "1 present, 0 partial, 0 absent, 1 to review" in lesson.browser.text


def test_a_sheet_that_was_signed_before_needs_no_telling(make_lesson: Make, sessions: Iterator[str]) -> None:
    lesson, zoom = make_lesson(1), Says()
    session = next(sessions)
    stay = zoom.stay(session, at("8:00"), at("8:50"), registrant_id="R1")
    lesson.deliver(zoom.started(), stay, zoom.ended(at("9:00")))
    with write_transaction() as database:
        sheet = database.get_one(AttendanceSheet, lesson.occurrence.id)
        sheet.finalised_at, sheet.finalised_by = clock.now(), lesson.people.ada.id
        sheet.state = "reconciled"
    lesson.moving.shift(timedelta(minutes=30))
    worker.create_due_notifications()
    expire_orm_state()
    assert not db.session.scalars(select(Notification)).all()


def test_the_numbers_are_those_stored_with_the_sheet_and_no_stay_is_read(
    make_lesson: Make, sessions: Iterator[str]
) -> None:
    lesson, zoom = make_lesson(2), Says()
    stay = zoom.stay(next(sessions), at("8:00"), at("8:50"), registrant_id="R1")
    lesson.deliver(zoom.started(), stay, zoom.ended(at("9:00")))
    with write_transaction() as database:
        sheet = database.get_one(AttendanceSheet, lesson.occurrence.id)
        sheet.state, sheet.unmatched_count = "reconciled", 7
        tally = database.get_one(AttendanceTally, lesson.occurrence.id)
        tally.present, tally.absent, tally.needs_review = 1, 0, 1
    statements: list[str] = []

    def note(*event: Any) -> None:
        statements.append(event[2])

    sa.event.listen(db.engine, "before_cursor_execute", note)
    try:
        worker.create_due_notifications()
    finally:
        sa.event.remove(db.engine, "before_cursor_execute", note)
    expire_orm_state()
    lesson.browser.get("/notifications")
    assert "1 present, 0 partial, 0 absent, 1 to review" in lesson.browser.text
    assert "7 people to match: Biology" in lesson.browser.text
    assert not [text for text in statements if "zoom_participants" in text]
