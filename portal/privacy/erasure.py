"""Erasing one learner: what names the learner goes, what counts stays.

`erase` writes down that it is wanted, and by whom; the worker does it (`carry_out`), since a learner of several years
is on hundreds of sheets. It takes the name, LRN and address out of every table and has the registrations at Zoom
cancelled. The lines on the sheets stay as "ERASED, LEARNER" with their marks, so that sheets and reports say the same
as before. `go_on` comes back for a week, since Zoom's reports may still name the learner, and for the address of a
registration until Zoom has let go of it. Killed at any point, it goes on where it was.

Those who were erased stay so when an older backup is restored: see `erased_list` and `again`.
"""

import json
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import JSON, ForeignKey, String, delete, exists, or_, select, update
from sqlalchemy.orm import Mapped, joinedload, mapped_column

from portal.accounts.models import User
from portal.attendance.calculation.marks import compute
from portal.attendance.models import (
    AttendanceHistory,
    AttendanceRecord,
    DailyAttendance,
    NameAlias,
    ParticipantLink,
    ParticipantUpload,
)
from portal.attendance.sheet import compute as sheet_compute
from portal.classes.disclosure.service import OPENED
from portal.classes.learners.enrolments import ERASED, Rolls
from portal.classes.models import Enrolment, Learner, RosterImport
from portal.core import audit_log, clock
from portal.core.audit_log import AuditEntry
from portal.core.db import (
    Model,
    WithId,
    db,
    end_reading,
    writing,
)
from portal.core.worker_signals import wake
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.privacy import erased_list
from portal.privacy.learner_identity import (
    Her,
    meetings_of,
    scrub_deliveries,
    scrub_stays,
)
from portal.registration.join_links import JoinLink
from portal.registration.models import FormerRegistrant, MeetingRegistrant

log = logging.getLogger("portal.attendance")
REASONS = ("asked", "mistake", "order")
COMES_BACK = timedelta(days=7)  # Zoom's reports are asked for three days, teachers upload its files a little later
TOO_LONG = timedelta(minutes=15)  # after that the page says what to look at
LAST_NAME, FIRST_NAME = "ERASED", "LEARNER"


class Erasure(WithId, Model):
    """One erasure. `marks` are keyed hashes of the learner's addresses and names, to know the learner by in what still
    comes; they go when it is finished."""

    __tablename__ = "erasures"

    learner_id: Mapped[UUID] = mapped_column(ForeignKey("learners.id"), unique=True)
    at: Mapped[datetime]
    by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    reason: Mapped[str] = mapped_column(String(20))
    marks: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    carried_out_at: Mapped[datetime | None] = mapped_column(index=True)
    looked_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


def is_erased(learner_id: UUID) -> bool:
    return bool(db.session.scalar(select(exists().where(Erasure.learner_id == learner_id))))


def is_under_way(learner_id: UUID) -> bool:
    """It is asked for, and the worker is not done."""
    wanted = exists().where(Erasure.learner_id == learner_id, Erasure.carried_out_at.is_(None))
    return bool(db.session.scalar(select(wanted)))


def takes_too_long(learner_id: UUID) -> bool:
    """It was asked for so long ago that something must hold it up."""
    wanted = exists().where(
        Erasure.learner_id == learner_id, Erasure.carried_out_at.is_(None), Erasure.at < clock.now() - TOO_LONG
    )
    return bool(db.session.scalar(select(wanted)))


def erase(learner: Learner, reason: str, *, by: User | None) -> Erasure:
    """Have a learner erased; once is enough. `reason` is one of REASONS. Raises ValueError for another."""
    if reason not in REASONS:
        raise ValueError("no such reason")
    end_reading()
    with writing() as session:
        session.refresh(learner, with_for_update=True)
        found = session.scalar(select(Erasure).where(Erasure.learner_id == learner.id))
        if found is not None:
            return found
        row = Erasure(
            id=uuid4(),
            learner_id=learner.id,
            at=clock.now(),
            by=by.id if by else None,
            reason=reason,
            marks=sorted(Her(learner).marks),
        )
        session.add(row)
        audit_log.record("erased", "learner", learner.id, by=row.by, reason=reason)
    wake("erasures")
    return row


def carry_out_due() -> int:
    """Erase whoever is to be; how many were. One that fails holds up no other, and is tried again the next time."""
    done = 0
    for erasure_id in _due():
        try:
            carry_out(erasure_id)
        except Exception:
            db.session.rollback()
            log.exception("erasure %s failed and will be tried again", erasure_id)
        else:
            done += 1
    return done


def _due() -> list[UUID]:
    due = list(db.session.scalars(select(Erasure.id).where(Erasure.carried_out_at.is_(None)).order_by(Erasure.at)))
    end_reading()
    return due


