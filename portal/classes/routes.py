from datetime import date
from pathlib import Path
from uuid import UUID

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user
from werkzeug.wrappers import Response
from wtforms.fields.choices import SelectChoice

from portal.classes import access, queries, service
from portal.classes.codes import ImportState
from portal.classes.forms import ClassForm, RosterForm, SchoolYearForm, SectionForm
from portal.classes.models import RosterImport, Section, next_school_year, school_year_of
from portal.classes.roster_files.messages import problem_message
from portal.classes.roster_files.reader import RosterFileError, parse_roster_file
from portal.classes.roster_files.template_csv import roster_csv_template
from portal.classes.roster_import import diff as roster_import_diff
from portal.classes.roster_import import service as roster_import_service
from portal.classes.roster_import import undo as roster_import_undo
from portal.classes.roster_import.diff import SAVED_STATUSES, RosterDiff
from portal.config import Settings
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject

bp = Blueprint("classes", __name__)


@bp.get("/classes")
def list_classes() -> str:
    this_year = school_year_of(clock.today())
    years = queries.list_school_years(current_user)
    asked = request.args.get("year", this_year)
    year = asked if asked in years else this_year if this_year in years or not years else years[0]
    opens_learners = access.can_view_learners(current_user)
    last_year = _last_year(years)
    return render_template(
        "classes/index.html",
        sections=queries.list_visible_sections(current_user, year),
        classes=queries.list_classes_of_year(current_user, year) if opens_learners else [],
        years=years,
        year=year,
        is_past=year < this_year,
        to_open=next_school_year(last_year)
        if last_year and current_user.school_id and queries.list_sections_without_successor(current_user, last_year)
        else None,
        form=RosterForm(),
    )


def _last_year(years: list[str]) -> str | None:
    """The year whose sections could be opened anew: this one from March on, or the last one while this is empty."""
    this_year = school_year_of(clock.today())
    if service.next_year_to_open() and this_year in years:
        return this_year
    before = [year for year in years if next_school_year(year) == this_year]
    return before[0] if before and this_year not in years else None


@bp.route("/classes/years/new", methods=["GET", "POST"])
def new_school_year() -> str | Response | tuple[str, int]:
    """Open the next school year: new, empty sections, named as those of the year before."""
    if current_user.school_id is None:
        abort(403)
    last_year = _last_year(queries.list_school_years(current_user))
    sections = queries.list_sections_without_successor(current_user, last_year) if last_year else []
    if last_year is None or not sections:
        flash(_("There is no section to open for another school year now."))
        return redirect(url_for(".list_classes"))
    form = SchoolYearForm()
    form.sections.choices = [SelectChoice(str(one.id), one.title) for one in sections]
    if not form.is_submitted():
        form.sections.data = [str(one.id) for one in sections]
    if form.validate_on_submit():
        made = service.create_school_year(current_user, last_year, [UUID(one) for one in form.sections.data or []])
        flash(
            ngettext(
                "%(num)d section is open for SY %(year)s. Bring in its School Form 1.",
                "%(num)d sections are open for SY %(year)s. Bring in their School Forms 1.",
                len(made),
                year=next_school_year(last_year),
            )
        )
        return redirect(url_for(".list_classes", year=next_school_year(last_year)))
    page = render_template("classes/new_year.html", form=form, year=next_school_year(last_year), last_year=last_year)
    return page, 422 if form.errors else 200


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
        except service.DuplicateName:
            form.name.errors = [_("Your school has this section already. Ask your school's admin to open it for you.")]
        else:
            flash(_("%(section)s is ready. Bring in its roster now.", section=section.title))
            return redirect(url_for(".show_section", section_id=section.id))
    return render_template("classes/new_section.html", form=form), 422 if form.errors else 200


@bp.get("/classes/sections/<uuid:section_id>")
def show_section(section_id: UUID) -> str:
    section = access.section_or_404(section_id)
    audit_log.record_view(AuditAction.VIEWED_ROSTER, AuditSubject.SECTION, section.id, by=current_user.id)
    return _section_page(section, ClassForm())


