"""Home: a teacher's day; for division and region the admin overview."""

from datetime import timedelta

from flask import Blueprint, render_template
from flask_login import current_user

from portal.attendance.sheet import queries as attendance_queries
from portal.classes import queries as class_queries
from portal.classes.access import can_view_learners
from portal.core import clock
from portal.meetings import messages as meeting_words
from portal.meetings import queries as meeting_queries
from portal.meetings.school_calendar import service as school_calendar_service
from portal.pages.admin.routes import show_admin_overview
from portal.pages.home_page import HomeData, HomeViewer, build_home_page, sort_todays_dates
from portal.registration import queries as registration_queries
from portal.zoom_account import write_block

bp = Blueprint("home", __name__)


@bp.get("/")
def show_home_page() -> str:
    """Division and region teach no class: their home is the admin overview."""
    if not can_view_learners(current_user):
        return show_admin_overview(at_home=True)
    now, today = clock.now(), clock.today()
    dates = meeting_queries.list_occurrences_between(current_user, today, today + timedelta(days=1))
    recent = meeting_queries.list_recent_occurrences(current_user, days=14)
    is_idle = sort_todays_dates(dates, now).is_idle
    data = HomeData(
        dates=dates,
        recent=recent,
        sheets=attendance_queries.load_sheet_summaries([row.occurrence_id for row in dates + recent]),
        registrations=registration_queries.progress_of_meetings([row.meeting_id for row in dates]),
        next_one=meeting_queries.find_next_occurrence(current_user) if is_idle else None,
        day_off=school_calendar_service.days_off_for_user(current_user, today, today).get(today) if is_idle else None,
        blocked=_write_block_message() if current_user.is_admin else "",
        has_classes=bool(dates or recent or class_queries.list_schedulable_classes(current_user)),
    )
    viewer = HomeViewer(current_user.full_name, current_user.is_admin, has_school=bool(current_user.school_name))
    page = build_home_page(data, viewer, now)
    tasks = [(task.count, task.what, task.where, task.link.url) for task in page.tasks]
    return render_template("pages/home.html", page=page, tasks=tasks)


def _write_block_message() -> str:
    """Why all writes to Zoom are blocked, for admins; empty if they are not."""
    block = write_block.current_write_block()
    return meeting_words.write_block_message(block.reason, block.detail) if block else ""