def carry_out(erasure_id: UUID) -> None:
    """Erase one learner, of whom it was asked. The names in raw deliveries go last, in small steps."""
    row = db.session.get_one(Erasure, erasure_id, populate_existing=True)
    erased_list.remember([row.learner_id])  # first: what is erased must not come back with a backup
    pins = _pins(row.learner_id)
    end_reading()
    with writing() as session:
        learner = session.get_one(Learner, row.learner_id, with_for_update=True, populate_existing=True)
        session.refresh(row)
        if row.carried_out_at is not None:  # another worker was faster
            return
        her = Her(learner)
        row.marks = sorted({*(row.marks or ()), *her.marks})
        _pin(pins, row.by)
        _forget_decisions(learner.id, her)
        _leave_rosters(learner, her)
        scrub_stays(learner.id, set(row.marks))
        learner.lrn = learner.email = None
        learner.last_name, learner.first_name, learner.middle_name, learner.extension = LAST_NAME, FIRST_NAME, "", ""
        learner.lis_name = f"{LAST_NAME}, {FIRST_NAME}"
        session.flush()
        _scrub_registrations(learner.id)
        row.carried_out_at = clock.now()
    wake("registration")
    wake("registrants")
    scrub_deliveries(row.learner_id, set(row.marks or ()), None)


def go_on() -> int:
    """Look after the erasures that are not finished; how many were finished now."""
    now, done = clock.now(), 0
    unfinished = select(Erasure).where(Erasure.carried_out_at.is_not(None), Erasure.finished_at.is_(None))
    for row in list(db.session.scalars(unfinished.order_by(Erasure.at))):
        marks = set(row.marks or ())
        end_reading()
        scrub_deliveries(row.learner_id, marks, row.looked_at)
        with writing() as session:
            scrub_stays(row.learner_id, marks)
            left = _scrub_registrations(row.learner_id)
            row.looked_at = now
            if not left and now - row.at > COMES_BACK:
                row.marks, row.finished_at = None, now
                done += 1
            session.add(row)
    return done


def waits_for_zoom(learner_id: UUID) -> bool:
    """Some registration of the learner still stands at Zoom."""
    now = exists().where(MeetingRegistrant.learner_id == learner_id, MeetingRegistrant.email != "")
    before = exists().where(FormerRegistrant.learner_id == learner_id, FormerRegistrant.email != "")
    return bool(db.session.scalar(select(or_(now, before))))


# After an older backup was restored


def of_database() -> set[str]:
    """The entries of the list for those whom the present database knows as erased."""
    return {erased_list.hashed(one) for one in db.session.scalars(select(Erasure.learner_id))}


def rewrite_list() -> int:
    """The list anew from the database, e.g. with a new SECRET_KEY; how many are on it."""
    ids = list(db.session.scalars(select(Erasure.learner_id).order_by(Erasure.at)))
    erased_list.write(ids)
    return len(ids)


def again(entries: set[str]) -> int:
    """Erase those on the list whom the database has back, and whoever was being erased; how many came back."""
    done = 0
    gone = exists().where(Erasure.learner_id == Learner.id)
    for learner_id in list(db.session.scalars(select(Learner.id).where(~gone))):
        if any(erased_list.hashed(learner_id, key) in entries for key in erased_list.secrets()):
            erase(db.session.get_one(Learner, learner_id), "order", by=None)
            done += 1
    for erasure_id in _due():  # what fails here is told to whoever restores
        carry_out(erasure_id)
    return done


# What tells whom a stay belongs to, kept without the learner's name


@dataclass(frozen=True)
class _Pin:
    """A stay that was the learner's by the address or by a remembered name."""

    participant_id: UUID
    learner_ids: tuple[UUID, ...]
    teacher_id: UUID


def _pins(learner_id: UUID) -> list[_Pin]:
    """Computed before anything is changed, sheet by sheet: only those on which Zoom's registration did not tell all."""
    rows = db.session.execute(
        select(MeetingOccurrence, AttendanceRecord.matched_by)
        .join(AttendanceRecord, AttendanceRecord.occurrence_id == MeetingOccurrence.id)
        .where(AttendanceRecord.learner_id == learner_id, AttendanceRecord.stays > 0)
        .options(joinedload(MeetingOccurrence.meeting))
    )
    pins = []
    for occurrence, ways in rows.all():
        if set(ways) <= {"registration", "teacher"}:
            continue
        for stay_id, match in compute(sheet_compute.load(occurrence, occurrence.meeting).input).who.items():
            if str(learner_id) in match.learner_ids and match.by in ("email", "alias"):
                ids = tuple(UUID(one) for one in match.learner_ids)
                pins.append(_Pin(UUID(stay_id), ids, occurrence.meeting.created_by))
    return pins


def _pin(pins: list[_Pin], by: UUID | None) -> None:
    said = set(
        db.session.scalars(
            select(ParticipantLink.participant_id).where(
                ParticipantLink.participant_id.in_([pin.participant_id for pin in pins])
            )
        )
    )
    db.session.add_all(
        ParticipantLink(
            participant_id=pin.participant_id,
            learner_id=learner_id,
            linked_by=by or pin.teacher_id,
            linked_at=clock.now(),
        )
        for pin in pins
        if pin.participant_id not in said
        for learner_id in pin.learner_ids
    )
    db.session.flush()


