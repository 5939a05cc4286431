"""Registration engine: reconciles Zoom's registrants with the registrant rows, each person exactly once.

Before an add is sent the rows are marked `outcome_unknown`. If no answer arrives, the next run lists Zoom's
registrants, adopts them by address, and sends only the rest. One-off meetings are registered in batches of 30 in
parallel, others one by one with ten in flight. A person's former registration by another address is cancelled first.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_, select, update

from portal.core import clock
from portal.core.db import db, end_read_transaction, write_transaction
from portal.core.db.leases import acquire_leases, next_attempt_at
from portal.meetings.codes import MeetingEvent, MeetingKind, MeetingState
from portal.meetings.models import ZoomMeeting
from portal.meetings.service import add_meeting_history
from portal.registration.codes import RegistrantState, RegistrationError
from portal.registration.models import MeetingRegistrant
from portal.registration.zoom_sync import daily_limit
from portal.registration.zoom_sync.leased_registrants import (
    FormerRegistration,
    LeasedRegistrants,
    RegistrantRow,
    is_everybody_registered,
    is_nobody_registered,
)
from portal.registration.zoom_sync.parallel_calls import CallNotSent, ParallelCalls
from portal.zoom.client import ZoomClient
from portal.zoom.errors import (
    ZoomError,
    ZoomNotAuthorised,
    ZoomNotConfigured,
    ZoomRateLimited,
    ZoomRefused,
    ZoomUnavailable,
)
from portal.zoom.models import Registrant, RegistrantInput, RegistrationResult
from portal.zoom_account import write_block

log = logging.getLogger("portal.registration")
BATCH_SIZE = 30  # Zoom's limit for one batch request
ROWS_PER_MEETING = 300  # rows of one meeting that a worker leases at a time
MEETINGS_AT_ONCE = 10
# Errors that apply to everybody: nothing more is sent for the meeting.
MEETING_ERRORS = {
    "is_deleted": RegistrationError.DELETED_AT_ZOOM,
    "is_host_unlicensed": RegistrationError.HOST_UNLICENSED,
    "is_registration_off": RegistrationError.REGISTRATION_OFF,
    "is_over": "over",
}
PERSON_ERRORS = {"is_host_not_registrable": "host", "is_full": "full"}
# Delay of another approval, doubled each time up to the second: Zoom allows ten status changes of a registrant a day.
APPROVAL_PAUSE, LONGEST_APPROVAL_PAUSE = timedelta(minutes=15), timedelta(hours=4)

Sent = list[RegistrationResult]
Part = tuple[RegistrantRow, ...]


def lease_meetings_to_register() -> list[UUID]:
    """Meetings at Zoom with due registrants, the soonest class first.

    Empty while writes to Zoom are blocked.
    """
    if write_block.is_writing_blocked():
        return []
    due_meeting_ids = select(MeetingRegistrant.meeting_id).where(_due_clause(), _not_leased_clause())
    meeting_ids = db.session.scalars(
        select(ZoomMeeting.id)
        .where(
            ZoomMeeting.id.in_(due_meeting_ids),
            ZoomMeeting.zoom_id.is_not(None),
            ZoomMeeting.state.in_((MeetingState.SCHEDULED, MeetingState.STARTED)),
            ZoomMeeting.approval_type != 2,
            ~ZoomMeeting.open_mode,
        )
        .order_by(ZoomMeeting.starts_at)
        .limit(MEETINGS_AT_ONCE)
    ).all()
    end_read_transaction()
    return list(meeting_ids)


def process_meeting_registrations(meeting_id: UUID, zoom: ZoomClient) -> int:
    """Process the due registrants of one meeting; returns the number of rows."""
    ids = acquire_leases(
        MeetingRegistrant, and_(MeetingRegistrant.meeting_id == meeting_id, _due_clause()), limit=ROWS_PER_MEETING
    )
    if not ids:
        return 0
    meeting = db.session.get(ZoomMeeting, meeting_id, populate_existing=True)
    if meeting is None:
        return 0
    leased = LeasedRegistrants(meeting_id, ids, meeting.zoom_generation)
    try:
        if meeting.zoom_id and leased.rows:
            _RegistrationRun(meeting, leased, zoom).run()
    finally:
        leased.release()
    return len(leased.rows)


def _due_clause() -> ColumnElement[bool]:
    return MeetingRegistrant.next_attempt_at <= clock.now()


def _not_leased_clause() -> ColumnElement[bool]:
    return or_(MeetingRegistrant.leased_until.is_(None), MeetingRegistrant.leased_until < clock.now())


class _RegistrationRun:
    """One run over the leased rows of one meeting."""

    def __init__(self, meeting: ZoomMeeting, leased: LeasedRegistrants, zoom: ZoomClient) -> None:
        self._meeting = meeting
        self._zoom_id = str(meeting.zoom_id)
        self._one_by_one = meeting.kind == MeetingKind.RECURRING
        self._leased = leased
        self._zoom = zoom

    def run(self) -> None:
        is_first = is_nobody_registered(self._meeting.id)
        try:
            self._cancel_formers(self._leased.formers())
            self._cancel_rows([row for row in self._leased.rows if not row.is_expected])
            self._register_rows([row for row in self._leased.rows if row.is_expected])
        except ZoomError as error:
            log.warning("meeting %s: registration: %s", self._meeting.id, error)
            self._fail_undone(list(self._leased.undone.values()), error)
        except Exception:
            self._leased.retry_later(list(self._leased.undone.values()), RegistrationError.UNAVAILABLE)
            raise
        self._record_history(is_first)

    # Cancelling

    def _cancel_formers(self, formers: list[FormerRegistration]) -> None:
        """Cancel the leased people's former registrations by other addresses."""
        if not formers:
            return
        rows = [(former.zoom_registrant_id, former.email) for former in formers if former.zoom_registrant_id]
        unknown_addresses = {former.address for former in formers if not former.zoom_registrant_id}
        if unknown_addresses:
            foreign_ids = self._leased.ids_of_others([])
            rows += [
                (registrant.id, registrant.email or "")
                for registrant in self._list_registrants()
                if registrant.id not in foreign_ids and _fold_address(registrant.email) in unknown_addresses
            ]
        self._cancel([(registrant_id, email) for registrant_id, email in rows if registrant_id])
        self._leased.close_former(formers)

    def _cancel_rows(self, rows: list[RegistrantRow]) -> None:
        if not rows:
            return
        registrant_ids = {
            row: row.zoom_registrant_id
            for row in rows
            if row.state in (RegistrantState.REGISTERED, RegistrantState.PENDING_APPROVAL)
        }
        unknown_rows = [row for row in rows if row.outcome_unknown and row not in registrant_ids]
        if unknown_rows:
            registrant_ids |= {
                row: registrant.id
                for row, registrant in self._match_by_address(unknown_rows, self._list_registrants()).items()
            }
        self._cancel([(registrant_id, row.email) for row, registrant_id in registrant_ids.items() if registrant_id])
        for row, registrant_id in registrant_ids.items():
            self._leased.finish([row], RegistrantState.CANCELLED, zoom_registrant_id=registrant_id)
        self._leased.finish([row for row in rows if row not in registrant_ids], RegistrantState.CANCELLED)

    def _cancel(self, registrants: list[tuple[str, str]]) -> None:
        for start in range(0, len(registrants), BATCH_SIZE):
            part = registrants[start : start + BATCH_SIZE]
            try:
                self._zoom.set_registrants_status(self._zoom_id, "cancel", part)
            except ZoomRefused as error:
                if error.is_deleted:
                    raise
                self._delete_each(part)

    def _delete_each(self, registrants: list[tuple[str, str]]) -> None:
        """Fallback if one of them makes Zoom refuse the batch. One that is deleted already counts as cancelled."""
        for registrant_id, _ in registrants:
            try:
                self._zoom.delete_registrant(self._zoom_id, registrant_id)
            except ZoomRefused as error:
                if _applies_to_everybody(error):
                    raise

    # Registering

    def _register_rows(self, rows: list[RegistrantRow]) -> None:
        blocked_addresses = self._leased.addresses_to_be_freed() if rows else set()
        deferred_rows = [row for row in rows if row.address in blocked_addresses]
        self._leased.retry_later(deferred_rows, RegistrationError.UNAVAILABLE)
        rows = [row for row in rows if row not in deferred_rows]
        unknown_rows = [row for row in rows if row.outcome_unknown and row.state != RegistrantState.PENDING_APPROVAL]
        missing = self._adopt_listed(unknown_rows) if unknown_rows else []
        self._approve([row for row in rows if row.state == RegistrantState.PENDING_APPROVAL])
        self._add([row for row in rows if row.state == RegistrantState.QUEUED and not row.outcome_unknown] + missing)
        # The remaining rows were due only because of a former registration.
        for row in [
            row
            for row in self._leased.undone.values()
            if row.is_expected and row.state in (RegistrantState.FAILED, RegistrantState.DENIED)
        ]:
            self._leased.finish([row], row.state, row.reason)

    def _adopt_listed(self, rows: list[RegistrantRow]) -> list[RegistrantRow]:
        """Adopt registrants that Zoom already has, matched by address; returns the rows that Zoom does not have."""
        approved = self._match_by_address(rows, list(self._zoom.list_registrants(self._zoom_id)))
        self._leased.save_registered(
            {row: (registrant.id, registrant.join_url) for row, registrant in approved.items()}
        )
        unmatched = [row for row in rows if row not in approved]
        if not unmatched:
            return []
        pending = self._match_by_address(unmatched, list(self._zoom.list_registrants(self._zoom_id, status="pending")))
        self._leased.save_registered({row: (registrant.id, None) for row, registrant in pending.items()})
        denied = self._match_by_address(unmatched, list(self._zoom.list_registrants(self._zoom_id, status="denied")))
        for row, registrant in denied.items():
            self._leased.finish(
                [row], RegistrantState.DENIED, RegistrationError.DENIED_AT_ZOOM, zoom_registrant_id=registrant.id
            )
        unmatched = [row for row in unmatched if row not in pending and row not in denied]
        self._leased.finish(
            [row for row in unmatched if row.state == RegistrantState.REGISTERED],
            RegistrantState.CANCELLED,
            RegistrationError.CANCELLED_AT_ZOOM,
        )
        missing = [row for row in unmatched if row.state == RegistrantState.QUEUED]
        self._leased.mark_not_sent(missing)
        return missing

    def _match_by_address(
        self, rows: list[RegistrantRow], registrants: list[Registrant]
    ) -> dict[RegistrantRow, Registrant]:
        """Match rows with Zoom's registrants by address; never with a registration of another row."""
        foreign_ids = self._leased.ids_of_others(row.id for row in rows)
        by_address = {
            _fold_address(registrant.email): registrant
            for registrant in registrants
            if registrant.id not in foreign_ids
        }
        return {row: by_address[row.address] for row in rows if row.address in by_address}

    def _list_registrants(self) -> list[Registrant]:
        return [
            *self._zoom.list_registrants(self._zoom_id),
            *self._zoom.list_registrants(self._zoom_id, status="pending"),
        ]

    def _approve(self, rows: list[RegistrantRow]) -> None:
        """Approve pending registrations: everybody on the roster may join."""
        pending = [(row.zoom_registrant_id, row.email) for row in rows if row.zoom_registrant_id]
        if pending:
            self._zoom.set_registrants_status(
                self._zoom_id, "approve", [(str(registrant_id), email) for registrant_id, email in pending]
            )
        if rows:
            approved = self._match_by_address(rows, list(self._zoom.list_registrants(self._zoom_id)))
            self._leased.save_registered(
                {row: (registrant.id, registrant.join_url) for row, registrant in approved.items()}
            )
            for row in [row for row in rows if row not in approved]:
                retry_at = next_attempt_at(row.attempts + 1, first=APPROVAL_PAUSE, maximum=LONGEST_APPROVAL_PAUSE)
                self._leased.retry_later([row], RegistrationError.APPROVAL, retry_at)

    def _add(self, rows: list[RegistrantRow]) -> None:
        """Send the rows that are within today's limit. The others wait until its reset."""
        exhausted = daily_limit.addresses_over_limit({row.email for row in rows}, self._meeting.id) if rows else set()
        end_read_transaction()
        self._leased.retry_later(
            [row for row in rows if row.email in exhausted], RegistrationError.DAILY_LIMIT, daily_limit.next_zoom_day()
        )
        rows = [row for row in rows if row.email not in exhausted]
        if not rows:
            return
        if self._one_by_one or len(rows) == 1:
            self._send([(row,) for row in rows], self._add_one)
            return
        parts = [tuple(rows[start : start + BATCH_SIZE]) for start in range(0, len(rows), BATCH_SIZE)]
        singles = self._send(parts, self._add_batch)
        if singles:
            self._send([(row,) for row in singles], self._add_one)

    def _add_one(self, part: Part) -> Sent:
        return [self._zoom.add_registrant(self._zoom_id, _registrant_input(part[0]))]

    def _add_batch(self, part: Part) -> Sent:
        return self._zoom.add_registrants(self._zoom_id, [_registrant_input(row) for row in part])

    def _send(self, parts: list[Part], send: Callable[[Part], Sent]) -> list[RegistrantRow]:
        """Send all parts in parallel, storing each answer as it arrives. Returns the rows of refused batches, to be
        sent one by one, because one bad address makes Zoom refuse all thirty."""
        self._leased.mark_sending([row for part in parts for row in part])
        refused_rows: list[RegistrantRow] = []
        general_error: ZoomError | None = None
        for finished in ParallelCalls(send, parts, _applies_to_everybody):
            self._save_answers([(part, answer) for part, answer in finished if isinstance(answer, list)])
            for part, answer in finished:
                if isinstance(answer, CallNotSent):
                    self._leased.mark_not_sent(list(part))
                elif isinstance(answer, ZoomError):
                    self._save_error(part, answer, refused_rows)
                    general_error = answer if _applies_to_everybody(answer) else general_error
        if general_error:
            raise general_error
        return refused_rows

    def _save_answers(self, answers: list[tuple[Part, Sent]]) -> None:
        """Match results by address, never by order. A row without a result keeps its state and is looked up later."""
        registered: dict[RegistrantRow, tuple[str, str | None]] = {}
        unanswered: list[RegistrantRow] = []
        for part, sent in answers:
            by_address = {_fold_address(registrant_result.email): registrant_result for registrant_result in sent}
            for row in part:
                result = sent[0] if len(part) == 1 and sent else by_address.get(row.address)
                if result:
                    registered[row] = (result.registrant_id, result.join_url)
                else:
                    unanswered.append(row)
        self._leased.save_registered(registered)
        self._leased.retry_later(unanswered, RegistrationError.UNAVAILABLE)

    def _save_error(self, part: Part, error: ZoomError, refused_rows: list[RegistrantRow]) -> None:
        """Store a failed call. If the error applies to everybody, the run's end stores the rest."""
        rows = list(part)
        if _applies_to_everybody(error):
            if not isinstance(error, ZoomRefused):
                self._leased.mark_not_sent(rows)
        elif isinstance(error, ZoomUnavailable):
            self._leased.retry_later(rows, RegistrationError.UNAVAILABLE)
        elif len(part) > 1:
            refused_rows += rows
        elif isinstance(error, ZoomRefused):
            self._leased.finish(rows, RegistrantState.FAILED, _person_error(error))
        elif isinstance(error, ZoomRateLimited):
            daily_limit.learn_counting_mode(part[0].email, self._meeting.id)
            self._leased.mark_daily_limit(rows, error.until or daily_limit.next_zoom_day())

    # Results

    def _fail_undone(self, rows: list[RegistrantRow], error: ZoomError) -> None:
        """Store an error for all undone rows: retry later, or fail if Zoom would refuse again."""
        if isinstance(error, ZoomRefused):
            reason = next(
                (code for name, code in MEETING_ERRORS.items() if getattr(error, name)), RegistrationError.REFUSED
            )
            self._leased.finish(
                [row for row in rows if row.is_expected],
                RegistrantState.FAILED,
                reason,
            )
            self._leased.finish([row for row in rows if not row.is_expected], RegistrantState.CANCELLED)
            if error.is_deleted:
                self._mark_meeting_deleted()
            return
        reason, retry_at = _retry_reason(error)
        if isinstance(error, ZoomNotConfigured | ZoomNotAuthorised):
            retry_at = write_block.set_write_block(error)
        self._leased.retry_later(rows, reason, retry_at)

    def _mark_meeting_deleted(self) -> None:
        with write_transaction() as session:
            session.execute(
                update(ZoomMeeting)
                .where(
                    ZoomMeeting.id == self._meeting.id,
                    ZoomMeeting.zoom_id == self._zoom_id,
                    ZoomMeeting.state.in_((MeetingState.SCHEDULED, MeetingState.STARTED)),
                )
                .values(state=MeetingState.DELETED, pending_action=None)
            )

    def _record_history(self, is_first: bool) -> None:
        if not self._leased.newly_registered:
            return
        complete = is_everybody_registered(self._meeting.id)
        if is_first or complete:
            with write_transaction():
                if is_first:
                    add_meeting_history(
                        self._meeting.id, MeetingEvent.REGISTRATION_STARTED, number=len(self._leased.rows)
                    )
                if complete:
                    add_meeting_history(self._meeting.id, MeetingEvent.REGISTRATION_COMPLETE)


