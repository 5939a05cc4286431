"""Join links: secret links into a class, one for each learner and class and one for the class itself.

They lead to the portal and not to Zoom, so they stay valid when meetings change there, and are printed once a year.
The token is stored encrypted, for printing again, and hashed, for the lookup.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    String,
    UniqueConstraint,
    and_,
    bindparam,
    func,
    insert,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship

from portal.accounts.models import User
from portal.classes.models import Enrolment, Learner, SchoolClass, Section
from portal.classes.queries import expected_on_clause, lis_order
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.crypto import (
    decrypt_for_row,
    encrypt_for_row,
    generate_token,
    hash_token,
)
from portal.core.db import (
    Model,
    UuidPrimaryKey,
    bulk_insert_ignore,
    db,
    insert_if_absent,
    write_transaction,
)
from portal.meetings.models import ZoomMeeting

BATCH_SIZE = 2000
AUDIENCES = ("class", "students")  # the audiences of class meetings that join links lead into


class JoinLink(UuidPrimaryKey, Model):
    """A secret join link into a class. Without `learner_id` it is the class's own link, which identifies nobody."""

    __tablename__ = "join_links"
    __table_args__ = (
        UniqueConstraint("class_id", "learner_id"),
        Index(
            "ix_join_links_one_for_the_class",
            "class_id",
            unique=True,
            sqlite_where=text("learner_id IS NULL"),
            postgresql_where=text("learner_id IS NULL"),
        ),
        Index("ix_join_links_learner_id", "learner_id"),
    )

    class_id: Mapped[UUID] = mapped_column(ForeignKey("classes.id", ondelete="CASCADE"))
    learner_id: Mapped[UUID | None] = mapped_column(ForeignKey("learners.id", ondelete="CASCADE"))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    token_encrypted: Mapped[str]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    school_class: Mapped[SchoolClass] = relationship(lazy="raise_on_sql")
    learner: Mapped[Learner | None] = relationship(lazy="raise_on_sql")

    @property
    def token(self) -> str:
        return decrypt_for_row(self.token_encrypted, _encryption_context(self.id))


class JoinLinkUse(Model):
    """A redirect to Zoom by a link. It is no evidence of attendance: Zoom's events are."""

    __tablename__ = "join_link_uses"
    __table_args__ = (
        Index("ix_join_link_uses_link_id", "link_id"),
        Index("ix_join_link_uses_occurrence_id", "occurrence_id"),
        Index("ix_join_link_uses_opened_at", "opened_at"),
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    link_id: Mapped[UUID] = mapped_column(ForeignKey("join_links.id", ondelete="CASCADE"))
    occurrence_id: Mapped[UUID] = mapped_column(ForeignKey("meeting_occurrences.id", ondelete="CASCADE"))
    opened_at: Mapped[datetime]
    client_hash: Mapped[str] = mapped_column(String(32))


class CalendarLink(UuidPrimaryKey, Model):
    """The secret address of a user's calendar feed."""

    __tablename__ = "calendar_links"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), unique=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    token_encrypted: Mapped[str]
    created_at: Mapped[datetime]

    user: Mapped[User] = relationship(lazy="raise_on_sql")

    @property
    def token(self) -> str:
        return decrypt_for_row(self.token_encrypted, f"calendar_links/{self.id}")


def _encryption_context(link_id: UUID) -> str:
    return f"join_links/{link_id}"


def uses_join_links(meeting: ZoomMeeting) -> bool:
    """True if the class's join links lead into this meeting; Zoom's own links are then not handed out."""
    return meeting.class_id is not None and meeting.audience in AUDIENCES


def create_missing_links(class_id: UUID | None = None) -> int:
    """Create the missing links of every enrolled learner and every class; returns their number (per call limited)."""
    today = clock.today()
    missing_learner_links = (
        select(SchoolClass.id, Enrolment.learner_id)
        .join(Enrolment, and_(Enrolment.section_id == SchoolClass.section_id, expected_on_clause(today)))
        .outerjoin(JoinLink, and_(JoinLink.class_id == SchoolClass.id, JoinLink.learner_id == Enrolment.learner_id))
        .where(JoinLink.id.is_(None))
        .distinct()
    )
    missing_class_links = (
        select(SchoolClass.id, literal(None))
        .outerjoin(JoinLink, and_(JoinLink.class_id == SchoolClass.id, JoinLink.learner_id.is_(None)))
        .where(JoinLink.id.is_(None))
    )
    if class_id is not None:
        missing_learner_links = missing_learner_links.where(SchoolClass.id == class_id)
        missing_class_links = missing_class_links.where(SchoolClass.id == class_id)
    missing = [
        (link_class_id, learner_id)
        for statement in (missing_class_links, missing_learner_links)
        for link_class_id, learner_id in db.session.execute(statement.limit(BATCH_SIZE))
    ]
    return _insert_links(missing) if missing else 0


