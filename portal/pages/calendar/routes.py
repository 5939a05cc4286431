"""The calendar page (month, week, agenda), and the iCalendar feeds."""

from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from flask import (
    Blueprint,
    Response,
    abort,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from portal.core import clock
from portal.core.settings import current_settings
from portal.extensions import limiter
from portal.meetings import queries as meeting_queries
from portal.meetings.access import meeting_or_404
from portal.meetings.queries import OccurrenceRow
from portal.meetings.school_calendar import service as school_calendar_service
from portal.pages.calendar import ics
from portal.registration import join_links
from portal.web import mark_endpoint_public
from portal.web.rate_limits import MISS_LIMIT, is_not_found_response

bp = Blueprint("calendar", __name__)
VIEWS = ("agenda", "week", "month")
AGENDA_DAYS = 14  # days
MAX_DISTANCE = timedelta(days=3 * 366)


@dataclass(frozen=True)
class AgendaDay:
    """One day of the calendar."""

    date: date
    lines: list[OccurrenceRow]
    off: str | None  # name of the holiday or suspension
    inside: bool  # within the displayed month


@bp.get("/calendar")
def show_calendar() -> str:
    view = request.args.get("view", "agenda")
    view = view if view in VIEWS else "agenda"
    on = _requested_day()
    first, last = _date_range(view, on)
    rows = meeting_queries.list_occurrences_between(current_user, first, last)
    days_off = school_calendar_service.days_off_for_user(current_user, first, last)
    rows_by_date: dict[date, list[OccurrenceRow]] = {}
    for row in rows:
        rows_by_date.setdefault(clock.to_manila(row.starts_at).date(), []).append(row)
    days = [
        AgendaDay(day, rows_by_date.get(day, []), days_off.get(day), view != "month" or day.month == on.month)
        for day in (first + timedelta(days=offset) for offset in range((last - first).days + 1))
    ]
    return render_template(
        "calendar/index.html",
        view=view,
        on=on,
        today=clock.today(),
        first=first,
        last=last,
        days=days,
        before=_adjacent_day(view, on, -1),
        after=_adjacent_day(view, on, 1),
        token=join_links.get_calendar_token(current_user),
        feed=lambda token: current_settings().base_url + url_for(".own_calendar_feed", token=token),
    )


@bp.post("/calendar/link")
def renew_calendar_link() -> AnyResponse:
    """Create the user's feed URL, or rotate it."""
    join_links.rotate_calendar_link(current_user)
    flash(_("Your calendar has a new address. An old one does not work any more."))
    return redirect(url_for(".show_calendar") + "#subscribe")


@bp.post("/calendar/link/end")
def end_calendar_link() -> AnyResponse:
    join_links.revoke_calendar_link(current_user)
    flash(_("The address does not work any more. Calendars that used it get nothing new."))
    return redirect(url_for(".show_calendar") + "#subscribe")


def _is_owner_token() -> bool:
    return join_links.find_calendar_owner((request.view_args or {}).get("token", "")) is not None


def _is_learner_token() -> bool:
    return join_links.is_valid_token((request.view_args or {}).get("token", ""))


@bp.get("/calendar/<token>.ics")
@limiter.limit(MISS_LIMIT, deduct_when=is_not_found_response, exempt_when=_is_owner_token)
@mark_endpoint_public
def own_calendar_feed(token: str) -> Response:
    """Feed of a teacher's own dates."""
    owner = join_links.find_calendar_owner(token) or abort(404)
    return _calendar_response(
        ics.build_ics_calendar(
            ics.events_of_teacher(owner), name=f"Silid: {owner.full_name}", base_url=current_settings().base_url
        ),
        "silid",
    )


@bp.get("/join/<token>/calendar.ics")
@limiter.limit(MISS_LIMIT, deduct_when=is_not_found_response, exempt_when=_is_learner_token)
@mark_endpoint_public
def learner_calendar_feed(token: str) -> Response:
    """Feed of one class's dates, each linking to the join page of the same token."""
    link = join_links.find_join_link(token) or abort(404)
    school_class = link.school_class
    calendar_file = ics.build_ics_calendar(
        ics.events_of_class(school_class.id),
        name=f"{school_class.subject}, {school_class.section.title}",
        base_url=current_settings().base_url,
        url=current_settings().base_url + url_for("join.show_join_page", token=token),
    )
    return _calendar_response(calendar_file, "class")


@bp.get("/calendar/meetings/<uuid:meeting_id>.ics")
def download_meeting_ics(meeting_id: UUID) -> Response:
    """Download of one meeting with all its dates."""
    meeting = meeting_or_404(meeting_id)
    calendar_file = ics.build_ics_calendar(
        ics.events_of_meeting(meeting.id), name=meeting.title, base_url=current_settings().base_url
    )
    return _calendar_response(calendar_file, "meeting")


def _calendar_response(body: bytes, name: str) -> Response:
    """A calendar file with an ETag: an unchanged one is answered with 304."""
    response = make_response(body)
    response.headers["Content-Type"] = "text/calendar; charset=utf-8"
    response.headers["Content-Disposition"] = f'inline; filename="{name}.ics"'
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["X-Robots-Tag"] = "noindex"
    response.add_etag()
    response.make_conditional(request)
    return response


def _requested_day() -> date:
    """The requested day; today if missing, invalid or further away than MAX_DISTANCE."""
    today = clock.today()
    try:
        day = date.fromisoformat(request.args.get("on", ""))
    except ValueError:
        return today
    return day if abs(day - today) <= MAX_DISTANCE else today


def _date_range(view: str, on: date) -> tuple[date, date]:
    """The first and the last displayed day; weeks begin on Monday."""
    if view == "agenda":
        return on, on + timedelta(days=AGENDA_DAYS - 1)
    if view == "week":
        monday = on - timedelta(days=on.weekday())
        return monday, monday + timedelta(days=6)
    first = on.replace(day=1)
    last = _next_month(first) - timedelta(days=1)
    return first - timedelta(days=first.weekday()), last + timedelta(days=6 - last.weekday())


def _adjacent_day(view: str, on: date, direction: int) -> date:
    """The day that the previous (-1) or next (1) page is requested with."""
    if view == "month":
        first = on.replace(day=1)
        return _next_month(first) if direction > 0 else (first - timedelta(days=1)).replace(day=1)
    return on + direction * timedelta(days=AGENDA_DAYS if view == "agenda" else 7)


def _next_month(first: date) -> date:
    return (first + timedelta(days=31)).replace(day=1)
