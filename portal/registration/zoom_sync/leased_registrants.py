"""Writes to the registrant rows that the engine has leased. Each is conditional on the lease still being held."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import bindparam, case, func, insert, select, update

from portal.core import clock
from portal.core.crypto import encrypt_for_row
from portal.core.db import db, end_read_transaction, leases, write_transaction
from portal.registration.codes import RegistrantState, RegistrationError
from portal.registration.models import FormerRegistrant, MeetingRegistrant
from portal.registration.zoom_sync import daily_limit


@dataclass(frozen=True)
class RegistrantRow:
    """Snapshot of a registrant row at the time of the lease."""

    id: UUID
    learner_id: UUID | None
    user_id: UUID | None
    email: str
    first_name: str
    last_name: str
    is_expected: bool
    state: str
    reason: str | None
    outcome_unknown: bool
    attempts: int
    zoom_registrant_id: str | None

    @property
    def address(self) -> str:
        """The e-mail address case-folded, for comparison with Zoom's."""
        return self.email.casefold()


@dataclass(frozen=True)
class FormerRegistration:
    """A leased person's former registration that is to be cancelled at Zoom."""

    id: UUID
    email: str
    zoom_registrant_id: str | None

    @property
    def address(self) -> str:
        return self.email.casefold()


class LeasedRegistrants:
    """The leased rows of one meeting. `undone` are those without a stored result yet."""

    def __init__(self, meeting_id: UUID, ids: list[UUID], generation: int) -> None:
        self.meeting_id = meeting_id
        self._ids = ids
        rows = db.session.execute(
            select(
                MeetingRegistrant.leased_until,
                MeetingRegistrant.zoom_generation,
                *(getattr(MeetingRegistrant, name) for name in RegistrantRow.__dataclass_fields__),
            ).where(MeetingRegistrant.id.in_(ids))
        ).all()
        end_read_transaction()
        self._lease: datetime | None = rows[0][0] if rows else None
        # Rows of an earlier generation are first reset by `sync_registrant_rows`.
        self.rows = [RegistrantRow(*row[2:]) for row in rows if row[1] == generation]
        self.undone = {row.id: row for row in self.rows}
        self.newly_registered = 0

    def formers(self) -> list[FormerRegistration]:
        """Former registrations of the leased people that may still be valid at Zoom."""
        person_ids = [row.learner_id or row.user_id for row in self.rows]
        former_rows = db.session.execute(
            select(FormerRegistrant.id, FormerRegistrant.email, FormerRegistrant.zoom_registrant_id).where(
                FormerRegistrant.meeting_id == self.meeting_id,
                FormerRegistrant.still_at_zoom,
                FormerRegistrant.learner_id.in_(person_ids) | FormerRegistrant.user_id.in_(person_ids),
            )
        ).all()
        end_read_transaction()
        return [FormerRegistration(*former_row) for former_row in former_rows]

    def addresses_to_be_freed(self) -> set[str]:
        """Addresses whose former registration may still be valid at Zoom."""
        emails = db.session.scalars(
            select(FormerRegistrant.email).where(
                FormerRegistrant.meeting_id == self.meeting_id, FormerRegistrant.still_at_zoom
            )
        ).all()
        end_read_transaction()
        return {email.casefold() for email in emails}

    def ids_of_others(self, row_ids: Iterable[UUID]) -> set[str]:
        """Registrant ids of this meeting that belong to other rows or to former registrations."""
        own_row_ids = list(row_ids)
        registrant_ids = db.session.scalars(
            select(MeetingRegistrant.zoom_registrant_id)
            .where(MeetingRegistrant.meeting_id == self.meeting_id, MeetingRegistrant.id.not_in(own_row_ids))
            .union_all(
                select(FormerRegistrant.zoom_registrant_id).where(FormerRegistrant.meeting_id == self.meeting_id)
            )
        ).all()
        end_read_transaction()
        return {registrant_id for registrant_id in registrant_ids if registrant_id}

    def close_former(self, formers: list[FormerRegistration]) -> None:
        """Mark former registrations as no longer valid at Zoom."""
        with write_transaction() as session:
            ids = [former.id for former in formers]
            session.execute(update(FormerRegistrant).where(FormerRegistrant.id.in_(ids)).values(still_at_zoom=False))

    def mark_sending(self, rows: list[RegistrantRow]) -> None:
        """Mark rows as in flight: until an answer is stored their outcome is unknown."""
        day = daily_limit.zoom_day_start()
        same_day = MeetingRegistrant.posts_counted_since == day
        self._write(
            rows,
            posts_today=case((same_day, MeetingRegistrant.posts_today + 1), else_=1),
            posts_counted_since=day,
            outcome_unknown=True,
        )

    def mark_not_sent(self, rows: list[RegistrantRow]) -> None:
        """Undo `mark_sending`: Zoom did not receive these."""
        self._write(rows, posts_today=_decremented_posts(), outcome_unknown=False)

    def save_registered(self, rows: Mapping[RegistrantRow, tuple[str, str | None]]) -> None:
        """Store rows that Zoom has registered: registrant id and, unless approval is pending, join link."""
        changes = [
            self._registered_values(row, registrant_id, join_url) for row, (registrant_id, join_url) in rows.items()
        ]
        if not changes:
            return
        statement = update(MeetingRegistrant.__table__).where(  # type: ignore[arg-type]  # the table, for many rows
            MeetingRegistrant.id == bindparam("row_id"), MeetingRegistrant.leased_until == bindparam("lease")
        )
        with write_transaction() as session:
            for row, (registrant_id, _) in rows.items():
                if row.zoom_registrant_id and row.zoom_registrant_id != registrant_id:
                    session.execute(insert(FormerRegistrant).values(_former_values(self.meeting_id, row)))
            session.connection().execute(statement, changes)
        for row in rows:
            self.undone.pop(row.id, None)
        self.newly_registered += len(rows)

    def _registered_values(self, row: RegistrantRow, registrant_id: str, join_url: str | None) -> dict[str, Any]:
        now = clock.now()
        return {
            "row_id": row.id,
            "lease": self._lease,
            "state": RegistrantState.REGISTERED if join_url else RegistrantState.PENDING_APPROVAL,
            "zoom_registrant_id": registrant_id,
            "join_url_encrypted": encrypt_for_row(join_url, f"meeting_registrants/{row.id}") if join_url else None,
            "reason": None,
            "attempts": 0,
            "outcome_unknown": False,
            "next_attempt_at": None if join_url else now,  # a pending registration is approved next
            "updated_at": now,
        }

    def finish(self, rows: list[RegistrantRow], state: str, reason: str | None = None, **values: object) -> None:
        """Store a final state: the row is no longer due."""
        if state != RegistrantState.REGISTERED:
            values["join_url_encrypted"] = None
        self._write(rows, state=state, reason=reason, next_attempt_at=None, attempts=0, outcome_unknown=False, **values)
        self._mark_done(rows)

    def retry_later(
        self, rows: list[RegistrantRow], reason: str, until: datetime | None = None, **values: object
    ) -> None:
        """Schedule another attempt at `until`, else with exponential backoff (5 s to 15 min)."""
        retry_times = {row.attempts: until or leases.next_attempt_at(row.attempts + 1) for row in rows}
        for attempts, retry_at in retry_times.items():
            same_attempts = [row for row in rows if row.attempts == attempts]
            self._write(same_attempts, reason=reason, next_attempt_at=retry_at, attempts=attempts + 1, **values)
        self._mark_done(rows)

    def mark_daily_limit(self, rows: list[RegistrantRow], until: datetime) -> None:
        """Mark the addresses' daily limit as used up, whatever the portal's own count is."""
        self.retry_later(
            rows,
            RegistrationError.DAILY_LIMIT,
            until,
            posts_today=daily_limit.POSTS_PER_DAY,
            posts_counted_since=daily_limit.zoom_day_start(),
            outcome_unknown=False,
        )

    def release(self) -> None:
        with write_transaction() as session:
            session.execute(
                update(MeetingRegistrant)
                .where(MeetingRegistrant.id.in_(self._ids), MeetingRegistrant.leased_until == self._lease)
                .values(leased_until=None)
                .execution_options(synchronize_session=False)
            )

    def _mark_done(self, rows: list[RegistrantRow]) -> None:
        for row in rows:
            self.undone.pop(row.id, None)

    def _write(self, rows: list[RegistrantRow], **values: object) -> None:
        if not rows:
            return
        with write_transaction() as session:
            session.execute(
                update(MeetingRegistrant)
                .where(
                    MeetingRegistrant.id.in_([row.id for row in rows]), MeetingRegistrant.leased_until == self._lease
                )
                .values(updated_at=clock.now(), **values)
                .execution_options(synchronize_session=False)
            )


