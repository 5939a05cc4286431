import os
from collections.abc import Iterable, Iterator
from uuid import UUID

from flask import Blueprint, Response, abort, render_template, request
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from portal.classes.access import can_view_learners, section_or_404
from portal.core import audit_log
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.meetings.access import participants_occurrence_or_404
from portal.reports import exports, filters, participants, queries, xlsx_writer
from portal.reports.report_page import build_report_page
from portal.web.rate_limits import learner_export_limit

bp = Blueprint("reports", __name__)


@bp.get("/reports")
def show_attendance_report() -> str:
    return _render_report(filters.parse_report_filters(current_user, request.args))


def _render_report(report_request: filters.ReportRequest) -> str:
    groups = queries.load_report_groups(current_user, report_request.filters)
    weeks = queries.rate_by_week(queries.totals_by_day(current_user, report_request.filters))
    with_learners = can_view_learners(current_user)
    return render_template(
        "reports/index.html",
        page=build_report_page(
            report_request,
            groups,
            queries.sum_report_groups(groups),
            learners=queries.count_learners(groups),
            weeks=weeks,
            school_name=current_user.school_name,
            with_learners=with_learners,
        ),
        filters=report_request.filters,
        problems=report_request.problems,
        invalid={
            problem.field: {"aria-invalid": "true", "aria-describedby": "problems"}
            for problem in report_request.problems
        },
        dates=queries.list_held_occurrences(current_user, report_request.filters),
        with_marks=with_learners or report_request.filters.section is not None,
    )


@bp.get("/reports.csv")
def download_report_csv() -> AnyResponse:
    """The figures of the page as a file."""
    return _figures_response("csv")


@bp.get("/reports.xlsx")
def download_report_xlsx() -> AnyResponse:
    return _figures_response("xlsx")


def _figures_response(kind: str) -> AnyResponse:
    report_request = filters.parse_report_filters(current_user, request.args)
    if report_request.problems:
        return _problem_response(report_request)
    groups = queries.load_report_groups(current_user, report_request.filters)
    audit_log.record_action(
        AuditAction.EXPORTED_REPORT, AuditSubject.REPORT, "classes", by=current_user.id, rows=len(groups), format=kind
    )
    rows = exports.export_figures_rows(groups, report_request.filters.level)
    return _file_response("attendance-report", report_request.filters, kind, rows, _("Attendance report"), (44, 28))


@bp.get("/reports/marks.csv")
@learner_export_limit
def download_marks_csv() -> AnyResponse:
    """Every learner's marks, day by day."""
    return _marks_response("csv")


@bp.get("/reports/marks.xlsx")
@learner_export_limit
def download_marks_xlsx() -> AnyResponse:
    return _marks_response("xlsx")


def _marks_response(kind: str) -> AnyResponse:
    report_request = filters.parse_report_filters(current_user, request.args)
    if report_request.problems:
        return _problem_response(report_request)
    if not can_view_learners(current_user):
        if report_request.filters.section is None:
            abort(404)
        section_or_404(report_request.filters.section)  # redirects to the disclosure form if no reason was given
    exports.log_report_export(current_user, report_request, kind)
    rows = exports.export_marks_rows(current_user, report_request.filters)
    return _file_response("attendance-marks", report_request.filters, kind, rows, _("Marks"), (24, 24, 15, 36, 5))


def _problem_response(report_request: filters.ReportRequest) -> AnyResponse:
    """No file if a filter is invalid, since it would contain more than requested: 404 for another user's class, else
    the page with the problems."""
    if any(problem.unknown for problem in report_request.problems):
        abort(404)
    return Response(_render_report(report_request), status=422)


def _file_response(
    name: str,
    report_filters: filters.ReportFilters,
    kind: str,
    rows: Iterable[exports.Row],
    title: str,
    widths: tuple[int, ...],
) -> AnyResponse:
    if kind == "csv":
        file, mimetype = exports.csv_response(rows, for_excel="excel" in request.args), "text/csv"
    else:
        file, mimetype = exports.xlsx_response(title, rows, widths), xlsx_writer.MIMETYPE
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    response = Response(
        _iterate_chunks(file) if size > exports.IN_MEMORY else b"".join(_iterate_chunks(file)), mimetype=mimetype
    )
    response.content_length = size
    response.headers.set(
        "Content-Disposition", "attachment", filename=f"{name}-{report_filters.first}-to-{report_filters.last}.{kind}"
    )
    return response


def _iterate_chunks(file: exports.File) -> Iterator[bytes]:
    with file:
        while chunk := file.read(64 * 1024):
            yield chunk


@bp.get("/reports/occurrences/<uuid:occurrence_id>")
def show_occurrence_participants(occurrence_id: UUID) -> str:
    """All participants of one meeting date, with their stays."""
    occurrence = participants_occurrence_or_404(occurrence_id)
    audit_log.record_view(AuditAction.VIEWED_PARTICIPANTS, AuditSubject.OCCURRENCE, occurrence.id, by=current_user.id)
    return render_template(
        "reports/participants.html",
        occurrence=occurrence,
        meeting=occurrence.meeting,
        school_class=occurrence.meeting.school_class,
        found=participants.load_occurrence_participants(occurrence),
    )
