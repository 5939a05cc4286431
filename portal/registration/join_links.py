"""Links that learners open: one for each learner and class, and one for the class.

They lead to the portal, not to Zoom, so they outlive whatever happens to a meeting there and are printed once a
year. The token is kept sealed, so that a sheet can be printed again, and as a hash, by which it is found.
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
AUDIENCES = ("class", "students")  # of a class's meetings, those into which its links lead


class JoinLink(UuidPrimaryKey, Model):
    """A secret link into a class. Without `learner_id` it is the class's own, which names nobody."""

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
        return decrypt_for_row(self.token_encrypted, _row(self.id))


class JoinLinkUse(Model):
    """Somebody went on to Zoom by a link. It says nothing of attendance: Zoom's events do."""

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
    """The secret address of a person's own calendar."""

    __tablename__ = "calendar_links"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), unique=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    token_encrypted: Mapped[str]
    created_at: Mapped[datetime]

    user: Mapped[User] = relationship(lazy="raise_on_sql")

    @property
    def token(self) -> str:
        return decrypt_for_row(self.token_encrypted, f"calendar_links/{self.id}")


def _row(link_id: UUID) -> str:
    return f"join_links/{link_id}"


def uses_join_links(meeting: ZoomMeeting) -> bool:
    """Do the links of a class lead into this meeting? Then Zoom's own are not handed out."""
    return meeting.class_id is not None and meeting.audience in AUDIENCES


def create_missing_links(class_id: UUID | None = None) -> int:
    """Give every learner on a roster today, and every class, the link that is missing; how many were made."""
    today = clock.today()
    learners = (
        select(SchoolClass.id, Enrolment.learner_id)
        .join(Enrolment, and_(Enrolment.section_id == SchoolClass.section_id, expected_on_clause(today)))
        .outerjoin(JoinLink, and_(JoinLink.class_id == SchoolClass.id, JoinLink.learner_id == Enrolment.learner_id))
        .where(JoinLink.id.is_(None))
        .distinct()
    )
    classes = (
        select(SchoolClass.id, literal(None))
        .outerjoin(JoinLink, and_(JoinLink.class_id == SchoolClass.id, JoinLink.learner_id.is_(None)))
        .where(JoinLink.id.is_(None))
    )
    if class_id is not None:
        learners = learners.where(SchoolClass.id == class_id)
        classes = classes.where(SchoolClass.id == class_id)
    missing = [
        (class_id_, learner_id)
        for found in (classes, learners)
        for class_id_, learner_id in db.session.execute(found.limit(BATCH_SIZE))
    ]
    return _make(missing) if missing else 0


def _make(missing: Iterable[tuple[UUID, UUID | None]]) -> int:
    now = clock.now()
    rows = [
        {"id": link_id, "class_id": class_id, "learner_id": learner_id, **_fresh(link_id, now)}
        for link_id, (class_id, learner_id) in ((uuid4(), one) for one in missing)
    ]
    with write_transaction():
        # Two workers may find the same one missing: whoever is second leaves the first one's link alone.
        bulk_insert_ignore(JoinLink, rows)
    return len(rows)


def _fresh(link_id: UUID, now: datetime) -> dict[str, Any]:
    """The columns of a link that works from now on, by a token that nobody has seen yet."""
    token = generate_token()
    return {
        "token_hash": hash_token(token),
        "token_encrypted": encrypt_for_row(token, _row(link_id)),
        "created_at": now,
        "ended_at": None,
    }


def find_join_link(token: str) -> JoinLink | None:
    """The link behind a token, with its class, section, teacher and learner; None if there is none or it was ended."""
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
    """Is there such a link, not ended? Then whoever has it is not guessing."""
    statement = select(JoinLink.id).where(JoinLink.token_hash == hash_token(token), JoinLink.ended_at.is_(None))
    return db.session.scalar(statement) is not None


