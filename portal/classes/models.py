"""Tables of sections, learners, enrolments, classes and roster imports."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    String,
    Table,
    UniqueConstraint,
    Uuid,
    literal,
    select,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.accounts.models import School, User
from portal.classes.codes import ImportState
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditSubject
from portal.core.db import Base, Model, UuidPrimaryKey, one_of_check


def school_year_of(day: date) -> str:
    """The school year of a date: June to May, e.g. "2026-2027" (DepEd Order 9, s. 2026 opens in June)."""
    year = day.year if day.month >= 6 else day.year - 1
    return f"{year}-{year + 1}"


def school_year_start(school_year: str) -> date:
    """The first day of a school year: "2026-2027" begins on 1 June 2026."""
    return date(int(school_year[:4]), 6, 1)


def next_school_year(school_year: str) -> str:
    """The school year after this one: "2026-2027" gives "2027-2028"."""
    year = int(school_year[:4]) + 1
    return f"{year}-{year + 1}"


def roster_reference_date(school_year: str) -> date:
    """The day whose roster counts for a section of that year: today, clamped to the school year's first and last
    day."""
    first = school_year_start(school_year)
    return max(first, min(clock.today(), date(first.year + 1, 5, 31)))


class Section(UuidPrimaryKey, Model):
    """A group of learners with one roster and one adviser, for one school year."""

    __tablename__ = "sections"
    __table_args__ = (UniqueConstraint("school_id", "school_year", "grade_level", "name"),)

    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id"))
    school_year: Mapped[str] = mapped_column(String(9))  # "2026-2027"
    grade_level: Mapped[str] = mapped_column(String(40))  # "Grade 8"
    name: Mapped[str] = mapped_column(String(80))  # "Jadeite"
    adviser_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"), index=True)
    created_at: Mapped[datetime]
    sf2_cutoff_date: Mapped[date | None]  # SF2 compares with the enrolment of this day; None: the school year's default
    day_attendance_rule: Mapped[str] = mapped_column(
        String(5), default="any", server_default="any"
    )  # which of the day's classes make a learner present
    school_head: Mapped[str | None] = mapped_column(String(120))  # signs School Form 2; None: the school's admin
    sf2_form: Mapped[str | None] = mapped_column(String(7))  # present, tardy or shs; None: by grade level
    sf2_paper: Mapped[str] = mapped_column(String(4), default="a4", server_default="a4")  # a4 or long
    # When roster, marks and stays were deleted under the retention rule; only totals remain.
    attendance_deleted_at: Mapped[datetime | None] = mapped_column(index=True)
    late_grace_minutes: Mapped[int | None]  # late after start, early before end, in minutes; None: not marked

    school: Mapped[School] = relationship(lazy="raise_on_sql")
    adviser: Mapped[User | None] = relationship(lazy="raise_on_sql")

    @property
    def title(self) -> str:
        """ "Grade 8 - Jadeite", the name shown on pages."""
        return f"{self.grade_level} - {self.name}"

    @property
    def first_day(self) -> date:
        """First day of its school year."""
        return school_year_start(self.school_year)

    @property
    def roster_day(self) -> date:
        """The day whose roster counts, see `roster_reference_date`."""
        return roster_reference_date(self.school_year)

    @property
    def is_past(self) -> bool:
        """True if its school year is over: the roster is read-only."""
        return self.school_year < school_year_of(clock.today())


class Learner(UuidPrimaryKey, Model):
    """A learner on a roster: only the fields that attendance needs."""

    __tablename__ = "learners"
    __table_args__ = (CheckConstraint("sex IN ('M', 'F')", name="sex"),)

    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id"), index=True)
    lrn: Mapped[str | None] = mapped_column(String(12), unique=True)
    lis_name: Mapped[str]  # exactly as LIS prints it, for SF2
    last_name: Mapped[str]
    first_name: Mapped[str]
    middle_name: Mapped[str] = mapped_column(default="")
    extension: Mapped[str] = mapped_column(default="")
    sex: Mapped[str] = mapped_column(String(1))
    email: Mapped[str | None] = mapped_column(String(254), index=True)
    created_at: Mapped[datetime]


class Enrolment(UuidPrimaryKey, Model):
    """A learner's time in a section. Rows are closed, not deleted, unless entered by mistake."""

    __tablename__ = "enrolments"
    __table_args__ = (
        CheckConstraint("until_date IS NULL OR until_date >= from_date", name="ends_after_it_began"),
        Index("ix_enrolments_section_id_from_date", "section_id", "from_date"),
        Index("ix_enrolments_learner_id", "learner_id"),
    )

    section_id: Mapped[UUID] = mapped_column(ForeignKey("sections.id"))
    learner_id: Mapped[UUID] = mapped_column(ForeignKey("learners.id"))
    position: Mapped[int]  # position in the LIS order within the sex
    from_date: Mapped[date]
    until_date: Mapped[date | None]  # last day on the roster
    entry_reason: Mapped[str | None] = mapped_column(String(4))  # T/I or LE, as the register says
    exit_reason: Mapped[str | None]  # T/O, NLS, DRP (of a register), or "moved" (to another section)
    exit_detail: Mapped[str | None] = mapped_column(String(120))  # the school they went to, or why they left

    learner: Mapped[Learner] = relationship(lazy="raise_on_sql")


