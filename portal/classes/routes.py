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
from portal.classes.forms import PASTED, ClassForm, RosterForm, SchoolYearForm, SectionForm, SectionNameForm
from portal.classes.models import RosterImport, Section, next_school_year, school_year_of
from portal.classes.roster_files.corrections import RowCorrection, name_section, written_text
from portal.classes.roster_files.messages import problem_message
from portal.classes.roster_files.reader import RosterFile, RosterFileError, parse_roster_file
from portal.classes.roster_files.template_csv import roster_csv_template
from portal.classes.roster_import import corrections as roster_import_corrections
from portal.classes.roster_import import diff as roster_import_diff
from portal.classes.roster_import import service as roster_import_service
from portal.classes.roster_import import undo as roster_import_undo
from portal.classes.roster_import.diff import SAVED_STATUSES, RosterDiff
from portal.classes.section_page import build_section_page
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.settings import current_settings

CORRECTED_FIELDS = ("lrn", "name", "sex", "email", "remark_code", "remark_date")

bp = Blueprint("classes", __name__)


@bp.get("/classes")
def list_classes() -> str:
    """List the sections and classes of a school year (`?year=`, default: the current one)."""
    this_year = school_year_of(clock.today())
    years = queries.list_school_years(current_user)
    requested_year = request.args.get("year", this_year)
    year = requested_year if requested_year in years else this_year if this_year in years or not years else years[0]
    can_view_learners = access.can_view_learners(current_user)
    last_year = _year_to_copy(years)
    return render_template(
        "classes/index.html",
        sections=queries.list_visible_sections(current_user, year),
        heading=_("Classes") if current_user.is_admin else _("Your classes"),
        classes=queries.list_classes_of_year(current_user, year) if can_view_learners else [],
        can_view_learners=can_view_learners,
        years=years,
        year=year,
        is_past=year < this_year,
        to_open=next_school_year(last_year)
        if last_year and current_user.school_id and queries.list_sections_without_successor(current_user, last_year)
        else None,
        form=RosterForm(),
    )


def _year_to_copy(years: list[str]) -> str | None:
    """The school year whose sections can be copied: this year from March on, or the previous one while this year has no
    section."""
    this_year = school_year_of(clock.today())
    if service.next_year_to_open() and this_year in years:
        return this_year
    previous = [year for year in years if next_school_year(year) == this_year]
    return previous[0] if previous and this_year not in years else None


@bp.route("/classes/years/new", methods=["GET", "POST"])
def new_school_year() -> str | Response | tuple[str, int]:
    """Open the next school year by copying sections of the previous one, without learners."""
    if current_user.school_id is None:
        abort(403)
    last_year = _year_to_copy(queries.list_school_years(current_user))
    sections = queries.list_sections_without_successor(current_user, last_year) if last_year else []
    if last_year is None or not sections:
        flash(_("There is no section to open for another school year now."))
        return redirect(url_for(".list_classes"))
    form = SchoolYearForm()
    form.sections.choices = [SelectChoice(str(section.id), section.title) for section in sections]
    if not form.is_submitted():
        form.sections.data = [str(section.id) for section in sections]
    if form.validate_on_submit():
        sections_created = service.create_school_year(
            current_user, last_year, [UUID(value) for value in form.sections.data or []]
        )
        flash(
            ngettext(
                "%(num)d section is open for SY %(year)s. Bring in its School Form 1.",
                "%(num)d sections are open for SY %(year)s. Bring in their School Forms 1.",
                len(sections_created),
                year=next_school_year(last_year),
            )
        )
        return redirect(url_for(".list_classes", year=next_school_year(last_year)))
    page = render_template("classes/new_year.html", form=form, year=next_school_year(last_year), last_year=last_year)
    return page, 422 if form.errors else 200


@bp.route("/classes/sections/new", methods=["GET", "POST"])
def new_section() -> str | Response | tuple[str, int]:
    """Create a section."""
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
    """Show a section's roster and classes; the view is audited."""
    section = access.section_or_404(section_id)
    audit_log.record_view(AuditAction.VIEWED_ROSTER, AuditSubject.SECTION, section.id, by=current_user.id)
    return _render_section_page(section, ClassForm())


def _render_section_page(section: Section, form: ClassForm) -> str:
    roster = queries.list_roster(section.id, section.roster_day)
    classes = queries.list_classes_of_section(current_user, section.id)
    page = build_section_page(
        roster,
        is_past=section.is_past,
        is_deleted=section.attendance_deleted_at is not None,
        has_classes=bool(classes),
        can_manage=access.can_manage_section(section),
        is_admin=current_user.is_admin,
        can_view_learners=access.can_view_learners(current_user),
    )
    return render_template(
        "classes/section.html",
        section=section,
        page=page,
        former=queries.list_former_learners(section),
        undoable=roster_import_undo.find_undoable_import(current_user, section.id),
        classes=classes,
        form=form,
    )


