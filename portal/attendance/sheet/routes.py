from datetime import timedelta
from uuid import UUID

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from portal.attendance import messages as attendance_messages
from portal.attendance.codes import SheetState, UploadState
from portal.attendance.evidence import file_upload
from portal.attendance.models import ParticipantUpload
from portal.attendance.sheet import corrections, queries
from portal.attendance.sheet.forms import (
    BulkForm,
    FileForm,
    GraceForm,
    MarkForm,
    ReasonForm,
)
from portal.attendance.sheet.live_page import build_live_page
from portal.attendance.sheet.page import SheetQuery, Viewer, build_history_lines, build_sheet_page
from portal.classes.access import can_manage_section, section_or_404
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.meetings import queries as meeting_queries
from portal.meetings.access import can_edit_sheet, occurrence_or_404
from portal.meetings.models import MeetingOccurrence
from portal.web.rate_limits import learner_export_limit

bp = Blueprint("attendance", __name__)


@bp.get("/attendance")
def list_sheets() -> str:
    dates = meeting_queries.list_recent_occurrences(current_user)
    summaries = queries.load_sheet_summaries([line.occurrence_id for line in dates])
    finalised_ids = {occurrence_id for occurrence_id, summary in summaries.items() if summary.finalised}
    return render_template(
        "attendance/index.html",
        open=[line for line in dates if line.occurrence_id not in finalised_ids],
        finalised=[line for line in dates if line.occurrence_id in finalised_ids],
        summaries=summaries,
    )


@bp.get("/attendance/<uuid:occurrence_id>")
def show_sheet(occurrence_id: UUID) -> str:
    occurrence = occurrence_or_404(occurrence_id)
    audit_log.record_view(AuditAction.VIEWED_SHEET, AuditSubject.OCCURRENCE, occurrence.id, by=current_user.id)
    return _page(occurrence)


def _page(
    occurrence: MeetingOccurrence,
    mark_form: MarkForm | None = None,
    open_row: str = "",
    bulk_form: BulkForm | None = None,
    reason_form: ReasonForm | None = None,
    grace_form: GraceForm | None = None,
) -> str:
    """The sheet. A form that was sent comes along with what was filled in and what is wrong with it."""
    school_class = occurrence.meeting.school_class
    assert school_class is not None  # a date without a class was answered with 404
    can_edit = can_edit_sheet(occurrence.meeting)
    viewer = Viewer(can_edit=can_edit, can_set_grace=can_edit and can_manage_section(school_class.section))
    query = SheetQuery(
        address=url_for(".show_sheet", occurrence_id=occurrence.id),
        show=request.args.get("show", ""),
        open_row=open_row or request.args.get("change", ""),
        several="several" in request.args,
        mark_form=mark_form,
        bulk_form=bulk_form,
        reason_form=reason_form,
        grace_form=grace_form,
    )
    data = queries.load_sheet_data(occurrence, with_history=True)
    page = build_sheet_page(data, viewer, query, clock.now())
    return render_template(
        "attendance/sheet.html", occurrence=occurrence, school_class=school_class, page=page, live=page.live
    )


@bp.get("/attendance/<uuid:occurrence_id>/live")
def show_live_attendance(occurrence_id: UUID) -> str | Response:
    """The part of the page that renews itself while the class runs. Nothing at all where the reader has it
    already: `v` is the version that they see. Their first look was written to the audit log."""
    version = queries.current_sheet_version(current_user, occurrence_id)
    if version is None:
        occurrence_or_404(occurrence_id)  # 404 for a stranger; else the time for which the rows were opened is over
        abort(404)
    if request.args.get("v") == version:
        return Response(status=204)
    occurrence = occurrence_or_404(occurrence_id)
    # The page that renews itself is one look, however long it lies open.
    audit_log.record_view(
        AuditAction.VIEWED_SHEET,
        AuditSubject.OCCURRENCE,
        occurrence.id,
        by=current_user.id,
        dedup_window=timedelta(hours=12),
    )
    data = queries.load_sheet_data(occurrence)
    if data.state != SheetState.LIVE:
        return Response(status=204, headers={"HX-Refresh": "true"})
    return render_template("attendance/_live.html", occurrence=occurrence, live=build_live_page(data, clock.now()))


