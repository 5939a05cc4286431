"""Bringing Zoom to what a meeting row wants: the only place that creates, changes or deletes at Zoom.

Before a create is sent the row says `unsure`. If the answer never comes, whoever takes the row next looks
for our marker among the host's meetings first, so there is exactly one meeting at Zoom whatever happens.
Changes and deletions may be repeated safely; after a lost answer the meeting is read before it is changed again,
because Zoom counts changes.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import or_, select

from portal.core import clock
from portal.core.db import db, writing
from portal.core.db.leases import next_try, take
from portal.core.worker_signals import wake
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.meetings.scheduling import host_assignment
from portal.meetings.scheduling.recurrence import Slot
from portal.meetings.scheduling.schedules import follow_the_dates
from portal.meetings.service import note
from portal.meetings.zoom_sync import desired_state
from portal.meetings.zoom_sync.occurrences import Comparison, compare
from portal.zoom.client import ZoomClient
from portal.zoom.errors import (
    CircuitOpen,
    ZoomBadCredentials,
    ZoomError,
    ZoomNotAuthorised,
    ZoomNotConfigured,
    ZoomRateLimited,
    ZoomRefused,
    ZoomUnavailable,
)
from portal.zoom.models import Meeting, changes
from portal.zoom_account import host_quota, hosts, write_block

log = logging.getLogger("portal.meetings")
AT_ONCE = 3
RESTING = timedelta(seconds=30)  # a Zoom that is down is asked again this often
IN_PROGRESS = 3002  # Zoom does not delete a meeting that is running


class NotPossible(Exception):
    """The worker cannot make the meeting, and trying again changes nothing. `code` is for `words.trouble`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def due() -> list[UUID]:
    """Lease the meetings for which something is to be done at Zoom now."""
    if write_block.holds():
        return []
    now = clock.now()
    return take(
        ZoomMeeting,
        ZoomMeeting.wanted.is_not(None) & or_(ZoomMeeting.next_try_at.is_(None), ZoomMeeting.next_try_at <= now),
        limit=AT_ONCE,
        order=ZoomMeeting.starts_at,
    )


def carry_out(meeting_id: UUID, zoom: ZoomClient) -> None:
    """Do what the leased meeting wants, and write down how it went."""
    meeting = db.session.get(ZoomMeeting, meeting_id, populate_existing=True)
    if meeting is None:
        return
    try:
        if not write_block.holds():  # the one before may have found the credentials refused
            _STEPS[meeting.wanted](meeting, zoom)
            write_block.lift()
    except NotPossible as problem:
        _given_up(meeting, problem.code)
    except ZoomError as error:
        log.warning("meeting %s: %s: %s", meeting.id, meeting.wanted, error)
        _failed(meeting, error)
    finally:
        with writing():
            meeting.leased_until = None


def _nothing(meeting: ZoomMeeting, zoom: ZoomClient) -> None:
    """The wish was fulfilled or taken back while the row was being leased."""


def _create(meeting: ZoomMeeting, zoom: ZoomClient) -> None:
    found = zoom.find_by_marker(meeting.host, meeting.marker) if meeting.unsure else None
    if found is not None:
        asked = desired_state.values_at_zoom(found, meeting.kind)
    else:
        _drop_what_has_passed(meeting)
        _settle_host(meeting, zoom)
        draft, asked = desired_state.draft_of(meeting), desired_state.wanted_values(meeting)
        with _counted(meeting):
            found = zoom.create_meeting(meeting.host, draft)
    with writing():
        _refresh(meeting)
        meeting.zoom_id, meeting.made_at = found.id, clock.now()
        meeting.told = desired_state.as_told(asked)
        note(meeting.id, "made at Zoom")
        if meeting.state == "waiting":
            meeting.state = "scheduled"
        _finish(meeting, _learn(meeting, found, asked))
    wake("registration")
    wake("inbox")  # events of this meeting may have come before its id was known here


def _drop_what_has_passed(meeting: ZoomMeeting) -> None:
    """Zoom was away so long that dates have passed: only the others are made. Raises NotPossible."""
    if meeting.kind == "recurring" and meeting.starts_at <= clock.now():
        with writing():
            _refresh(meeting)
            follow_the_dates(meeting, _rows(meeting))
    if desired_state.ends_at(meeting) <= clock.now():
        raise NotPossible("too late")


