"""Changes to one learner of a section, by its adviser or an admin of the school."""

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
    section = access.section_or_404(section_id, govern=True)
    _must_be_open(section)
    form = NewLearnerForm()
    namesake = bool(form.another.data)
    if form.validate_on_submit() and form.since.data:
        try:
            learner = service.add_learner(
                current_user, section, form.details(), since=form.since.data, another=bool(form.another.data)
            )
        except service.LrnInUse as error:
            form.lrn.errors = [_whose_lrn(error)]
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
            form.since.errors = [_why_not(error)]
        else:
            flash(_("%(name)s is on the roster.", name=learner_name(learner)))
            return redirect(url_for("classes.show_section", section_id=section.id))
    elif not form.is_submitted():
        form.since.data = clock.today()
    page = render_template("classes/learner_new.html", form=form, section=section, namesake=namesake)
    return page, 422 if form.errors else 200


@bp.route("/<uuid:learner_id>/change", methods=["GET", "POST"])
def edit_learner(section_id: UUID, learner_id: UUID) -> Page:
    section, learner = _hers(section_id, learner_id)
    form = LearnerForm()
    if form.validate_on_submit():
        try:
            changed = service.update_learner(current_user, section, learner, form.details())
        except service.LrnInUse as error:
            form.lrn.errors = [_whose_lrn(error)]
        else:
            flash(_("The details are saved.") if changed else _("Nothing was different, so nothing was changed."))
            return _to_her_page(section, learner)
    elif not form.is_submitted():
        form.show(learner)
    page = render_template("classes/learner_change.html", form=form, section=section, learner=learner)
    return page, 422 if form.errors else 200


@bp.route("/<uuid:learner_id>/withdraw", methods=["GET", "POST"])
def withdraw_learner(section_id: UUID, learner_id: UUID) -> Page:
    section, learner = _hers(section_id, learner_id)
    form = WithdrawForm()
    if form.validate_on_submit() and form.last_day.data:
        mistake = form.reason.data == service.ENTERED_BY_MISTAKE
        try:
            service.withdraw_learner(
                current_user, section, learner,
                last_day=form.last_day.data, reason=form.reason.data, detail=form.detail.data,
            )  # fmt: skip
        except (service.OutsideSchoolYear, EndsBeforeStart, EnrolmentOverlap) as error:
            form.last_day.errors = [_why_not(error)]
        except service.NotOnThisRoster:
            return _meanwhile(section)
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
                else _to_her_page(section, learner)
            )
    elif not form.is_submitted():
        form.last_day.data = clock.today()
    return _change_of_roster("learner_withdraw", form, section, learner)


@bp.route("/<uuid:learner_id>/move", methods=["GET", "POST"])
def transfer_learner(section_id: UUID, learner_id: UUID) -> Page:
    section, learner = _hers(section_id, learner_id)
    sisters = {str(sister.id): sister for sister in queries.list_sibling_sections(section)}
    form = TransferForm()
    form.target.choices = [
        SelectChoice("", _("Choose")),
        *(SelectChoice(key, sister.title) for key, sister in sisters.items()),
    ]
    if form.validate_on_submit() and form.since.data:
        target = sisters[form.target.data]
        try:
            service.transfer_learner(
                current_user, section, learner, target, since=form.since.data, detail=form.detail.data or ""
            )
        except (service.OutsideSchoolYear, EnrolmentOverlap) as error:
            form.since.errors = [_why_not(error)]
        except service.NotOnThisRoster:
            return _meanwhile(section)
        else:
            flash(_("%(name)s is on the roster of %(section)s now.", name=learner_name(learner), section=target.title))
            return redirect(url_for("classes.show_section", section_id=section.id))
    elif not form.is_submitted():
        form.since.data = clock.today()
    return _change_of_roster("learner_move", form, section, learner)


@bp.route("/<uuid:learner_id>/back", methods=["GET", "POST"])
def readmit_learner(section_id: UUID, learner_id: UUID) -> Page:
    section, learner = _hers(section_id, learner_id)
    form = ReadmitForm()
    if form.validate_on_submit() and form.since.data:
        try:
            service.readmit_learner(current_user, section, learner, since=form.since.data)
        except (service.OutsideSchoolYear, EnrolmentOverlap) as error:
            form.since.errors = [_why_not(error)]
        else:
            flash(_("%(name)s is on the roster again.", name=learner_name(learner)))
            return _to_her_page(section, learner)
    elif not form.is_submitted():
        form.since.data = clock.today()
    return _change_of_roster("learner_back", form, section, learner)


def learner_name(learner: Learner) -> str:
    """ "ABAD, JUSTINE KYLE", for a sentence."""
    return f"{learner.last_name}, {learner.first_name}"


def _hers(section_id: UUID, learner_id: UUID) -> tuple[Section, Learner]:
    section, learner = access.learner_or_404(section_id, learner_id, govern=True)
    _must_be_open(section)
    return section, learner


def _must_be_open(section: Section) -> None:
    """A roster of a school year that is over is only read."""
    if section.is_past:
        flash(_("The school year %(year)s is over: its rosters can only be read.", year=section.school_year), "bad")
        abort(redirect(url_for("classes.show_section", section_id=section.id)))


def _change_of_roster(template: str, form: PortalForm, section: Section, learner: Learner) -> Page:
    times = queries.list_enrolment_periods(learner.id)
    page = render_template(f"classes/{template}.html", form=form, section=section, learner=learner, times=times)
    return page, 422 if form.errors else 200


def _to_her_page(section: Section, learner: Learner) -> Response:
    return redirect(url_for("learner_page.show_learner", section_id=section.id, learner_id=learner.id))


def _meanwhile(section: Section) -> Response:
    flash(_("The learner is not on this roster any more: somebody was quicker, or the page was old."), "bad")
    return redirect(url_for("classes.show_section", section_id=section.id))


def _whose_lrn(error: service.LrnInUse) -> str:
    if error.elsewhere:
        return _("This LRN belongs to a learner of another school here. Check it; if it is right, ask your admin.")
    if error.section:
        return _(
            "The learner with this LRN is on the roster of %(section)s. Its adviser can move the learner.",
            section=error.section,
        )
    return _("Another learner of your school has this LRN. Check it; if both are one, they can be merged.")


def _why_not(error: Exception) -> str:
    if isinstance(error, service.OutsideSchoolYear):
        return _("Choose a day from %(first)s to %(last)s.", first=_day(error.first), last=_day(error.last))
    if isinstance(error, EndsBeforeStart):
        return _(
            "The learner is on the roster since %(day)s. The last day cannot be before that.",
            day=_day(error.first_day),
        )
    if isinstance(error, EnrolmentOverlap):
        row = error.enrolment
        if row.until_date is None:
            return _("The learner is on a roster since %(day)s already.", day=_day(row.from_date))
        return _(
            "The learner is on a roster from %(first)s to %(last)s already. Choose a day after that.",
            first=_day(row.from_date),
            last=_day(row.until_date),
        )
    raise error


def _day(day: object) -> str:
    return str(format_date(day, "d MMMM y"))
