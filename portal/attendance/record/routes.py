"""The page of a section's daily record, on the attendance blueprint."""

from datetime import date
from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from portal.attendance.record import service
from portal.attendance.record.page import DayEntry, build_day_page
from portal.classes.access import can_manage_section, section_or_404
from portal.classes.models import Section
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.meetings.school_calendar import service as school_calendar_service

bp = Blueprint("record", __name__)
MAX_REASON_LENGTH = 200  # characters of a reason


@bp.get("/attendance/sections/<uuid:section_id>/days/<day>")
def show_daily_record(section_id: UUID, day: str) -> str:
    section = section_or_404(section_id, forms=True)
    on = _day_or_404(day)
    audit_log.record_view(
        AuditAction.VIEWED_DAY, AuditSubject.SECTION, section.id, by=current_user.id, section_id=section.id, day=day
    )
    return _render_page(section, on)


@bp.post("/attendance/sections/<uuid:section_id>/days/<day>")
def record_class_day(section_id: UUID, day: str) -> str | AnyResponse | tuple[str, int]:
    section = section_or_404(section_id, govern=True)
    on = _day_or_404(day)
    reason = request.form.get("reason", "").strip()
    changes, has_invalid = _parse_changes(section, on)
    if has_invalid:
        return _render_page(section, on, _("That is no mark of this page. Look at the lines again.")), 422
    if len(reason) > MAX_REASON_LENGTH:
        return _render_page(section, on, _("The reason is too long, 200 characters are the most.")), 422
    try:
        written_count = service.save_daily_record(current_user, section, on, changes, reason)
    except service.FutureDay:
        return _render_page(section, on, _("That day has not come yet. It can be recorded when it is there.")), 422
    except service.ReasonMissing:
        message = _("You say something else than the sheets, or than before. Write the reason, e.g. called by phone.")
        return _render_page(section, on, message), 422
    flash(
        ngettext(
            "The day is recorded: %(num)d line changed.", "The day is recorded: %(num)d lines changed.", written_count
        )
        if written_count
        else _("Nothing was changed.")
    )
    return redirect(url_for(".show_daily_record", section_id=section.id, day=on.isoformat()))


def _parse_changes(section: Section, on: date) -> tuple[list[service.RecordChange], bool]:
    """The changes that the form contains, without the lines left open; and True if a value is invalid."""
    changes, has_invalid = [], False
    for learner in service.learners_enrolled_on(section.id, on):
        status = request.form.get(f"mark-{learner.id}", "")
        tardy = request.form.get(f"tardy-{learner.id}", "")
        if status not in ("", service.PRESENT, service.ABSENT) or tardy not in service.TARDY_KINDS:
            has_invalid = True
        elif status:
            changes.append(service.RecordChange(learner.id, status, tardy))
    return changes, has_invalid


def _render_page(section: Section, on: date, problem: str = "") -> str:
    daily_record = service.load_daily_record(section.id, on, on)
    entries = []
    for learner in service.learners_enrolled_on(section.id, on):
        entry = daily_record.entries.get((learner.id, on))
        # For a day without any data everybody is proposed as present; nothing is saved before the adviser submits it.
        status = (entry.status if entry else service.UNKNOWN) if daily_record.days else service.PRESENT
        tardy = entry.tardy if entry else ""
        if problem:
            status = request.form.get(f"mark-{learner.id}", "")
            tardy = request.form.get(f"tardy-{learner.id}", "")
        entries.append(DayEntry(learner, entry, status, tardy))
    page = build_day_page(
        entries,
        day=on,
        today=clock.today(),
        can_record=can_manage_section(section),
        is_known=bool(daily_record.days),
        day_off=school_calendar_service.load_section_days_off(section, on, on).get(on),
        problem=problem,
    )
    return render_template(
        "attendance/day.html", section=section, on=on, page=page, reason=request.form.get("reason", "")
    )


def _day_or_404(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        abort(404)
    if day.isoformat() != text or not 2000 <= day.year <= 2100:
        abort(404)
    return day
