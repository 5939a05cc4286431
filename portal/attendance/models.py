"""Evidence (stays, matches, aliases) and marks (records and their history), one sheet per occurrence."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.attendance.codes import Mark, SheetState, UploadState
from portal.core.db import Model, UuidPrimaryKey, one_of_check

READY_STATES = (SheetState.RECONCILED, SheetState.UNREPORTED)  # no further report from Zoom is expected
NOT_NOTIFIED = text("NOT is_notified AND counts_in_reports AND state IN ('reconciled', 'unreported')")
HAND_MARKS = (Mark.PRESENT, Mark.PARTIAL, Mark.ABSENT)  # marks that a teacher may set


class ZoomParticipant(UuidPrimaryKey, Model):
    """One stay as one source reports it: one person, one device, one join to leave, in the meeting or its waiting room.

    Sources are stored separately and merged by `calculation.stays`, so that the order of arrival is irrelevant. A
    session (Zoom's `user_id`) can join and leave more than once, through the waiting room: `sequence` tells its rows
    apart. Joins and leaves are also paired there: a webhook row stores each in the first row with a free column.
    `duration_seconds` is all that some of Zoom's files have.
    """

    __tablename__ = "zoom_participants"
    __table_args__ = (
        UniqueConstraint("instance_id", "session", "room", "source", "sequence"),
        CheckConstraint("room IN ('meeting', 'waiting', 'breakout')", name="room"),
        CheckConstraint("source IN ('webhook', 'report', 'csv')", name="source"),
        CheckConstraint("leave_source IN ('event', 'ended', 'report', 'csv')", name="leave_source"),
    )

    instance_id: Mapped[UUID] = mapped_column(ForeignKey("zoom_instances.id", ondelete="CASCADE"))
    session: Mapped[str] = mapped_column(String(80))  # Zoom's user_id (or participant_uuid): new on every join
    registrant_id: Mapped[str | None] = mapped_column(String(128))
    zoom_user_id: Mapped[str | None] = mapped_column(String(128))
    name: Mapped[str] = mapped_column(default="")
    email: Mapped[str | None] = mapped_column(String(254))
    joined_at: Mapped[datetime | None]
    left_at: Mapped[datetime | None]
    room: Mapped[str] = mapped_column(default="meeting")
    source: Mapped[str] = mapped_column(default="webhook")
    sequence: Mapped[int] = mapped_column(default=0)
    leave_source: Mapped[str | None]
    is_host: Mapped[bool] = mapped_column(default=False)
    parent_session: Mapped[str | None] = mapped_column(String(80))  # the main-room session of a breakout-room stay
    duration_seconds: Mapped[int | None]


class ParticipantMatch(UuidPrimaryKey, Model):
    """A manual match of a stay: to a learner (several rows for siblings on one device), or, without a learner, to
    staff or nobody."""

    __tablename__ = "participant_matches"
    __table_args__ = (
        UniqueConstraint("participant_id", "learner_id"),
        CheckConstraint("learner_id IS NOT NULL OR is_staff IS NOT NULL", name="says_something"),
    )

    participant_id: Mapped[UUID] = mapped_column(ForeignKey("zoom_participants.id", ondelete="CASCADE"))
    learner_id: Mapped[UUID | None] = mapped_column(ForeignKey("learners.id"), index=True)
    is_staff: Mapped[bool | None]  # without a learner: True staff, False nobody of the class
    matched_by: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    matched_at: Mapped[datetime]


class ParticipantAlias(UuidPrimaryKey, Model):
    """A display name that a teacher matched to a learner of the class, e.g. "iPhone ni Ate"."""

    __tablename__ = "participant_aliases"
    __table_args__ = (UniqueConstraint("class_id", "folded_name", "learner_id"),)

    class_id: Mapped[UUID] = mapped_column(ForeignKey("classes.id", ondelete="CASCADE"))
    folded_name: Mapped[str]
    learner_id: Mapped[UUID] = mapped_column(ForeignKey("learners.id"))
    created_by: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]


class AttendanceSheet(Model):
    """The sheet of one occurrence: completeness of its data, and finalisation."""

    __tablename__ = "attendance_sheets"
    __table_args__ = (
        CheckConstraint(one_of_check("state", SheetState), name="state"),
        Index("ix_attendance_sheets_needs_recompute", "needs_recompute"),
        Index("ix_attendance_sheets_reconcile_at", "reconcile_at"),
        Index(
            "ix_attendance_sheets_not_notified",
            "occurrence_id",
            sqlite_where=NOT_NOTIFIED,
            postgresql_where=NOT_NOTIFIED,
        ),
    )

    occurrence_id: Mapped[UUID] = mapped_column(
        ForeignKey("meeting_occurrences.id", ondelete="CASCADE"), primary_key=True
    )
    state: Mapped[str] = mapped_column(default=SheetState.NOT_STARTED)
    needs_recompute: Mapped[bool] = mapped_column(
        default=False
    )  # dirty flag: evidence arrived since the last computation
    computed_at: Mapped[datetime | None]
    has_delivery_gap: Mapped[bool] = mapped_column(
        default=False
    )  # an outage or backlog of the portal overlapped the class
    reconcile_at: Mapped[datetime | None]  # when to request Zoom's report next
    reconcile_attempts: Mapped[int] = mapped_column(default=0)
    reconciled_at: Mapped[datetime | None]
    report_digest: Mapped[str | None] = mapped_column(
        String(64)
    )  # of the last report: polling stops when two are equal
    report_error: Mapped[str | None] = mapped_column(String(40))
    finalised_at: Mapped[datetime | None]
    finalised_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    evidence_changed: Mapped[bool] = mapped_column(default=False)  # evidence arrived after finalisation
    # False: the meeting was opened on a day without class; excluded from reports unless a teacher includes it
    counts_in_reports: Mapped[bool] = mapped_column(default=True)
    is_notified: Mapped[bool] = mapped_column(default=False)  # the teacher was notified that it is ready
    # unmatched participants at the last computation
    unmatched_count: Mapped[int] = mapped_column(default=0, server_default="0")


class AttendanceRecord(UuidPrimaryKey, Model):
    """A learner's record on one sheet."""

    __tablename__ = "attendance_records"
    __table_args__ = (
        UniqueConstraint("occurrence_id", "learner_id"),
        CheckConstraint(one_of_check("computed_mark", Mark), name="computed_mark"),
        CheckConstraint(one_of_check("override_mark", HAND_MARKS), name="override_mark"),
        CheckConstraint(one_of_check("final_mark", Mark), name="final_mark"),
        CheckConstraint("override_mark IS NULL OR override_reason IS NOT NULL", name="override_has_a_reason"),
        Index("ix_attendance_records_learner_id", "learner_id"),
    )

    occurrence_id: Mapped[UUID] = mapped_column(ForeignKey("meeting_occurrences.id", ondelete="CASCADE"))
    learner_id: Mapped[UUID] = mapped_column(ForeignKey("learners.id"))
    computed_mark: Mapped[str] = mapped_column(default=Mark.PENDING)
    seconds: Mapped[int] = mapped_column(default=0)
    first_join_at: Mapped[datetime | None]
    last_leave_at: Mapped[datetime | None]
    stay_count: Mapped[int] = mapped_column(default=0)
    matched_by: Mapped[list[Any]] = mapped_column(JSON, default=list)
    flags: Mapped[list[Any]] = mapped_column(JSON, default=list)
    is_in_meeting: Mapped[bool] = mapped_column(default=False)
    is_late: Mapped[bool] = mapped_column(default=False)
    left_early: Mapped[bool] = mapped_column(default=False)
    override_mark: Mapped[str | None]
    override_reason: Mapped[str | None]
    override_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    override_at: Mapped[datetime | None]
    final_mark: Mapped[str | None]

    @property
    def mark(self) -> str:
        """The effective mark: final, else override, else computed."""
        return self.final_mark or self.override_mark or self.computed_mark


class AttendanceTally(Model):
    """Totals of a sheet: number of each mark, seconds of those who attended, and length of the meeting."""

    __tablename__ = "attendance_tallies"

    occurrence_id: Mapped[UUID] = mapped_column(
        ForeignKey("meeting_occurrences.id", ondelete="CASCADE"), primary_key=True
    )
    present: Mapped[int]
    partial: Mapped[int]
    absent: Mapped[int]
    needs_review: Mapped[int]
    pending: Mapped[int]
    seconds: Mapped[int]
    meeting_seconds: Mapped[int | None]


class AttendanceHistory(Model):
    """History of a sheet: every change of a mark or of the sheet. A computed change has no actor."""

    __tablename__ = "attendance_history"
    __table_args__ = (Index("ix_attendance_history_occurrence_id_occurred_at", "occurrence_id", "occurred_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    occurrence_id: Mapped[UUID] = mapped_column(ForeignKey("meeting_occurrences.id", ondelete="CASCADE"))
    learner_id: Mapped[UUID | None] = mapped_column(ForeignKey("learners.id"))
    occurred_at: Mapped[datetime]
    actor_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    event: Mapped[str] = mapped_column(String(24))  # a `SheetEvent`
    from_mark: Mapped[str | None]
    to_mark: Mapped[str | None]
    reason: Mapped[str | None]
    # of a match: the previous one
    details: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


class ParticipantUpload(UuidPrimaryKey, Model):
    """A participants file of Zoom's, uploaded by a teacher. Its rows are stored until the upload is decided; the file
    itself is never stored."""

    __tablename__ = "participant_uploads"
    __table_args__ = (
        CheckConstraint(one_of_check("state", UploadState), name="state"),
        Index("ix_participant_uploads_occurrence_id", "occurrence_id"),
    )

    occurrence_id: Mapped[UUID] = mapped_column(ForeignKey("meeting_occurrences.id", ondelete="CASCADE"))
    uploaded_by: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    uploaded_at: Mapped[datetime]
    filename: Mapped[str] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(default=UploadState.PREVIEW)
    instance_uuid: Mapped[str] = mapped_column(String(64))
    rows: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


class DailyAttendance(UuidPrimaryKey, Model):
    """A learner's day as the adviser recorded it, overriding what follows from the sheets."""

    __tablename__ = "daily_attendance"
    __table_args__ = (
        UniqueConstraint("section_id", "day", "learner_id"),
        CheckConstraint("mark IN ('present', 'absent')", name="mark"),
        CheckConstraint("tardy IN ('', 'late', 'cutting', 'both')", name="tardy"),
        CheckConstraint("tardy = '' OR mark = 'present'", name="tardy_is_present"),
        Index("ix_daily_attendance_learner_id", "learner_id"),
    )

    section_id: Mapped[UUID] = mapped_column(ForeignKey("sections.id"))
    learner_id: Mapped[UUID] = mapped_column(ForeignKey("learners.id"))
    day: Mapped[date]
    mark: Mapped[str] = mapped_column(String(8))
    tardy: Mapped[str] = mapped_column(String(8), default="")
    reason: Mapped[str | None] = mapped_column(String(200))
    set_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    set_at: Mapped[datetime]
