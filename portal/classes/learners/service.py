"""Operations on one learner: add, update, withdraw, transfer, readmit."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from portal.accounts.models import User
from portal.classes import queries
from portal.classes.learners.enrolments import EnrolmentChanges, roster_position_among
from portal.classes.lis_names import fold_name, lis_name
from portal.classes.models import Enrolment, Learner, Section
from portal.classes.roster_import.undo import delete_orphan_learners
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.db import db, write_transaction
from portal.core.worker_signals import Topic, notify_worker

# Used in place of an exit reason: the enrolment is deleted, as the learner never was in this section.
ENTERED_BY_MISTAKE = "mistake"


@dataclass(frozen=True)
class LearnerDetails:
    """The stored details of a learner. Names as LIS prints them, in capitals; `lrn` is 12 digits or None."""

    last_name: str
    first_name: str
    middle_name: str
    extension: str
    sex: str
    lrn: str | None
    email: str | None

    @property
    def lis_name(self) -> str:
        return lis_name(self.last_name, self.first_name, self.middle_name, self.extension)


class LrnInUse(ValueError):
    """Another learner has this LRN. `section` is the title of their current section; `elsewhere` is set if they are at
    another school."""

    def __init__(self, *, section: str | None = None, elsewhere: bool = False) -> None:
        super().__init__("the LRN is in use")
        self.section = section
        self.elsewhere = elsewhere


class NameMismatch(ValueError):
    """The school has a learner with this LRN under another name, so LRN or name is wrong."""


class PossibleDuplicate(ValueError):
    """A learner of this name is on the roster; it may be the same one."""


class NotOnThisRoster(ValueError):
    """The learner is not on this section's roster today."""


class OutsideSchoolYear(ValueError):
    """The day is outside the section's school year or in the future; `first` and `last` are the allowed range."""

    def __init__(self, first: date, last: date) -> None:
        super().__init__("not a day of this school year")
        self.first = first
        self.last = last


def add_learner(
    user: User, section: Section, details: LearnerDetails, *, since: date, another: bool = False
) -> Learner:
    """Add a learner to the roster; one known by LRN who is on no roster is readmitted with the new details.

    A readmitted learner must have the same name: a mistyped LRN would otherwise overwrite another child's name on all
    their past sheets. `another` confirms that this is not the namesake on the roster. Raises LrnInUse, NameMismatch,
    PossibleDuplicate, OutsideSchoolYear, EnrolmentOverlap.
    """
    _check_school_day(section, since)
    with _lrn_conflict_as_error(), write_transaction() as session:
        existing = _find_by_lrn(details.lrn)
        if existing and existing.school_id != section.school_id:
            raise LrnInUse(elsewhere=True)
        roster = queries.list_roster(section.id)
        if existing and (current_section := _current_section_title(existing.id)):
            raise LrnInUse(section=current_section)
        if existing and not _has_same_name(existing, details):
            raise NameMismatch
        folded = fold_name(details.lis_name)
        if existing is None and not another and any(fold_name(entry.lis_name) == folded for entry in roster):
            raise PossibleDuplicate
        learner = existing or Learner(id=uuid4(), school_id=section.school_id, created_at=clock.now())
        _update_columns(learner, details)
        session.add(learner)
        enrolments = EnrolmentChanges([learner.id])
        enrolments.enrol(learner.id, section.id, position=_roster_position(roster, details), since=since)
        enrolments.save()
        audit_log.record_action(
            AuditAction.ADDED,
            AuditSubject.LEARNER,
            learner.id,
            by=user.id,
            section_id=section.id,
            since=since.isoformat(),
        )
    _notify_roster_changed()
    return learner


def update_learner(user: User, section: Section, learner: Learner, details: LearnerDetails) -> bool:
    """Update a learner's details; False if nothing changed. Raises LrnInUse."""
    with _lrn_conflict_as_error(), write_transaction() as session:
        session.refresh(learner, with_for_update=True)
        if details.lrn != learner.lrn and (other := _find_by_lrn(details.lrn)):
            raise LrnInUse(section=_current_section_title(other.id), elsewhere=other.school_id != section.school_id)
        changed = _update_columns(learner, details)
        if changed:
            audit_log.record_action(
                AuditAction.CHANGED, AuditSubject.LEARNER, learner.id, by=user.id, section_id=section.id, fields=changed
            )
    if changed:
        _notify_roster_changed()
    return bool(changed)


