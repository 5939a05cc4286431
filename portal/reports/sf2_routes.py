"""School Form 2 of a section and month: the page, its workbook, and its cut-off day."""

import re
from datetime import date
from uuid import UUID

from flask import Response, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from portal.attendance import register
from portal.base import audit, clock
from portal.classes.access import section_or_404
from portal.classes.models import Section
from portal.reports import sf2_month, sf2_xlsx, xlsx_writer
from portal.reports.routes import bp


@bp.get("/reports/sections/<uuid:section_id>/sf2/<month>")
def sf2(section_id: UUID, month: str) -> str:
    section = section_or_404(section_id, govern=True)
    audit.viewed("viewed School Form 2", "section", section.id, by=current_user.id, section_id=section.id, month=month)
    return _page(section, month)


def _page(section: Section, month: str, problem: str = "") -> str:
    year, number = _month_or_404(month)
    found = sf2_month.read(section, year, number)
    earlier, later = date(year, number, 1), date(year, number, 28)
    earlier = earlier.replace(year=year - 1, month=12) if number == 1 else earlier.replace(month=number - 1)
    later = later.replace(year=year + 1, month=1) if number == 12 else later.replace(month=number + 1)
    return render_template(
        "reports/sf2.html",
        section=section,
        month=month,
        found=found,
        form=found.form,
        columns=[day for day in sf2_xlsx.placed(found.form) if day],
        earlier=f"{earlier:%Y-%m}",
        later=f"{later:%Y-%m}" if later <= clock.today().replace(day=28) else None,
        remarks=sf2_xlsx.remarks,
        problem=problem,
        typed=request.form.get("cut_off", ""),
    )


@bp.get("/reports/sections/<uuid:section_id>/sf2/<month>.xlsx")
def sf2_workbook(section_id: UUID, month: str) -> Response:
    section = section_or_404(section_id, govern=True)
    year, number = _month_or_404(month)
    found = sf2_month.read(section, year, number)
    audit.record(
        "exported School Form 2", "section", section.id, by=current_user.id, section_id=section.id, month=month
    )
    answer = Response(sf2_xlsx.make(section, found.form, off=found.off), mimetype=xlsx_writer.MIMETYPE)
    name = re.sub(r"[^A-Za-z0-9]+", "-", section.title).strip("-")
    answer.headers.set("Content-Disposition", "attachment", filename=f"SF2-{name}-{month}.xlsx")
    return answer


@bp.post("/reports/sections/<uuid:section_id>/sf2/<month>/cut-off")
def sf2_cut_off(section_id: UUID, month: str) -> AnyResponse | tuple[str, int]:
    """The day with whose enrolment the form compares."""
    section = section_or_404(section_id, govern=True)
    _month_or_404(month)
    text = request.form.get("cut_off", "").strip()
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return _page(section, month, _("Cut-off day: write a day like 2026-06-12.")), 422
    if not 0 <= day.year - int(section.school_year[:4]) <= 1:
        said = _("Cut-off day: take a day of the school year %(year)s.", year=section.school_year)
        return _page(section, month, said), 422
    register.set_cut_off(current_user, section, day)
    flash(_("The cut-off day is saved for the section."))
    return redirect(url_for(".sf2", section_id=section.id, month=month))


def _month_or_404(text: str) -> tuple[int, int]:
    if not re.fullmatch(r"20[0-9]{2}-(0[1-9]|1[0-2])", text, re.ASCII):
        abort(404)
    return int(text[:4]), int(text[5:])