def _decremented_posts() -> Any:
    return case((MeetingRegistrant.posts_today > 0, MeetingRegistrant.posts_today - 1), else_=0)


def _former_values(meeting_id: UUID, row: RegistrantRow) -> dict[str, Any]:
    return {
        "id": uuid4(),
        "meeting_id": meeting_id,
        "learner_id": row.learner_id,
        "user_id": row.user_id,
        "email": row.email,
        "zoom_registrant_id": row.zoom_registrant_id,
        "posts_today": 0,
        "still_at_zoom": False,
        "created_at": clock.now(),
    }


def is_everybody_registered(meeting_id: UUID) -> bool:
    """True if every person expected at the meeting is registered."""
    missing_count = db.session.scalar(
        select(func.count())
        .select_from(MeetingRegistrant)
        .where(
            MeetingRegistrant.meeting_id == meeting_id,
            MeetingRegistrant.is_expected,
            MeetingRegistrant.state != RegistrantState.REGISTERED,
        )
    )
    end_read_transaction()
    return missing_count == 0


def is_nobody_registered(meeting_id: UUID) -> bool:
    """True if no registration of the meeting is known, past or present."""
    registered_id = db.session.scalar(
        select(MeetingRegistrant.id)
        .where(MeetingRegistrant.meeting_id == meeting_id, MeetingRegistrant.zoom_registrant_id.is_not(None))
        .limit(1)
    )
    end_read_transaction()
    return registered_id is None