def _section_page(section: Section, form: ClassForm) -> str:
    governed = access.can_manage_section(section)
    return render_template(
        "classes/section.html",
        section=section,
        roster=queries.list_roster(section.id, section.roster_day),
        former=queries.list_former_learners(section),
        undoable=roster_import_undo.find_undoable_import(current_user, section.id),
        classes=queries.list_classes_of_section(current_user, section.id),
        governed=governed,
        has_forms=governed or not access.can_view_learners(current_user),
        form=form,
    )


@bp.post("/classes/sections/<uuid:section_id>/classes")
def new_class(section_id: UUID) -> str | Response | tuple[str, int]:
    section = access.section_or_404(section_id)
    if not access.can_manage_section(section) or current_user.is_admin or section.is_past:
        abort(403)
    form = ClassForm()
    if form.validate_on_submit():
        try:
            school_class = service.create_class(current_user, section, subject=form.subject.data or "")
        except service.DuplicateName:
            form.subject.errors = [_("This section has that subject already.")]
        else:
            flash(_("%(subject)s is ready. Schedule its first class.", subject=school_class.subject))
            return redirect(url_for("pages.show_class_page", class_id=school_class.id))
    return _section_page(section, form), 422


@bp.route("/classes/<uuid:class_id>/change", methods=["GET", "POST"])
def edit_class(class_id: UUID) -> str | Response | tuple[str, int]:
    """Rename a class; open it again, or go on to closing it, with the buttons beside."""
    school_class = access.class_or_404(class_id, manage=True)
    form = ClassForm(subject=school_class.subject)
    if form.validate_on_submit():
        try:
            service.rename_class(current_user, school_class, form.subject.data or "")
        except service.DuplicateName:
            form.subject.errors = [_("This section has that subject already.")]
        else:
            flash(_("The class is called %(subject)s now.", subject=school_class.subject))
            return redirect(url_for("pages.show_class_page", class_id=class_id))
    page = render_template("classes/change_class.html", form=form, school_class=school_class)
    return page, 422 if form.errors else 200


@bp.post("/classes/<uuid:class_id>/reopen")
def reopen_class(class_id: UUID) -> Response:
    school_class = access.class_or_404(class_id, manage=True)
    service.reopen_class(current_user, school_class)
    flash(_("%(subject)s is open again.", subject=school_class.subject))
    return redirect(url_for("pages.show_class_page", class_id=class_id))


@bp.route("/classes/import", methods=["GET", "POST"])
def import_new_section() -> str | Response | tuple[str, int]:
    """An SF1 names its section: the section is made from it where it is new."""
    if current_user.school_id is None:
        abort(403)
    return _upload(None)


@bp.route("/classes/sections/<uuid:section_id>/import", methods=["GET", "POST"])
def import_section_roster(section_id: UUID) -> str | Response | tuple[str, int]:
    section = access.section_or_404(section_id, govern=True)
    if section.is_past:
        flash(_("The school year %(year)s is over: its rosters can only be read.", year=section.school_year), "bad")
        return redirect(url_for(".show_section", section_id=section.id))
    return _upload(section)


def _upload(section: Section | None) -> str | Response | tuple[str, int]:
    form = RosterForm()
    refused = None
    if form.validate_on_submit():
        content = form.content()
        if content is None:
            form.file.errors = [_("Choose a file, or paste the rows below.")]
        else:
            try:
                settings: Settings = current_app.extensions["silid.settings"]
                upload = roster_import_service.create_roster_import(
                    current_user, section, parse_roster_file(*content), content[1], domains=settings.email_domains
                )
                return redirect(url_for(".preview_roster_import", import_id=upload.id))
            except RosterFileError as error:
                refused = problem_message(error)
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
def preview_roster_import(import_id: UUID) -> str | Response:
    upload = access.import_or_404(import_id)
    if upload.state != ImportState.PREVIEW:
        return _decided(upload.section_id)
    diff = roster_import_diff.diff_roster_file(upload)
    if diff.section and not _may_fill(diff.section):
        roster_import_service.discard_roster_import(upload)
        flash(
            _("%(section)s has another adviser, so only they can import its roster.", section=diff.section.title), "bad"
        )
        return redirect(url_for(".list_classes"))
    here = diff.section.id if diff.section else None
    audit_log.record_view(
        AuditAction.VIEWED_ROSTER_IMPORT, AuditSubject.ROSTER_IMPORT, upload.id, by=current_user.id, section_id=here
    )
    return _preview_page(upload, diff)