def _settle_host(meeting: ZoomMeeting, zoom: ZoomClient) -> None:
    """Who hosts: the user the meeting was given to, else a free one of the pool. Raises NotPossible.

    Without a licence there is no registration (Zoom's rule), so the class runs in open mode.
    """
    host = hosts.look_up(zoom, meeting.host)
    if host.known is False:
        others = [hosts.look_up(zoom, email) for email in hosts.pool() if email != meeting.host]
        with writing():
            _refresh(meeting)
            slots = [Slot(row.starts_at, row.minutes) for row in _rows(meeting) if row.state == "scheduled"]
            chosen = host_assignment.free_host(meeting, [one for one in others if one.known is not False], slots)
            if chosen is None:
                raise NotPossible("no host free" if others else "host unknown")
            note(meeting.id, "other host", detail=chosen.email)
            meeting.host, host = chosen.email, chosen
    if (host.licensed is False) != meeting.open_mode and host.licensed is not None:
        with writing():
            _open_mode(meeting, not host.licensed)


def _open_mode(meeting: ZoomMeeting, on: bool) -> None:
    if on and not meeting.has_registration:
        return  # a person chose it: then it is no matter of licences
    meeting.open_mode, meeting.approval_type = on, 2 if on else 1
    if on:
        note(meeting.id, "open mode")


def _update(meeting: ZoomMeeting, zoom: ZoomClient) -> None:
    """Send what differs from what Zoom was told, then read the meeting back."""
    if meeting.zoom_id is None:
        raise ZoomUnavailable("an update is wanted for a meeting without an id", maybe_done=False)
    seen = _read_first(meeting, zoom)
    draft, asked = desired_state.draft_of(meeting), desired_state.wanted_values(meeting)
    told = desired_state.told_values(meeting)
    body = changes(desired_state.told_draft(meeting), draft)
    if body:
        with _counted(meeting):
            zoom.update_meeting(meeting.zoom_id, body)
        with writing():
            _refresh(meeting)
            meeting.told = desired_state.as_told(asked)
            note(meeting.id, "changed at Zoom")
    sent_dates = seen is not None and meeting.kind == "recurring" and _send_dates(meeting, seen, zoom)
    if seen is None or body or sent_dates:
        seen = zoom.get_meeting(meeting.zoom_id)
    sent = {name: value for name, value in asked.items() if value != told.get(name)}
    with writing():
        _refresh(meeting)
        _finish(meeting, _learn(meeting, seen, sent))


def _read_first(meeting: ZoomMeeting, zoom: ZoomClient) -> Meeting | None:
    """What Zoom has, where that decides what is to be sent: single dates, a lost answer, a change made there."""
    known = meeting.told is not None and not meeting.unsure
    if known and meeting.kind != "recurring" and meeting.wanted != "check":
        return None
    seen = zoom.get_meeting(meeting.zoom_id or "")
    with writing():
        _refresh(meeting)
        if not known:
            meeting.told = desired_state.as_told(desired_state.values_at_zoom(seen, meeting.kind))
        _learn(meeting, seen)
    return seen


def _send_dates(meeting: ZoomMeeting, seen: Meeting, zoom: ZoomClient) -> bool:
    """Delete and move single dates at Zoom; True if there was anything to send."""
    zoom_id = meeting.zoom_id or ""
    with writing():
        found = compare(meeting, _rows(meeting), seen)
    for theirs in found.surplus:
        zoom.delete_meeting(zoom_id, occurrence_id=theirs.id)
    draft = desired_state.draft_of(meeting)
    for row, theirs in found.moved:
        single = replace(draft, starts_at=row.starts_at, minutes=row.minutes)
        starts_at, minutes = row.starts_at, row.minutes
        with _counted(meeting):
            zoom.update_meeting(zoom_id, single, occurrence_id=theirs.id)
        with writing():
            row.zoom_starts_at, row.zoom_minutes = starts_at, minutes
    if found.surplus or found.moved:
        with writing():
            note(meeting.id, "dates changed at Zoom", detail=str(len(found.surplus) + len(found.moved)))
    return not found.in_step


