"""Erasing one learner: what names her goes, what counts stays.

`erase` takes her name, LRN and address out of every table at once, and has the worker cancel her registrations at
Zoom. Her lines on the sheets stay as "ERASED, LEARNER" with their marks, so that sheets and reports say the same as
before. `go_on` comes back for a week, since Zoom's reports may still name her, and for the address of a registration
until Zoom has let go of it.

Whoever restores an older backup would bring her back. So a list is kept outside of the database, `erased.txt` in the
instance folder: keyed hashes of ids, from which nobody can tell whom they mean. `again` erases those on it anew.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from flask import current_app
from sqlalchemy import JSON, ForeignKey, Select, String, delete, exists, or_, select, update
from sqlalchemy.orm import Mapped, joinedload, mapped_column

from portal.accounts.models import User
from portal.attendance import sheet
from portal.attendance.marks import compute
from portal.attendance.models import (
    AttendanceHistory,
    AttendanceRecord,
    DailyAttendance,
    NameAlias,
    ParticipantLink,
    ParticipantUpload,
    ZoomParticipant,
)
from portal.base import audit, clock
from portal.base.audit import AuditEntry
from portal.base.db import Model, WithId, db, end_reading, writing
from portal.base.wake import wake
from portal.classes.enrolling import ERASED, Rolls
from portal.classes.models import Enrolment, Learner, RosterImport, SchoolClass
from portal.classes.names import tokens
from portal.classes.opening import OPENED
from portal.config import Settings
from portal.inbox.models import ZoomEvent
from portal.meetings.models import MeetingOccurrence, ZoomInstance, ZoomMeeting
from portal.registration.links import JoinLink
from portal.registration.models import FormerRegistrant, MeetingRegistrant

REASONS = ("asked", "mistake", "order")
COMES_BACK = timedelta(days=7)  # Zoom's reports are asked for three days, teachers upload its files a little later
LAST_NAME, FIRST_NAME = "ERASED", "LEARNER"
_PERSONAL = {"user_name", "leave_reason", "email", "first_name", "last_name", "name", "join_url", "phone", "address"}


class Erasure(WithId, Model):
    """One erasure. `marks` are keyed hashes of her addresses and names, to know her by in what still comes; they go
    when it is finished."""

    __tablename__ = "erasures"

    learner_id: Mapped[UUID] = mapped_column(ForeignKey("learners.id"), unique=True)
    at: Mapped[datetime]
    by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    reason: Mapped[str] = mapped_column(String(20))
    marks: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    looked_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


def is_erased(learner_id: UUID) -> bool:
    return bool(db.session.scalar(select(exists().where(Erasure.learner_id == learner_id))))


def erase(learner: Learner, reason: str, *, by: User | None) -> Erasure:
    """Erase a learner; once is enough. `reason` is one of REASONS. Raises ValueError for another."""
    if reason not in REASONS:
        raise ValueError("no such reason")
    pins = _pins(learner.id)
    end_reading()
    with writing() as session:
        session.refresh(learner, with_for_update=True)
        found = session.scalar(select(Erasure).where(Erasure.learner_id == learner.id))
        if found is not None:
            return found
        her = _Her(learner)
        row = Erasure(
            id=uuid4(),
            learner_id=learner.id,
            at=clock.now(),
            by=by.id if by else None,
            reason=reason,
            marks=sorted(her.marks),
        )
        session.add(row)
        _pin(pins, by)
        _forget_decisions(learner.id, her)
        _leave_rosters(learner, her)
        _scrub_evidence(learner.id, set(row.marks or ()), None)
        learner.lrn = learner.email = None
        learner.last_name, learner.first_name, learner.middle_name, learner.extension = LAST_NAME, FIRST_NAME, "", ""
        learner.lis_name = f"{LAST_NAME}, {FIRST_NAME}"
        session.flush()
        _scrub_registrations(learner.id)
        audit.record("erased", "learner", learner.id, by=row.by, reason=reason)
    remember_outside([learner.id])
    wake("registration")
    wake("registrants")
    return row


def go_on() -> int:
    """Look after the erasures that are not finished; how many were finished now."""
    now, done = clock.now(), 0
    for row in list(db.session.scalars(select(Erasure).where(Erasure.finished_at.is_(None)))):
        with writing() as session:
            _scrub_evidence(row.learner_id, set(row.marks or ()), row.looked_at)
            left = _scrub_registrations(row.learner_id)
            row.looked_at = now
            if not left and now - row.at > COMES_BACK:
                row.marks, row.finished_at = None, now
                done += 1
            session.add(row)
    return done


def waits_for_zoom(learner_id: UUID) -> bool:
    """Some registration of hers still stands at Zoom."""
    now = exists().where(MeetingRegistrant.learner_id == learner_id, MeetingRegistrant.email != "")
    before = exists().where(FormerRegistrant.learner_id == learner_id, FormerRegistrant.email != "")
    return bool(db.session.scalar(select(or_(now, before))))


# The list outside of the database


def list_file() -> Path:
    settings: Settings = current_app.extensions["silid.settings"]
    return settings.instance / "erased.txt"


def remember_outside(learner_ids: Iterable[UUID]) -> None:
    """Write them on the list, with the present key."""
    path = list_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="ascii") as file:
        file.writelines(f"{hashed(learner_id)}\n" for learner_id in learner_ids)


def rewrite_list() -> int:
    """The list anew from the database, e.g. with a new SECRET_KEY; how many are on it."""
    ids = list(db.session.scalars(select(Erasure.learner_id).order_by(Erasure.at)))
    fresh = list_file().with_suffix(".new")
    fresh.parent.mkdir(parents=True, exist_ok=True)
    fresh.write_text("".join(f"{hashed(one)}\n" for one in ids), encoding="ascii")
    fresh.replace(list_file())
    return len(ids)


def listed(text: str) -> set[str]:
    """The entries of a list."""
    return {line.strip() for line in text.splitlines() if re.fullmatch(r"[0-9a-f]{8}:[0-9a-f]{64}", line.strip())}


def of_database() -> set[str]:
    """The entries for those whom the present database knows as erased."""
    return {hashed(one) for one in db.session.scalars(select(Erasure.learner_id))}


def unknown_keys(entries: Iterable[str]) -> set[str]:
    """Marks of keys that entries were made with and that are in neither SECRET_KEY nor SECRET_KEY_FALLBACKS."""
    return {entry.partition(":")[0] for entry in entries} - {_mark_of(key) for key in _keys()}


def again(entries: set[str]) -> int:
    """Erase those on the list whom the database, restored from an older backup, has back; how many."""
    done = 0
    gone = exists().where(Erasure.learner_id == Learner.id)
    for learner_id in list(db.session.scalars(select(Learner.id).where(~gone))):
        if any(hashed(learner_id, key) in entries for key in _keys()):
            erase(db.session.get_one(Learner, learner_id), "order", by=None)
            done += 1
    return done


def hashed(learner_id: UUID, key: bytes | None = None) -> str:
    """An entry of the list: which key, and the id hashed with it."""
    key = key or _keys()[0]
    return f"{_mark_of(key)}:{hmac.new(key, b'erased:' + learner_id.bytes, hashlib.sha256).hexdigest()}"


def _keys() -> list[bytes]:
    settings: Settings = current_app.extensions["silid.settings"]
    return [key.encode() for key in (settings.secret_key, *settings.secret_key_fallbacks)]


def _mark_of(key: bytes) -> str:
    return hmac.new(key, b"which key", hashlib.sha256).hexdigest()[:8]


# Who she is


class _Her:
    """How she is called, before it is gone."""

    def __init__(self, learner: Learner) -> None:
        settings: Settings = current_app.extensions["silid.settings"]
        self.lrn = learner.lrn or ""
        self.emails = {learner.email or ""} | {
            address
            for table in (MeetingRegistrant, FormerRegistrant)
            for address in db.session.scalars(select(table.email).where(table.learner_id == learner.id).distinct())
        }
        if self.lrn:
            self.emails |= {f"{self.lrn}@{domain}" for domain in settings.email_domains}
        self.emails.discard("")
        last, first = tokens(learner.last_name), tokens(learner.first_name)
        middle, extension = tokens(learner.middle_name), tokens(learner.extension)
        self.names = {
            frozenset((*last, *first, *more))
            for more in ((), middle, extension, (*middle, *extension), tuple(word[0] for word in middle))
        }
        self.words = {word for word in (*last, *first) if len(word) > 2}

    @property
    def marks(self) -> set[str]:
        return {_email_mark(email) for email in self.emails} | {_words_mark(name) for name in self.names if name}

    def without(self, text: str | None) -> str | None:
        """A person's own words without her name, LRN and address."""
        if not text:
            return text
        for address in self.emails:
            text = re.sub(re.escape(address), "...", text, flags=re.IGNORECASE)
        if self.lrn:
            text = text.replace(self.lrn, "...")
        parts = re.split(r"(\W+)", text)
        return "".join("..." if set(tokens(part)) & self.words else part for part in parts)


