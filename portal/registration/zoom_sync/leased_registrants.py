"""What the engine writes on the rows it has leased. Every change holds only while the lease does."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import bindparam, case, func, insert, select, update

from portal.core import clock
from portal.core.crypto import encrypt_for_row
from portal.core.db import db, end_read_transaction, write_transaction
from portal.registration.codes import RegistrantState, RegistrationError
from portal.registration.models import FormerRegistrant, MeetingRegistrant
from portal.registration.zoom_sync import daily_limit


@dataclass(frozen=True)
class RegistrantRow:
    """A leased registrant row as it was when it was taken."""

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
        """Folded, to be matched with what Zoom says."""
        return self.email.casefold()


@dataclass(frozen=True)
class FormerRegistration:
    """A registration of one of the leased people that is still to be taken away at Zoom."""

    id: UUID
    email: str
    zoom_registrant_id: str | None

    @property
    def address(self) -> str:
        return self.email.casefold()


class LeasedRegistrants:
    """The leased rows of one meeting. `undone` are those of which nothing was written yet."""

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
        # Rows of an earlier making of the meeting are put right by `wanted.refresh` first.
        self.rows = [RegistrantRow(*row[2:]) for row in rows if row[1] == generation]
        self.undone = {row.id: row for row in self.rows}
        self.newly_registered = 0

    def formers(self) -> list[FormerRegistration]:
        """Earlier registrations of the leased people that may still be valid at Zoom."""
        people = [row.learner_id or row.user_id for row in self.rows]
        found = db.session.execute(
            select(FormerRegistrant.id, FormerRegistrant.email, FormerRegistrant.zoom_registrant_id).where(
                FormerRegistrant.meeting_id == self.meeting_id,
                FormerRegistrant.still_at_zoom,
                FormerRegistrant.learner_id.in_(people) | FormerRegistrant.user_id.in_(people),
            )
        ).all()
        end_read_transaction()
        return [FormerRegistration(*one) for one in found]

    def addresses_to_be_freed(self) -> set[str]:
        """Addresses by which somebody's earlier registration still stands at Zoom."""
        found = db.session.scalars(
            select(FormerRegistrant.email).where(
                FormerRegistrant.meeting_id == self.meeting_id, FormerRegistrant.still_at_zoom
            )
        ).all()
        end_read_transaction()
        return {email.casefold() for email in found}

    def ids_of_others(self, row_ids: Iterable[UUID]) -> set[str]:
        """Registrant ids of this meeting that belong to other rows, or to a past registration."""
        mine = list(row_ids)
        found = db.session.scalars(
            select(MeetingRegistrant.zoom_registrant_id)
            .where(MeetingRegistrant.meeting_id == self.meeting_id, MeetingRegistrant.id.not_in(mine))
            .union_all(
                select(FormerRegistrant.zoom_registrant_id).where(FormerRegistrant.meeting_id == self.meeting_id)
            )
        ).all()
        end_read_transaction()
        return {one for one in found if one}

    def close_former(self, formers: list[FormerRegistration]) -> None:
        """They are no longer valid at Zoom."""
        with write_transaction() as session:
            ids = [former.id for former in formers]
            session.execute(update(FormerRegistrant).where(FormerRegistrant.id.in_(ids)).values(still_at_zoom=False))

    def mark_sending(self, rows: list[RegistrantRow]) -> None:
        """Say that these are sent to Zoom now: from here on, without an answer, nobody knows."""
        day = daily_limit.zoom_day_start()
        same_day = MeetingRegistrant.posts_counted_since == day
        self._write(
            rows,
            posts_today=case((same_day, MeetingRegistrant.posts_today + 1), else_=1),
            posts_counted_since=day,
            outcome_unknown=True,
        )

    def mark_not_sent(self, rows: list[RegistrantRow]) -> None:
        """Zoom did not get these after all."""
        self._write(rows, posts_today=_one_post_less(), outcome_unknown=False)

    def save_registered(self, rows: Mapping[RegistrantRow, tuple[str, str | None]]) -> None:
        """Zoom has registered these: by row the registrant id and, unless it is pending, the link."""
        changes = [self._kept(row, registrant_id, join_url) for row, (registrant_id, join_url) in rows.items()]
        if not changes:
            return
        statement = update(MeetingRegistrant.__table__).where(  # type: ignore[arg-type]  # the table, for many rows
            MeetingRegistrant.id == bindparam("row_id"), MeetingRegistrant.leased_until == bindparam("lease")
        )
        with write_transaction() as session:
            for row, (registrant_id, _) in rows.items():
                if row.zoom_registrant_id and row.zoom_registrant_id != registrant_id:
                    session.execute(insert(FormerRegistrant).values(_past(self.meeting_id, row)))
            session.connection().execute(statement, changes)
        for row in rows:
            self.undone.pop(row.id, None)
        self.newly_registered += len(rows)

    def _kept(self, row: RegistrantRow, registrant_id: str, join_url: str | None) -> dict[str, Any]:
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
            "next_attempt_at": None if join_url else now,  # what is pending is approved next
            "updated_at": now,
        }

    def finish(self, rows: list[RegistrantRow], state: str, reason: str | None = None, **values: object) -> None:
        """A final state: nothing more is to be done."""
        if state != RegistrantState.REGISTERED:
            values["join_url_encrypted"] = None
        self._write(rows, state=state, reason=reason, next_attempt_at=None, attempts=0, outcome_unknown=False, **values)
        self._done(rows)

    def retry_later(
        self, rows: list[RegistrantRow], reason: str, until: datetime | None = None, **values: object
    ) -> None:
        """Try again at `until`, else after a pause that grows with the attempts (5 s to 15 min)."""
        pauses = {row.attempts: until or clock.now() + _pause(row.attempts) for row in rows}
        for attempts, moment in pauses.items():
            some = [row for row in rows if row.attempts == attempts]
            self._write(some, reason=reason, next_attempt_at=moment, attempts=attempts + 1, **values)
        self._done(rows)

    def mark_daily_limit(self, rows: list[RegistrantRow], until: datetime) -> None:
        """Zoom takes these addresses no more today, whatever was counted here."""
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

    def _done(self, rows: list[RegistrantRow]) -> None:
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


def _one_post_less() -> Any:
    return case((MeetingRegistrant.posts_today > 0, MeetingRegistrant.posts_today - 1), else_=0)


def _pause(attempts: int) -> timedelta:
    return timedelta(seconds=min(900, 5 * 2 ** min(attempts, 8)))


def _past(meeting_id: UUID, row: RegistrantRow) -> dict[str, Any]:
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
    """Tell whether nobody who is wanted at the meeting is still without a registration."""
    left = db.session.scalar(
        select(func.count())
        .select_from(MeetingRegistrant)
        .where(
            MeetingRegistrant.meeting_id == meeting_id,
            MeetingRegistrant.is_expected,
            MeetingRegistrant.state != RegistrantState.REGISTERED,
        )
    )
    end_read_transaction()
    return left == 0


def is_nobody_registered(meeting_id: UUID) -> bool:
    """Tell whether Zoom never had anybody registered for the meeting, as far as the portal knows."""
    found = db.session.scalar(
        select(MeetingRegistrant.id)
        .where(MeetingRegistrant.meeting_id == meeting_id, MeetingRegistrant.zoom_registrant_id.is_not(None))
        .limit(1)
    )
    end_read_transaction()
    return found is None
