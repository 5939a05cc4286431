"""One learner at a time: put on a roster by hand, corrected, moved, withdrawn, taken back."""

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
from portal.core.worker_signals import notify_worker

ENTERED_BY_MISTAKE = "mistake"  # instead of a reason for leaving: the learner never was in this section


@dataclass(frozen=True)
class LearnerDetails:
    """What is kept of a learner. Names as LIS writes them, in capitals; `lrn` 12 digits or None."""

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
    """Another learner has that LRN. `section` is the title of where they are now; `elsewhere` if in another school."""

    def __init__(self, *, section: str | None = None, elsewhere: bool = False) -> None:
        super().__init__("the LRN is in use")
        self.section = section
        self.elsewhere = elsewhere


class NameMismatch(ValueError):
    """The school knows a learner with that LRN by another name: one of the two is wrong."""


class PossibleDuplicate(ValueError):
    """A learner of that name is on the roster: it may be the same one."""


class NotOnThisRoster(ValueError):
    """The learner has left the section meanwhile, or is on its roster already."""


class OutsideSchoolYear(ValueError):
    """The day lies outside the section's school year, or in the future. `first` and `last` are the days it may be."""

    def __init__(self, first: date, last: date) -> None:
        super().__init__("not a day of this school year")
        self.first = first
        self.last = last


def add_learner(
    user: User, section: Section, details: LearnerDetails, *, since: date, another: bool = False
) -> Learner:
    """Put a learner on the roster. One whom the school knows by the LRN and who is on no roster comes back.

    Who comes back has to be named as they are known: a slip in the LRN would write this child's name over that of
    another one, on all their past sheets. `another` says that this is not the namesake who is there.
    Raises LrnInUse, NameMismatch, PossibleDuplicate, OutsideSchoolYear, OnARoster.
    """
    _must_be_in(section, since)
    with _lrn_once(), write_transaction() as session:
        known = _by_lrn(details.lrn)
        if known and known.school_id != section.school_id:
            raise LrnInUse(elsewhere=True)
        here = queries.list_roster(section.id)
        if known and (now := _where_now(known.id)):
            raise LrnInUse(section=now)
        if known and not _is_named(known, details):
            raise NameMismatch
        folded = fold_name(details.lis_name)
        if known is None and not another and any(fold_name(line.lis_name) == folded for line in here):
            raise PossibleDuplicate
        learner = known or Learner(id=uuid4(), school_id=section.school_id, created_at=clock.now())
        _write(learner, details)
        session.add(learner)
        rolls = EnrolmentChanges([learner.id])
        rolls.enrol(learner.id, section.id, position=_place(here, details), since=since)
        rolls.save()
        audit_log.record_action(
            AuditAction.ADDED,
            AuditSubject.LEARNER,
            learner.id,
            by=user.id,
            section_id=section.id,
            since=since.isoformat(),
        )
    _tell()
    return learner


def update_learner(user: User, section: Section, learner: Learner, details: LearnerDetails) -> bool:
    """Correct what is kept of a learner; False if nothing was different. Raises LrnInUse."""
    with _lrn_once(), write_transaction() as session:
        session.refresh(learner, with_for_update=True)
        if details.lrn != learner.lrn and (other := _by_lrn(details.lrn)):
            raise LrnInUse(section=_where_now(other.id), elsewhere=other.school_id != section.school_id)
        changed = _write(learner, details)
        if changed:
            audit_log.record_action(
                AuditAction.CHANGED, AuditSubject.LEARNER, learner.id, by=user.id, section_id=section.id, fields=changed
            )
    if changed:
        _tell()
    return bool(changed)


def withdraw_learner(
    user: User, section: Section, learner: Learner, *, last_day: date, reason: str, detail: str | None = None
) -> None:
    """The learner leaves: after `last_day`, or as if they never were there if the reason is MISTAKE.

    Raises NotOnThisRoster, OutsideSchoolYear, BeforeTheFirstDay.
    """
    if reason != ENTERED_BY_MISTAKE:
        _must_be_in(section, last_day)
    with write_transaction():
        rolls = EnrolmentChanges([learner.id])
        row = _time_here(rolls, section, learner)
        if reason == ENTERED_BY_MISTAKE:
            rolls.delete(row)
        else:
            rolls.withdraw(row, last_day=last_day, reason=reason, detail=detail or None)
        rolls.save()
        if reason == ENTERED_BY_MISTAKE:
            delete_orphan_learners([learner.id])
        audit_log.record_action(
            AuditAction.WITHDREW, AuditSubject.LEARNER, learner.id, by=user.id, section_id=section.id,
            reason=reason, last_day=last_day.isoformat(),
        )  # fmt: skip
    _tell()