def _learn(meeting: ZoomMeeting, seen: Meeting, sent: desired_state.Values | None = None) -> Comparison:
    """Compare what Zoom has with what it was told, and take over what was changed there.

    `sent` are the values that were just sent: where Zoom has those otherwise, it has overridden them. Returns
    what is still to be done about single dates. Within the transaction that is open.
    """
    values = desired_state.values_at_zoom(seen, meeting.kind)
    kept = {name: value for name, value in (meeting.overridden or {}).items() if name not in (sent or {})}
    meeting.overridden = (
        kept | desired_state.overridden(desired_state.told_values(meeting), values, sent or {})
    ) or None
    news = desired_state.changed_there(meeting, values)
    _take_over(meeting, news)
    if seen.join_url and seen.join_url != meeting.join_url:
        meeting.join_url = seen.join_url
    if seen.password and seen.password != meeting.password:
        meeting.password = seen.password
    dates = compare(meeting, _rows(meeting), seen) if meeting.kind == "recurring" else Comparison()
    if news or dates.news:
        note(meeting.id, "moved at Zoom")
    return dates


def _take_over(meeting: ZoomMeeting, news: desired_state.Values) -> None:
    for name, value in news.items():
        setattr(meeting, name, value)
    meeting.told = (meeting.told or {}) | desired_state.as_told(news)
    meeting.overridden = {k: v for k, v in (meeting.overridden or {}).items() if k not in news} or None
    if "starts_at" in news or "minutes" in news:
        row = next((row for row in _rows(meeting) if row.scheduled), None)
        if row is not None:
            row.starts_at, row.minutes = meeting.starts_at, meeting.minutes
            row.local_date = clock.local(meeting.starts_at).date()


def _finish(meeting: ZoomMeeting, dates: Comparison) -> None:
    """Zoom has it. What was changed or called off meanwhile is still wanted; the rest is done."""
    meeting.unsure = False
    _settled(meeting)
    if dates.missing:
        meeting.trouble = "dates missing"
    if meeting.state == "cancelled":
        meeting.wanted = "delete"
    elif changes(desired_state.told_draft(meeting), desired_state.draft_of(meeting)) or not dates.in_step:
        meeting.wanted = "update"
    else:
        meeting.wanted = None


def _delete(meeting: ZoomMeeting, zoom: ZoomClient) -> None:
    if meeting.zoom_id is None:
        found = zoom.find_by_marker(meeting.host, meeting.marker)
        if found:
            with writing():
                meeting.zoom_id = found.id
    if meeting.zoom_id:
        zoom.delete_meeting(meeting.zoom_id)
    with writing():
        _refresh(meeting)
        meeting.wanted, meeting.unsure = None, False
        _settled(meeting)
        note(meeting.id, "deleted at Zoom")


_STEPS: dict[str | None, Callable[[ZoomMeeting, ZoomClient], None]] = {
    "create": _create,
    "update": _update,
    "check": _update,
    "delete": _delete,
    None: _nothing,
}


@contextmanager
def _counted(meeting: ZoomMeeting) -> Iterator[None]:
    """Around one create or update: it is counted before it is sent, and so is that it may have been done.

    Raises ZoomRateLimited where the host has none left today.
    """
    with writing():
        if not host_quota.take(meeting.host):
            raise ZoomRateLimited(
                "100 writes of this host today", until=host_quota.resumes_at(), daily=True, per="host-day"
            )
        meeting.unsure = True
    try:
        yield
    except ZoomError as error:
        if not (isinstance(error, ZoomUnavailable) and error.maybe_done):
            with writing():
                meeting.unsure = False
            if not isinstance(error, ZoomRefused):
                host_quota.give_back(meeting.host)
        raise


def _refresh(meeting: ZoomMeeting) -> None:
    db.session.refresh(meeting, with_for_update=True)


