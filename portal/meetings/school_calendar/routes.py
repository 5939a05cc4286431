"""Days without class: the calendar of them, declaring, changing and removing, and the classes that they concern."""

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
REMAINS = timedelta(days=400)  # how far ahead classes are looked for; schedules end within a year


@bp.get("")
def show_school_calendar() -> str:
    month = _month(request.args.get("month", ""))
    day_rows, more = queries.list_calendar_days(current_user, *queries.month_grid_range(month))
    concerned, _more = affected_classes.find_affected_classes(
        current_user, clock.today(), clock.today() + REMAINS, most=50
    )
    return render_template(
        "class_days/index.html",
        month=month,
        before=(month - timedelta(days=1)).replace(day=1),
        after=(month + timedelta(days=31)).replace(day=1),
        today=clock.today(),
        squares=queries.build_month_grid(current_user, month, day_rows),
        lines=[line for line in day_rows if line.date.month == month.month],
        more=more,
        may_declare=bool(access.calendar_scope_options(current_user)),
        concerned=len([line for line in concerned if line.managed]),
    )


@bp.route("/new", methods=["GET", "POST"])
def add_calendar_days() -> Answer:
    offers = access.calendar_scope_options(current_user) or abort(403)
    form = CalendarDaysForm(offers, day=_day(request.args.get("on", "")))
    if form.validate_on_submit():
        place = access.resolve_calendar_scope(current_user, offers, str(form.place.data), form.deped_id)
        if place is None:
            _no_such_school(form)
        else:
            return _saved(place, form.days)
    return render_template("class_days/new.html", form=form), 422 if form.is_submitted() else 200


@bp.route("/import", methods=["GET", "POST"])
def import_calendar_days() -> Answer:
    """A CSV of days: shown with what is wrong, then saved as a whole. The file itself is not kept."""
    offers = access.calendar_scope_options(current_user) or abort(403)
    form = CalendarFileForm(offers)
    rows, text = [], ""
    if form.validate_on_submit():
        place = access.resolve_calendar_scope(current_user, offers, str(form.place.data), form.deped_id)
        if place is None:
            _no_such_school(form)
        try:
            text = form.pasted.data = csv_tables.decode_text(form.content())  # a file can then be corrected on the page
            rows = csv_import.parse_calendar_csv(text.encode(), forms.is_day_plannable)
        except csv_tables.CsvError as error:
            form.file.errors = [csv_tables.csv_error_message(error)]
        if place and not form.errors and "save" in request.form and all(row.entry for row in rows):
            return _saved(place, [row.entry for row in rows if row.entry])
    bad = form.errors or not rows or not all(row.entry for row in rows)
    page = render_template(
        "class_days/import.html", form=form, rows=rows if not form.errors else [], text=text, offers=offers
    )
    return page, 422 if form.is_submitted() and bad else 200


@bp.get("/template.csv")
def calendar_csv_template() -> Response:
    return Response(
        csv_import.TEMPLATE.encode("utf-8-sig"),
        mimetype="text/csv",
        headers={"Content-Disposition": 'attachment; filename="class-days.csv"'},
    )


def _saved(place: CalendarScope, days: list[CalendarEntry]) -> AnyResponse:
    service.add_calendar_days(current_user, place, days)
    flash(ngettext("%(num)d day is in the calendar.", "%(num)d days are in the calendar.", len(days)))
    first, last = min(one.date for one in days), max(one.date for one in days)
    return _to_what_it_concerns(first, last)


def _to_what_it_concerns(first: date, last: date) -> AnyResponse:
    """On to the classes that are scheduled on those days, where there are any."""
    found, _more = affected_classes.find_affected_classes(current_user, first, last, most=1)
    if found:
        return redirect(url_for(".show_affected_classes", first=first.isoformat(), last=last.isoformat()))
    return redirect(url_for(".show_school_calendar", month=first.strftime("%Y-%m")))


def _no_such_school(form: CalendarDaysForm | CalendarFileForm) -> None:
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
            return _to_what_it_concerns(row.date, row.date)
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
    """Classes that are still scheduled on days without class, from one day to another: cancel them, or keep them."""
    first, last = _span(request.args)
    found, more = affected_classes.find_affected_classes(current_user, first, last)
    return render_template(
        "class_days/meetings.html",
        own=[line for line in found if line.managed],
        others=[line for line in found if not line.managed],
        more=more,
        first=first,
        last=last,
    )


@bp.post("/classes/cancel")
def cancel_affected_classes() -> AnyResponse:
    first, last = _span(request.form)
    again = redirect(url_for(".show_affected_classes", first=first.isoformat(), last=last.isoformat()))
    chosen = _ids(request.form.getlist("date"))
    if not chosen:
        flash(_("Choose the dates to cancel."), "bad")
        return again
    done = affected_classes.cancel_listed_occurrences(current_user, first, last, chosen)
    if done:
        flash(
            ngettext(
                "%(num)d class is cancelled. Zoom is told now; nobody is marked absent.",
                "%(num)d classes are cancelled. Zoom is told now; nobody is marked absent.",
                done,
            )
        )
    else:
        flash(_("Nothing was cancelled: these classes have begun or were cancelled already."), "warm")
    return (
        again
        if len(chosen) >= affected_classes.MAX_ROWS
        else redirect(url_for(".show_school_calendar", month=first.strftime("%Y-%m")))
    )


def _span(values: Mapping[str, str]) -> tuple[date, date]:
    first = _day(values.get("first", "")) or clock.today()
    return first, _day(values.get("last", "")) or first + REMAINS


def _ids(texts: list[str]) -> list[UUID]:
    try:
        return [UUID(text) for text in texts[: affected_classes.MAX_ROWS]]
    except ValueError:
        abort(400)


def _day(text: str) -> date | None:
    """A day of the address; None where it is none, or too far away to be meant."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if forms.is_day_plannable(day) else None


def _month(text: str) -> date:
    return _day(f"{text}-01") or clock.today().replace(day=1)
