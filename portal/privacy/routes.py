"""What a learner or their parents may ask for, for admins: to see what is kept, a copy of it, and its erasure."""

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

from portal.accounts.access import schools_in_scope
from portal.accounts.models import School
from portal.classes.access import give_reason, sees_learners
from portal.classes.models import Enrolment, Learner, Section
from portal.core import audit_log, clock
from portal.core.db import db
from portal.core.forms import Form
from portal.privacy import data_export, erasure
from portal.web.rate_limits import learners_rows

bp = Blueprint("one_learner", __name__, url_prefix="/admin/learners")
WHY = [
    SelectChoice("asked", _l("The learner or a parent asks")),
    SelectChoice("mistake", _l("The learner should not be in the portal at all")),
    SelectChoice("order", _l("An office or court orders it")),
]


class FindForm(Form):
    who = StringField(
        _l("LRN or school e-mail"),
        [InputRequired(_l("Write the LRN or the e-mail address.")), Length(max=254)],
        description=_l("The whole of it: this is not a search through names."),
        render_kw={"autocomplete": "off", "autocapitalize": "none"},
    )


class CopyForm(Form):
    why = RadioField(_l("Why"), [InputRequired(_l("Choose why."))], choices=[WHY[0], WHY[2]])


class EraseForm(Form):
    why = RadioField(_l("Why"), [InputRequired(_l("Choose why."))], choices=WHY)
    sure = BooleanField(
        _l("I have printed what the school must keep. This cannot be taken back."),
        [InputRequired(_l("Tick this to go on."))],
    )


@bp.before_request
def only_admins() -> None:
    if current_user.is_authenticated and not current_user.is_admin:
        abort(403)


@bp.route("", methods=["GET", "POST"])
def find() -> str | AnyResponse | tuple[str, int]:
    """By LRN or address, sent in a form: neither belongs into an address."""
    form = FindForm()
    if form.validate_on_submit():
        who = (form.who.data or "").strip()
        learner_id = db.session.scalar(
            select(Learner.id)
            .where(_in_scope(), _can_be_opened(), (Learner.lrn == who) | (func.lower(Learner.email) == who.lower()))
            .limit(1)
        )
        if learner_id:
            return redirect(url_for(".show", learner_id=learner_id))
        form.who.errors = [_("No learner of your schools has this LRN or address.")]
    return render_template("admin/learners.html", form=form), 422 if form.errors else 200


@bp.get("/<uuid:learner_id>")
def show(learner_id: UUID) -> str:
    return _page(_learner_or_404(learner_id), _copy_form(), _erase_form())


@bp.post("/<uuid:learner_id>/copy")
@learners_rows
def copy(learner_id: UUID) -> str | AnyResponse | tuple[str, int]:
    """Everything of the learner as one file, whose name tells nothing of them."""
    learner = _learner_or_404(learner_id)
    form = CopyForm(prefix="copy")
    if not form.validate_on_submit():
        return _page(learner, form, _erase_form()), 422
    audit_log.record("exported", "learner", learner.id, by=current_user.id, why=form.why.data)
    return Response(
        data_export.file_of(learner),
        mimetype="application/json",
        headers={"Content-Disposition": f'attachment; filename="learner-{clock.today().isoformat()}.json"'},
    )


@bp.post("/<uuid:learner_id>/erase")
def erase(learner_id: UUID) -> str | AnyResponse | tuple[str, int]:
    learner = _learner_or_404(learner_id)
    form = EraseForm(prefix="erase")
    if not form.validate_on_submit():
        return _page(learner, _copy_form(), form), 422
    erasure.erase(learner, form.why.data, by=current_user._get_current_object())
    flash(_("The learner is being erased. This goes on by itself, also when you leave."))
    return redirect(url_for(".show", learner_id=learner.id))


def _page(learner: Learner, copy_form: CopyForm, erase_form: EraseForm) -> str:
    audit_log.viewed("viewed", "learner", learner.id, by=current_user.id)
    erased = erasure.is_erased(learner.id)
    return render_template(
        "admin/learner.html",
        learner=learner,
        rosters=data_export.rosters(learner.id),
        erased=erased,
        under_way=erased and erasure.is_under_way(learner.id),
        too_long=erased and erasure.takes_too_long(learner.id),
        waits=erased and erasure.waits_for_zoom(learner.id),
        copy_form=copy_form,
        erase_form=erase_form,
    )


def _copy_form() -> CopyForm:
    return CopyForm(formdata=None, prefix="copy")


def _erase_form() -> EraseForm:
    return EraseForm(formdata=None, prefix="erase")


def _learner_or_404(learner_id: UUID) -> Learner:
    learner = db.session.scalar(select(Learner).where(Learner.id == learner_id, _in_scope()))
    if learner is None:
        abort(404)
    section = _last_section(learner.id)
    if section is not None:
        give_reason(section, back=url_for(".show", learner_id=learner.id))
    elif not sees_learners(current_user):
        abort(404)  # on no roster that could be opened with a reason: for the school's own admin
    return learner


def _last_section(learner_id: UUID) -> Section | None:
    """The section whose rows a division or region opens to see the learner: where they are, or were last."""
    return db.session.scalar(
        select(Section)
        .join(Enrolment, Enrolment.section_id == Section.id)
        .where(Enrolment.learner_id == learner_id)
        .options(joinedload(Section.school))
        .order_by(Enrolment.from_date.desc(), Enrolment.id)
        .limit(1)
    )


def _can_be_opened() -> ColumnElement[bool]:
    """Division and region open a section with a reason; who was on no roster is for the school's own admin."""
    return true() if sees_learners(current_user) else exists().where(Enrolment.learner_id == Learner.id)


def _in_scope() -> ColumnElement[bool]:
    schools = select(School.id).where(schools_in_scope(current_user)).correlate(None)
    return Learner.school_id.in_(schools)