def _rows(meeting: ZoomMeeting) -> list[MeetingOccurrence]:
    return list(
        db.session.scalars(
            select(MeetingOccurrence)
            .where(MeetingOccurrence.meeting_id == meeting.id)
            .order_by(MeetingOccurrence.starts_at)
            .execution_options(populate_existing=True)
        )
    )


def _settled(meeting: ZoomMeeting) -> None:
    meeting.attempts, meeting.next_try_at, meeting.trouble, meeting.trouble_detail = 0, None, None, None


def _given_up(meeting: ZoomMeeting, code: str) -> None:
    with writing():
        _refresh(meeting)
        meeting.wanted = None
        if meeting.state == "cancelled":
            return  # called off meanwhile, and Zoom never had it
        meeting.state = "failed"
        meeting.trouble, meeting.trouble_detail = code, None
        note(meeting.id, "trouble", detail=code)


def _failed(meeting: ZoomMeeting, error: ZoomError) -> None:
    """Write down why, and when to try again. What Zoom will refuse again waits for a person."""
    until = _parked_until(meeting, error)
    with writing():
        _refresh(meeting)
        code, first = trouble_code(error), meeting.trouble != trouble_code(error)
        if not isinstance(error, CircuitOpen):
            meeting.attempts += 1
        meeting.trouble, meeting.trouble_detail = code, _detail(error)
        meeting.next_try_at = until or next_try(meeting.attempts)
        if isinstance(error, ZoomRefused):
            _refused(meeting, error)
        if first:
            note(meeting.id, "trouble", detail=meeting.trouble)


def _parked_until(meeting: ZoomMeeting, error: ZoomError) -> datetime | None:
    """When to try again, where that does not depend on how often it failed."""
    if write_block.reason_of(error):
        return write_block.put(error)
    if isinstance(error, CircuitOpen):
        return clock.now() + RESTING
    if isinstance(error, ZoomRateLimited):
        if error.per == "host-day":
            host_quota.used_up(meeting.host)
        return error.until
    return None


def _detail(error: ZoomError) -> str:
    """What the page adds to the sentence: the missing scopes by name."""
    if isinstance(error, ZoomNotAuthorised) and error.missing_scopes:
        return ", ".join(error.missing_scopes)[:400]
    return str(error)[:400]


def _refused(meeting: ZoomMeeting, error: ZoomRefused) -> None:
    if meeting.wanted == "create":
        _refused_to_create(meeting, error)
    elif error.gone and meeting.wanted in ("update", "check"):
        meeting.state, meeting.wanted = "deleted", None
        note(meeting.id, "gone at Zoom")
    elif meeting.wanted == "delete" and error.code == IN_PROGRESS:
        return  # the class is still running: it is deleted when it is over
    else:
        meeting.wanted = None


def _refused_to_create(meeting: ZoomMeeting, error: ZoomRefused) -> None:
    """A host who may not register people can still run the class in open mode; one who may not host at all is
    looked for among the pool. Each is tried once."""
    if error.host_not_licensed and error.code != 3161 and meeting.has_registration:
        hosts.remember(hosts.Host(meeting.host, known=True, licensed=False))
        _open_mode(meeting, True)
        meeting.next_try_at = None
    elif (error.host_unknown or error.code == 3161) and [one for one in hosts.pool() if one != meeting.host]:
        hosts.remember(hosts.Host(meeting.host, known=False))
        meeting.next_try_at = None
    else:
        meeting.state, meeting.wanted = "failed", None


def trouble_code(error: ZoomError) -> str:
    """A word for what went wrong; `words.trouble` turns it into a sentence."""
    if isinstance(error, ZoomNotConfigured):
        return "not configured"
    if isinstance(error, ZoomBadCredentials):
        return "credentials"
    if isinstance(error, ZoomNotAuthorised):
        return "not authorised"
    if isinstance(error, ZoomRateLimited):
        return {"host-day": "host limit", "account-day": "account limit"}.get(error.per, "rate limited")
    if isinstance(error, ZoomUnavailable):
        return "unavailable"
    if isinstance(error, ZoomRefused):
        for meaning in ("gone", "host_unknown", "host_not_licensed", "registration_off", "full", "over"):
            if getattr(error, meaning):
                return meaning.replace("_", " ")
    return "refused"
