"""Registrants: the desired registrations of each meeting, with their state at Zoom."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.crypto import decrypt_for_row, encrypt_for_row
from portal.core.db import Model, UuidPrimaryKey, one_of_check
from portal.registration.codes import RegistrantState

FAILURES = (RegistrantState.FAILED, RegistrantState.DENIED, RegistrantState.CANCELLED)  # of an expected person
NOT_NOTIFIED = text("is_expected AND NOT failure_notified AND state IN ('failed', 'denied', 'cancelled')")


class MeetingRegistrant(UuidPrimaryKey, Model):
    """A learner or a teacher at one meeting. Exactly one of `learner_id` and `user_id` is set.

    `is_expected` is the desired state by the roster, `state` the known state at Zoom; the engine brings the second in
    line with the first. `next_attempt_at` is when the row is due; NULL means that there is nothing to do.
    `zoom_registrant_id` stays after a cancellation: stays of past dates are matched by it.
    """

    __tablename__ = "meeting_registrants"
    __table_args__ = (
        UniqueConstraint("meeting_id", "learner_id"),
        UniqueConstraint("meeting_id", "user_id"),
        CheckConstraint(one_of_check("state", RegistrantState), name="state"),
        CheckConstraint("(learner_id IS NULL) <> (user_id IS NULL)", name="one_person"),
        Index("ix_meeting_registrants_next_attempt_at", "next_attempt_at"),
        Index("ix_meeting_registrants_email", "email"),
        Index("ix_meeting_registrants_meeting_id_zoom_registrant_id", "meeting_id", "zoom_registrant_id"),
        Index("ix_meeting_registrants_learner_id", "learner_id"),
        Index(
            "ix_meeting_registrants_not_notified",
            "meeting_id",
            sqlite_where=NOT_NOTIFIED,
            postgresql_where=NOT_NOTIFIED,
        ),
        Index(
            "ix_meeting_registrants_failure_notified",
            "id",
            sqlite_where=text("failure_notified"),
            postgresql_where=text("failure_notified"),
        ),
    )

    meeting_id: Mapped[UUID] = mapped_column(ForeignKey("zoom_meetings.id", ondelete="CASCADE"))
    learner_id: Mapped[UUID | None] = mapped_column(ForeignKey("learners.id"))
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    email: Mapped[str] = mapped_column(String(254))
    first_name: Mapped[str] = mapped_column(String(64))
    last_name: Mapped[str] = mapped_column(String(64))
    is_expected: Mapped[bool] = mapped_column(default=True)
    state: Mapped[str] = mapped_column(default=RegistrantState.QUEUED)
    reason: Mapped[str | None] = mapped_column(String(40))  # a `RegistrationError`
    attempts: Mapped[int] = mapped_column(default=0)
    posts_today: Mapped[int] = mapped_column(
        default=0
    )  # registration requests sent since `posts_counted_since`; Zoom allows 3 a day
    posts_counted_since: Mapped[datetime | None]
    outcome_unknown: Mapped[bool] = mapped_column(
        default=False
    )  # the state at Zoom may differ from `state`: query it first
    zoom_generation: Mapped[int] = mapped_column(
        default=0
    )  # the meeting's `zoom_generation` that this registration belongs to
    next_attempt_at: Mapped[datetime | None]
    leased_until: Mapped[datetime | None]
    failure_notified: Mapped[bool] = mapped_column(default=False)  # the teacher was notified of the failure
    zoom_registrant_id: Mapped[str | None] = mapped_column(String(128))
    join_url_encrypted: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    @property
    def join_url(self) -> str | None:
        return (
            decrypt_for_row(self.join_url_encrypted, f"meeting_registrants/{self.id}")
            if self.join_url_encrypted
            else None
        )

    @join_url.setter
    def join_url(self, url: str | None) -> None:
        self.join_url_encrypted = encrypt_for_row(url, f"meeting_registrants/{self.id}") if url else None


class FormerRegistrant(UuidPrimaryKey, Model):
    """A person's earlier registration at a meeting: by another address, or before the meeting was recreated at Zoom.

    While `still_at_zoom` it may still be valid there and is to be cancelled. Stays of past dates are matched by its
    id, and its posts still count towards the daily limit.
    """

    __tablename__ = "former_registrants"
    __table_args__ = (
        CheckConstraint("(learner_id IS NULL) <> (user_id IS NULL)", name="one_person"),
        Index("ix_former_registrants_meeting_id_zoom_registrant_id", "meeting_id", "zoom_registrant_id"),
        Index("ix_former_registrants_email", "email"),
    )

    meeting_id: Mapped[UUID] = mapped_column(ForeignKey("zoom_meetings.id", ondelete="CASCADE"))
    learner_id: Mapped[UUID | None] = mapped_column(ForeignKey("learners.id"))
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    email: Mapped[str] = mapped_column(String(254))
    zoom_registrant_id: Mapped[str | None] = mapped_column(String(128))  # None: unknown whether it was created
    posts_today: Mapped[int] = mapped_column(default=0)
    posts_counted_since: Mapped[datetime | None]
    still_at_zoom: Mapped[bool]
    created_at: Mapped[datetime]


class DailyPostLimit(Model):
    """Singleton (id 1): whether Zoom's limit of three registrations a day is counted for each meeting, as Zoom's
    documentation says, or for each address over all meetings, as one user of Zoom reported."""

    __tablename__ = "registration_daily_limit"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    counts_all_meetings: Mapped[bool] = mapped_column(default=False)
    learned_at: Mapped[datetime]
