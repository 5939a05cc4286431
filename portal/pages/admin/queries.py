"""SELECTs of the admin pages: audit log, deliveries, mail, counts. No learner's row."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import groupby
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, func, or_, select

from portal.accounts.access import schools_in_scope_clause
from portal.accounts.models import School, User
from portal.accounts.users.service import users_in_scope_clause
from portal.classes.models import SchoolClass, Section
from portal.core import clock
from portal.core.audit_log import AuditEntry
from portal.core.db import db
from portal.core.mail.codes import MailState
from portal.core.mail.outbox import OutboxMail
from portal.pages.admin.audit_messages import find_audit_actions
from portal.webhooks.models import ZoomEvent

PAGE_SIZE = 100


@dataclass(frozen=True)
class AuditEntryRow:
    occurred_at: datetime
    who: str | None
    email: str | None
    action: str
    subject_type: str
    subject_id: str
    section: str | None
    details: dict[str, object]

    @property
    def subject_key(self) -> UUID | None:
        """The id as a UUID; None if it is a word."""
        try:
            return UUID(self.subject_id)
        except ValueError:
            return None


@dataclass(frozen=True)
class AuditSearch:
    """Search criteria. `school_class` includes its meetings and class dates, and its section's roster; `section`
    everything of all its classes."""

    who: str = ""
    action: str = ""
    school_class: UUID | None = None
    section: UUID | None = None
    first: date | None = None
    last: date | None = None


def list_audit_entries(admin: User, search: AuditSearch, page: int = 1, most: int = PAGE_SIZE) -> list[AuditEntryRow]:
    """Audit entries, newest first; one more than `most` if there are more.

    Only actions of people in the admin's scope, and anybody's actions on records of the admin's schools.
    """
    rows = db.session.execute(
        select(
            AuditEntry.occurred_at,
            User.full_name.label("who"),
            User.email,
            AuditEntry.action,
            AuditEntry.subject_type,
            AuditEntry.subject_id,
            (Section.grade_level + " - " + Section.name).label("section"),
            AuditEntry.details,
        )
        .outerjoin(User, User.id == AuditEntry.user_id)
        .outerjoin(Section, Section.id == AuditEntry.section_id)
        .where(*_audit_clauses(admin, search))
        .order_by(AuditEntry.occurred_at.desc(), AuditEntry.id.desc())
        .limit(most + 1)
        .offset((max(1, page) - 1) * most)
    )
    return [AuditEntryRow(**row._mapping) for row in rows]


def _audit_clauses(admin: User, search: AuditSearch) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if admin.scope != "region":
        school_ids = select(School.id).where(schools_in_scope_clause(admin)).correlate(None)
        section_ids = select(Section.id).where(Section.school_id.in_(school_ids)).correlate(None)
        conditions.append(or_(users_in_scope_clause(admin), AuditEntry.section_id.in_(section_ids)))
    for word in search.who.lower().split()[:5]:
        pattern = f"%{_escape_like(word)}%"
        conditions.append(
            or_(func.lower(User.full_name).like(pattern, escape="\\"), User.email.like(pattern, escape="\\"))
        )
    if search.action:
        conditions.append(AuditEntry.action.in_(find_audit_actions(search.action)))
    if search.school_class:
        # Actions on the section's records as a whole concern each of its classes.
        section_id = select(SchoolClass.section_id).where(SchoolClass.id == search.school_class).scalar_subquery()
        conditions.append(
            or_(
                AuditEntry.class_id == search.school_class,
                and_(AuditEntry.class_id.is_(None), AuditEntry.section_id == section_id),
            )
        )
    if search.section:
        conditions.append(AuditEntry.section_id == search.section)
    if search.first:
        conditions.append(AuditEntry.occurred_at >= clock.from_manila(search.first, time()))
    if search.last:
        conditions.append(AuditEntry.occurred_at < clock.from_manila(search.last + timedelta(days=1), time()))
    return conditions


def _escape_like(word: str) -> str:
    return word.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")


@dataclass(frozen=True)
class SectionChoice:
    """A section that can be searched for, with its classes as (id, subject)."""

    id: UUID
    words: str
    classes: tuple[tuple[UUID, str], ...]


def limit_to_scope(admin: User, search: AuditSearch) -> bool:
    """True if the searched section and class are of the admin's schools."""
    school_ids = select(School.id).where(schools_in_scope_clause(admin)).correlate(None)
    section_ids = select(Section.id).where(Section.school_id.in_(school_ids)).correlate(None)
    conditions: list[ColumnElement[bool]] = [Section.id.in_(section_ids)]
    if search.section:
        conditions.append(Section.id == search.section)
    if search.school_class:
        conditions.append(Section.id.in_(select(SchoolClass.section_id).where(SchoolClass.id == search.school_class)))
    if len(conditions) == 1:
        return True
    return bool(db.session.scalar(select(exists().where(*conditions))))


