"""The school-calendar pages: showing, declaring, changing and deleting days without class, and the affected classes."""

from collections.abc import Mapping
from datetime import date, timedelta
from uuid import UUID

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from portal.core import clock, csv_tables
from portal.meetings.school_calendar import (
    access,
    affected_classes,
    csv_import,
    forms,
    queries,
    service,
)
from portal.meetings.school_calendar.forms import CalendarDayForm, CalendarDaysForm, CalendarFileForm
from portal.meetings.school_calendar.service import CalendarEntry, CalendarScope

bp = Blueprint("school_calendar", __name__, url_prefix="/class-days")
Answer = str | AnyResponse | tuple[str, int]
REMAINS = timedelta(days=400)  # how far ahead affected classes are searched; schedules end within a year


@bp.get("")
def show_school_calendar() -> str:
    month = _parse_month(request.args.get("month", ""))
    day_rows, has_more = queries.list_calendar_days(current_user, *queries.month_grid_range(month))
    affected, _more = affected_classes.find_affected_classes(
        current_user, clock.today(), clock.today() + REMAINS, most=50
    )
    return render_template(
        "class_days/index.html",
        month=month,
        before=(month - timedelta(days=1)).replace(day=1),
        after=(month + timedelta(days=31)).replace(day=1),
        today=clock.today(),
        squares=queries.build_month_grid(current_user, month, day_rows),
        lines=[row for row in day_rows if row.date.month == month.month],
        more=has_more,
        may_declare=bool(access.calendar_scope_options(current_user)),
        concerned=len([row for row in affected if row.managed]),
    )


@bp.route("/new", methods=["GET", "POST"])
def add_calendar_days() -> Answer:
    options = access.calendar_scope_options(current_user) or abort(403)
    form = CalendarDaysForm(options, day=_parse_day(request.args.get("on", "")))
    if form.validate_on_submit():
        calendar_scope = access.resolve_calendar_scope(current_user, options, str(form.place.data), form.deped_id)
        if calendar_scope is None:
            _add_school_error(form)
        else:
            return _save_and_redirect(calendar_scope, form.days)
    return render_template("class_days/new.html", form=form), 422 if form.is_submitted() else 200


@bp.route("/import", methods=["GET", "POST"])
def import_calendar_days() -> Answer:
    """CSV import: a preview with all problems, then all rows or none are saved. The file itself is not stored."""
    options = access.calendar_scope_options(current_user) or abort(403)
    form = CalendarFileForm(options)
    rows, text = [], ""
    if form.validate_on_submit():
        calendar_scope = access.resolve_calendar_scope(current_user, options, str(form.place.data), form.deped_id)
        if calendar_scope is None:
            _add_school_error(form)
        try:
            text = form.pasted.data = csv_tables.decode_text(
                form.content()
            )  # so that a file's rows can be corrected on the page
            rows = csv_import.parse_calendar_csv(text.encode(), forms.is_day_plannable)
        except csv_tables.CsvError as error:
            form.file.errors = [csv_tables.csv_error_message(error)]
        if calendar_scope and not form.errors and "save" in request.form and all(row.entry for row in rows):
            return _save_and_redirect(calendar_scope, [row.entry for row in rows if row.entry])
    has_problems = form.errors or not rows or not all(row.entry for row in rows)
    page = render_template(
        "class_days/import.html", form=form, rows=rows if not form.errors else [], text=text, offers=options
    )
    return page, 422 if form.is_submitted() and has_problems else 200


@bp.get("/template.csv")
def calendar_csv_template() -> Response:
    return Response(
        csv_import.TEMPLATE.encode("utf-8-sig"),
        mimetype="text/csv",
        headers={"Content-Disposition": 'attachment; filename="class-days.csv"'},
    )


def _save_and_redirect(calendar_scope: CalendarScope, days: list[CalendarEntry]) -> AnyResponse:
    service.add_calendar_days(current_user, calendar_scope, days)
    flash(ngettext("%(num)d day is in the calendar.", "%(num)d days are in the calendar.", len(days)))
    first_day, last_day = min(entry.date for entry in days), max(entry.date for entry in days)
    return _redirect_to_affected_classes(first_day, last_day)