def _email_mark(address: str) -> str:
    return _hash(f"email:{address.strip().casefold()}")


def _name_mark(name: str) -> str:
    return _words_mark(frozenset(tokens(name)))


def _words_mark(words: frozenset[str]) -> str:
    return _hash("name:" + " ".join(sorted(words)))


def _hash(text: str) -> str:
    return hmac.new(_keys()[0], text.encode(), hashlib.sha256).hexdigest()[:32]


# What tells whom a stay belongs to, kept without her name


@dataclass(frozen=True)
class _Pin:
    """A stay that was hers by her address or by a remembered name."""

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
        for stay_id, match in compute(sheet.load(occurrence, occurrence.meeting).input).who.items():
            if str(learner_id) in match.learner_ids and match.by in ("email", "alias"):
                ids = tuple(UUID(one) for one in match.learner_ids)
                pins.append(_Pin(UUID(stay_id), ids, occurrence.meeting.created_by))
    return pins


def _pin(pins: list[_Pin], by: User | None) -> None:
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
            linked_by=by.id if by else pin.teacher_id,
            linked_at=clock.now(),
        )
        for pin in pins
        if pin.participant_id not in said
        for learner_id in pin.learner_ids
    )
    db.session.flush()


# Where she is


def _meetings(learner_id: UUID) -> Select[UUID]:
    """Meetings in which she may have been: of the classes of her sections, and those she was registered for."""
    sections = select(Enrolment.section_id).where(Enrolment.learner_id == learner_id)
    classes = select(SchoolClass.id).where(SchoolClass.section_id.in_(sections))
    registered = select(MeetingRegistrant.meeting_id).where(MeetingRegistrant.learner_id == learner_id)
    return select(ZoomMeeting.id).where(or_(ZoomMeeting.class_id.in_(classes), ZoomMeeting.id.in_(registered)))


