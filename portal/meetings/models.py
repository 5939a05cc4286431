"""Schedules, meetings at Zoom, their class dates (occurrences) and their instances at Zoom."""

from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, Select, String, UniqueConstraint, select, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.accounts.models import User
from portal.classes.models import SchoolClass
from portal.core import audit_log
from portal.core.audit_codes import AuditSubject
from portal.core.crypto import decrypt_for_row, encrypt_for_row
from portal.core.db import Model, UuidPrimaryKey, one_of_check
from portal.meetings.codes import Audience, MeetingKind, MeetingState, OccurrenceState, PendingAction

SCHOOL_AUDIENCES = ("teachers", "all")  # audiences of a meeting without a class that a school's admin invites


PRESENT_THRESHOLD_SECONDS = 900  # 15 minutes in class are present; below that is partial (DepEd has no rule)


class Schedule(UuidPrimaryKey, Model):
    """A class schedule: weekdays, each with its own time, from a first day until a last day or for a number of dates.

    It keeps the rule as it was entered; the dates themselves are occurrences of its meetings.
    """

    __tablename__ = "schedules"
    __table_args__ = (
        CheckConstraint("(until_date IS NULL) <> (occurrence_count IS NULL)", name="ends_once"),
        CheckConstraint("until_date IS NULL OR until_date >= from_date", name="ends_after_it_began"),
        Index("ix_schedules_class_id", "class_id"),
    )

    client_key: Mapped[str] = mapped_column(String(64), unique=True)
    class_id: Mapped[UUID] = mapped_column(ForeignKey("classes.id"))
    created_by: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    title: Mapped[str] = mapped_column(String(200))
    from_date: Mapped[date]
    until_date: Mapped[date | None]
    occurrence_count: Mapped[int | None]  # number of classes, where no last day was given
    created_at: Mapped[datetime]

    times: Mapped[list["ScheduleTime"]] = relationship(lazy="raise_on_sql", order_by="ScheduleTime.weekday")
    school_class: Mapped[SchoolClass] = relationship(lazy="raise_on_sql")


class ScheduleTime(Model):
    """The time on one weekday of a schedule; 1 is Monday."""

    __tablename__ = "schedule_times"
    __table_args__ = (
        CheckConstraint("weekday BETWEEN 1 AND 7", name="weekday"),
        CheckConstraint("minutes BETWEEN 1 AND 1440", name="minutes"),
    )

    schedule_id: Mapped[UUID] = mapped_column(ForeignKey("schedules.id", ondelete="CASCADE"), primary_key=True)
    weekday: Mapped[int] = mapped_column(primary_key=True)
    start: Mapped[time]  # Manila time
    minutes: Mapped[int]


