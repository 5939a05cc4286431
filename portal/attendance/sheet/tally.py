"""The marks of a sheet, counted and kept beside it, so that a report adds up sheets and not learners.

Whoever writes records counts them in the same transaction: a tally never says anything else than its sheet.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, case, func, literal, select

from portal.attendance.codes import Mark
from portal.attendance.models import AttendanceRecord, AttendanceTally
from portal.core.db import db, upsert_from_select

mark_column: ColumnElement[Any] = func.coalesce(
    AttendanceRecord.final_mark, AttendanceRecord.override_mark, AttendanceRecord.computed_mark
)
_WORDS = {
    "present": "present",
    "partial": "partial",
    "absent": "absent",
    "needs_review": Mark.NEEDS_REVIEW,
    "pending": "pending",
}


def write_sheet_tally(occurrence_id: UUID, *, meeting_seconds: int | None) -> None:
    """Count the records of a sheet, in the transaction that wrote them. `meeting_seconds`: how long the meeting
    ran, None while it is not known."""
    db.session.flush()
    counts = {
        name: func.coalesce(func.sum(case((mark_column == word, 1), else_=0)), 0) for name, word in _WORDS.items()
    }
    came = case((mark_column.in_(("present", "partial")), AttendanceRecord.seconds), else_=0)
    counted = select(
        literal(occurrence_id, AttendanceTally.occurrence_id.type),
        *counts.values(),
        func.coalesce(func.sum(came), 0),
        literal(meeting_seconds, AttendanceTally.meeting_seconds.type),
    ).where(AttendanceRecord.occurrence_id == occurrence_id)
    upsert_from_select(
        AttendanceTally, ["occurrence_id", *counts, "seconds", "meeting_seconds"], counted, ["occurrence_id"]
    )
