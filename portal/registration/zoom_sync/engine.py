"""The engine: brings Zoom to what the registrant rows want, each person exactly once.

Before an add is sent, the rows say so (`unsure`). If the answer never comes, whoever takes them next lists
what Zoom has, adopts those by their address, and sends only the rest. One-off meetings are registered in
batches of 30 side by side, others one by one with ten in flight. An earlier registration of the same person
by another address is taken away first.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_, select, update

from portal.core import clock
from portal.core.db import db, end_read_transaction, write_transaction
from portal.core.db.leases import acquire_leases
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
BATCH_SIZE = 30  # Zoom's limit for one batch call
ROWS_PER_MEETING = 300  # rows of one meeting that one worker takes at a time
MEETINGS_AT_ONCE = 10
# Zoom would say the same of everybody else: nothing more is sent for the meeting.
MEETING_ERRORS = {
    "is_deleted": RegistrationError.DELETED_AT_ZOOM,
    "is_host_unlicensed": RegistrationError.HOST_UNLICENSED,
    "is_registration_off": RegistrationError.REGISTRATION_OFF,
    "is_over": "over",
}
PERSON_ERRORS = {"is_host_not_registrable": "host", "is_full": "full"}
APPROVAL_PAUSE = timedelta(minutes=15)  # Zoom takes ten changes of a registrant's status a day

Sent = list[RegistrationResult]
Part = tuple[RegistrantRow, ...]


def lease_meetings_to_register() -> list[UUID]:
    """Meetings at Zoom for which some registrant is to be added or taken away now, the soonest class first.

    None while Zoom does not accept the portal at all.
    """
    if write_block.is_writing_blocked():
        return []
    waiting = select(MeetingRegistrant.meeting_id).where(_due(), _free())
    found = db.session.scalars(
        select(ZoomMeeting.id)
        .where(
            ZoomMeeting.id.in_(waiting),
            ZoomMeeting.zoom_id.is_not(None),
            ZoomMeeting.state.in_((MeetingState.SCHEDULED, MeetingState.STARTED)),
            ZoomMeeting.approval_type != 2,
            ~ZoomMeeting.open_mode,
        )
        .order_by(ZoomMeeting.starts_at)
        .limit(MEETINGS_AT_ONCE)
    ).all()
    end_read_transaction()
    return list(found)


def process_meeting_registrations(meeting_id: UUID, zoom: ZoomClient) -> int:
    """Do what is due for one meeting; the number of rows that were worked on."""
    ids = acquire_leases(
        MeetingRegistrant, and_(MeetingRegistrant.meeting_id == meeting_id, _due()), limit=ROWS_PER_MEETING
    )
    if not ids:
        return 0
    meeting = db.session.get(ZoomMeeting, meeting_id, populate_existing=True)
    if meeting is None:
        return 0
    ledger = LeasedRegistrants(meeting_id, ids, meeting.zoom_generation)
    try:
        if meeting.zoom_id and ledger.rows:
            _RegistrationRun(meeting, ledger, zoom).do()
    finally:
        ledger.release()
    return len(ledger.rows)


def _due() -> ColumnElement[bool]:
    return MeetingRegistrant.next_attempt_at <= clock.now()


def _free() -> ColumnElement[bool]:
    return or_(MeetingRegistrant.leased_until.is_(None), MeetingRegistrant.leased_until < clock.now())


class _RegistrationRun:
    """One go at the leased rows of one meeting."""

    def __init__(self, meeting: ZoomMeeting, ledger: LeasedRegistrants, zoom: ZoomClient) -> None:
        self._meeting = meeting
        self._zoom_id = str(meeting.zoom_id)
        self._one_by_one = meeting.kind == MeetingKind.RECURRING
        self._ledger = ledger
        self._zoom = zoom

    def do(self) -> None:
        began = is_nobody_registered(self._meeting.id)
        try:
            self._end_formers(self._ledger.formers())
            self._take_away([row for row in self._ledger.rows if not row.is_expected])
            self._bring_in([row for row in self._ledger.rows if row.is_expected])
        except ZoomError as error:
            log.warning("meeting %s: registration: %s", self._meeting.id, error)
            self._give_up(list(self._ledger.undone.values()), error)
        except Exception:
            self._ledger.retry_later(list(self._ledger.undone.values()), RegistrationError.UNAVAILABLE)
            raise
        self._tell(began)

    # Taking away

    def _end_formers(self, formers: list[FormerRegistration]) -> None:
        """Cancel what the leased people had before, by another address."""
        if not formers:
            return
        rows = [(former.zoom_registrant_id, former.email) for former in formers if former.zoom_registrant_id]
        unknown = {former.address for former in formers if not former.zoom_registrant_id}
        if unknown:
            theirs = self._ledger.ids_of_others([])
            rows += [
                (registrant.id, registrant.email or "")
                for registrant in self._all_listed()
                if registrant.id not in theirs and _folded(registrant.email) in unknown
            ]
        self._cancel([(registrant_id, email) for registrant_id, email in rows if registrant_id])
        self._ledger.close_former(formers)

    def _take_away(self, rows: list[RegistrantRow]) -> None:
        if not rows:
            return
        known = {
            row: row.zoom_registrant_id
            for row in rows
            if row.state in (RegistrantState.REGISTERED, RegistrantState.PENDING_APPROVAL)
        }
        lost = [row for row in rows if row.outcome_unknown and row not in known]
        if lost:
            known |= {row: registrant.id for row, registrant in self._find(lost, self._all_listed()).items()}
        self._cancel([(registrant_id, row.email) for row, registrant_id in known.items() if registrant_id])
        for row, registrant_id in known.items():
            self._ledger.finish([row], RegistrantState.CANCELLED, zoom_registrant_id=registrant_id)
        self._ledger.finish([row for row in rows if row not in known], RegistrantState.CANCELLED)

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
        """Where one of them makes Zoom refuse all. Who is not there any more counts as taken away."""
        for registrant_id, _ in registrants:
            try:
                self._zoom.delete_registrant(self._zoom_id, registrant_id)
            except ZoomRefused as error:
                if _ends_all(error):
                    raise

    # Bringing in

    def _bring_in(self, rows: list[RegistrantRow]) -> None:
        freed = self._ledger.addresses_to_be_freed() if rows else set()
        held_back = [row for row in rows if row.address in freed]
        self._ledger.retry_later(held_back, RegistrationError.UNAVAILABLE)
        rows = [row for row in rows if row not in held_back]
        unsure = [row for row in rows if row.outcome_unknown and row.state != RegistrantState.PENDING_APPROVAL]
        missing = self._look(unsure) if unsure else []
        self._approve([row for row in rows if row.state == RegistrantState.PENDING_APPROVAL])
        self._add([row for row in rows if row.state == RegistrantState.QUEUED and not row.outcome_unknown] + missing)
        # A row that is neither: its earlier registration was the only thing to be done.
        for row in [
            row
            for row in self._ledger.undone.values()
            if row.is_expected and row.state in (RegistrantState.FAILED, RegistrantState.DENIED)
        ]:
            self._ledger.finish([row], row.state, row.reason)

    def _look(self, rows: list[RegistrantRow]) -> list[RegistrantRow]:
        """Take over what Zoom has already, matched by address; those that it has not and that shall be sent."""
        approved = self._find(rows, list(self._zoom.list_registrants(self._zoom_id)))
        self._ledger.save_registered(
            {row: (registrant.id, registrant.join_url) for row, registrant in approved.items()}
        )
        rest = [row for row in rows if row not in approved]
        if not rest:
            return []
        pending = self._find(rest, list(self._zoom.list_registrants(self._zoom_id, status="pending")))
        self._ledger.save_registered({row: (registrant.id, None) for row, registrant in pending.items()})
        denied = self._find(rest, list(self._zoom.list_registrants(self._zoom_id, status="denied")))
        for row, registrant in denied.items():
            self._ledger.finish(
                [row], RegistrantState.DENIED, RegistrationError.DENIED_AT_ZOOM, zoom_registrant_id=registrant.id
            )
        rest = [row for row in rest if row not in pending and row not in denied]
        self._ledger.finish(
            [row for row in rest if row.state == RegistrantState.REGISTERED],
            RegistrantState.CANCELLED,
            RegistrationError.CANCELLED_AT_ZOOM,
        )
        missing = [row for row in rest if row.state == RegistrantState.QUEUED]
        self._ledger.mark_not_sent(missing)
        return missing

    def _find(self, rows: list[RegistrantRow], listed: list[Registrant]) -> dict[RegistrantRow, Registrant]:
        """Who of the rows is in a list of Zoom's, by address; never a registration that is somebody else's."""
        theirs = self._ledger.ids_of_others(row.id for row in rows)
        by_address = {_folded(registrant.email): registrant for registrant in listed if registrant.id not in theirs}
        return {row: by_address[row.address] for row in rows if row.address in by_address}

    def _all_listed(self) -> list[Registrant]:
        return [
            *self._zoom.list_registrants(self._zoom_id),
            *self._zoom.list_registrants(self._zoom_id, status="pending"),
        ]

    def _approve(self, rows: list[RegistrantRow]) -> None:
        """Approve those that Zoom keeps waiting: whoever is on the roster may come in."""
        people = [(row.zoom_registrant_id, row.email) for row in rows if row.zoom_registrant_id]
        if people:
            self._zoom.set_registrants_status(self._zoom_id, "approve", [(str(one), email) for one, email in people])
        if rows:
            approved = self._find(rows, list(self._zoom.list_registrants(self._zoom_id)))
            self._ledger.save_registered(
                {row: (registrant.id, registrant.join_url) for row, registrant in approved.items()}
            )
            for row in [row for row in rows if row not in approved]:
                until = clock.now() + APPROVAL_PAUSE * 2 ** min(row.attempts, 4)
                self._ledger.retry_later([row], RegistrationError.APPROVAL, until)

    def _add(self, rows: list[RegistrantRow]) -> None:
        """Send those that Zoom may be sent today. The others wait until it counts anew."""
        spent = daily_limit.addresses_over_limit({row.email for row in rows}, self._meeting.id) if rows else set()
        end_read_transaction()
        self._ledger.retry_later(
            [row for row in rows if row.email in spent], RegistrationError.DAILY_LIMIT, daily_limit.next_zoom_day()
        )
        rows = [row for row in rows if row.email not in spent]
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
        return [self._zoom.add_registrant(self._zoom_id, _person(part[0]))]

    def _add_batch(self, part: Part) -> Sent:
        return self._zoom.add_registrants(self._zoom_id, [_person(row) for row in part])

    def _send(self, parts: list[Part], send: Callable[[Part], Sent]) -> list[RegistrantRow]:
        """Send all parts side by side, keep each answer as it comes. Rows of a refused batch are returned, to
        be tried one by one, since one bad address refuses all thirty."""
        self._ledger.mark_sending([row for part in parts for row in part])
        rows: list[RegistrantRow] = []
        trouble: ZoomError | None = None
        for finished in ParallelCalls(send, parts, _ends_all):
            self._answered([(part, answer) for part, answer in finished if isinstance(answer, list)])
            for part, answer in finished:
                if isinstance(answer, CallNotSent):
                    self._ledger.mark_not_sent(list(part))
                elif isinstance(answer, ZoomError):
                    self._not_answered(part, answer, rows)
                    trouble = answer if _ends_all(answer) else trouble
        if trouble:
            raise trouble
        return rows

    def _answered(self, answers: list[tuple[Part, Sent]]) -> None:
        """Match by address, never by order. Who is not in the answer stays waiting and is looked for."""
        rows: dict[RegistrantRow, tuple[str, str | None]] = {}
        lost: list[RegistrantRow] = []
        for part, sent in answers:
            by_address = {_folded(one.email): one for one in sent}
            for row in part:
                result = sent[0] if len(part) == 1 and sent else by_address.get(row.address)
                if result:
                    rows[row] = (result.registrant_id, result.join_url)
                else:
                    lost.append(row)
        self._ledger.save_registered(rows)
        self._ledger.retry_later(lost, RegistrationError.UNAVAILABLE)

    def _not_answered(self, part: Part, error: ZoomError, again: list[RegistrantRow]) -> None:
        """Write down a call that failed. Where all would fail, the end of the whole go says the rest."""
        rows = list(part)
        if _ends_all(error):
            if not isinstance(error, ZoomRefused):
                self._ledger.mark_not_sent(rows)
        elif isinstance(error, ZoomUnavailable):
            self._ledger.retry_later(rows, RegistrationError.UNAVAILABLE)
        elif len(part) > 1:
            again += rows
        elif isinstance(error, ZoomRefused):
            self._ledger.finish(rows, RegistrantState.FAILED, _reason_of_one(error))
        elif isinstance(error, ZoomRateLimited):
            daily_limit.learn_counting_mode(part[0].email, self._meeting.id)
            self._ledger.mark_daily_limit(rows, error.until or daily_limit.next_zoom_day())

    # How it went

    def _give_up(self, rows: list[RegistrantRow], error: ZoomError) -> None:
        """For everybody of whom nothing was written: wait, or say why where Zoom would say the same again."""
        if isinstance(error, ZoomRefused):
            reason = next(
                (code for name, code in MEETING_ERRORS.items() if getattr(error, name)), RegistrationError.REFUSED
            )
            self._ledger.finish(
                [row for row in rows if row.is_expected],
                RegistrantState.FAILED,
                reason,
            )
            self._ledger.finish([row for row in rows if not row.is_expected], RegistrantState.CANCELLED)
            if error.is_deleted:
                self._deleted_at_zoom()
            return
        reason, until = _wait_for(error)
        if isinstance(error, ZoomNotConfigured | ZoomNotAuthorised):
            until = write_block.set_write_block(error)
        self._ledger.retry_later(rows, reason, until)

    def _deleted_at_zoom(self) -> None:
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

    def _tell(self, began: bool) -> None:
        if not self._ledger.newly_registered:
            return
        complete = is_everybody_registered(self._meeting.id)
        if began or complete:
            with write_transaction():
                if began:
                    add_meeting_history(
                        self._meeting.id, MeetingEvent.REGISTRATION_STARTED, number=len(self._ledger.rows)
                    )
                if complete:
                    add_meeting_history(self._meeting.id, MeetingEvent.REGISTRATION_COMPLETE)


def _person(row: RegistrantRow) -> RegistrantInput:
    return RegistrantInput(email=row.email, first_name=row.first_name, last_name=row.last_name)


def _folded(email: str | None) -> str:
    return (email or "").strip().casefold()


def _ends_all(error: ZoomError) -> bool:
    """Tell whether other people of the meeting would fare the same: not where it is about one of them, nor
    where one answer was lost."""
    if isinstance(error, ZoomRefused):
        return any(getattr(error, meaning) for meaning in MEETING_ERRORS)
    if isinstance(error, ZoomRateLimited):
        return error.per != "registrant-day"
    return not (isinstance(error, ZoomUnavailable) and error.maybe_done)


def _reason_of_one(error: ZoomRefused) -> str:
    return next(
        (reason for meaning, reason in PERSON_ERRORS.items() if getattr(error, meaning)), RegistrationError.REFUSED
    )


def _wait_for(error: ZoomError) -> tuple[str, datetime | None]:
    """Why to wait, and until when where that is known."""
    if isinstance(error, ZoomRateLimited):
        if error.daily:
            return RegistrationError.ACCOUNT_LIMIT, error.until or daily_limit.next_zoom_day()
        return RegistrationError.RATE_LIMITED, error.until
    if isinstance(error, ZoomNotConfigured):
        return RegistrationError.NOT_CONFIGURED, None
    return RegistrationError.NOT_AUTHORISED if isinstance(
        error, ZoomNotAuthorised
    ) else RegistrationError.UNAVAILABLE, None