# What is written about the learner


def _leave_rosters(learner: Learner, her: Her) -> None:
    rolls, today = Rolls([learner.id]), clock.today()
    on_a_sheet = exists().where(
        AttendanceRecord.learner_id == learner.id,
        AttendanceRecord.occurrence_id == MeetingOccurrence.id,
        MeetingOccurrence.local_date == today,
    )
    # A sheet of today that has the learner's line keeps it.
    last_day = today if db.session.scalar(select(on_a_sheet)) else today - timedelta(days=1)
    for time in rolls.of(learner.id):
        if time.until_date is None or time.until_date > last_day:
            rolls.withdraw(time, last_day=max(last_day, time.from_date), reason=ERASED)
        time.detail = her.without(time.detail)
    rolls.save()
    sections = select(Enrolment.section_id).where(Enrolment.learner_id == learner.id)
    db.session.execute(
        update(RosterImport)
        .where(
            RosterImport.rows.is_not(None),
            or_(RosterImport.section_id.in_(sections), RosterImport.school_id == learner.school_id),
        )
        .values(state="discarded", rows=None)
        .execution_options(synchronize_session=False)
    )
    db.session.execute(
        update(RosterImport)
        .where(RosterImport.school_id == learner.school_id)
        .values(journal=None)  # what an import changed names people: it can be undone no more
        .execution_options(synchronize_session=False)
    )


def _forget_decisions(learner_id: UUID, her: Her) -> None:
    """What teachers wrote about the learner, and the names they tied to the learner."""
    session = db.session
    session.execute(delete(NameAlias).where(NameAlias.learner_id == learner_id))
    session.execute(delete(JoinLink).where(JoinLink.learner_id == learner_id))
    for record in session.scalars(
        select(AttendanceRecord).where(
            AttendanceRecord.learner_id == learner_id, AttendanceRecord.override_reason.is_not(None)
        )
    ):
        record.override_reason = her.without(record.override_reason)
    for day in session.scalars(select(DailyAttendance).where(DailyAttendance.learner_id == learner_id)):
        day.reason = her.without(day.reason)
    occurrences = select(MeetingOccurrence.id).where(MeetingOccurrence.meeting_id.in_(meetings_of(learner_id)))
    for entry in session.scalars(
        select(AttendanceHistory).where(
            AttendanceHistory.occurrence_id.in_(occurrences),
            or_(AttendanceHistory.learner_id == learner_id, AttendanceHistory.details.is_not(None)),
        )
    ):
        hers = entry.learner_id == learner_id
        if hers or str(learner_id) in json.dumps(entry.details):
            entry.details = None  # the names as they were remembered
        if hers:
            # A match quotes the name that Zoom showed.
            entry.reason = None if entry.what.startswith("match") else her.without(entry.reason)
    her_sections = select(Enrolment.section_id).where(Enrolment.learner_id == learner_id)
    for opened in session.scalars(
        select(AuditEntry).where(AuditEntry.action == OPENED, AuditEntry.section_id.in_(her_sections))
    ):
        opened.details = {**opened.details, "reason": her.without(opened.details.get("reason"))}
    session.execute(
        update(ParticipantUpload)
        .where(ParticipantUpload.occurrence_id.in_(occurrences), ParticipantUpload.state == "preview")
        .values(state="discarded", rows=None)
        .execution_options(synchronize_session=False)
    )


def _scrub_registrations(learner_id: UUID) -> int:
    """Names at once, an address as soon as Zoom need not be told it any more; how many still have one."""
    session, left = db.session, 0
    rows = session.execute(
        select(MeetingRegistrant, ZoomMeeting)
        .join(ZoomMeeting, ZoomMeeting.id == MeetingRegistrant.meeting_id)
        .where(MeetingRegistrant.learner_id == learner_id)
        .execution_options(populate_existing=True)
    ).all()
    for row, meeting in rows:
        row.first_name = row.last_name = ""
        at_zoom = row.state in ("registered", "pending") or row.unsure
        if at_zoom and _can_be_cancelled(meeting):
            if row.wanted:
                row.wanted, row.next_try_at, row.attempts = False, clock.now(), 0
            left += 1
        else:
            row.email, row.join_url, row.wanted, row.next_try_at = "", None, False, None
    before = session.execute(
        select(FormerRegistrant, ZoomMeeting)
        .join(ZoomMeeting, ZoomMeeting.id == FormerRegistrant.meeting_id)
        .where(FormerRegistrant.learner_id == learner_id)
        .execution_options(populate_existing=True)
    ).all()
    for former, meeting in before:
        if former.open and _can_be_cancelled(meeting):
            left += 1
        else:
            former.email = ""
    session.flush()
    return left


def _can_be_cancelled(meeting: ZoomMeeting) -> bool:
    """The engine still works on this meeting; of one that is over Zoom takes no more changes."""
    alive = meeting.state in ("waiting", "scheduled", "started") and meeting.zoom_id is not None
    return alive and meeting.has_registration and not meeting.open_mode