@bp.get("/attendance/<uuid:occurrence_id>/history")
def show_sheet_history(occurrence_id: UUID) -> str:
    occurrence = occurrence_or_404(occurrence_id)
    audit_log.record_view(AuditAction.VIEWED_HISTORY, AuditSubject.OCCURRENCE, occurrence.id, by=current_user.id)
    return render_template(
        "attendance/history.html",
        occurrence=occurrence,
        lines=build_history_lines(queries.list_sheet_history(occurrence.id, everything=True)),
    )


@bp.get("/attendance/<uuid:occurrence_id>.csv")
@learner_export_limit
def download_sheet_csv(occurrence_id: UUID) -> Response:
    """The sheet as CSV. With `?excel=1` it begins with a mark by which Excel knows that it is UTF-8."""
    occurrence = occurrence_or_404(occurrence_id)
    audit_log.record_action(
        AuditAction.EXPORTED_SHEET, AuditSubject.OCCURRENCE, occurrence.id, by=current_user.id, format="csv"
    )
    text = queries.sheet_to_csv(occurrence)
    name = f"attendance-{clock.to_manila(occurrence.starts_at):%Y-%m-%d-%H%M}.csv"
    return Response(
        ("\ufeff" if request.args.get("excel") else "") + text,
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@bp.post("/attendance/<uuid:occurrence_id>/learners/<uuid:learner_id>")
def change_learner_mark(occurrence_id: UUID, learner_id: UUID) -> str | AnyResponse | tuple[str, int]:
    occurrence = occurrence_or_404(occurrence_id, manage=True)
    form = MarkForm()
    if not form.validate_on_submit():
        return _page(occurrence, form, str(learner_id)), 422
    return _changed(occurrence, [learner_id], form.mark.data, form.reason.data or "")


@bp.post("/attendance/<uuid:occurrence_id>/learners/<uuid:learner_id>/as-zoom-saw")
def clear_learner_mark(occurrence_id: UUID, learner_id: UUID) -> AnyResponse:
    occurrence = occurrence_or_404(occurrence_id, manage=True)
    return _changed(occurrence, [learner_id], None, "")


@bp.post("/attendance/<uuid:occurrence_id>/marks")
def change_selected_marks(occurrence_id: UUID) -> str | AnyResponse | tuple[str, int]:
    """Several learners at once. What was selected and written stays where something is missing."""
    occurrence = occurrence_or_404(occurrence_id, manage=True)
    form = BulkForm()
    learners = [UUID(text) for text in form.who.data or [] if _is_uuid(text)]
    form.who.data = [str(one) for one in learners]
    to = form.to.data
    if not form.validate() or not learners:
        if not learners:
            form.who.errors = [_("Select the learners.")]
        return _page(occurrence, bulk_form=form), 422
    return _changed(occurrence, learners, None if to == "zoom" else to, form.reason.data or "")


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _changed(occurrence: MeetingOccurrence, learners: list[UUID], mark: str | None, reason: str) -> AnyResponse:
    try:
        count = corrections.override_marks(current_user, occurrence, learners, mark, reason)
    except corrections.SheetFinalised:
        flash(_("The sheet is finalised. Open it again first, with a reason."), "bad")
    else:
        flash(ngettext("%(num)d mark is changed.", "%(num)d marks are changed.", count))
    anchor = f"l-{learners[0]}" if len(learners) == 1 else None
    return _back(occurrence, anchor)


def _back(occurrence: MeetingOccurrence, anchor: str | None = None) -> AnyResponse:
    return redirect(url_for(".show_sheet", occurrence_id=occurrence.id, _anchor=anchor))


@bp.post("/attendance/<uuid:occurrence_id>/finalise")
def finalise_sheet(occurrence_id: UUID) -> AnyResponse:
    occurrence = occurrence_or_404(occurrence_id, manage=True)
    try:
        corrections.finalise_sheet(current_user, occurrence)
    except corrections.ClassNotOver:
        flash(_("The class is not over yet, so there is nothing to finalise."), "bad")
    except corrections.SheetFinalised:
        flash(_("The sheet was finalised already."))
    else:
        flash(_("The sheet is finalised. Later news from Zoom no longer changes the marks."))
    return _back(occurrence)


@bp.post("/attendance/<uuid:occurrence_id>/reopen")
def reopen_sheet(occurrence_id: UUID) -> AnyResponse | tuple[str, int]:
    occurrence = occurrence_or_404(occurrence_id, manage=True)
    form = ReasonForm()
    if not form.validate_on_submit():
        return _page(occurrence, reason_form=form), 422
    corrections.reopen_sheet(current_user, occurrence, form.reason.data or "")
    flash(_("The sheet is open again. The marks that you set stay."))
    return _back(occurrence)


@bp.post("/attendance/<uuid:occurrence_id>/match")
def match_participant(occurrence_id: UUID) -> AnyResponse:
    """One participant (all of their stays) is these learners, or staff, or nobody of the class."""
    occurrence = occurrence_or_404(occurrence_id, manage=True)
    stays = [UUID(text) for text in request.form.getlist("stay") if _is_uuid(text)]
    chosen = [text for text in request.form.getlist("learner") if text]
    if not stays or not chosen:
        flash(_("Choose who it is."), "bad")
        return _back(occurrence, "people")
    learners = [UUID(text) for text in chosen if _is_uuid(text)]
    try:
        corrections.match_participant(current_user, occurrence, stays, learners, staff="staff" in chosen)
    except corrections.SheetFinalised:
        flash(_("The sheet is finalised. Open it again first, with a reason."), "bad")
    except ValueError:
        flash(_("That person is not on this sheet any more. Look again."), "bad")
    else:
        flash(_("Matched. You can undo it below."))
    return _back(occurrence, "people")


@bp.post("/attendance/<uuid:occurrence_id>/unmatch")
def undo_match(occurrence_id: UUID) -> AnyResponse:
    occurrence = occurrence_or_404(occurrence_id, manage=True)
    stays = [UUID(text) for text in request.form.getlist("stay") if _is_uuid(text)]
    try:
        corrections.undo_match(current_user, occurrence, stays)
    except corrections.SheetFinalised:
        flash(_("The sheet is finalised. Open it again first, with a reason."), "bad")
    else:
        flash(_("The match is undone."))
    return _back(occurrence, "people")


@bp.post("/attendance/<uuid:occurrence_id>/counts")
def set_counts_in_reports(occurrence_id: UUID) -> AnyResponse:
    """A date that nobody scheduled counts in reports, or does not."""
    occurrence = occurrence_or_404(occurrence_id, manage=True)
    try:
        corrections.set_counts_in_reports(current_user, occurrence, request.form.get("counts") == "yes")
    except corrections.SheetFinalised:
        flash(_("The sheet is finalised. Open it again first, with a reason."), "bad")
    return _back(occurrence)


@bp.post("/attendance/sections/<uuid:section_id>/grace")
def set_grace_minutes(section_id: UUID) -> AnyResponse | tuple[str, int]:
    """The minutes of grace of a section, from the sheet of one of its dates."""
    section = section_or_404(section_id, govern=True)
    back = request.form.get("occurrence", "")
    occurrence = occurrence_or_404(UUID(back)) if _is_uuid(back) else abort(404)
    form = GraceForm()
    if not form.validate_on_submit():
        return _page(occurrence, grace_form=form), 422
    corrections.set_grace_minutes(current_user, section, form.minutes.data)
    flash(_("The minutes of grace are saved for the whole section."))
    return redirect(url_for(".show_sheet", occurrence_id=occurrence.id))


@bp.get("/attendance/<uuid:occurrence_id>/file")
def show_file_upload(occurrence_id: UUID) -> str:
    occurrence = occurrence_or_404(occurrence_id, manage=True)
    return _file_page(occurrence, FileForm())


def _file_page(occurrence: MeetingOccurrence, form: FileForm) -> str:
    return render_template(
        "attendance/file.html",
        occurrence=occurrence,
        meeting=occurrence.meeting,
        form=form,
        files=file_upload.list_confirmed_uploads(occurrence.id),
    )


@bp.post("/attendance/<uuid:occurrence_id>/file")
def upload_participant_file(occurrence_id: UUID) -> str | AnyResponse | tuple[str, int]:
    """Read the file and show what it would do; nothing is changed yet."""
    occurrence = occurrence_or_404(occurrence_id, manage=True)
    form = FileForm()
    if not form.validate_on_submit():
        return _file_page(occurrence, form), 422
    taken = file_upload.create_upload(current_user, occurrence, form.file.data.filename or "", form.file.data.read())
    return redirect(url_for(".preview_participant_file", occurrence_id=occurrence.id, upload_id=taken.id))


@bp.get("/attendance/<uuid:occurrence_id>/file/<uuid:upload_id>")
def preview_participant_file(occurrence_id: UUID, upload_id: UUID) -> str | AnyResponse:
    occurrence, taken = _upload_or_404(occurrence_id, upload_id)
    if taken.state != UploadState.PREVIEW:
        return redirect(url_for(".show_sheet", occurrence_id=occurrence.id))
    audit_log.record_view(
        AuditAction.VIEWED_PARTICIPANTS_FILE, AuditSubject.OCCURRENCE, occurrence.id, by=current_user.id
    )
    return render_template(
        "attendance/file_check.html",
        occurrence=occurrence,
        meeting=occurrence.meeting,
        upload=taken,
        preview=file_upload.preview_upload(occurrence, taken),
        say=attendance_messages.file_problem_message,
    )


def _upload_or_404(occurrence_id: UUID, upload_id: UUID) -> tuple[MeetingOccurrence, ParticipantUpload]:
    occurrence = occurrence_or_404(occurrence_id, manage=True)
    taken = file_upload.find_upload(occurrence.id, upload_id)
    if taken is None:
        abort(404)
    return occurrence, taken


@bp.post("/attendance/<uuid:occurrence_id>/file/<uuid:upload_id>/confirm")
def confirm_participant_file(occurrence_id: UUID, upload_id: UUID) -> AnyResponse:
    occurrence, taken = _upload_or_404(occurrence_id, upload_id)
    try:
        file_upload.confirm_upload(current_user, occurrence, taken)
    except corrections.SheetFinalised:
        flash(_("The sheet is finalised. Open it again first, with a reason."), "bad")
    except file_upload.EmptyUpload:
        flash(_("There is nothing in this file that this sheet could take in."), "bad")
    else:
        flash(_("The file is taken in. The sheet is computed from it and from what Zoom told before."))
    return _back(occurrence)


@bp.post("/attendance/<uuid:occurrence_id>/file/<uuid:upload_id>/discard")
def discard_participant_file(occurrence_id: UUID, upload_id: UUID) -> AnyResponse:
    occurrence, taken = _upload_or_404(occurrence_id, upload_id)
    file_upload.discard_upload(current_user, occurrence, taken)
    return redirect(url_for(".show_file_upload", occurrence_id=occurrence.id))


@bp.post("/attendance/<uuid:occurrence_id>/file/<uuid:upload_id>/take-back")
def revoke_participant_file(occurrence_id: UUID, upload_id: UUID) -> AnyResponse:
    occurrence, taken = _upload_or_404(occurrence_id, upload_id)
    try:
        file_upload.revoke_upload(current_user, occurrence, taken)
    except corrections.SheetFinalised:
        flash(_("The sheet is finalised. Open it again first, with a reason."), "bad")
    else:
        flash(_("What the file told is taken back."))
    return redirect(url_for(".show_file_upload", occurrence_id=occurrence.id))
