"""State of a join link at this moment: the class date it leads to, and whether it can be joined.

It contains nothing about other people, and nothing that a screenshot in a group chat would leak.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from flask import url_for
from sqlalchemy import exists, select

from portal.classes.models import Enrolment
from portal.classes.queries import expected_on_clause
from portal.core import clock
from portal.core.db import db
from portal.core.settings import current_settings
from portal.meetings.codes import MeetingState, OccurrenceState
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.meetings.zoom_urls import is_zoom_link
from portal.registration.codes import RegistrantState
from portal.registration.join_links import AUDIENCES, JoinLink
from portal.registration.models import MeetingRegistrant

OPENS_BEFORE = timedelta(minutes=10)  # before the planned start
STAYS_OPEN = timedelta(minutes=15)  # after the planned end, if nobody has ended the class yet
AHEAD, BACK = timedelta(days=60), timedelta(days=1)

State = Literal[
    "open", "early", "over", "cancelled", "none", "left", "preparing", "refused", "deleted", "personal_only"
]


@dataclass(frozen=True)
class JoinState:
    """`state` selects the page; times and title are those of the class date, if there is one.

    `url` is Zoom's join URL, only in state "open". `next_at` is the next date after a cancelled or past one.
    """

    state: State
    occurrence_id: UUID | None = None
    meeting_id: UUID | None = None
    title: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    opens_at: datetime | None = None
    next_at: datetime | None = None
    recorded: bool = False
    url: str | None = None

    @property
    def minutes_left(self) -> int:
        """Whole minutes until it opens, at least 1."""
        return max(1, -(-int((self.opens_at - clock.now()).total_seconds()) // 60)) if self.opens_at else 0


def join_page_url(token: str) -> str:
    """The absolute URL of a join link, built from the portal's configured base only."""
    settings = current_settings()
    return settings.base_url + url_for("join.show_join_page", token=token, _external=False)


def join_state_of(link: JoinLink) -> JoinState:
    """The present state of a link."""
    if link.learner_id is not None and not _is_enrolled(link):
        return JoinState("left")
    dates = _load_dates(link.class_id)
    selected = _select_date(dates)
    if selected is None:
        return JoinState("none")
    occurrence, meeting = selected
    now = clock.now()
    next_start = next(
        (
            later_date.starts_at
            for later_date, later_meeting in dates
            if later_date.starts_at > now and _is_not_cancelled(later_date, later_meeting)
        ),
        None,
    )
    base = {
        "occurrence_id": occurrence.id,
        "meeting_id": meeting.id,
        "title": meeting.title,
        "starts_at": occurrence.starts_at,
        "ends_at": occurrence.ends_at,
        "opens_at": occurrence.starts_at - OPENS_BEFORE,
        "next_at": next_start,
        "recorded": meeting.auto_recording != "none",
    }
    state = _date_state(occurrence, meeting, now)
    if state != "open":
        return JoinState(state, **base)  # type: ignore[arg-type]  # a dict of what the fields are
    state, url = _joinable_state(link, meeting)
    return JoinState(state, **base, url=url)  # type: ignore[arg-type]  # likewise


def _is_enrolled(link: JoinLink) -> bool:
    return bool(
        db.session.scalar(
            select(
                exists().where(
                    Enrolment.learner_id == link.learner_id,
                    Enrolment.section_id == link.school_class.section_id,
                    expected_on_clause(clock.today()),
                )
            )
        )
    )


def _load_dates(class_id: UUID) -> list[tuple[MeetingOccurrence, ZoomMeeting]]:
    now = clock.now()
    rows = db.session.execute(
        select(MeetingOccurrence, ZoomMeeting)
        .join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
        .where(
            ZoomMeeting.class_id == class_id,
            ZoomMeeting.audience.in_(AUDIENCES),
            MeetingOccurrence.starts_at > now - BACK,
            MeetingOccurrence.starts_at < now + AHEAD,
            MeetingOccurrence.is_scheduled | (MeetingOccurrence.state == OccurrenceState.STARTED),
        )
        .order_by(MeetingOccurrence.starts_at, MeetingOccurrence.id)
        .limit(60)
    )
    return [(occurrence, meeting) for occurrence, meeting in rows]


def _is_not_cancelled(occurrence: MeetingOccurrence, meeting: ZoomMeeting) -> bool:
    return occurrence.state != OccurrenceState.CANCELLED and meeting.state not in (
        MeetingState.CANCELLED,
        MeetingState.DELETED,
    )


def _select_date(dates: list[tuple[MeetingOccurrence, ZoomMeeting]]) -> tuple[MeetingOccurrence, ZoomMeeting] | None:
    """The class date to show: a running one; else one open or opening today; else one cancelled today; else the next;
    else the last one of today that is over."""
    now, today = clock.now(), clock.today()
    running = [pair for pair in dates if pair[0].state == OccurrenceState.STARTED]
    not_over = [
        pair
        for pair in dates
        if _is_not_cancelled(*pair) and pair[0].state != OccurrenceState.ENDED and pair[0].ends_at + STAYS_OPEN > now
    ]
    open_today = [pair for pair in not_over if pair[0].local_date == today or pair[0].starts_at - OPENS_BEFORE <= now]
    cancelled_today = [
        pair for pair in dates if not _is_not_cancelled(*pair) and pair[0].local_date == today and pair[0].ends_at > now
    ]
    ended_early = [pair for pair in dates if pair[0].state == OccurrenceState.ENDED and pair[0].ends_at > now]
    past_today = [pair for pair in dates if pair[0].ends_at <= now and pair[0].local_date == today]
    for rows in (running, open_today, ended_early, cancelled_today, not_over, list(reversed(past_today))):
        if rows:
            return rows[0]
    return None


def _date_state(occurrence: MeetingOccurrence, meeting: ZoomMeeting, now: datetime) -> State:
    if meeting.state == MeetingState.DELETED:
        return "deleted"
    if not _is_not_cancelled(occurrence, meeting):
        return "cancelled"
    if occurrence.state == OccurrenceState.STARTED:
        return "open"
    if occurrence.state == OccurrenceState.ENDED or now > occurrence.ends_at + STAYS_OPEN:
        return "over"
    if now < occurrence.starts_at - OPENS_BEFORE:
        return "early"
    return "open"


def _joinable_state(link: JoinLink, meeting: ZoomMeeting) -> tuple[State, str | None]:
    settings = current_settings()
    if meeting.state == MeetingState.FAILED:
        return "refused", None
    if not meeting.zoom_id:
        return "preparing", None
    if not meeting.has_registration:
        url = meeting.join_url
        return ("open", url) if url and is_zoom_link(url, settings) else ("preparing", None)
    if link.learner_id is None:
        return "personal_only", None
    row = db.session.scalar(
        select(MeetingRegistrant).where(
            MeetingRegistrant.meeting_id == meeting.id,
            MeetingRegistrant.learner_id == link.learner_id,
            MeetingRegistrant.is_expected,
        )
    )
    if row is None:
        return "preparing", None
    if row.state == RegistrantState.REGISTERED and row.join_url and is_zoom_link(row.join_url, settings):
        return "open", row.join_url
    return (
        ("preparing", None)
        if row.state in (RegistrantState.QUEUED, RegistrantState.PENDING_APPROVAL, RegistrantState.REGISTERED)
        else ("refused", None)
    )