def _registrant_input(row: RegistrantRow) -> RegistrantInput:
    return RegistrantInput(email=row.email, first_name=row.first_name, last_name=row.last_name)


def _fold_address(email: str | None) -> str:
    return (email or "").strip().casefold()


def _applies_to_everybody(error: ZoomError) -> bool:
    """True if the error applies to other people of the meeting too: not if it is about one person, nor if one answer
    was lost."""
    if isinstance(error, ZoomRefused):
        return any(getattr(error, flag) for flag in MEETING_ERRORS)
    if isinstance(error, ZoomRateLimited):
        return error.per != "registrant-day"
    return not (isinstance(error, ZoomUnavailable) and error.maybe_done)


def _person_error(error: ZoomRefused) -> str:
    return next((reason for flag, reason in PERSON_ERRORS.items() if getattr(error, flag)), RegistrationError.REFUSED)


def _retry_reason(error: ZoomError) -> tuple[str, datetime | None]:
    """The reason for waiting, and until when if known."""
    if isinstance(error, ZoomRateLimited):
        if error.daily:
            return RegistrationError.ACCOUNT_LIMIT, error.until or daily_limit.next_zoom_day()
        return RegistrationError.RATE_LIMITED, error.until
    if isinstance(error, ZoomNotConfigured):
        return RegistrationError.NOT_CONFIGURED, None
    return RegistrationError.NOT_AUTHORISED if isinstance(
        error, ZoomNotAuthorised
    ) else RegistrationError.UNAVAILABLE, None