def withdraw_learner(
    user: User, section: Section, learner: Learner, *, last_day: date, reason: str, detail: str | None = None
) -> None:
    """End the enrolment after `last_day`; with reason ENTERED_BY_MISTAKE, delete it and a learner left without
    references.

    Raises NotOnThisRoster, OutsideSchoolYear, EndsBeforeStart, EnrolmentOverlap.
    """
    if reason != ENTERED_BY_MISTAKE:
        _check_school_day(section, last_day)
    with write_transaction():
        enrolments = EnrolmentChanges([learner.id])
        row = _current_enrolment(enrolments, section, learner)
        if reason == ENTERED_BY_MISTAKE:
            enrolments.delete(row)
        else:
            enrolments.withdraw(row, last_day=last_day, reason=reason, detail=detail or None)
        enrolments.save()
        if reason == ENTERED_BY_MISTAKE:
            delete_orphan_learners([learner.id])
        audit_log.record_action(
            AuditAction.WITHDREW, AuditSubject.LEARNER, learner.id, by=user.id, section_id=section.id,
            reason=reason, last_day=last_day.isoformat(),
        )  # fmt: skip
    _notify_roster_changed()


def transfer_learner(
    user: User, section: Section, learner: Learner, target: Section, *, since: date, detail: str = ""
) -> None:
    """Transfer a learner to another section of the same school and year, from `since` on.

    Raises NotOnThisRoster, OutsideSchoolYear, EnrolmentOverlap.
    """
    _check_school_day(section, since)
    with write_transaction():
        enrolments = EnrolmentChanges([learner.id])
        row = _current_enrolment(enrolments, section, learner)
        enrolments.move(row, target.id, position=_roster_position(queries.list_roster(target.id), learner), since=since)
        if row.section_id == section.id:
            row.exit_detail = detail or None
        enrolments.save()
        for audited_section in (section, target):
            audit_log.record_action(
                AuditAction.MOVED, AuditSubject.LEARNER, learner.id, by=user.id, section_id=audited_section.id,
                to=str(target.id), since=since.isoformat(),
            )  # fmt: skip
    _notify_roster_changed()


def readmit_learner(user: User, section: Section, learner: Learner, *, since: date) -> None:
    """Enrol a withdrawn learner again. Raises OutsideSchoolYear, EnrolmentOverlap."""
    _check_school_day(section, since)
    with write_transaction():
        enrolments = EnrolmentChanges([learner.id])
        enrolments.enrol(
            learner.id, section.id, position=_roster_position(queries.list_roster(section.id), learner), since=since
        )
        enrolments.save()
        audit_log.record_action(
            AuditAction.READMITTED,
            AuditSubject.LEARNER,
            learner.id,
            by=user.id,
            section_id=section.id,
            since=since.isoformat(),
        )
    _notify_roster_changed()


@contextmanager
def _lrn_conflict_as_error() -> Iterator[None]:
    """Turn the unique constraint's error into LrnInUse: another request may have written the same LRN at the same
    time."""
    try:
        yield
    except IntegrityError as error:
        raise LrnInUse from error


def _check_school_day(section: Section, day: date) -> None:
    first, last = section.first_day, clock.today()
    if not first <= day <= last:
        raise OutsideSchoolYear(first, last)


def _find_by_lrn(lrn: str | None) -> Learner | None:
    return db.session.scalar(select(Learner).where(Learner.lrn == lrn)) if lrn else None


def _has_same_name(learner: Learner, details: LearnerDetails) -> bool:
    pairs = ((learner.last_name, details.last_name), (learner.first_name, details.first_name))
    return all(fold_name(ours) == fold_name(theirs) for ours, theirs in pairs)


def _current_section_title(learner_id: UUID) -> str | None:
    section = db.session.scalar(
        select(Section)
        .join(Enrolment, Enrolment.section_id == Section.id)
        .where(Enrolment.learner_id == learner_id, queries.enrolled_on_clause(clock.today()))
    )
    return section.title if section else None


def _current_enrolment(enrolments: EnrolmentChanges, section: Section, learner: Learner) -> Enrolment:
    row = enrolments.enrolment_on(learner.id, clock.today())
    if row is None or row.section_id != section.id:
        raise NotOnThisRoster
    return row


def _roster_position(roster: list[queries.RosterEntry], learner: Learner | LearnerDetails) -> int:
    return roster_position_among(
        ((entry.sex, entry.lis_name, entry.position) for entry in roster), learner.sex, learner.lis_name
    )


def _update_columns(learner: Learner, details: LearnerDetails) -> list[str]:
    """Copy the details to the row; returns the names of the columns that changed."""
    changed = []
    for field in ("lis_name", "last_name", "first_name", "middle_name", "extension", "sex", "lrn", "email"):
        if getattr(learner, field) != getattr(details, field):
            setattr(learner, field, getattr(details, field))
            changed.append(field)
    return changed


def _notify_roster_changed() -> None:
    """Wake the worker: registrations of upcoming meetings and sheets of past days depend on rosters."""
    notify_worker(Topic.ROSTERS)
    notify_worker(Topic.ROSTER_CHANGES)