def _insert_links(missing: Iterable[tuple[UUID, UUID | None]]) -> int:
    now = clock.now()
    rows = [
        {"id": link_id, "class_id": class_id, "learner_id": learner_id, **_new_token_values(link_id, now)}
        for link_id, (class_id, learner_id) in ((uuid4(), pair) for pair in missing)
    ]
    with write_transaction():
        # Two workers may find the same link missing: the insert of the second one is ignored.
        bulk_insert_ignore(JoinLink, rows)
    return len(rows)


def _new_token_values(link_id: UUID, now: datetime) -> dict[str, Any]:
    """The columns of an active link with a new token."""
    token = generate_token()
    return {
        "token_hash": hash_token(token),
        "token_encrypted": encrypt_for_row(token, _encryption_context(link_id)),
        "created_at": now,
        "ended_at": None,
    }


def find_join_link(token: str) -> JoinLink | None:
    """The link of a token, with its class, section, teacher and learner; None if unknown or revoked."""
    return db.session.scalar(
        select(JoinLink)
        .where(JoinLink.token_hash == hash_token(token), JoinLink.ended_at.is_(None))
        .options(
            joinedload(JoinLink.learner),
            joinedload(JoinLink.school_class).joinedload(SchoolClass.section).joinedload(Section.school),
            joinedload(JoinLink.school_class).joinedload(SchoolClass.teacher),
        )
    )


def is_valid_token(token: str) -> bool:
    """True for the token of a link that is not revoked: its holder is not guessing."""
    statement = select(JoinLink.id).where(JoinLink.token_hash == hash_token(token), JoinLink.ended_at.is_(None))
    return db.session.scalar(statement) is not None


@dataclass(frozen=True)
class JoinLinkRow:
    """A learner's link; `token` is None if it was revoked or not created yet."""

    learner_id: UUID
    last_name: str
    first_name: str
    middle_name: str
    extension: str
    sex: str
    token: str | None
    ended: bool
    opened: int


def list_class_links(school_class: SchoolClass) -> list[JoinLinkRow]:
    """The links of everybody on today's roster, in LIS order, with the number of uses of each."""
    use_count = (
        select(func.count()).select_from(JoinLinkUse).where(JoinLinkUse.link_id == JoinLink.id).scalar_subquery()
    )
    rows = db.session.execute(
        select(Learner, JoinLink, use_count)
        .join(Enrolment, Enrolment.learner_id == Learner.id)
        .outerjoin(JoinLink, and_(JoinLink.learner_id == Learner.id, JoinLink.class_id == school_class.id))
        .where(Enrolment.section_id == school_class.section_id, expected_on_clause(clock.today()))
        .order_by(*lis_order)
    )
    return [
        JoinLinkRow(
            learner_id=learner.id,
            last_name=learner.last_name,
            first_name=learner.first_name,
            middle_name=learner.middle_name,
            extension=learner.extension,
            sex=learner.sex,
            token=link.token if link and not link.ended_at else None,
            ended=bool(link and link.ended_at),
            opened=count,
        )
        for learner, link, count in rows
    ]


def class_link_token(class_id: UUID) -> str | None:
    """The token of the class's own link; None if revoked or not created yet."""
    link = db.session.scalar(
        select(JoinLink).where(
            JoinLink.class_id == class_id, JoinLink.learner_id.is_(None), JoinLink.ended_at.is_(None)
        )
    )
    return link.token if link else None


def rotate_join_link(by: User, school_class: SchoolClass, learner_id: UUID | None) -> bool:
    """Rotate a link: the old token stops working immediately. False if there was no link."""
    with write_transaction():
        link_id = _find_link_id(school_class.id, learner_id)
        if link_id is None:
            return False
        db.session.execute(
            update(JoinLink).where(JoinLink.id == link_id).values(**_new_token_values(link_id, clock.now()))
        )
        audit_log.record_action(
            AuditAction.ROTATED_JOIN_LINK, AuditSubject.CLASS, school_class.id, by=by.id, learner=str(learner_id or "")
        )
    return True


