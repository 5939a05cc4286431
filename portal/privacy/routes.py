"""Data-subject requests of learners or their parents, for admins: access, a copy of the data, and erasure."""

from uuid import UUID

from flask import Blueprint, Response, abort, flash, redirect, render_template, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from sqlalchemy import ColumnElement, exists, func, select, true
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response as AnyResponse
from wtforms import BooleanField, RadioField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length

from portal.accounts.access import schools_in_scope_clause
from portal.accounts.models import School
from portal.classes.access import can_view_learners, require_section_disclosure
from portal.classes.models import Enrolment, Learner, Section
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.db import db
from portal.core.forms import PortalForm
from portal.privacy import data_export, erasure
from portal.web.rate_limits import learner_export_limit

bp = Blueprint("privacy", __name__, url_prefix="/admin/learners")
REASON_CHOICES = [
    SelectChoice("asked", _l("The learner or a parent asks")),
    SelectChoice("mistake", _l("The learner should not be in the portal at all")),
    SelectChoice("order", _l("An office or court orders it")),
]


class FindLearnerForm(PortalForm):
    who = StringField(
        _l("LRN or school e-mail"),
        [InputRequired(_l("Write the LRN or the e-mail address.")), Length(max=254)],
        description=_l("The whole of it: this is not a search through names."),
        render_kw={"autocomplete": "off", "autocapitalize": "none"},
    )


class DataCopyForm(PortalForm):
    why = RadioField(_l("Why"), [InputRequired(_l("Choose why."))], choices=[REASON_CHOICES[0], REASON_CHOICES[2]])


class EraseLearnerForm(PortalForm):
    why = RadioField(_l("Why"), [InputRequired(_l("Choose why."))], choices=REASON_CHOICES)
    sure = BooleanField(
        _l("I have printed what the school must keep. This cannot be taken back."),
        [InputRequired(_l("Tick this to go on."))],
    )


@bp.before_request
def require_privacy_admin() -> None:
    if current_user.is_authenticated and not current_user.is_admin:
        abort(403)


@bp.route("", methods=["GET", "POST"])
def find_learner_data() -> str | AnyResponse | tuple[str, int]:
    """By LRN or address, sent by POST: neither may appear in a URL."""
    form = FindLearnerForm()
    if form.validate_on_submit():
        lrn_or_email = (form.who.data or "").strip()
        learner_id = db.session.scalar(
            select(Learner.id)
            .where(
                _in_scope_clause(),
                _disclosable_clause(),
                (Learner.lrn == lrn_or_email) | (func.lower(Learner.email) == lrn_or_email.lower()),
            )
            .limit(1)
        )
        if learner_id:
            return redirect(url_for(".show_learner_data", learner_id=learner_id))
        form.who.errors = [_("No learner of your schools has this LRN or address.")]
    return render_template("admin/learners.html", form=form), 422 if form.errors else 200


@bp.get("/<uuid:learner_id>")
def show_learner_data(learner_id: UUID) -> str:
    return _render_page(_learner_or_404(learner_id), _copy_form(), _erase_form())


@bp.post("/<uuid:learner_id>/copy")
@learner_export_limit
def download_learner_data(learner_id: UUID) -> str | AnyResponse | tuple[str, int]:
    """All data of the learner as one JSON file, whose name identifies nobody."""
    learner = _learner_or_404(learner_id)
    form = DataCopyForm(prefix="copy")
    if not form.validate_on_submit():
        return _render_page(learner, form, _erase_form()), 422
    audit_log.record_action(
        AuditAction.EXPORTED, AuditSubject.LEARNER, learner.id, by=current_user.id, why=form.why.data
    )
    return Response(
        data_export.learner_data_json(learner),
        mimetype="application/json",
        headers={"Content-Disposition": f'attachment; filename="learner-{clock.today().isoformat()}.json"'},
    )


@bp.post("/<uuid:learner_id>/erase")
def request_learner_erasure(learner_id: UUID) -> str | AnyResponse | tuple[str, int]:
    learner = _learner_or_404(learner_id)
    form = EraseLearnerForm(prefix="erase")
    if not form.validate_on_submit():
        return _render_page(learner, _copy_form(), form), 422
    erasure.request_learner_erasure(learner, form.why.data, by=current_user._get_current_object())
    flash(_("The learner is being erased. This goes on by itself, also when you leave."))
    return redirect(url_for(".show_learner_data", learner_id=learner.id))


def _render_page(learner: Learner, copy_form: DataCopyForm, erase_form: EraseLearnerForm) -> str:
    audit_log.record_view(AuditAction.VIEWED, AuditSubject.LEARNER, learner.id, by=current_user.id)
    is_erased = erasure.is_learner_erased(learner.id)
    return render_template(
        "admin/learner.html",
        learner=learner,
        rosters=data_export.collect_enrolment_history(learner.id),
        erased=is_erased,
        under_way=is_erased and erasure.is_erasure_pending(learner.id),
        too_long=is_erased and erasure.is_erasure_overdue(learner.id),
        waits=is_erased and erasure.is_waiting_for_zoom(learner.id),
        copy_form=copy_form,
        erase_form=erase_form,
    )


def _copy_form() -> DataCopyForm:
    return DataCopyForm(formdata=None, prefix="copy")


def _erase_form() -> EraseLearnerForm:
    return EraseLearnerForm(formdata=None, prefix="erase")


def _learner_or_404(learner_id: UUID) -> Learner:
    learner = db.session.scalar(select(Learner).where(Learner.id == learner_id, _in_scope_clause()))
    if learner is None:
        abort(404)
    section = _last_section(learner.id)
    if section is not None:
        require_section_disclosure(section, return_url=url_for(".show_learner_data", learner_id=learner.id))
    elif not can_view_learners(current_user):
        abort(404)  # on no roster that could be disclosed with a reason: for the school's own admin only
    return learner


def _last_section(learner_id: UUID) -> Section | None:
    """The section to disclose for division and region users: the learner's latest one."""
    return db.session.scalar(
        select(Section)
        .join(Enrolment, Enrolment.section_id == Section.id)
        .where(Enrolment.learner_id == learner_id)
        .options(joinedload(Section.school))
        .order_by(Enrolment.from_date.desc(), Enrolment.id)
        .limit(1)
    )


def _disclosable_clause() -> ColumnElement[bool]:
    """Condition on Learner: division and region users need a section to disclose; learners without one are for the
    school's own admin."""
    return true() if can_view_learners(current_user) else exists().where(Enrolment.learner_id == Learner.id)


def _in_scope_clause() -> ColumnElement[bool]:
    school_ids = select(School.id).where(schools_in_scope_clause(current_user)).correlate(None)
    return Learner.school_id.in_(school_ids)