@bp.route("/classes/sections/<uuid:section_id>/rename", methods=["GET", "POST"])
def rename_section(section_id: UUID) -> str | Response | tuple[str, int]:
    """Rename a section; the adviser and the school's admins may. The page lists its earlier names."""
    section = access.section_or_404(section_id, govern=True)
    form = SectionNameForm(name=section.name)
    if form.validate_on_submit():
        try:
            service.rename_section(current_user, section, form.name.data or "")
        except service.DuplicateName as error:
            form.name.errors = [
                _(
                    "Your school has %(section)s in this school year already, which is the same name however it is "
                    "written. Write another one.",
                    section=error.title,
                )
            ]
        else:
            flash(_("The section is called %(section)s now.", section=section.title))
            return redirect(url_for(".show_section", section_id=section.id))
    page = render_template(
        "classes/rename_section.html",
        form=form,
        section=section,
        renamings=queries.list_section_renamings(section.id),
    )
    return page, 422 if form.errors else 200


@bp.post("/classes/sections/<uuid:section_id>/classes")
def new_class(section_id: UUID) -> str | Response | tuple[str, int]:
    """Create a class in a section; only its adviser may."""
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
            return redirect(url_for("class_page.show_class_page", class_id=school_class.id))
    return _render_section_page(section, form), 422


@bp.route("/classes/<uuid:class_id>/change", methods=["GET", "POST"])
def edit_class(class_id: UUID) -> str | Response | tuple[str, int]:
    """Rename a class; the same page has the buttons to close and reopen it."""
    school_class = access.class_or_404(class_id, manage=True)
    form = ClassForm(subject=school_class.subject)
    if form.validate_on_submit():
        try:
            service.rename_class(current_user, school_class, form.subject.data or "")
        except service.DuplicateName:
            form.subject.errors = [_("This section has that subject already.")]
        else:
            flash(_("The class is called %(subject)s now.", subject=school_class.subject))
            return redirect(url_for("class_page.show_class_page", class_id=class_id))
    page = render_template("classes/change_class.html", form=form, school_class=school_class)
    return page, 422 if form.errors else 200


@bp.post("/classes/<uuid:class_id>/reopen")
def reopen_class(class_id: UUID) -> Response:
    """Reopen a closed class."""
    school_class = access.class_or_404(class_id, manage=True)
    service.reopen_class(current_user, school_class)
    flash(_("%(subject)s is open again.", subject=school_class.subject))
    return redirect(url_for("class_page.show_class_page", class_id=class_id))


@bp.route("/classes/import", methods=["GET", "POST"])
def import_new_section() -> str | Response | tuple[str, int]:
    """Upload a roster without choosing a section: the School Form 1 names it, and a new one is created on
    confirmation."""
    if current_user.school_id is None:
        abort(403)
    return _handle_roster_upload(None)


@bp.route("/classes/sections/<uuid:section_id>/import", methods=["GET", "POST"])
def import_section_roster(section_id: UUID) -> str | Response | tuple[str, int]:
    """Upload a roster for an existing section."""
    section = access.section_or_404(section_id, govern=True)
    if section.is_past:
        flash(_("The school year %(year)s is over: its rosters can only be read.", year=section.school_year), "bad")
        return redirect(url_for(".show_section", section_id=section.id))
    return _handle_roster_upload(section)


def _handle_roster_upload(section: Section | None) -> str | Response | tuple[str, int]:
    form = RosterForm()
    file_error, is_busy = None, False
    if form.validate_on_submit():
        content = form.content()
        if content is None:
            form.file.errors = [_("Choose a file, or paste the rows below.")]
        elif form.has_file_and_rows():
            form.pasted.errors = [_("Choose a file or paste rows, not both. Empty this field to read the file.")]
        else:
            try:
                settings = current_settings()
                file = parse_roster_file(*content)
                if section is None:
                    file = name_section(file, form.grade_level.data or "", form.name.data or "")
                _require_section(form, section, file, is_pasted=content[1] == PASTED)
                if not form.errors:
                    upload = roster_import_service.create_roster_import(
                        current_user, section, file, content[1], domains=settings.email_domains
                    )
                    return redirect(url_for(".preview_roster_import", import_id=upload.id))
            except RosterFileError as error:
                file_error = problem_message(error)
                form.file.errors = [file_error]
                is_busy = error.code == "reader_busy"
    page = render_template("classes/import.html", form=form, section=section, sample=_sample_sf1_filename())
    return page, 503 if is_busy else 422 if form.errors or file_error else 200


def _require_section(form: RosterForm, section: Section | None, file: RosterFile, *, is_pasted: bool) -> None:
    """Ask for grade and section of pasted rows that name none; for a file the check page asks."""
    if section is not None or not is_pasted:
        return
    if not file.grade_level:
        form.grade_level.errors = [_("Write the grade level, e.g. Grade 8.")]
    if not file.section:
        form.name.errors = [_("Write the name of the section.")]