@bp.post("/classes/imports/<uuid:import_id>/confirm")
def confirm_roster_import(import_id: UUID) -> Response | tuple[str, int]:
    upload = access.import_or_404(import_id)
    if upload.state != ImportState.PREVIEW:
        return _decided(upload.section_id)
    try:
        keep_all = request.form.get("all") == roster_import_service.KEEP_ON_ROSTER
        diff = roster_import_service.confirm_roster_import(upload, current_user, _answers(), keep_all=keep_all)
    except roster_import_service.SectionNotManaged:
        abort(403)
    except roster_import_service.MissingLearnersUndecided as error:
        return _preview_page(upload, error.seen, error), 422
    except roster_import_service.NotImportable:
        flash(_("Nothing was saved: the file has rows to correct first."), "bad")
        return redirect(url_for(".preview_roster_import", import_id=import_id))
    saved = sum(diff.count(status) for status in SAVED_STATUSES)
    flash(
        ngettext(
            "The roster is saved: %(num)d learner added or changed.",
            "The roster is saved: %(num)d learners added or changed.",
            saved,
        )
    )
    return redirect(url_for(".show_section", section_id=upload.section_id))


def _answers() -> dict[UUID, roster_import_service.MissingLearnerDecision]:
    """What the form says of the learners who are missing from the file."""
    missing_learner_decisions = {}
    for name, what in request.form.items():
        learner_id = _id(name.removeprefix("what-")) if name.startswith("what-") and what else None
        if learner_id:
            missing_learner_decisions[learner_id] = roster_import_service.MissingLearnerDecision(
                what, _date(request.form.get(f"day-{learner_id}", ""))
            )
    return missing_learner_decisions


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _preview_page(
    upload: RosterImport, diff: RosterDiff, unanswered: roster_import_service.MissingLearnersUndecided | None = None
) -> str:
    return render_template(
        "classes/preview.html",
        upload=upload,
        preview=diff,
        say=problem_message,
        typed=request.form,
        unanswered=unanswered.learner_ids if unanswered else set(),
        until_when=unanswered.until_when if unanswered else set(),
    )


@bp.post("/classes/imports/<uuid:import_id>/undo")
def undo_roster_import(import_id: UUID) -> Response:
    """Take an import back that was made within a day."""
    upload = access.import_or_404(import_id)
    section = access.section_or_404(upload.section_id, govern=True) if upload.section_id else None
    try:
        count = roster_import_undo.undo_roster_import(upload, current_user)
    except roster_import_undo.UndoExpired:
        flash(_("This import cannot be undone any more: that is possible for 24 hours, and once."), "bad")
    except roster_import_undo.ChangedSinceImport as error:
        names = "; ".join(error.names[:3])
        flash(
            ngettext(
                "Nothing was undone: %(names)s was changed since. Undo or correct that first.",
                "Nothing was undone: %(num)d learners were changed since, %(names)s among them. Correct them by hand.",
                len(error.names),
                names=names,
            ),
            "bad",
        )
    else:
        flash(
            ngettext(
                "The import is undone: %(num)d learner is as before.",
                "The import is undone: %(num)d learners are as before.",
                count,
            )
        )
    return _decided(section.id if section else None)


@bp.post("/classes/imports/<uuid:import_id>/discard")
def discard_roster_import(import_id: UUID) -> Response:
    upload = access.import_or_404(import_id)
    roster_import_service.discard_roster_import(upload)
    flash(_("The upload is thrown away. Nothing was changed."))
    return _decided(upload.section_id)


def _may_fill(section: Section | None) -> bool:
    """An SF1 of a section that somebody else advises is not for this person to import."""
    return section is None or access.can_manage_section(section)


def _decided(section_id: UUID | None) -> Response:
    return redirect(url_for(".show_section", section_id=section_id) if section_id else url_for(".list_classes"))


@bp.get("/classes/roster-template.csv")
def download_roster_template() -> Response:
    return Response(
        roster_csv_template(),
        mimetype="text/csv",
        headers={"Content-Disposition": 'attachment; filename="roster-template.csv"'},
    )
