"""Meetings at Zoom, their class dates (occurrences) and their runs (instances)."""

from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.accounts.models import User
from portal.base.crypto import seal, unseal
from portal.base.db import Model, WithId
from portal.classes.models import SchoolClass

STATES = ("waiting", "scheduled", "started", "ended", "cancelled", "deleted", "failed")
WANTED = ("create", "update", "delete")
KINDS = ("instant", "scheduled", "recurring")
AUDIENCES = ("class", "students", "teachers", "all", "personal")


def _one_of(column: str, words: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(word) for word in words)})"


class ZoomMeeting(WithId, Model):
    """One meeting at Zoom.

    `wanted` says what the worker still has to do at Zoom, with attempts, next try and lease; `state` is
    what people are shown. `marker` travels in the meeting's agenda, so that a meeting whose creation was
    not answered can be found again. `client_key` is unique per form shown: a double click makes one meeting.
    """

    __tablename__ = "zoom_meetings"
    __table_args__ = (
        CheckConstraint(_one_of("state", STATES), name="state"),
        CheckConstraint(_one_of("wanted", WANTED), name="wanted"),
        CheckConstraint(_one_of("kind", KINDS), name="kind"),
        CheckConstraint(_one_of("audience", AUDIENCES), name="audience"),
        CheckConstraint("auto_recording IN ('none', 'local', 'cloud')", name="auto_recording"),
        CheckConstraint("registration_type BETWEEN 1 AND 3", name="registration_type"),
        CheckConstraint("approval_type BETWEEN 0 AND 2", name="approval_type"),
        CheckConstraint("minutes BETWEEN 1 AND 1440", name="minutes"),
        Index("ix_zoom_meetings_wanted_next_try_at", "wanted", "next_try_at"),
        Index("ix_zoom_meetings_class_id_starts_at", "class_id", "starts_at"),
        Index("ix_zoom_meetings_host_starts_at", "host", "starts_at"),
    )

    client_key: Mapped[str] = mapped_column(String(64), unique=True)
    marker: Mapped[str] = mapped_column(String(36), unique=True)
    class_id: Mapped[UUID | None] = mapped_column(ForeignKey("classes.id"))
    created_by: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    host: Mapped[str] = mapped_column(String(254))  # the Zoom user who hosts it, by address
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(default="")
    kind: Mapped[str] = mapped_column(default="scheduled")
    audience: Mapped[str] = mapped_column(default="class")
    starts_at: Mapped[datetime]
    minutes: Mapped[int]
    timezone: Mapped[str] = mapped_column(default="Asia/Manila")
    host_video: Mapped[bool] = mapped_column(default=True)
    participant_video: Mapped[bool] = mapped_column(default=False)
    join_before_host: Mapped[bool] = mapped_column(default=False)
    mute_upon_entry: Mapped[bool] = mapped_column(default=True)
    waiting_room: Mapped[bool] = mapped_column(default=True)
    auto_recording: Mapped[str] = mapped_column(default="none")
    meeting_authentication: Mapped[bool] = mapped_column(default=False)
    registration_type: Mapped[int] = mapped_column(default=1)
    approval_type: Mapped[int] = mapped_column(default=1)  # manual, and what the portal pushes is approved

    state: Mapped[str] = mapped_column(default="waiting")
    zoom_id: Mapped[str | None] = mapped_column(String(64), unique=True)
    join_url_sealed: Mapped[str | None]
    password_sealed: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    made_at: Mapped[datetime | None]  # when Zoom had it

    wanted: Mapped[str | None] = mapped_column(default="create")
    unsure: Mapped[bool] = mapped_column(default=False)  # a create may have been carried out: look first
    attempts: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime | None]
    leased_until: Mapped[datetime | None]
    trouble: Mapped[str | None] = mapped_column(String(40))  # a code that a page turns into words
    trouble_detail: Mapped[str | None]

    school_class: Mapped[SchoolClass | None] = relationship(lazy="raise_on_sql")
    creator: Mapped[User] = relationship(lazy="raise_on_sql")
    occurrences: Mapped[list["MeetingOccurrence"]] = relationship(
        back_populates="meeting", lazy="raise_on_sql", order_by="MeetingOccurrence.starts_at"
    )

    @property
    def join_url(self) -> str | None:
        return unseal(self.join_url_sealed, f"zoom_meetings/{self.id}/join_url") if self.join_url_sealed else None

    @join_url.setter
    def join_url(self, url: str | None) -> None:
        self.join_url_sealed = seal(url, f"zoom_meetings/{self.id}/join_url") if url else None

    @property
    def password(self) -> str | None:
        return unseal(self.password_sealed, f"zoom_meetings/{self.id}/password") if self.password_sealed else None

    @password.setter
    def password(self, text: str | None) -> None:
        self.password_sealed = seal(text, f"zoom_meetings/{self.id}/password") if text else None

    @property
    def has_registration(self) -> bool:
        return self.approval_type in (0, 1)


class MeetingOccurrence(WithId, Model):
    """One class date of a meeting. The threshold is kept here: changing the setting leaves past sheets alone."""

    __tablename__ = "meeting_occurrences"
    __table_args__ = (
        UniqueConstraint("meeting_id", "starts_at"),
        CheckConstraint(
            "state IN ('scheduled', 'started', 'ended', 'cancelled')",
            name="state",
        ),
        Index("ix_meeting_occurrences_local_date", "local_date"),
    )

    meeting_id: Mapped[UUID] = mapped_column(ForeignKey("zoom_meetings.id", ondelete="CASCADE"))
    starts_at: Mapped[datetime]
    minutes: Mapped[int]
    local_date: Mapped[date]  # the date in Manila
    zoom_occurrence_id: Mapped[str | None] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(default="scheduled")
    scheduled: Mapped[bool] = mapped_column(default=True)  # False: the room was opened on a day without class
    threshold_seconds: Mapped[int] = mapped_column(default=900)

    meeting: Mapped[ZoomMeeting] = relationship(back_populates="occurrences", lazy="raise_on_sql")

    @property
    def ends_at(self) -> datetime:
        return self.starts_at + timedelta(minutes=self.minutes)


class ZoomInstance(WithId, Model):
    """One running of a meeting: Zoom gives each its own uuid."""

    __tablename__ = "zoom_instances"

    uuid: Mapped[str] = mapped_column(String(64), unique=True)
    meeting_id: Mapped[UUID] = mapped_column(ForeignKey("zoom_meetings.id", ondelete="CASCADE"), index=True)
    occurrence_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("meeting_occurrences.id", ondelete="CASCADE"), index=True
    )
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    start_seen: Mapped[bool] = mapped_column(default=False)  # by meeting.started itself
    end_seen: Mapped[bool] = mapped_column(default=False)  # by meeting.ended itself


class MeetingHistory(Model):
    """What happened to a meeting, for the people who look after it."""

    __tablename__ = "meeting_history"
    __table_args__ = (Index("ix_meeting_history_meeting_id_at", "meeting_id", "at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    meeting_id: Mapped[UUID] = mapped_column(ForeignKey("zoom_meetings.id", ondelete="CASCADE"))
    at: Mapped[datetime]
    by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    what: Mapped[str] = mapped_column(String(40))  # a code that a page turns into words
    detail: Mapped[str | None]