def list_sections_in_scope(admin: User) -> list[SectionChoice]:
    """The sections and classes that can be searched for."""
    school_ids = select(School.id).where(schools_in_scope_clause(admin)).correlate(None)
    rows = db.session.execute(
        select(Section.id, Section.grade_level, Section.name, SchoolClass.id, SchoolClass.subject)
        .outerjoin(SchoolClass, SchoolClass.section_id == Section.id)
        .where(Section.school_id.in_(school_ids))
        .order_by(Section.grade_level, Section.name, Section.id, SchoolClass.subject)
        .limit(1000)
    )
    return [
        SectionChoice(section_id, f"{grade} - {name}", tuple((row[3], row[4]) for row in rows if row[3]))
        for (section_id, grade, name), rows in groupby(rows, key=lambda row: (row[0], row[1], row[2]))
    ]


@dataclass(frozen=True)
class DeliveryRow:
    id: int
    received_at: datetime
    event: str
    zoom_meeting_id: str | None
    state: str
    attempts: int
    error: str | None


def list_webhook_deliveries(state: str) -> tuple[list[DeliveryRow], dict[str, int]]:
    """The newest deliveries, of one state or of all, and the number of each state. Never their content."""
    rows = select(
        ZoomEvent.id,
        ZoomEvent.received_at,
        ZoomEvent.event,
        ZoomEvent.zoom_meeting_id,
        ZoomEvent.state,
        ZoomEvent.attempts,
        ZoomEvent.error,
    )
    if state:
        rows = rows.where(ZoomEvent.state == state)
    deliveries = db.session.execute(rows.order_by(ZoomEvent.id.desc()).limit(PAGE_SIZE))
    counts = db.session.execute(select(ZoomEvent.state, func.count()).group_by(ZoomEvent.state))
    return [DeliveryRow(**row._mapping) for row in deliveries], dict(counts.all())


@dataclass(frozen=True)
class MailRow:
    id: UUID
    kind: str
    language: str
    state: str
    attempts: int
    error: str | None
    created_at: datetime
    next_attempt_at: datetime


def list_outbox_mail() -> tuple[list[MailRow], dict[str, int]]:
    """The newest mails, without recipient and text, and the number of each state."""
    rows = db.session.execute(
        select(
            OutboxMail.id,
            OutboxMail.kind,
            OutboxMail.language,
            OutboxMail.state,
            OutboxMail.attempts,
            OutboxMail.error,
            OutboxMail.created_at,
            OutboxMail.next_attempt_at,
        )
        .order_by(OutboxMail.created_at.desc())
        .limit(PAGE_SIZE)
    )
    counts = db.session.execute(select(OutboxMail.state, func.count()).group_by(OutboxMail.state))
    return [MailRow(**row._mapping) for row in rows], dict(counts.all())


def count_resendable_mails() -> int:
    """The number of mails that can be requeued: failed ones whose content is kept, and delayed ones."""
    resendable = (
        (OutboxMail.attempts > 0)
        & OutboxMail.content_encrypted.is_not(None)
        & OutboxMail.state.in_((MailState.FAILED, MailState.QUEUED))
    )
    return db.session.scalar(select(func.count()).select_from(OutboxMail).where(resendable)) or 0


def count_admin_overview(admin: User) -> dict[str, int]:
    """Counts of the admin's scope: schools, users, sections, classes."""
    school_ids = select(School.id).where(schools_in_scope_clause(admin)).correlate(None)
    section_ids = select(Section.id).where(Section.school_id.in_(school_ids))
    row = db.session.execute(
        select(
            select(func.count()).select_from(School).where(schools_in_scope_clause(admin)).scalar_subquery(),
            select(func.count())
            .select_from(User)
            .where(users_in_scope_clause(admin), User.deactivated_at.is_(None))
            .scalar_subquery(),
            select(func.count()).select_from(Section).where(Section.school_id.in_(school_ids)).scalar_subquery(),
            select(func.count())
            .select_from(SchoolClass)
            .where(SchoolClass.section_id.in_(section_ids))
            .scalar_subquery(),
        )
    ).one()
    return dict(zip(("schools", "people", "sections", "classes"), row, strict=True))
