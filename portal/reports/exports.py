"""Report exports as files: the figures by group, and the marks by learner and class with a column for each day.

A file is complete before its first byte is sent: a slow connection holds no database snapshot, and an error never
yields half a file. It is written row by row into a temporary file, so its size is not limited by memory.
"""

import csv
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import String, cast, func, literal, select

from portal.accounts.models import School, User
from portal.attendance.codes import Mark
from portal.attendance.models import AttendanceRecord, AttendanceSheet
from portal.attendance.sheet.queries import escape_csv_formula
from portal.attendance.sheet.tally import mark_column
from portal.classes.models import Learner, SchoolClass, Section
from portal.core import audit_log
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.db import db, write_transaction
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.reports import xlsx_writer
from portal.reports.filters import ReportFilters, ReportRequest
from portal.reports.queries import ReportGroup, in_report_clause, is_held_clause

IN_MEMORY = 1024 * 1024  # a smaller file stays in memory
File = tempfile.SpooledTemporaryFile[bytes]
Row = Sequence[xlsx_writer.Cell]
FIGURES = [
    "classes_planned",
    "classes_held",
    "learners",
    "invited",
    "present",
    "partial",
    "absent",
    "needs_review",
    "rate",
    "average_minutes",
    "class_minutes",
    "not_final",
]
MARKS = ["grade_and_section", "class", "lrn", "name", "sex", "present", "partial", "absent", "needs_review"]


def export_figures_rows(groups: Iterable[ReportGroup], level: str) -> Iterator[Row]:
    """The heading and a row for each group. The rate is a float, or None without marks."""
    yield [level, *(["teacher"] if level == "class" else []), *FIGURES]
    for group in groups:
        totals = group.figures
        yield [
            group.title,
            *([group.teacher] if level == "class" else []),
            totals.meetings,
            totals.classes,
            None if group.learners is None else len(group.learners),
            totals.invited,
            totals.present,
            totals.partial,
            totals.absent,
            totals.needs_review,
            totals.rate,
            totals.average_minutes,
            totals.ran_minutes,
            totals.not_final,
        ]


def export_marks_rows(user: User, filters: ReportFilters) -> Iterator[Row]:
    """The heading and a row for each learner of each class: counts, then the mark of each day. Where a class met twice
    on a day, both marks are in order of time."""
    days = [
        day.isoformat()
        for day in db.session.scalars(
            select(MeetingOccurrence.local_date)
            .distinct()
            .select_from(MeetingOccurrence)
            .join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
            .join(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
            .join(Section, Section.id == SchoolClass.section_id)
            .join(School, School.id == Section.school_id)
            .join(AttendanceSheet, AttendanceSheet.occurrence_id == MeetingOccurrence.id)
            .where(in_report_clause(user, filters), is_held_clause)
            .order_by(MeetingOccurrence.local_date)
        )
    ]
    yield [*MARKS, *days]
    for grade, name, subject, lrn, lis_name, sex, tokens in _load_mark_rows(user, filters):
        marks_by_day: dict[str, list[Mark]] = {}
        for token in sorted(tokens.split("|")):
            starts_at, mark = token.split("=")
            marks_by_day.setdefault(starts_at[:10], []).append(Mark(mark))
        marks = [mark for marks_of_day in marks_by_day.values() for mark in marks_of_day]
        yield [
            f"{grade} - {name}",
            subject,
            lrn or "",
            lis_name,
            sex,
            *(marks.count(mark) for mark in (Mark.PRESENT, Mark.PARTIAL, Mark.ABSENT, Mark.NEEDS_REVIEW)),
            *(", ".join(mark.file_text for mark in marks_by_day[day]) if day in marks_by_day else None for day in days),
        ]


def _load_mark_rows(user: User, filters: ReportFilters) -> Iterable[tuple[str, str, str, str | None, str, str, str]]:
    """One row for each class and learner, with the marks aggregated: "2026-11-03 1=present|2026-11-04 ...".

    The time in a token only orders the classes of one day, so the database's own text format is sufficient.
    """
    token = (
        cast(MeetingOccurrence.local_date, String)
        + literal(" ")
        + cast(MeetingOccurrence.starts_at, String)
        + literal("=")
        + mark_column
    )
    subquery = (
        select(
            ZoomMeeting.class_id.label("class_id"),
            AttendanceRecord.learner_id.label("learner_id"),
            func.aggregate_strings(token, "|").label("said"),
        )
        .select_from(MeetingOccurrence)
        .join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
        .join(SchoolClass, SchoolClass.id == ZoomMeeting.class_id)
        .join(Section, Section.id == SchoolClass.section_id)
        .join(School, School.id == Section.school_id)
        .join(AttendanceSheet, AttendanceSheet.occurrence_id == MeetingOccurrence.id)
        .join(AttendanceRecord, AttendanceRecord.occurrence_id == MeetingOccurrence.id)
        .where(in_report_clause(user, filters), is_held_clause)
        .group_by(ZoomMeeting.class_id, AttendanceRecord.learner_id)
        .subquery()
    )
    rows = db.session.execute(
        select(
            Section.grade_level,
            Section.name,
            SchoolClass.subject,
            Learner.lrn,
            Learner.lis_name,
            Learner.sex,
            subquery.c.said,
        )
        .select_from(subquery)
        .join(SchoolClass, SchoolClass.id == subquery.c.class_id)
        .join(Section, Section.id == SchoolClass.section_id)
        .join(Learner, Learner.id == subquery.c.learner_id)
        .order_by(
            Section.grade_level, Section.name, SchoolClass.subject, Learner.sex.desc(), Learner.lis_name, Learner.id
        )
        .execution_options(yield_per=500)
    )
    return ((row[0], row[1], row[2], row[3], row[4], row[5], row[6]) for row in rows)


def log_report_export(user: User, report_request: ReportRequest, kind: str) -> None:
    """Audit the export of marks: under the class, or under each section, where the log is searched."""
    filters = report_request.filters
    values: dict[str, Any] = {"by": user.id, "format": kind, "first": str(filters.first), "last": str(filters.last)}
    with write_transaction():
        if filters.class_id:
            audit_log.record_action(AuditAction.EXPORTED_MARKS, AuditSubject.CLASS, filters.class_id, **values)
            return
        for section_id in [filters.section] if filters.section else report_request.choices.sections:
            audit_log.record_action(
                AuditAction.EXPORTED_MARKS, AuditSubject.SECTION, section_id, section_id=section_id, **values
            )


def csv_response(rows: Iterable[Row], *, for_excel: bool = False) -> File:
    """A CSV file of the rows, rewound. `for_excel`: with a byte-order mark, by which Excel detects UTF-8."""
    out = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed by the sender
    text = _TextAdapter(out)
    if for_excel:
        out.write("\ufeff".encode())
    writer = csv.writer(text, lineterminator="\r\n")
    for row in rows:
        writer.writerow([_to_csv_value(value) for value in row])
    out.seek(0)
    return out


class _TextAdapter:
    """A text adapter for csv.writer without a buffer that would close the underlying file."""

    def __init__(self, out: File) -> None:
        self._out = out

    def write(self, text: str) -> None:
        self._out.write(text.encode())


def _to_csv_value(value: xlsx_writer.Cell) -> str | int:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}"
    return escape_csv_formula(value) if isinstance(value, str) else value


def xlsx_response(title: str, rows: Iterable[Row], widths: Sequence[int] = ()) -> File:
    """A workbook of the rows, rewound."""
    out = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed by the sender
    xlsx_writer.write_xlsx_workbook(out, title, rows, widths)
    out.seek(0)
    return out
