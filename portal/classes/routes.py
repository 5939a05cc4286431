from pathlib import Path
from uuid import UUID

from flask import Blueprint, abort, current_app, flash, redirect, render_template, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.base import audit
from portal.classes import access, importing, queries, service
from portal.classes.forms import ClassForm, RosterForm, SectionForm
from portal.classes.models import Section
from portal.classes.roster_csv import csv_template
from portal.classes.roster_file import RosterUnreadable, read_roster
from portal.classes.roster_words import say
from portal.config import Settings

bp = Blueprint("classes", __name__)


@bp.get("/classes")
def index() -> str:
    sections = queries.my_sections(current_user)
    classes = queries.managed_classes(current_user) if access.sees_learners(current_user) else []
    return render_template("classes/index.html", sections=sections, classes=classes, form=RosterForm())


@bp.route("/classes/sections/new", methods=["GET", "POST"])
def new_section() -> str | Response | tuple[str, int]:
    if current_user.school_id is None:
        abort(403)
    form = SectionForm()
    if form.validate_on_submit():
        try:
            section = service.create_section(
                current_user, grade_level=form.grade_level.data or "", name=form.name.data or ""
            )
        except service.AlreadyThere:
            form.name.errors = [_("Your school has this section already. Ask your school's admin to open it for you.")]
        else:
            flash(_("%(section)s is ready. Bring in its roster now.", section=section.title))
            return redirect(url_for(".section", section_id=section.id))
    return render_template("classes/new_section.html", form=form), 422 if form.errors else 200


@bp.get("/classes/sections/<uuid:section_id>")
def section(section_id: UUID) -> str:
    found = access.section_or_404(section_id)
    audit.viewed("viewed the roster", "section", found.id, by=current_user.id)
    return _section_page(found, ClassForm())


def _section_page(section: Section, form: ClassForm) -> str:
    return render_template(
        "classes/section.html",
        section=section,
        roster=queries.roster(section.id),
        former=queries.former(section.id),
        classes=queries.classes_of_section(current_user, section.id),
        governed=access.governs(section),
        form=form,
    )


@bp.post("/classes/sections/<uuid:section_id>/classes")
def new_class(section_id: UUID) -> str | Response | tuple[str, int]:
    found = access.section_or_404(section_id)
    if not access.governs(found) or current_user.is_admin:
        abort(403)
    form = ClassForm()
    if form.validate_on_submit():
        try:
            school_class = service.create_class(current_user, found, subject=form.subject.data or "")
        except service.AlreadyThere:
            form.subject.errors = [_("This section has that subject already.")]
        else:
            flash(_("%(subject)s is ready. Schedule its first class.", subject=school_class.subject))
            return redirect(url_for("pages.school_class", class_id=school_class.id))
    return _section_page(found, form), 422


@bp.route("/classes/import", methods=["GET", "POST"])
def import_new() -> str | Response | tuple[str, int]:
    """An SF1 names its section: the section is made from it where it is new."""
    if current_user.school_id is None:
        abort(403)
    return _upload(None)


@bp.route("/classes/sections/<uuid:section_id>/import", methods=["GET", "POST"])
def import_roster(section_id: UUID) -> str | Response | tuple[str, int]:
    return _upload(access.section_or_404(section_id, govern=True))


def _upload(section: Section | None) -> str | Response | tuple[str, int]:
    form = RosterForm()
    refused = None
    if form.validate_on_submit():
        content = form.content()
        if content is None:
            form.file.errors = [_("Choose a file, or paste the rows below.")]
        else:
            try:
                upload = importing.begin(current_user, section, read_roster(*content), content[1])
                return redirect(url_for(".preview", import_id=upload.id))
            except RosterUnreadable as error:
                refused = say(error)
                form.file.errors = [refused]
    page = render_template("classes/import.html", form=form, section=section, sample=_sample())
    return page, 422 if form.errors or refused else 200


def _sample() -> str | None:
    """The name of a School Form 1 to practise with, in practice mode."""
    settings: Settings = current_app.extensions["silid.settings"]
    if not settings.is_demo:
        return None
    samples = sorted((Path(str(current_app.static_folder)) / "samples").glob("SF1_*"))
    return samples[0].name if samples else None


@bp.get("/classes/imports/<uuid:import_id>")
def preview(import_id: UUID) -> str | Response:
    upload = access.import_or_404(import_id)
    if upload.state != "preview":
        return _decided(upload.section_id)
    seen = importing.preview(upload)
    if seen.section and not _may_fill(seen.section):
        importing.discard(upload)
        flash(
            _("%(section)s has another adviser, so only she can import its roster.", section=seen.section.title), "bad"
        )
        return redirect(url_for(".index"))
    here = seen.section.id if seen.section else None
    audit.viewed("viewed a roster to import", "roster import", upload.id, by=current_user.id, section_id=here)
    return render_template("classes/preview.html", upload=upload, preview=seen, say=say)


@bp.post("/classes/imports/<uuid:import_id>/confirm")
def confirm(import_id: UUID) -> Response:
    upload = access.import_or_404(import_id)
    if upload.state != "preview":
        return _decided(upload.section_id)
    if not _may_fill(importing.preview(upload).section):
        abort(403)
    try:
        seen = importing.confirm(upload, current_user)
    except importing.NotImportable:
        flash(_("Nothing was saved: the file has rows to correct first."), "bad")
        return redirect(url_for(".preview", import_id=import_id))
    saved = seen.count("new") + seen.count("moves here") + seen.count("changed")
    flash(_("The roster is saved: %(count)s learners added or changed.", count=saved))
    return redirect(url_for(".section", section_id=upload.section_id))


@bp.post("/classes/imports/<uuid:import_id>/discard")
def discard(import_id: UUID) -> Response:
    upload = access.import_or_404(import_id)
    importing.discard(upload)
    flash(_("The upload is thrown away. Nothing was changed."))
    return _decided(upload.section_id)


def _may_fill(section: Section | None) -> bool:
    """An SF1 of a section that somebody else advises is not for this person to import."""
    return section is None or access.governs(section)


def _decided(section_id: UUID | None) -> Response:
    return redirect(url_for(".section", section_id=section_id) if section_id else url_for(".index"))


@bp.get("/classes/roster-template.csv")
def template() -> Response:
    return Response(
        csv_template(),
        mimetype="text/csv",
        headers={"Content-Disposition": 'attachment; filename="roster-template.csv"'},
    )