def rotate_class_links(by: User, school_class: SchoolClass) -> int:
    """Rotate the links of the class and all its learners: printed or sent links stop working.

    A revoked link stays revoked: only `rotate_join_link` activates it again.
    """
    active_links = select(JoinLink.id).where(JoinLink.class_id == school_class.id, JoinLink.ended_at.is_(None))
    link_ids = list(db.session.scalars(active_links))
    now = clock.now()
    columns = ("token_hash", "token_encrypted", "created_at")
    new_values = [
        (link_id, _new_token_values(link_id, now)) for link_id in link_ids
    ]  # encrypted before the transaction
    rows = [{"key": link_id, **{name: values[name] for name in columns}} for link_id, values in new_values]
    table: Any = JoinLink.__table__
    is_active = (table.c.id == bindparam("key")) & table.c.ended_at.is_(None)
    with write_transaction():
        if rows:
            rotation = update(table).where(is_active).values({name: bindparam(name) for name in columns})
            db.session.connection().execute(rotation, rows)
        audit_log.record_action(
            AuditAction.ROTATED_ALL_JOIN_LINKS, AuditSubject.CLASS, school_class.id, by=by.id, links=len(link_ids)
        )
    return len(link_ids)


def revoke_join_link(by: User, school_class: SchoolClass, learner_id: UUID | None) -> bool:
    """Revoke a link until it is rotated. False if there was none."""
    with write_transaction():
        link_id = _find_link_id(school_class.id, learner_id)
        if link_id is None:
            return False
        db.session.execute(update(JoinLink).where(JoinLink.id == link_id).values(ended_at=clock.now()))
        audit_log.record_action(
            AuditAction.REVOKED_JOIN_LINK, AuditSubject.CLASS, school_class.id, by=by.id, learner=str(learner_id or "")
        )
    return True


def _find_link_id(class_id: UUID, learner_id: UUID | None) -> UUID | None:
    learner_clause = JoinLink.learner_id == learner_id if learner_id else JoinLink.learner_id.is_(None)
    return db.session.scalar(select(JoinLink.id).where(JoinLink.class_id == class_id, learner_clause))


def record_link_use(link: JoinLink, occurrence_id: UUID, client_hash: str) -> None:
    """Record that the link redirected to Zoom; `place` is the hash of the client."""
    with write_transaction():
        db.session.execute(
            insert(JoinLinkUse).values(
                link_id=link.id, occurrence_id=occurrence_id, opened_at=clock.now(), client_hash=client_hash
            )
        )


def get_calendar_token(user: User) -> str | None:
    """The token of a user's calendar feed, if there is one."""
    link = db.session.scalar(select(CalendarLink).where(CalendarLink.user_id == user.id))
    return link.token if link else None


def rotate_calendar_link(user: User) -> None:
    """Create the address of the calendar feed, or rotate it: the old one stops working."""
    with write_transaction():
        link = db.session.scalar(select(CalendarLink).where(CalendarLink.user_id == user.id))
        link_id, token = link.id if link else uuid4(), generate_token()
        values = {
            "token_hash": hash_token(token),
            "token_encrypted": encrypt_for_row(token, f"calendar_links/{link_id}"),
            "created_at": clock.now(),
        }
        if link is None:
            insert_if_absent(CalendarLink, {"id": link_id, "user_id": user.id, **values}, ["user_id"])
        else:
            db.session.execute(update(CalendarLink).where(CalendarLink.id == link_id).values(**values))
        audit_log.record_action(AuditAction.ROTATED_CALENDAR_LINK, AuditSubject.USER, user.id, by=user.id)


def revoke_calendar_link(user: User) -> None:
    """Delete the address of the calendar feed."""
    with write_transaction() as session:
        link = session.scalar(select(CalendarLink).where(CalendarLink.user_id == user.id))
        if link is not None:
            session.delete(link)
            audit_log.record_action(AuditAction.REVOKED_CALENDAR_LINK, AuditSubject.USER, user.id, by=user.id)


def find_calendar_owner(token: str) -> User | None:
    """The owner of a calendar token; None if unknown or the account is closed."""
    link = db.session.scalar(
        select(CalendarLink).where(CalendarLink.token_hash == hash_token(token)).options(joinedload(CalendarLink.user))
    )
    return link.user if link and link.user.is_active else None
