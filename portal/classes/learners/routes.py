"""Pages that change one learner of a section; for its adviser and the school's admins."""

from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask_babel import format_date
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response
from wtforms.fields.choices import SelectChoice

from portal.classes import access, queries
from portal.classes.learners import service
from portal.classes.learners.enrolments import EndsBeforeStart, EnrolmentOverlap
from portal.classes.learners.forms import (
    LearnerForm,
    NewLearnerForm,
    ReadmitForm,
    TransferForm,
    WithdrawForm,
)
from portal.classes.models import Learner, Section
from portal.core import clock
from portal.core.forms import PortalForm

bp = Blueprint("learners", __name__, url_prefix="/classes/sections/<uuid:section_id>/learners")

Page = str | Response | tuple[str, int]


@bp.route("/new", methods=["GET", "POST"])
def new_learner(section_id: UUID) -> Page:
    """Add a learner to the roster by hand."""
    section = access.section_or_404(section_id, govern=True)
    _require_current_year(section)
    form = NewLearnerForm()
    namesake = bool(form.another.data)
    if form.validate_on_submit() and form.since.data:
        try:
            learner = service.add_learner(
                current_user, section, form.details(), since=form.since.data, another=bool(form.another.data)
            )
        except service.LrnInUse as error:
            form.lrn.errors = [_lrn_in_use_message(error)]
        except service.NameMismatch:
            form.lrn.errors = [
                _("Your school knows a learner with this LRN by another name. Check both with LIS; "
                  "if the name was wrong before, the learner's last adviser or your admin corrects it.")
            ]  # fmt: skip
        except service.PossibleDuplicate:
            namesake = True
            form.another.errors = [
                _("A learner of this name is on the roster. If it is the same one, change that line instead.")
            ]
        except (service.OutsideSchoolYear, EnrolmentOverlap) as error:
            form.since.errors = [_day_error_message(error)]
        else:
            flash(_("%(name)s is on the roster.", name=learner_name(learner)))
            return redirect(url_for("classes.show_section", section_id=section.id))
    elif not form.is_submitted():
        form.since.data = clock.today()
    page = render_template("classes/learner_new.html", form=form, section=section, namesake=namesake)
    return page, 422 if form.errors else 200


@bp.route("/<uuid:learner_id>/change", methods=["GET", "POST"])
def edit_learner(section_id: UUID, learner_id: UUID) -> Page:
    """Correct a learner's details."""
    section, learner = _load_changeable_learner(section_id, learner_id)
    form = LearnerForm()
    if form.validate_on_submit():
        try:
            changed = service.update_learner(current_user, section, learner, form.details())
        except service.LrnInUse as error:
            form.lrn.errors = [_lrn_in_use_message(error)]
        else:
            flash(_("The details are saved.") if changed else _("Nothing was different, so nothing was changed."))
            return _redirect_to_learner(section, learner)
    elif not form.is_submitted():
        form.show(learner)
    page = render_template("classes/learner_change.html", form=form, section=section, learner=learner)
    return page, 422 if form.errors else 200


@bp.route("/<uuid:learner_id>/withdraw", methods=["GET", "POST"])
def withdraw_learner(section_id: UUID, learner_id: UUID) -> Page:
    """End a learner's enrolment, or delete one entered by mistake."""
    section, learner = _load_changeable_learner(section_id, learner_id)
    form = WithdrawForm()
    if form.validate_on_submit() and form.last_day.data:
        mistake = form.reason.data == service.ENTERED_BY_MISTAKE
        try:
            service.withdraw_learner(
                current_user, section, learner,
                last_day=form.last_day.data, reason=form.reason.data, detail=form.detail.data,
            )  # fmt: skip
        except (service.OutsideSchoolYear, EndsBeforeStart, EnrolmentOverlap) as error:
            form.last_day.errors = [_day_error_message(error)]
        except service.NotOnThisRoster:
            return _redirect_not_on_roster(section)
        else:
            flash(
                _(
                    "%(name)s is off the roster. Registrations for coming classes are cancelled.",
                    name=learner_name(learner),
                )
            )
            return (
                redirect(url_for("classes.show_section", section_id=section.id))
                if mistake
                else _redirect_to_learner(section, learner)
            )
    elif not form.is_submitted():
        form.last_day.data = clock.today()
    return _render_enrolment_form("learner_withdraw", form, section, learner)