def transfer_learner(
    user: User, section: Section, learner: Learner, target: Section, *, since: date, detail: str = ""
) -> None:
    """The learner changes to another section of the school and year, from `since` on.

    Raises NotOnThisRoster, OutsideSchoolYear, OnARoster.
    """
    _must_be_in(section, since)
    with write_transaction():
        rolls = EnrolmentChanges([learner.id])
        row = _time_here(rolls, section, learner)
        rolls.move(row, target.id, position=_place(queries.list_roster(target.id), learner), since=since)
        if row.section_id == section.id:
            row.exit_detail = detail or None
        rolls.save()
        for place in (section, target):
            audit_log.record_action(
                AuditAction.MOVED, AuditSubject.LEARNER, learner.id, by=user.id, section_id=place.id,
                to=str(target.id), since=since.isoformat(),
            )  # fmt: skip
    _tell()


def readmit_learner(user: User, section: Section, learner: Learner, *, since: date) -> None:
    """A learner who had left is on the roster again. Raises OutsideSchoolYear, OnARoster."""
    _must_be_in(section, since)
    with write_transaction():
        rolls = EnrolmentChanges([learner.id])
        rolls.enrol(learner.id, section.id, position=_place(queries.list_roster(section.id), learner), since=since)
        rolls.save()
        audit_log.record_action(
            AuditAction.READMITTED,
            AuditSubject.LEARNER,
            learner.id,
            by=user.id,
            section_id=section.id,
            since=since.isoformat(),
        )
    _tell()


@contextmanager
def _lrn_once() -> Iterator[None]:
    """Somebody else may have written the same LRN in the same moment."""
    try:
        yield
    except IntegrityError as error:
        raise LrnInUse from error


def _must_be_in(section: Section, day: date) -> None:
    first, last = section.first_day, clock.today()
    if not first <= day <= last:
        raise OutsideSchoolYear(first, last)


def _by_lrn(lrn: str | None) -> Learner | None:
    return db.session.scalar(select(Learner).where(Learner.lrn == lrn)) if lrn else None


def _is_named(learner: Learner, details: LearnerDetails) -> bool:
    pairs = ((learner.last_name, details.last_name), (learner.first_name, details.first_name))
    return all(fold_name(ours) == fold_name(theirs) for ours, theirs in pairs)


def _where_now(learner_id: UUID) -> str | None:
    section = db.session.scalar(
        select(Section)
        .join(Enrolment, Enrolment.section_id == Section.id)
        .where(Enrolment.learner_id == learner_id, queries.enrolled_on_clause(clock.today()))
    )
    return section.title if section else None


def _time_here(rolls: EnrolmentChanges, section: Section, learner: Learner) -> Enrolment:
    row = rolls.enrolment_on(learner.id, clock.today())
    if row is None or row.section_id != section.id:
        raise NotOnThisRoster
    return row


def _place(roster: list[queries.RosterEntry], learner: Learner | LearnerDetails) -> int:
    return roster_position_among(
        ((one.sex, one.lis_name, one.position) for one in roster), learner.sex, learner.lis_name
    )


def _write(learner: Learner, details: LearnerDetails) -> list[str]:
    """Put the details on the row; which of its fields are other than before."""
    changed = []
    for field in ("lis_name", "last_name", "first_name", "middle_name", "extension", "sex", "lrn", "email"):
        if getattr(learner, field) != getattr(details, field):
            setattr(learner, field, getattr(details, field))
            changed.append(field)
    return changed


def _tell() -> None:
    """The registrations of coming classes and the sheets of past days follow."""
    notify_worker("registration")
    notify_worker("changed rosters")
