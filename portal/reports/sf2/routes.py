"""Pages of School Form 2 for a section and month: the form, its workbook, and its options."""

import re
from datetime import date
from uuid import UUID

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from portal.attendance.record import service as record_service
from portal.classes.access import can_manage_section, section_or_404
from portal.classes.models import Section, school_year_of
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.reports import xlsx_writer
from portal.reports.sf2 import queries, workbook
from portal.reports.sf2.page import build_sf2_page
from portal.web.rate_limits import learner_export_limit

bp = Blueprint("sf2", __name__)
LONGEST_NAME = 120


@bp.get("/reports/sections/<uuid:section_id>/sf2/<month>")
def show_sf2(section_id: UUID, month: str) -> str:
    section = section_or_404(section_id, forms=True)
    audit_log.record_view(
        AuditAction.VIEWED_SF2, AuditSubject.SECTION, section.id, by=current_user.id, section_id=section.id, month=month
    )
    return _render_sf2(section, month)


def _render_sf2(section: Section, month: str, problems: dict[str, str] | None = None) -> str:
    first = _month_or_404(section, month)
    month_data = queries.load_sf2_month(section, first.year, first.month)
    return render_template(
        "reports/sf2.html",
        section=section,
        can_change=can_manage_section(section),
        month=month,
        form=month_data.form,
        head=month_data.head,
        page=build_sf2_page(
            month_data,
            first_day=section.first_day,
            last_day=section.roster_day,
            today=clock.today(),
            adviser=section.adviser.full_name if section.adviser else "",
        ),
        rules={
            "any": _("any class of the day"),
            "first": _("the first class of the day"),
            "half": _("half of the day's classes, or more"),
        },
        kinds={
            "present": _("as LIS has it: absent and present"),
            "tardy": _("DO 4, s. 2014: absent and tardy"),
            "shs": _("senior high school (SF2-SHS)"),
        },
        papers={"a4": _("A4"), "long": _("long, 8.5 by 13 inches")},
        problems=problems or {},
        invalid=dict.fromkeys(problems or (), "true"),
        typed={
            "cut_off": month_data.cutoff_date.isoformat(),
            "day_rule": section.day_attendance_rule,
            "school_head": section.school_head or "",
            "kind": month_data.kind,
            "paper": section.sf2_paper,
            **(request.form if problems else {}),
        },
    )


@bp.get("/reports/sections/<uuid:section_id>/sf2/<month>.xlsx")
@learner_export_limit
def download_sf2_workbook(section_id: UUID, month: str) -> Response:
    section = section_or_404(section_id, forms=True)
    first = _month_or_404(section, month)
    month_data = queries.load_sf2_month(section, first.year, first.month)
    audit_log.record_action(
        AuditAction.EXPORTED_SF2,
        AuditSubject.SECTION,
        section.id,
        by=current_user.id,
        section_id=section.id,
        month=month,
    )
    with_formulas = request.args.get("figures") != "only"
    response = Response(
        workbook.build_sf2_workbook(section, month_data, live=with_formulas), mimetype=xlsx_writer.MIMETYPE
    )
    name = re.sub(r"[^A-Za-z0-9]+", "-", section.title).strip("-")
    response.headers.set("Content-Disposition", "attachment", filename=f"SF2-{name}-{month}.xlsx")
    return response


@bp.post("/reports/sections/<uuid:section_id>/sf2/<month>/settings")
def save_sf2_settings(section_id: UUID, month: str) -> AnyResponse | tuple[str, int]:
    """Save the section's options of the form."""
    section = section_or_404(section_id, govern=True)
    _month_or_404(section, month)
    day, problems = _parse_cut_off(section)
    school_head = " ".join(request.form.get("school_head", "").split())
    if len(school_head) > LONGEST_NAME:
        problems["school_head"] = _("School head: the name is too long, 120 characters are the most.")
    options = {}
    for name, choices, message in (
        ("day_rule", record_service.DAY_RULES, _("Which classes make a day: take one of the list.")),
        ("kind", queries.FORMS, _("Form: take one of the list.")),
        ("paper", queries.PAPERS, _("Paper: take one of the list.")),
    ):
        options[name] = request.form.get(name, "")
        if options[name] not in choices:
            problems[name] = message
    if problems or day is None:
        return _render_sf2(section, month, problems), 422
    record_service.set_sf2_options(current_user, section, cut_off=day, school_head=school_head or None, **options)
    flash(_("The form is set up for the section."))
    return redirect(url_for(".show_sf2", section_id=section.id, month=month))


def _parse_cut_off(section: Section) -> tuple[date | None, dict[str, str]]:
    """The submitted cut-off day, or an error message."""
    try:
        day = date.fromisoformat(request.form.get("cut_off", "").strip())
    except ValueError:
        return None, {"cut_off": _("Cut-off day: write a day like 2026-06-12.")}
    if not 0 <= day.year - int(section.school_year[:4]) <= 1:
        message = _("Cut-off day: take a day of the school year %(year)s.", year=section.school_year)
        return None, {"cut_off": message}
    return day, {}


def _month_or_404(section: Section, text: str) -> date:
    """The first day of a month within the section's school year."""
    if not re.fullmatch(r"20[0-9]{2}-(0[1-9]|1[0-2])", text, re.ASCII):
        abort(404)
    first = date(int(text[:4]), int(text[5:]), 1)
    if school_year_of(first) != section.school_year:
        abort(404)
    return first