co_teachers = Table(
    "class_co_teachers",
    Base.metadata,
    Column("class_id", ForeignKey("classes.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True),
)


class SchoolClass(UuidPrimaryKey, Model):
    """A subject taught to a section, with its teacher."""

    __tablename__ = "classes"
    __table_args__ = (UniqueConstraint("section_id", "subject"),)

    section_id: Mapped[UUID] = mapped_column(ForeignKey("sections.id"))
    subject: Mapped[str] = mapped_column(String(80))
    teacher_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]  # nothing new is scheduled for a closed class; its past meetings stay

    section: Mapped[Section] = relationship(lazy="raise_on_sql")
    teacher: Mapped[User] = relationship(lazy="raise_on_sql")
    co_teachers: Mapped[list[User]] = relationship(secondary=co_teachers, lazy="raise_on_sql")


class RosterImport(UuidPrimaryKey, Model):
    """An uploaded roster between preview and decision. The parsed rows are deleted on decision; the file itself is
    never stored."""

    __tablename__ = "roster_imports"
    __table_args__ = (
        CheckConstraint(one_of_check("state", ImportState), name="state"),
        Index("ix_roster_imports_section_id", "section_id"),
    )

    school_id: Mapped[UUID] = mapped_column(ForeignKey("schools.id"))
    section_id: Mapped[UUID | None] = mapped_column(ForeignKey("sections.id"))  # None: the file names a new section
    uploaded_by: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    uploaded_at: Mapped[datetime]
    filename: Mapped[str]
    state: Mapped[str] = mapped_column(default=ImportState.PREVIEW)
    preview_rows: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    added: Mapped[int] = mapped_column(default=0)
    changed: Mapped[int] = mapped_column(default=0)
    decided_at: Mapped[datetime | None]
    undo_journal: Mapped[dict[str, Any] | None] = mapped_column(
        JSON(none_as_null=True)
    )  # rows before the import, for 24 hours


_NO_CLASS = literal(None, Uuid)


def register_audit_scopes() -> None:
    """The class and section that audit entries about sections, classes and learners belong to; for a learner, the
    section of the latest enrolment."""
    audit_log.register_subject_scope(
        AuditSubject.SECTION, lambda key: select(_NO_CLASS, Section.id).where(Section.id == key)
    )
    audit_log.register_subject_scope(
        AuditSubject.CLASS, lambda key: select(SchoolClass.id, SchoolClass.section_id).where(SchoolClass.id == key)
    )
    audit_log.register_subject_scope(
        AuditSubject.LEARNER,
        lambda key: (
            select(_NO_CLASS, Enrolment.section_id)
            .where(Enrolment.learner_id == key)
            .order_by(Enrolment.from_date.desc(), Enrolment.id)
            .limit(1)
        ),
    )