def _sample_sf1_filename() -> str | None:
    """File name of a sample School Form 1, in demo mode only."""
    settings = current_settings()
    if not settings.is_demo:
        return None
    samples = sorted((Path(str(current_app.static_folder)) / "samples").glob("SF1_*"))
    return samples[0].name if samples else None


@bp.get("/classes/imports/<uuid:import_id>")
def preview_roster_import(import_id: UUID) -> str | Response:
    """Show what the import would change; the view is audited."""
    upload = access.import_or_404(import_id)
    if upload.state != ImportState.PREVIEW:
        return _redirect_after_decision(upload.section_id)
    diff = roster_import_diff.diff_roster_file(upload)
    if diff.section and not _can_import_into(diff.section):
        roster_import_service.discard_roster_import(upload)
        flash(
            _("%(section)s has another adviser, so only they can import its roster.", section=diff.section.title), "bad"
        )
        return redirect(url_for(".list_classes"))
    section_id = diff.section.id if diff.section else None
    audit_log.record_view(
        AuditAction.VIEWED_ROSTER_IMPORT,
        AuditSubject.ROSTER_IMPORT,
        upload.id,
        by=current_user.id,
        section_id=section_id,
    )
    return _render_preview_page(upload, diff)


@bp.post("/classes/imports/<uuid:import_id>/rows")
def correct_roster_import_rows(import_id: UUID) -> Response:
    """Correct rows of the preview; nothing of the roster is saved."""
    upload = access.import_or_404(import_id)
    if upload.state != ImportState.PREVIEW:
        return _redirect_after_decision(upload.section_id)
    settings = current_settings()
    corrections = {number: _posted_correction(number) for number in request.form.getlist("row", type=int)}
    roster_import_corrections.correct_roster_import(
        upload,
        corrections,
        grade_level=request.form.get("grade_level", ""),
        section=request.form.get("section", ""),
        domains=settings.email_domains,
    )
    return redirect(url_for(".preview_roster_import", import_id=import_id))


def _posted_correction(number: int) -> RowCorrection:
    return RowCorrection(**{name: request.form.get(f"{name}-{number}", "") for name in CORRECTED_FIELDS})


@bp.post("/classes/imports/<uuid:import_id>/confirm")
def confirm_roster_import(import_id: UUID) -> Response | tuple[str, int]:
    """Apply the import; the preview again, with 422, if a missing learner has no decision."""
    upload = access.import_or_404(import_id)
    if upload.state != ImportState.PREVIEW:
        return _redirect_after_decision(upload.section_id)
    try:
        keep_all = request.form.get("all") == roster_import_service.KEEP_ON_ROSTER
        diff = roster_import_service.confirm_roster_import(
            upload, current_user, _missing_learner_decisions(), keep_all=keep_all
        )
    except roster_import_service.SectionNotManaged:
        abort(403)
    except roster_import_service.MissingLearnersUndecided as error:
        return _render_preview_page(upload, error.diff, error), 422
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


def _missing_learner_decisions() -> dict[UUID, roster_import_service.MissingLearnerDecision]:
    """The decisions posted for learners who are missing from the file."""
    decisions = {}
    for name, action in request.form.items():
        learner_id = _uuid_or_none(name.removeprefix("what-")) if name.startswith("what-") and action else None
        if learner_id:
            decisions[learner_id] = roster_import_service.MissingLearnerDecision(
                action, _date_or_none(request.form.get(f"day-{learner_id}", ""))
            )
    return decisions


def _uuid_or_none(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _date_or_none(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _render_preview_page(
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
        correcting=request.args.get("correct", type=int),
        written_text=written_text,
    )


@bp.post("/classes/imports/<uuid:import_id>/undo")
def undo_roster_import(import_id: UUID) -> Response:
    """Undo a confirmed import, within 24 hours."""
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
    return _redirect_after_decision(section.id if section else None)


@bp.post("/classes/imports/<uuid:import_id>/discard")
def discard_roster_import(import_id: UUID) -> Response:
    """Discard an undecided import."""
    upload = access.import_or_404(import_id)
    roster_import_service.discard_roster_import(upload)
    flash(_("The upload is thrown away. Nothing was changed."))
    return _redirect_after_decision(upload.section_id)


def _can_import_into(section: Section | None) -> bool:
    """True for a new section, or one that the user manages."""
    return section is None or access.can_manage_section(section)


def _redirect_after_decision(section_id: UUID | None) -> Response:
    return redirect(url_for(".show_section", section_id=section_id) if section_id else url_for(".list_classes"))


@bp.get("/classes/roster-template.csv")
def download_roster_template() -> Response:
    """The empty CSV template."""
    return Response(
        roster_csv_template(),
        mimetype="text/csv",
        headers={"Content-Disposition": 'attachment; filename="roster-template.csv"'},
    )