def _redirect_to_affected_classes(first: date, last: date) -> AnyResponse:
    """Redirect to the classes scheduled on those days, if there are any, else to the calendar."""
    affected, _more = affected_classes.find_affected_classes(current_user, first, last, most=1)
    if affected:
        return redirect(url_for(".show_affected_classes", first=first.isoformat(), last=last.isoformat()))
    return redirect(url_for(".show_school_calendar", month=first.strftime("%Y-%m")))


def _add_school_error(form: CalendarDaysForm | CalendarFileForm) -> None:
    form.school.errors = [_("No school of yours has this ID.") if form.deped_id else _("Write the school's ID.")]


@bp.route("/<uuid:day_id>", methods=["GET", "POST"])
def edit_calendar_day(day_id: UUID) -> Answer:
    row = access.calendar_day_or_404(day_id)
    form = CalendarDayForm(day=row.date, kind=row.kind, name=row.name)
    if form.validate_on_submit():
        try:
            service.update_calendar_day(current_user, row, form.entry)
        except service.DuplicateCalendarDay:
            form.day.errors = [_("Something is said of this day already. Change or remove that first.")]
        else:
            flash(_("Saved."))
            return _redirect_to_affected_classes(row.date, row.date)
    return render_template("class_days/change.html", row=row, form=form), 422 if form.is_submitted() else 200


@bp.post("/<uuid:day_id>/remove")
def delete_calendar_day(day_id: UUID) -> AnyResponse:
    row = access.calendar_day_or_404(day_id)
    service.delete_calendar_day(current_user, row)
    flash(
        _(
            "Removed. Class dates that were cancelled or left out for it do not come back by themselves: "
            "schedule those that are held after all."
        ),
        "warm",
    )
    return redirect(url_for(".show_school_calendar", month=row.date.strftime("%Y-%m")))


@bp.get("/classes")
def show_affected_classes() -> str:
    """Classes still scheduled on days without class between two dates: to be cancelled or kept."""
    first, last = _date_range(request.args)
    affected, has_more = affected_classes.find_affected_classes(current_user, first, last)
    return render_template(
        "class_days/meetings.html",
        own=[row for row in affected if row.managed],
        others=[row for row in affected if not row.managed],
        more=has_more,
        first=first,
        last=last,
    )


@bp.post("/classes/cancel")
def cancel_affected_classes() -> AnyResponse:
    first, last = _date_range(request.form)
    same_page = redirect(url_for(".show_affected_classes", first=first.isoformat(), last=last.isoformat()))
    occurrence_ids = _parse_ids(request.form.getlist("date"))
    if not occurrence_ids:
        flash(_("Choose the dates to cancel."), "bad")
        return same_page
    cancelled_count = affected_classes.cancel_listed_occurrences(current_user, first, last, occurrence_ids)
    if cancelled_count:
        flash(
            ngettext(
                "%(num)d class is cancelled. Zoom is told now; nobody is marked absent.",
                "%(num)d classes are cancelled. Zoom is told now; nobody is marked absent.",
                cancelled_count,
            )
        )
    else:
        flash(_("Nothing was cancelled: these classes have begun or were cancelled already."), "warm")
    return (
        same_page
        if len(occurrence_ids) >= affected_classes.MAX_ROWS
        else redirect(url_for(".show_school_calendar", month=first.strftime("%Y-%m")))
    )


def _date_range(values: Mapping[str, str]) -> tuple[date, date]:
    first = _parse_day(values.get("first", "")) or clock.today()
    return first, _parse_day(values.get("last", "")) or first + REMAINS


def _parse_ids(texts: list[str]) -> list[UUID]:
    try:
        return [UUID(text) for text in texts[: affected_classes.MAX_ROWS]]
    except ValueError:
        abort(400)


def _parse_day(text: str) -> date | None:
    """A day of the query string; None if invalid or too far away."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if forms.is_day_plannable(day) else None


def _parse_month(text: str) -> date:
    return _parse_day(f"{text}-01") or clock.today().replace(day=1)
