from uuid import UUID

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from portal.attendance import override, queries
from portal.attendance.forms import BulkForm, MarkForm, ReasonForm
from portal.base import audit, clock
from portal.meetings import queries as meeting_queries
from portal.meetings import words as meeting_words
from portal.meetings.access import manages, occurrence_or_404
from portal.meetings.models import MeetingOccurrence

bp = Blueprint("attendance", __name__)
SHOWN = {"present": "present", "partial": "partial", "absent": "absent", "review": "needs review"}


@bp.get("/attendance")
def index() -> str:
    dates = meeting_queries.past(current_user)
    return render_template(
        "attendance/index.html",
        dates=dates,
        summaries=queries.summaries([line.occurrence_id for line in dates]),
    )


@bp.get("/attendance/<uuid:occurrence_id>")
def sheet(occurrence_id: UUID) -> str:
    occurrence = occurrence_or_404(occurrence_id)
    audit.record("viewed the sheet", "occurrence", occurrence.id, by=current_user.id)
    return _page(occurrence)


def _page(occurrence: MeetingOccurrence, mark_form: MarkForm | None = None, open_row: str = "") -> str:
    seen = queries.read(occurrence)
    show = SHOWN.get(request.args.get("show", ""))
    return render_template(
        "attendance/sheet.html",
        occurrence=occurrence,
        meeting=occurrence.meeting,
        school_class=occurrence.meeting.school_class,
        sheet=seen,
        show=show,
        managed=manages(occurrence.meeting),
        open_row=open_row or request.args.get("change", ""),
        mark_form=mark_form or MarkForm(),
        bulk_form=BulkForm(),
        reason_form=ReasonForm(),
        history=queries.history(occurrence.id),
        trouble=meeting_words.trouble,
    )


@bp.get("/attendance/<uuid:occurrence_id>.csv")
def download(occurrence_id: UUID) -> Response:
    """The sheet as CSV. With `?excel=1` it begins with a mark by which Excel knows that it is UTF-8."""
    occurrence = occurrence_or_404(occurrence_id)
    audit.record("exported the sheet", "occurrence", occurrence.id, by=current_user.id, format="csv")
    text = queries.to_csv(occurrence)
    name = f"attendance-{clock.local(occurrence.starts_at):%Y-%m-%d-%H%M}.csv"
    return Response(
        ("\ufeff" if request.args.get("excel") else "") + text,
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@bp.post("/attendance/<uuid:occurrence_id>/learners/<uuid:learner_id>")
def change_mark(occurrence_id: UUID, learner_id: UUID) -> str | AnyResponse | tuple[str, int]:
    occurrence = occurrence_or_404(occurrence_id, manage=True)
    form = MarkForm()
    if not form.validate_on_submit():
        return _page(occurrence, form, str(learner_id)), 422
    return _changed(occurrence, [learner_id], form.mark.data, form.reason.data or "")


@bp.post("/attendance/<uuid:occurrence_id>/learners/<uuid:learner_id>/as-zoom-saw")
def clear_mark(occurrence_id: UUID, learner_id: UUID) -> AnyResponse:
    occurrence = occurrence_or_404(occurrence_id, manage=True)
    return _changed(occurrence, [learner_id], None, "")


@bp.post("/attendance/<uuid:occurrence_id>/marks")
def change_marks(occurrence_id: UUID) -> AnyResponse:
    occurrence = occurrence_or_404(occurrence_id, manage=True)
    form = BulkForm()
    learners = [UUID(text) for text in form.who.data or [] if _is_uuid(text)]
    to = form.to.data
    if not learners or not to:
        flash(_("Nothing was changed: select learners and choose a mark."), "bad")
        return _back(occurrence)
    if to != "zoom" and not (form.reason.data or "").strip():
        flash(_("Nothing was changed: write the reason, e.g. brownout."), "bad")
        return _back(occurrence)
    return _changed(occurrence, learners, None if to == "zoom" else to, form.reason.data or "")


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _changed(occurrence: MeetingOccurrence, learners: list[UUID], mark: str | None, reason: str) -> AnyResponse:
    try:
        count = override.set_marks(current_user, occurrence, learners, mark, reason)
    except override.SheetIsFinal:
        flash(_("The sheet is finalised. Open it again first, with a reason."), "bad")
    else:
        flash(ngettext("%(num)d mark is changed.", "%(num)d marks are changed.", count))
    anchor = f"l-{learners[0]}" if len(learners) == 1 else None
    return _back(occurrence, anchor)


def _back(occurrence: MeetingOccurrence, anchor: str | None = None) -> AnyResponse:
    return redirect(url_for(".sheet", occurrence_id=occurrence.id, _anchor=anchor))


@bp.post("/attendance/<uuid:occurrence_id>/finalise")
def finalise(occurrence_id: UUID) -> AnyResponse:
    occurrence = occurrence_or_404(occurrence_id, manage=True)
    try:
        override.finalise(current_user, occurrence)
    except override.NothingToFinalise:
        flash(_("The class is not over yet, so there is nothing to finalise."), "bad")
    except override.SheetIsFinal:
        flash(_("The sheet was finalised already."))
    else:
        flash(_("The sheet is finalised. Later news from Zoom no longer changes the marks."))
    return _back(occurrence)


@bp.post("/attendance/<uuid:occurrence_id>/reopen")
def reopen(occurrence_id: UUID) -> AnyResponse:
    occurrence = occurrence_or_404(occurrence_id, manage=True)
    form = ReasonForm()
    if form.validate_on_submit():
        override.reopen(current_user, occurrence, form.reason.data or "")
        flash(_("The sheet is open again. The marks that you set stay."))
    else:
        flash(_("Write why the sheet is opened again."), "bad")
    return _back(occurrence)


@bp.post("/attendance/<uuid:occurrence_id>/match")
def match(occurrence_id: UUID) -> AnyResponse:
    """One participant (all of her stays) is these learners, or staff, or nobody of the class."""
    occurrence = occurrence_or_404(occurrence_id, manage=True)
    stays = [UUID(text) for text in request.form.getlist("stay") if _is_uuid(text)]
    chosen = [text for text in request.form.getlist("learner") if text]
    if not stays or not chosen:
        flash(_("Choose who it is."), "bad")
        return _back(occurrence, "people")
    learners = [UUID(text) for text in chosen if _is_uuid(text)]
    try:
        override.match(current_user, occurrence, stays, learners, staff="staff" in chosen)
    except override.SheetIsFinal:
        flash(_("The sheet is finalised. Open it again first, with a reason."), "bad")
    except ValueError:
        flash(_("That person is not on this sheet any more. Look again."), "bad")
    else:
        flash(_("Matched. Silid remembers it for this class; you can undo it."))
    return _back(occurrence, "people")


@bp.post("/attendance/<uuid:occurrence_id>/unmatch")
def unmatch(occurrence_id: UUID) -> AnyResponse:
    occurrence = occurrence_or_404(occurrence_id, manage=True)
    stays = [UUID(text) for text in request.form.getlist("stay") if _is_uuid(text)]
    try:
        override.unmatch(current_user, occurrence, stays)
    except override.SheetIsFinal:
        flash(_("The sheet is finalised. Open it again first, with a reason."), "bad")
    else:
        flash(_("The match is undone."))
    return _back(occurrence, "people")
