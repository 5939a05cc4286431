import csv
import io
from datetime import date, timedelta
from uuid import UUID

from flask import Blueprint, Response, render_template, request
from flask_login import current_user

from portal.attendance.queries import harmless
from portal.base import audit, clock
from portal.reports import queries
from portal.reports.chart import line_chart

bp = Blueprint("reports", __name__)
DAYS = 30


@bp.get("/reports")
def index() -> str:
    filters = _filters()
    days = queries.by_day(current_user, filters)
    weeks = queries.by_week(days)
    sections, subjects = queries.choices(current_user)
    return render_template(
        "reports/index.html",
        filters=filters,
        sections=sections,
        subjects=subjects,
        total=queries.total(current_user, filters),
        groups=queries.by_class(current_user, filters),
        weeks=weeks,
        narrow=line_chart(weeks, width=340, height=210),
        wide=line_chart(weeks, width=1000, height=260),
    )


@bp.get("/reports.csv")
def download() -> Response:
    filters = _filters()
    groups = queries.by_class(current_user, filters)
    audit.record("exported the report", "report", "classes", by=current_user.id, rows=len(groups))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(
        [
            "class",
            "teacher",
            "classes_held",
            "learners",
            "present",
            "partial",
            "absent",
            "needs_review",
            "rate",
            "average_minutes",
        ]
    )
    for group in groups:
        one = group.figures
        rate = f"{one.rate:.4f}" if one.rate is not None else ""
        writer.writerow(
            [harmless(group.title), harmless(group.teacher), one.classes, one.learners, one.present]
            + [one.partial, one.absent, one.review, rate, one.average_minutes]
        )
    name = f"attendance-report-{filters.first}-to-{filters.last}.csv"
    return Response(
        ("\ufeff" if request.args.get("excel") else "") + out.getvalue(),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _filters() -> queries.Filters:
    """What the address asks for; nonsense in it falls back to the last 30 days of everything."""
    today = clock.today()
    first, last = _day("from", today - timedelta(days=DAYS)), _day("to", today)
    if first > last:
        first, last = last, first
    return queries.Filters(
        first=first,
        last=last,
        section_id=_uuid(request.args.get("section")),
        subject=request.args.get("subject") or None,
    )


def _day(name: str, default: date) -> date:
    try:
        return date.fromisoformat(request.args.get(name, ""))
    except ValueError:
        return default


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None
