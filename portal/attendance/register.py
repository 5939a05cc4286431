"""The daily register of a section: who was present on which day, for School Form 2.

A day follows from the sheets of the section's classes: present is who was in any of them, absent who was in none of
which everything is known. The adviser corrects it with a reason, or records a day on which no class was at Zoom;
what she said stays, whatever the sheets say later.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID, uuid4

from sqlalchemy import or_, select

from portal.accounts.models import User
from portal.attendance.models import AttendanceRecord, AttendanceSheet, DailyAttendance
from portal.attendance.tally import mark as sheet_mark
from portal.base import audit, clock
from portal.base.db import db, writing
from portal.classes.models import Enrolment, Learner, SchoolClass, Section
from portal.classes.queries import lis_order
from portal.meetings.models import MeetingOccurrence, ZoomMeeting

OVER = ("provisional", "reconciled", "unreported")
PRESENT, ABSENT, UNKNOWN = "present", "absent", "unknown"
TARDY = ("", "late", "cutting", "both")


@dataclass(frozen=True)
class Entry:
    """A learner's day. `by_hand`: the adviser said so, for `reason`; `sheets` is what the classes say."""

    status: str
    tardy: str
    by_hand: bool
    reason: str
    sheets: str | None


@dataclass(frozen=True)
class Register:
    """Some days of a section. `days` are those of which anything is known."""

    entries: Mapping[tuple[UUID, date], Entry]
    days: frozenset[date]


@dataclass(frozen=True)
class Change:
    learner_id: UUID
    status: str
    tardy: str


class ReasonMissing(ValueError):
    """The adviser says something else than the sheets, or than she said before, and not why."""


class DayToCome(ValueError):
    """The day has not come yet."""


def read(section_id: UUID, first: date, last: date) -> Register:
    """The register from the first to the last day, in two statements."""
    seen: dict[tuple[UUID, date], list[tuple[datetime, str, bool, bool]]] = {}
    for learner_id, day, starts_at, mark, late, early in db.session.execute(
        select(
            AttendanceRecord.learner_id,
            MeetingOccurrence.local_date,
            MeetingOccurrence.starts_at,
            sheet_mark,
            AttendanceRecord.late,
            AttendanceRecord.left_early,
        )
        .select_from(AttendanceRecord)
        .join(MeetingOccurrence, MeetingOccurrence.id == AttendanceRecord.occurrence_id)
        .join(AttendanceSheet, AttendanceSheet.occurrence_id == MeetingOccurrence.id)
        .join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
        .join(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
        .where(
            SchoolClass.section_id == section_id,
            MeetingOccurrence.local_date.between(first, last),
            AttendanceSheet.state.in_(OVER),
            AttendanceSheet.counts,
        )
    ):
        seen.setdefault((learner_id, day), []).append((starts_at, mark, late, early))
    entries = {key: _from_sheets(classes) for key, classes in seen.items()}
    for row in _rows(section_id, first, last):
        key = (row.learner_id, row.day)
        known = entries.get(key)
        entries[key] = Entry(row.mark, row.tardy, True, row.reason or "", known.status if known else None)
    return Register(entries, frozenset(day for _, day in entries))


def _rows(section_id: UUID, first: date, last: date) -> Iterable[DailyAttendance]:
    return db.session.scalars(
        select(DailyAttendance)
        .where(DailyAttendance.section_id == section_id, DailyAttendance.day.between(first, last))
        .execution_options(populate_existing=True)
    )


def _from_sheets(classes: list[tuple[datetime, str, bool, bool]]) -> Entry:
    """Late is who was late in the first class of the day, an early leaver who went early from the last."""
    classes = sorted(classes)
    marks = {mark for _, mark, _, _ in classes}
    if marks & {"present", "partial"}:
        late, early = classes[0][2], classes[-1][3]
        tardy = "both" if late and early else "late" if late else "cutting" if early else ""
        return Entry(PRESENT, tardy, False, "", PRESENT)
    status = ABSENT if marks == {"absent"} else UNKNOWN
    return Entry(status, "", False, "", status)


def learners_on(section_id: UUID, day: date) -> list[Learner]:
    """The roster of that day, in the order of the form."""
    return list(
        db.session.scalars(
            select(Learner)
            .join(Enrolment, Enrolment.learner_id == Learner.id)
            .where(
                Enrolment.section_id == section_id,
                Enrolment.from_date <= day,
                or_(Enrolment.until_date.is_(None), Enrolment.until_date >= day),
            )
            .order_by(*lis_order)
        )
    )


def record(user: User, section: Section, day: date, changes: list[Change], reason: str) -> int:
    """Record what the adviser says of a day; what agrees with the register already is left as it is.

    Of a day of which nothing was known everybody is written down. Returns how many lines were written. Raises
    DayToCome, ReasonMissing; ValueError for a mark that cannot be set. Learners of another roster are left out.
    """
    reason = " ".join(reason.split())[:200]
    if day > clock.today():
        raise DayToCome
    with writing() as session:
        session.get(Section, section.id, with_for_update=True)
        known = read(section.id, day, day)
        here = {learner.id for learner in learners_on(section.id, day)}
        rows = {row.learner_id: row for row in _rows(section.id, day, day)}
        written = 0
        for change in changes:
            if change.status not in (PRESENT, ABSENT) or change.tardy not in TARDY:
                raise ValueError("no such mark")
            tardy = change.tardy if change.status == PRESENT else ""
            before = known.entries.get((change.learner_id, day))
            same = before is not None and (before.status, before.tardy) == (change.status, tardy)
            if change.learner_id not in here or same:
                continue
            if before is not None and not reason:
                raise ReasonMissing
            row = rows.get(change.learner_id)
            if row is None:
                row = DailyAttendance(id=uuid4(), section_id=section.id, learner_id=change.learner_id, day=day)
                session.add(row)
            row.mark, row.tardy, row.reason = change.status, tardy, reason or None
            row.set_by, row.set_at = user.id, clock.now()
            written += 1
        if written:
            audit.record(
                "recorded the day", "section", section.id, by=user.id, section_id=section.id,
                day=day.isoformat(), learners=written,
            )  # fmt: skip
    return written


def set_cut_off(user: User, section: Section, day: date) -> None:
    """The day whose enrolment School Form 2 compares with, for a section."""
    with writing() as session:
        session.get_one(Section, section.id).cut_off = day
        audit.record("set the cut-off day", "section", section.id, by=user.id, section_id=section.id, day=str(day))