@bp.route("/<uuid:learner_id>/move", methods=["GET", "POST"])
def transfer_learner(section_id: UUID, learner_id: UUID) -> Page:
    """Transfer a learner to another section of the school."""
    section, learner = _load_changeable_learner(section_id, learner_id)
    siblings = {str(sibling.id): sibling for sibling in queries.list_sibling_sections(section)}
    form = TransferForm()
    form.target.choices = [
        SelectChoice("", _("Choose")),
        *(SelectChoice(key, sibling.title) for key, sibling in siblings.items()),
    ]
    if form.validate_on_submit() and form.since.data:
        target = siblings[form.target.data]
        try:
            service.transfer_learner(
                current_user, section, learner, target, since=form.since.data, detail=form.detail.data or ""
            )
        except (service.OutsideSchoolYear, EnrolmentOverlap) as error:
            form.since.errors = [_day_error_message(error)]
        except service.NotOnThisRoster:
            return _redirect_not_on_roster(section)
        else:
            flash(_("%(name)s is on the roster of %(section)s now.", name=learner_name(learner), section=target.title))
            return redirect(url_for("classes.show_section", section_id=section.id))
    elif not form.is_submitted():
        form.since.data = clock.today()
    return _render_enrolment_form("learner_move", form, section, learner)


@bp.route("/<uuid:learner_id>/back", methods=["GET", "POST"])
def readmit_learner(section_id: UUID, learner_id: UUID) -> Page:
    """Put a withdrawn learner on the roster again."""
    section, learner = _load_changeable_learner(section_id, learner_id)
    form = ReadmitForm()
    if form.validate_on_submit() and form.since.data:
        try:
            service.readmit_learner(current_user, section, learner, since=form.since.data)
        except (service.OutsideSchoolYear, EnrolmentOverlap) as error:
            form.since.errors = [_day_error_message(error)]
        else:
            flash(_("%(name)s is on the roster again.", name=learner_name(learner)))
            return _redirect_to_learner(section, learner)
    elif not form.is_submitted():
        form.since.data = clock.today()
    return _render_enrolment_form("learner_back", form, section, learner)


def learner_name(learner: Learner) -> str:
    """ "ABAD, JUSTINE KYLE", for use in a sentence."""
    return f"{learner.last_name}, {learner.first_name}"


def _load_changeable_learner(section_id: UUID, learner_id: UUID) -> tuple[Section, Learner]:
    """Load the learner to change; redirect if the school year is over."""
    section, learner = access.learner_or_404(section_id, learner_id, govern=True)
    _require_current_year(section)
    return section, learner


def _require_current_year(section: Section) -> None:
    """Redirect to the section if its school year is over: its roster is read-only."""
    if section.is_past:
        flash(_("The school year %(year)s is over: its rosters can only be read.", year=section.school_year), "bad")
        abort(redirect(url_for("classes.show_section", section_id=section.id)))


def _render_enrolment_form(template: str, form: PortalForm, section: Section, learner: Learner) -> Page:
    periods = queries.list_enrolment_periods(learner.id)
    page = render_template(f"classes/{template}.html", form=form, section=section, learner=learner, times=periods)
    return page, 422 if form.errors else 200


def _redirect_to_learner(section: Section, learner: Learner) -> Response:
    return redirect(url_for("learner_page.show_learner", section_id=section.id, learner_id=learner.id))


def _redirect_not_on_roster(section: Section) -> Response:
    flash(_("The learner is not on this roster any more: somebody was quicker, or the page was old."), "bad")
    return redirect(url_for("classes.show_section", section_id=section.id))


def _lrn_in_use_message(error: service.LrnInUse) -> str:
    if error.elsewhere:
        return _("This LRN belongs to a learner of another school here. Check it; if it is right, ask your admin.")
    if error.section:
        return _(
            "The learner with this LRN is on the roster of %(section)s. Its adviser can move the learner.",
            section=error.section,
        )
    return _("Another learner of your school has this LRN. Check it; if both are one, they can be merged.")


def _day_error_message(error: Exception) -> str:
    if isinstance(error, service.OutsideSchoolYear):
        return _(
            "Choose a day from %(first)s to %(last)s.",
            first=_format_long_date(error.first),
            last=_format_long_date(error.last),
        )
    if isinstance(error, EndsBeforeStart):
        return _(
            "The learner is on the roster since %(day)s. The last day cannot be before that.",
            day=_format_long_date(error.first_day),
        )
    if isinstance(error, EnrolmentOverlap):
        row = error.enrolment
        if row.until_date is None:
            return _("The learner is on a roster since %(day)s already.", day=_format_long_date(row.from_date))
        return _(
            "The learner is on a roster from %(first)s to %(last)s already. Choose a day after that.",
            first=_format_long_date(row.from_date),
            last=_format_long_date(row.until_date),
        )
    raise error


def _format_long_date(day: object) -> str:
    return str(format_date(day, "d MMMM y"))
