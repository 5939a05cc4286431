"""Pages of schools, for admins: searching, adding, editing, closing, and retention of attendance."""

from typing import Any
from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from flask_login import current_user
from werkzeug.wrappers import Response
from wtforms import SelectField, StringField
from wtforms.validators import DataRequired, Length, Regexp, ValidationError

from portal.accounts.models import School
from portal.accounts.schools import service as schools_service
from portal.core import clock
from portal.core.forms import PortalForm
from portal.pages.schools import queries
from portal.privacy import attendance_retention

bp = Blueprint("schools", __name__, url_prefix="/admin/schools")
Answer = str | Response | tuple[str, int]


class SchoolForm(PortalForm):
    """The division is a field for the region only: a division's admin has a fixed one."""

    name = StringField(
        _l("Name"), [DataRequired(_l("Write the school's name.")), Length(max=120, message=_l("At most 120 letters."))]
    )
    deped_id = StringField(
        _l("School ID"),
        [DataRequired(_l("Write the school's ID.")), Regexp(r"^[0-9]{6}\Z", message=_l("The school ID has 6 digits."))],
        description=_l("6 digits, as on School Form 1."),
        render_kw={"inputmode": "numeric"},
    )
    division = StringField(
        _l("Division"),
        [DataRequired(_l("Write the division.")), Length(max=80, message=_l("At most 80 letters."))],
        description=_l("As the other schools of the division have it."),
        render_kw={"list": "divisions", "autocomplete": "off"},
    )

    def __init__(self, *args: Any, **values: Any) -> None:
        super().__init__(*args, **values)
        if current_user.scope != "region":
            del self.division

    @property
    def values(self) -> dict[str, str]:
        division = (self.division.data or "") if self.division else ""
        return {"name": self.name.data or "", "deped_id": self.deped_id.data or "", "division": division}


class RetentionForm(PortalForm):
    """Retention of attendance. `sure` is the confirmation, needed if attendance would be deleted immediately: the
    number of years for which that was shown."""

    years = SelectField(_l("Attendance is kept"), validate_choice=True)
    authority = StringField(
        _l("Who allows it"),
        [Length(max=200, message=_l("At most 200 letters."))],
        description=_l(
            "For example the division's records officer, or the National Archives' authority with its number."
        ),
    )
    sure = StringField()

    def __init__(self, *args: Any, **values: Any) -> None:
        super().__init__(*args, **values)
        years = range(attendance_retention.MIN_YEARS, attendance_retention.MAX_YEARS + 1)
        self.years.choices = [
            ("", _("until somebody decides otherwise")),
            *(
                (str(count), ngettext("%(num)d school year after its own", "%(num)d school years after its own", count))
                for count in years
            ),
        ]

    def validate_authority(self, field: StringField) -> None:
        if self.years.data and not (field.data or "").strip():
            raise ValidationError(_("Write who allows that the school's records are deleted."))


@bp.before_request
def require_school_admin() -> None:
    if current_user.is_authenticated and not current_user.is_admin:
        abort(403)


@bp.get("")
def list_schools() -> str:
    words, show = request.args.get("q", "")[:100], request.args.get("show", "")
    show = show if show == "closed" else ""
    school_page = queries.search_schools_in_scope(current_user, words, show, request.args.get("page", 1, type=int) or 1)
    return render_template(
        "schools/index.html",
        found=school_page,
        q=words,
        show=show,
        may_change=schools_service.can_edit_schools(current_user),
    )


@bp.route("/new", methods=["GET", "POST"])
def new_school() -> Answer:
    if not schools_service.can_edit_schools(current_user):
        abort(403)
    form = SchoolForm()
    if form.validate_on_submit():
        try:
            school = schools_service.create_school(current_user, **form.values)
        except schools_service.SchoolIdTaken:
            _add_id_taken_error(form)
        else:
            flash(_("%(school)s is there. Invite its first people now.", school=school.name))
            return redirect(url_for(".show_school", school_id=school.id))
    return _render_form("schools/new.html", form)


@bp.get("/<uuid:school_id>")
def show_school(school_id: UUID) -> Answer:
    school = _school_or_404(school_id)
    return _render_school(school, _filled_form(school))


@bp.post("/<uuid:school_id>")
def edit_school(school_id: UUID) -> Answer:
    school = _school_or_404(school_id, change=True)
    form = SchoolForm()
    if form.validate_on_submit():
        try:
            schools_service.update_school(current_user, school, **form.values)
        except schools_service.SchoolIdTaken:
            _add_id_taken_error(form)
        else:
            flash(_("Saved."))
            return redirect(url_for(".show_school", school_id=school.id))
    return _render_school(school, form)


@bp.post("/<uuid:school_id>/close")
def close_school(school_id: UUID) -> Answer:
    school = _school_or_404(school_id, change=True)
    schools_service.close_school(current_user, school)
    flash(_("The school is closed: nobody new can be invited to it."))
    return redirect(url_for(".show_school", school_id=school.id))


@bp.post("/<uuid:school_id>/reopen")
def reopen_school(school_id: UUID) -> Answer:
    school = _school_or_404(school_id, change=True)
    schools_service.reopen_school(current_user, school)
    flash(_("The school is open again."))
    return redirect(url_for(".show_school", school_id=school.id))


@bp.route("/<uuid:school_id>/keeping", methods=["GET", "POST"])
def set_attendance_retention(school_id: UUID) -> Answer:
    """Set the retention of the school's attendance. Immediate deletions are shown and have to be confirmed first."""
    school = _school_or_404(school_id)
    form = RetentionForm(years=str(school.attendance_retention_years or ""))
    years = int(form.years.data) if (form.years.data or "").isdigit() else None
    expired_years = []
    if form.validate_on_submit():
        expired_years = attendance_retention.list_expired_years(school, years)
        if form.sure.data == str(years) or not expired_years:
            attendance_retention.set_retention_years(current_user, school, years, authority=form.authority.data or "")
            flash(_("Saved."))
            return redirect(url_for(".show_school", school_id=school.id))
    past_years = attendance_retention.list_past_years(school, school.attendance_retention_years)
    page = render_template(
        "schools/keeping.html",
        school=school,
        form=form,
        lines=past_years,
        at_once=expired_years,
        today=clock.today(),
    )
    return page, 422 if form.errors else 200


def _school_or_404(school_id: UUID, *, change: bool = False) -> School:
    """A school in scope; 404 otherwise, 403 with `change` for an admin of the school itself."""
    school = schools_service.get_school_in_scope(current_user, school_id)
    if school is None:
        abort(404)
    if change and not schools_service.can_edit_schools(current_user):
        abort(403)
    return school


def _render_school(school: School, form: SchoolForm) -> Answer:
    counts, may_change = queries.count_school_contents(school), schools_service.can_edit_schools(current_user)
    return _render_form("schools/school.html", form, line=counts, school=school, may_change=may_change)


def _render_form(template: str, form: SchoolForm, **values: Any) -> Answer:
    divisions = schools_service.list_divisions_in_scope() if form.division else []
    page = render_template(template, form=form, divisions=divisions, **values)
    return page, 422 if form.is_submitted() else 200


def _filled_form(school: School) -> SchoolForm:
    return SchoolForm(name=school.name, deped_id=school.deped_id, division=school.division)


def _add_id_taken_error(form: SchoolForm) -> None:
    form.deped_id.errors = [_("Another school has this ID. Correct it, or look for that school in the list.")]