class CalendarDay(UuidPrimaryKey, Model):
    """A holiday, suspension or make-up class day of the nation, the region, a division, a school or a section.

    Kind `class` overrides a wider scope's day off (a make-up class on a holiday).
    """

    __tablename__ = "calendar_days"
    __table_args__ = (
        CheckConstraint("kind IN ('holiday', 'suspended', 'class')", name="kind"),
        CheckConstraint("scope IN ('national', 'region', 'division', 'school', 'section')", name="scope"),
        CheckConstraint(
            "(scope = 'division') = (division IS NOT NULL) AND (scope = 'school') = (school_id IS NOT NULL)"
            " AND (scope = 'section') = (section_id IS NOT NULL)",
            name="scope_has_its_place",
        ),
        Index("ix_calendar_days_date", "date"),
    )

    date: Mapped[date]
    kind: Mapped[str] = mapped_column(String(10))
    scope: Mapped[str] = mapped_column(String(10))
    division: Mapped[str | None]
    school_id: Mapped[UUID | None] = mapped_column(ForeignKey("schools.id", ondelete="CASCADE"))
    section_id: Mapped[UUID | None] = mapped_column(ForeignKey("sections.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(120))
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[datetime]


class ZoomMeeting(UuidPrimaryKey, Model):
    """One meeting at Zoom, with one date or (kind `recurring`) up to 50.

    `pending_action` is what the worker still has to do at Zoom, with attempts, next attempt and lease; `state` is
    what people see. `marker` is written into the meeting's agenda, so that a meeting whose create request got no
    answer can be found. `client_key` is an idempotency key, unique per form shown: a double click creates one meeting.
    `zoom_generation` counts recreations after a deletion at Zoom: everybody is then registered again. A recurring
    meeting's `starts_at` is the first date of its pattern at Zoom, and `recurrence` the rest of it:
    {"weekdays": [1, 3], "dates": 12}, 1 is Monday, days without class included.
    """

    __tablename__ = "zoom_meetings"
    __table_args__ = (
        CheckConstraint(one_of_check("state", MeetingState), name="state"),
        CheckConstraint(one_of_check("pending_action", PendingAction), name="pending_action"),
        CheckConstraint(one_of_check("kind", MeetingKind), name="kind"),
        CheckConstraint(one_of_check("audience", Audience), name="audience"),
        CheckConstraint("auto_recording IN ('none', 'local', 'cloud')", name="auto_recording"),
        CheckConstraint("registration_type BETWEEN 1 AND 3", name="registration_type"),
        CheckConstraint("approval_type BETWEEN 0 AND 2", name="approval_type"),
        CheckConstraint("minutes BETWEEN 1 AND 1440", name="minutes"),
        Index("ix_zoom_meetings_pending_action_next_attempt_at", "pending_action", "next_attempt_at"),
        Index("ix_zoom_meetings_class_id_starts_at", "class_id", "starts_at"),
        Index("ix_zoom_meetings_host_email_starts_at", "host_email", "starts_at"),
        Index("ix_zoom_meetings_schedule_id", "schedule_id"),
        Index("ix_zoom_meetings_school_id", "school_id"),
    )

    client_key: Mapped[str] = mapped_column(String(64), unique=True)
    marker: Mapped[str] = mapped_column(String(36), unique=True)
    class_id: Mapped[UUID | None] = mapped_column(ForeignKey("classes.id"))
    schedule_id: Mapped[UUID | None] = mapped_column(ForeignKey("schedules.id"))
    school_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("schools.id")
    )  # the school whose teachers, or whose staff, are invited
    created_by: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    host_email: Mapped[str] = mapped_column(String(254))  # e-mail address of the Zoom user who hosts it
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(default="")
    kind: Mapped[str] = mapped_column(default="scheduled")
    audience: Mapped[str] = mapped_column(default="class")
    starts_at: Mapped[datetime]
    minutes: Mapped[int]
    timezone: Mapped[str] = mapped_column(default="Asia/Manila")
    recurrence: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    host_video: Mapped[bool] = mapped_column(default=True)
    participant_video: Mapped[bool] = mapped_column(default=False)
    join_before_host: Mapped[bool] = mapped_column(default=False)
    mute_upon_entry: Mapped[bool] = mapped_column(default=True)
    waiting_room: Mapped[bool] = mapped_column(default=True)
    auto_recording: Mapped[str] = mapped_column(default="none")
    meeting_authentication: Mapped[bool] = mapped_column(default=False)
    registration_type: Mapped[int] = mapped_column(default=1)
    approval_type: Mapped[int] = mapped_column(
        default=1
    )  # manual approval; registrants that the portal adds are approved
    open_mode: Mapped[bool] = mapped_column(default=False)  # no registration, because the host has no licence

    state: Mapped[str] = mapped_column(default=MeetingState.PENDING_ZOOM)
    zoom_id: Mapped[str | None] = mapped_column(String(64), unique=True)
    join_url_encrypted: Mapped[str | None]
    passcode_encrypted: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    created_at_zoom: Mapped[datetime | None]  # when it was created at Zoom
    zoom_generation: Mapped[int] = mapped_column(default=0)
    last_sent: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))  # values last sent to Zoom
    overridden_settings: Mapped[dict[str, Any] | None] = mapped_column(
        JSON(none_as_null=True)
    )  # settings for which Zoom has another value

    pending_action: Mapped[str | None] = mapped_column(default="create")
    outcome_unknown: Mapped[bool] = mapped_column(default=False)  # a create may have been carried out: search first
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime | None]
    leased_until: Mapped[datetime | None]
    error_code: Mapped[str | None] = mapped_column(String(40))  # see `messages.meeting_error_message`
    error_detail: Mapped[str | None]

    school_class: Mapped[SchoolClass | None] = relationship(lazy="raise_on_sql")
    creator: Mapped[User] = relationship(lazy="raise_on_sql")
    occurrences: Mapped[list["MeetingOccurrence"]] = relationship(
        back_populates="meeting", lazy="raise_on_sql", order_by="MeetingOccurrence.starts_at"
    )

    @property
    def join_url(self) -> str | None:
        return (
            decrypt_for_row(self.join_url_encrypted, f"zoom_meetings/{self.id}/join_url")
            if self.join_url_encrypted
            else None
        )

    @join_url.setter
    def join_url(self, url: str | None) -> None:
        self.join_url_encrypted = encrypt_for_row(url, f"zoom_meetings/{self.id}/join_url") if url else None

    @property
    def passcode(self) -> str | None:
        return (
            decrypt_for_row(self.passcode_encrypted, f"zoom_meetings/{self.id}/password")
            if self.passcode_encrypted
            else None
        )

    @passcode.setter
    def passcode(self, text: str | None) -> None:
        self.passcode_encrypted = encrypt_for_row(text, f"zoom_meetings/{self.id}/password") if text else None

    @property
    def has_registration(self) -> bool:
        return self.approval_type in (0, 1)


