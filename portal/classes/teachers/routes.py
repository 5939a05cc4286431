"""Pages: co-teachers of a class, and the transfer of a teacher's classes and sections to a colleague."""

from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from flask_login import current_user
from werkzeug.wrappers import Response
from wtforms import SelectField, SelectMultipleField
from wtforms.validators import InputRequired
from wtforms.widgets import CheckboxInput

from portal.accounts.models import User
from portal.accounts.users import service as users_service
from portal.classes.access import can_manage_teachers, class_or_404
from portal.classes.models import SchoolClass
from portal.classes.teachers import service
from portal.core.db import db
from portal.core.forms import PortalForm

bp = Blueprint("teachers", __name__)
Page = str | Response | tuple[str, int]


class ColleagueForm(PortalForm):
    colleague = SelectField(_l("Colleague"), [InputRequired(_l("Choose a colleague."))])

    def offer(self, users: list[User]) -> None:
        self.colleague.choices = [("", _("Choose ..."))] + [
            (str(user.id), f"{user.full_name}, {user.email}") for user in users
        ]

    def chosen(self) -> User | None:
        return db.session.get(User, UUID(self.colleague.data)) if self.colleague.data else None


class HandOverForm(ColleagueForm):
    chosen_ones = SelectMultipleField(
        _l("What is handed over"),
        [InputRequired(_l("Tick at least one class or section."))],
        option_widget=CheckboxInput(),
    )


@bp.get("/classes/<uuid:class_id>/teachers")
def list_class_teachers(class_id: UUID) -> Page:
    """List the teachers of a class."""
    school_class = class_or_404(class_id, manage=True)
    return _render_teachers_page(school_class, _colleague_form(school_class), 200)


@bp.post("/classes/<uuid:class_id>/teachers")
def add_co_teacher(class_id: UUID) -> Page:
    """Add a co-teacher to a class."""
    school_class = _teacher_managed_class_or_403(class_id)
    form = _colleague_form(school_class)
    colleague = form.chosen() if form.validate_on_submit() else None
    if colleague is None:
        return _render_teachers_page(school_class, form, 422)
    service.add_co_teacher(current_user, school_class, colleague)
    flash(_("%(name)s teaches this class with you, and can schedule and change marks.", name=colleague.full_name))
    return redirect(url_for(".list_class_teachers", class_id=class_id))


@bp.post("/classes/<uuid:class_id>/teachers/<uuid:user_id>/remove")
def remove_co_teacher(class_id: UUID, user_id: UUID) -> Page:
    """Remove a co-teacher from a class."""
    if not service.remove_co_teacher(current_user, _teacher_managed_class_or_403(class_id), user_id):
        abort(404)
    flash(_("The class is no longer theirs."))
    return redirect(url_for(".list_class_teachers", class_id=class_id))


@bp.route("/admin/people/<uuid:user_id>/classes", methods=["GET", "POST"])
def transfer_teaching_load(user_id: UUID) -> Page:
    """Transfer a teacher's classes and sections to a colleague (admins only)."""
    if not current_user.is_admin:
        abort(403)
    person = users_service.get_user_in_scope(current_user, user_id) or abort(404)
    load = service.teaching_load_of(person, current_user)
    form = HandOverForm()
    form.chosen_ones.choices = _transfer_choices(load)
    if not form.is_submitted():
        form.chosen_ones.data = [str(value) for value, _words in form.chosen_ones.choices]
    form.offer(service.list_colleagues(load.schools, excluded_ids=[person.id]))
    if form.validate_on_submit():
        successor = form.chosen() or abort(404)
        try:
            count = service.transfer_teaching_load(
                current_user, person, successor, {UUID(chosen_id) for chosen_id in form.chosen_ones.data or []}
            )
        except service.NotSchoolStaff:
            form.colleague.errors = [_("A class goes to a teacher of its own school. Hand over school by school.")]
        else:
            flash(ngettext("%(num)d thing is handed over.", "%(num)d things are handed over.", count))
            return redirect(url_for(".transfer_teaching_load", user_id=user_id))
    page = render_template("classes/hand_over.html", person=person, held=load, form=form)
    return page, 422 if form.is_submitted() else 200


def _transfer_choices(load: service.TeachingLoad) -> list[tuple[str, str]]:
    classes = [(str(row.id), f"{row.subject}, {row.section.title}") for row in load.taught]
    sections = [(str(row.id), _("%(section)s, as adviser", section=row.title)) for row in load.advised]
    co_taught = [
        (
            str(school_class.id),
            _(
                "%(subject)s, %(section)s, as co-teacher: ends",
                subject=school_class.subject,
                section=school_class.section.title,
            ),
        )
        for school_class in load.helped
    ]
    return classes + sections + co_taught


def _teacher_managed_class_or_403(class_id: UUID) -> SchoolClass:
    school_class = class_or_404(class_id, manage=True)
    if not can_manage_teachers(school_class):
        abort(403)
    return school_class


def _colleague_form(school_class: SchoolClass) -> ColleagueForm:
    form = ColleagueForm()
    teacher_ids = [school_class.teacher_id, *(user.id for user in school_class.co_teachers)]
    form.offer(service.list_colleagues({school_class.section.school_id}, excluded_ids=teacher_ids))
    return form


def _render_teachers_page(school_class: SchoolClass, form: ColleagueForm, status: int) -> tuple[str, int]:
    page = render_template(
        "classes/teachers.html", school_class=school_class, form=form, leads=can_manage_teachers(school_class)
    )
    return page, status