def _registrant_ids(learner_id: UUID) -> set[str]:
    return {
        one
        for table in (MeetingRegistrant, FormerRegistrant)
        for one in db.session.scalars(select(table.zoom_registrant_id).where(table.learner_id == learner_id))
        if one
    }


def _leave_rosters(learner: Learner, her: _Her) -> None:
    rolls, today = Rolls([learner.id]), clock.today()
    on_a_sheet = exists().where(
        AttendanceRecord.learner_id == learner.id,
        AttendanceRecord.occurrence_id == MeetingOccurrence.id,
        MeetingOccurrence.local_date == today,
    )
    # A sheet of today that has her line keeps it.
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


def _forget_decisions(learner_id: UUID, her: _Her) -> None:
    """What teachers wrote about her, and the names they tied to her."""
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
    occurrences = select(MeetingOccurrence.id).where(MeetingOccurrence.meeting_id.in_(_meetings(learner_id)))
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


def _scrub_evidence(learner_id: UUID, marks: set[str], since: datetime | None) -> None:
    """Names and addresses in stays and raw deliveries; of deliveries only those that came after `since`."""
    meetings = list(db.session.scalars(_meetings(learner_id)))
    registrant_ids = _registrant_ids(learner_id)
    instances = select(ZoomInstance.id).where(ZoomInstance.meeting_id.in_(meetings))
    linked = select(ParticipantLink.participant_id).where(ParticipantLink.learner_id == learner_id)
    others = select(ParticipantLink.participant_id).where(
        ParticipantLink.learner_id.is_not(None), ParticipantLink.learner_id != learner_id
    )
    shown = db.session.execute(
        select(ZoomParticipant.name, ZoomParticipant.email).where(ZoomParticipant.instance_id.in_(instances)).distinct()
    ).all()
    names = {name for name, _ in shown if name and _name_mark(name) in marks}
    emails = {email for _, email in shown if email and _email_mark(email) in marks}
    db.session.execute(
        update(ZoomParticipant)
        .where(
            ZoomParticipant.instance_id.in_(instances),
            or_(
                ZoomParticipant.registrant_id.in_(registrant_ids),
                ZoomParticipant.name.in_(names),
                ZoomParticipant.email.in_(emails),
                ZoomParticipant.id.in_(linked) & ZoomParticipant.id.not_in(others),
            ),
        )
        .values(name="", email=None)
        .execution_options(synchronize_session=False)
    )
    for event in _deliveries(meetings, since):
        scrubbed = _without_her(event.raw, registrant_ids, marks)
        if scrubbed is not None:
            event.raw = scrubbed
    db.session.flush()


def _deliveries(meetings: list[UUID], since: datetime | None) -> Iterator[ZoomEvent]:
    zoom_ids = select(ZoomMeeting.zoom_id).where(ZoomMeeting.id.in_(meetings), ZoomMeeting.zoom_id.is_not(None))
    wanted = select(ZoomEvent).where(ZoomEvent.zoom_meeting_id.in_(zoom_ids))
    if since is not None:
        wanted = wanted.where(ZoomEvent.received_at >= since - timedelta(hours=1))
    yield from db.session.scalars(wanted)


def _without_her(raw: bytes, registrant_ids: set[str], marks: set[str]) -> bytes | None:
    """The delivery without her name and address; None where it is not about her."""
    try:
        body = json.loads(raw)
    except ValueError:
        return None
    return json.dumps(body).encode() if _blank(body, registrant_ids, marks) else None


def _blank(part: Any, registrant_ids: set[str], marks: set[str]) -> bool:
    if isinstance(part, list):
        return sum(_blank(one, registrant_ids, marks) for one in part) > 0  # every one of them, not the first alone
    if not isinstance(part, dict):
        return False
    changed = sum(_blank(one, registrant_ids, marks) for one in part.values()) > 0
    if _is_her(part, registrant_ids, marks):
        for key in _PERSONAL & part.keys():
            part[key] = ""
            changed = True
    return changed


def _is_her(part: dict[str, Any], registrant_ids: set[str], marks: set[str]) -> bool:
    if {str(part.get("registrant_id") or ""), str(part.get("id") or "")} & registrant_ids:
        return True
    name = part.get("user_name") or f"{part.get('first_name') or ''} {part.get('last_name') or ''}"
    email = part.get("email")
    return (isinstance(email, str) and bool(email) and _email_mark(email) in marks) or _name_mark(str(name)) in marks


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