@dataclass(frozen=True)
class JoinLinkRow:
    """A learner's link, or no token where it was ended or is not made yet."""

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
    """The links of everybody on the roster today, in LIS order, and how often each was used to go to Zoom."""
    opened = select(func.count()).select_from(JoinLinkUse).where(JoinLinkUse.link_id == JoinLink.id).scalar_subquery()
    rows = db.session.execute(
        select(Learner, JoinLink, opened)
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
    """The token of the class's own link, if it is made and not ended."""
    link = db.session.scalar(
        select(JoinLink).where(
            JoinLink.class_id == class_id, JoinLink.learner_id.is_(None), JoinLink.ended_at.is_(None)
        )
    )
    return link.token if link else None


def rotate_join_link(by: User, school_class: SchoolClass, learner_id: UUID | None) -> bool:
    """A new link in place of the old one, which stops working at once. False if there was none to renew."""
    with write_transaction():
        link_id = _id_of(school_class.id, learner_id)
        if link_id is None:
            return False
        db.session.execute(update(JoinLink).where(JoinLink.id == link_id).values(**_fresh(link_id, clock.now())))
        audit_log.record_action(
            AuditAction.ROTATED_JOIN_LINK, AuditSubject.CLASS, school_class.id, by=by.id, learner=str(learner_id or "")
        )
    return True


def rotate_class_links(by: User, school_class: SchoolClass) -> int:
    """New links for the class and everybody in it: what was printed or sent before stops working.

    A link that somebody ended stays ended: it is made anew by its own button alone.
    """
    now = clock.now()
    with write_transaction():
        live = select(JoinLink.id).where(JoinLink.class_id == school_class.id, JoinLink.ended_at.is_(None))
        ids = list(db.session.scalars(live.with_for_update()))
        if ids:
            db.session.execute(update(JoinLink), [{"id": link_id, **_fresh(link_id, now)} for link_id in ids])
        audit_log.record_action(
            AuditAction.ROTATED_ALL_JOIN_LINKS, AuditSubject.CLASS, school_class.id, by=by.id, links=len(ids)
        )
    return len(ids)


def revoke_join_link(by: User, school_class: SchoolClass, learner_id: UUID | None) -> bool:
    """Stop a link until it is renewed. False if there was none."""
    with write_transaction():
        link_id = _id_of(school_class.id, learner_id)
        if link_id is None:
            return False
        db.session.execute(update(JoinLink).where(JoinLink.id == link_id).values(ended_at=clock.now()))
        audit_log.record_action(
            AuditAction.REVOKED_JOIN_LINK, AuditSubject.CLASS, school_class.id, by=by.id, learner=str(learner_id or "")
        )
    return True


def _id_of(class_id: UUID, learner_id: UUID | None) -> UUID | None:
    whose = JoinLink.learner_id == learner_id if learner_id else JoinLink.learner_id.is_(None)
    return db.session.scalar(select(JoinLink.id).where(JoinLink.class_id == class_id, whose))


def record_link_use(link: JoinLink, occurrence_id: UUID, place: str) -> None:
    """Remember that the link led to Zoom."""
    with write_transaction():
        db.session.execute(
            insert(JoinLinkUse).values(
                link_id=link.id, occurrence_id=occurrence_id, opened_at=clock.now(), client_hash=place
            )
        )


def get_calendar_token(user: User) -> str | None:
    """The token of a person's calendar address, if they have asked for one."""
    link = db.session.scalar(select(CalendarLink).where(CalendarLink.user_id == user.id))
    return link.token if link else None


def rotate_calendar_link(user: User) -> None:
    """Make the calendar address, or make it anew: the old one stops working."""
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
    """Take the calendar address away."""
    with write_transaction() as session:
        link = session.scalar(select(CalendarLink).where(CalendarLink.user_id == user.id))
        if link is not None:
            session.delete(link)
            audit_log.record_action(AuditAction.REVOKED_CALENDAR_LINK, AuditSubject.USER, user.id, by=user.id)


def find_calendar_owner(token: str) -> User | None:
    """Whose calendar a token opens; None if nobody's, or the account is closed."""
    link = db.session.scalar(
        select(CalendarLink).where(CalendarLink.token_hash == hash_token(token)).options(joinedload(CalendarLink.user))
    )
    return link.user if link and link.user.is_active else None
