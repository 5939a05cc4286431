"""Bringing Zoom to what a meeting row wants: the only place that creates, changes or deletes at Zoom.

Before a create is sent the row says `unsure`. If the answer never comes, whoever takes the row next looks
for our marker among the host's meetings first, so there is exactly one meeting at Zoom whatever happens.
"""

import logging
from uuid import UUID

from sqlalchemy import or_

from portal.base import clock
from portal.base.db import db, writing
from portal.base.leases import next_try, take
from portal.base.wake import wake
from portal.meetings.models import ZoomMeeting
from portal.meetings.service import note
from portal.zoom.client import ZoomClient
from portal.zoom.errors import (
    ZoomError,
    ZoomNotAuthorised,
    ZoomNotConfigured,
    ZoomRateLimited,
    ZoomRefused,
    ZoomUnavailable,
)
from portal.zoom.models import SCHEDULED, Meeting, MeetingDraft, MeetingSettings

log = logging.getLogger("portal.meetings")


def due() -> list[UUID]:
    """Lease the meetings for which something is to be done at Zoom now."""
    now = clock.now()
    return take(
        ZoomMeeting,
        ZoomMeeting.wanted.is_not(None) & or_(ZoomMeeting.next_try_at.is_(None), ZoomMeeting.next_try_at <= now),
        limit=5,
        order=ZoomMeeting.starts_at,
    )


def carry_out(meeting_id: UUID, zoom: ZoomClient) -> None:
    """Do what the leased meeting wants, and write down how it went."""
    meeting = db.session.get(ZoomMeeting, meeting_id, populate_existing=True)
    if meeting is None:
        return
    try:
        {"create": _create, "update": _update, "delete": _delete, None: _nothing}[meeting.wanted](meeting, zoom)
    except ZoomError as error:
        log.warning("meeting %s: %s: %s", meeting.id, meeting.wanted, error)
        _failed(meeting, error)
    finally:
        with writing():
            meeting.leased_until = None


def draft_of(meeting: ZoomMeeting) -> MeetingDraft:
    return MeetingDraft(
        topic=meeting.title,
        type=SCHEDULED,
        starts_at=meeting.starts_at,
        minutes=meeting.minutes,
        timezone=meeting.timezone,
        agenda=meeting.description,
        marker=meeting.marker,
        settings=MeetingSettings(
            host_video=meeting.host_video,
            participant_video=meeting.participant_video,
            join_before_host=meeting.join_before_host,
            mute_upon_entry=meeting.mute_upon_entry,
            waiting_room=meeting.waiting_room,
            auto_recording=meeting.auto_recording,
            meeting_authentication=meeting.meeting_authentication,
            registration_type=meeting.registration_type,
            approval_type=meeting.approval_type,
        ),
    )


def _nothing(meeting: ZoomMeeting, zoom: ZoomClient) -> None:
    """The wish was fulfilled or taken back while the row was being leased."""


def _create(meeting: ZoomMeeting, zoom: ZoomClient) -> None:
    found = zoom.find_by_marker(meeting.host, meeting.marker) if meeting.unsure else None
    if found is None:
        with writing():
            meeting.unsure = True
        draft = draft_of(meeting)
        found = zoom.create_meeting(meeting.host, draft)
    _keep(meeting, found)
    wake("registration")
    wake("inbox")  # events of this meeting may have come before its id was known here


def _keep(meeting: ZoomMeeting, made: Meeting) -> None:
    """Store what Zoom answered. What was changed or called off meanwhile is still wanted."""
    with writing() as session:
        session.refresh(meeting, with_for_update=True)
        meeting.zoom_id, meeting.join_url, meeting.password = made.id, made.join_url, made.password
        meeting.made_at, meeting.unsure = clock.now(), False
        _succeeded(meeting)
        if meeting.state == "cancelled":
            meeting.wanted = "delete"
        else:
            meeting.state = "scheduled"
            moved = made.start_time is not None and made.start_time != meeting.starts_at
            meeting.wanted = "update" if moved else None
        note(meeting.id, "made at Zoom")


def _update(meeting: ZoomMeeting, zoom: ZoomClient) -> None:
    if meeting.zoom_id is None:
        raise ZoomUnavailable("an update is wanted for a meeting without an id", maybe_done=False)
    seen = meeting.updated_at
    zoom.update_meeting(meeting.zoom_id, draft_of(meeting))
    with writing() as session:
        session.refresh(meeting, with_for_update=True)
        if meeting.updated_at == seen and meeting.wanted == "update":
            meeting.wanted = None
        _succeeded(meeting)
        note(meeting.id, "changed at Zoom")


def _delete(meeting: ZoomMeeting, zoom: ZoomClient) -> None:
    if meeting.zoom_id is None:
        found = zoom.find_by_marker(meeting.host, meeting.marker)
        if found:
            with writing():
                meeting.zoom_id = found.id
    if meeting.zoom_id:
        zoom.delete_meeting(meeting.zoom_id)
    with writing():
        meeting.wanted, meeting.unsure = None, False
        _succeeded(meeting)
        note(meeting.id, "deleted at Zoom")


def _succeeded(meeting: ZoomMeeting) -> None:
    meeting.attempts, meeting.next_try_at, meeting.trouble, meeting.trouble_detail = 0, None, None, None


def _failed(meeting: ZoomMeeting, error: ZoomError) -> None:
    """Write down why, and when to try again. What Zoom will refuse again waits for a person."""
    with writing() as session:
        session.refresh(meeting, with_for_update=True)
        first = meeting.trouble is None
        meeting.attempts += 1
        meeting.trouble, meeting.trouble_detail = trouble_code(error), str(error)[:400]
        meeting.next_try_at = next_try(meeting.attempts)
        if isinstance(error, ZoomRateLimited):
            meeting.next_try_at = error.until or meeting.next_try_at
        if isinstance(error, ZoomRefused):
            _refused(meeting, error)
        if first:
            note(meeting.id, "trouble", detail=meeting.trouble)


def _refused(meeting: ZoomMeeting, error: ZoomRefused) -> None:
    if error.gone and meeting.wanted == "update":
        meeting.state, meeting.wanted = "deleted", None
    elif meeting.wanted == "create":
        meeting.state, meeting.wanted = "failed", None
    else:
        meeting.wanted = None


def trouble_code(error: ZoomError) -> str:
    """A word for what went wrong; `words.trouble` turns it into a sentence."""
    if isinstance(error, ZoomNotConfigured):
        return "not configured"
    if isinstance(error, ZoomNotAuthorised):
        return "not authorised"
    if isinstance(error, ZoomRateLimited):
        return "rate limited"
    if isinstance(error, ZoomUnavailable):
        return "unavailable"
    if isinstance(error, ZoomRefused):
        for meaning in ("gone", "host_unknown", "host_not_licensed", "registration_off", "full", "over"):
            if getattr(error, meaning):
                return meaning.replace("_", " ")
    return "refused"