class MeetingOccurrence(UuidPrimaryKey, Model):
    """One class date of a meeting. It stores the seconds that make "present", so that a later change of the rule leaves
    past sheets unchanged."""

    __tablename__ = "meeting_occurrences"
    __table_args__ = (
        UniqueConstraint("meeting_id", "starts_at"),
        CheckConstraint(
            one_of_check("state", OccurrenceState),
            name="state",
        ),
        Index("ix_meeting_occurrences_local_date", "local_date"),
    )

    meeting_id: Mapped[UUID] = mapped_column(ForeignKey("zoom_meetings.id", ondelete="CASCADE"))
    starts_at: Mapped[datetime]
    minutes: Mapped[int]
    local_date: Mapped[date]  # Manila date
    zoom_occurrence_id: Mapped[str | None] = mapped_column(String(64))
    zoom_starts_at: Mapped[datetime | None]  # of a recurring meeting: the start at Zoom, or the one to be created
    zoom_minutes: Mapped[int | None]
    state: Mapped[str] = mapped_column(default="scheduled")
    is_scheduled: Mapped[bool] = mapped_column(default=True)  # False: the meeting was opened on a day without class
    threshold_seconds: Mapped[int] = mapped_column(default=PRESENT_THRESHOLD_SECONDS)

    meeting: Mapped[ZoomMeeting] = relationship(back_populates="occurrences", lazy="raise_on_sql")

    @property
    def ends_at(self) -> datetime:
        return self.starts_at + timedelta(minutes=self.minutes)


class ZoomInstance(UuidPrimaryKey, Model):
    """One instance of a meeting, from start to end: Zoom gives each its own uuid."""

    __tablename__ = "zoom_instances"

    uuid: Mapped[str] = mapped_column(String(64), unique=True)
    meeting_id: Mapped[UUID] = mapped_column(ForeignKey("zoom_meetings.id", ondelete="CASCADE"), index=True)
    occurrence_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("meeting_occurrences.id", ondelete="CASCADE"), index=True
    )
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    started_event_received: Mapped[bool] = mapped_column(default=False)  # a meeting.started event arrived
    ended_event_received: Mapped[bool] = mapped_column(default=False)  # a meeting.ended event arrived


class MeetingInvitation(Model):
    """A user named for a meeting without a class (audience `personal`).

    The other audiences have no rows: they are whoever teaches or works at the meeting's school at the moment.
    """

    __tablename__ = "meeting_invitations"
    __table_args__ = (Index("ix_meeting_invitations_user_id", "user_id"),)

    meeting_id: Mapped[UUID] = mapped_column(ForeignKey("zoom_meetings.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    invited_at: Mapped[datetime]


class MeetingHistory(Model):
    """History of a meeting: its events, for the people who manage it."""

    __tablename__ = "meeting_history"
    __table_args__ = (
        Index("ix_meeting_history_meeting_id_occurred_at", "meeting_id", "occurred_at"),
        Index(
            "ix_meeting_history_not_notified",
            "id",
            sqlite_where=text("NOT is_notified"),
            postgresql_where=text("NOT is_notified"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    meeting_id: Mapped[UUID] = mapped_column(ForeignKey("zoom_meetings.id", ondelete="CASCADE"))
    occurred_at: Mapped[datetime]
    actor_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    event: Mapped[str] = mapped_column(String(40))  # a `MeetingEvent`
    occurrence_date: Mapped[date | None]  # the class date concerned, before any move
    moved_to: Mapped[datetime | None]  # the new start of that date
    reason: Mapped[str | None]  # as typed by a person
    error_code: Mapped[str | None] = mapped_column(String(40))
    host_email: Mapped[str | None] = mapped_column(String(254))  # the newly assigned host
    number: Mapped[int | None]  # number of people or dates
    is_notified: Mapped[bool] = mapped_column(default=False)  # notifications were sent, or none are due


# Class and section of an audit-log subject, for the visibility of the entry.
def _select_scope_of_meeting(meeting_id: UUID) -> Select[Any, Any]:
    return (
        select(ZoomMeeting.class_id, SchoolClass.section_id)
        .join(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
        .where(ZoomMeeting.id == meeting_id)
    )


def _select_scope_of_occurrence(occurrence_id: UUID) -> Select[Any, Any]:
    return (
        select(ZoomMeeting.class_id, SchoolClass.section_id)
        .join(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
        .join(MeetingOccurrence, MeetingOccurrence.meeting_id == ZoomMeeting.id)
        .where(MeetingOccurrence.id == occurrence_id)
    )


def _select_scope_of_schedule(schedule_id: UUID) -> Select[Any, Any]:
    return (
        select(Schedule.class_id, SchoolClass.section_id)
        .join(SchoolClass, SchoolClass.id == Schedule.class_id)
        .where(Schedule.id == schedule_id)
    )


def register_audit_scopes() -> None:
    """The class and section that audit entries about meetings, class dates and schedules belong to."""
    audit_log.register_subject_scope(AuditSubject.MEETING, _select_scope_of_meeting)
    audit_log.register_subject_scope(AuditSubject.OCCURRENCE, _select_scope_of_occurrence)
    audit_log.register_subject_scope(AuditSubject.SCHEDULE, _select_scope_of_schedule)
