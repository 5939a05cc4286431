"""The page of a class, with its dates."""

from uuid import UUID

from flask import Blueprint, render_template
from flask_login import current_user

from portal.attendance.sheet import queries as attendance_queries
from portal.classes.access import can_manage_class, can_view_learners, class_or_404
from portal.core import clock
from portal.meetings import queries as meeting_queries
from portal.pages.class_page import ClassDescription, build_class_page

bp = Blueprint("class_page", __name__)


@bp.get("/classes/<uuid:class_id>")
def show_class_page(class_id: UUID) -> str:
    school_class = class_or_404(class_id)
    coming = meeting_queries.list_class_occurrences(current_user, class_id, past=False)
    begun = meeting_queries.list_class_occurrences(current_user, class_id, past=True)
    described = ClassDescription(
        teacher=school_class.teacher.full_name,
        co_teachers=[teacher.full_name for teacher in school_class.co_teachers],
        is_closed=school_class.closed_at is not None,
        is_open=school_class.closed_at is None and not school_class.section.is_past,
    )
    page = build_class_page(
        described,
        coming,
        begun,
        attendance_queries.load_sheet_summaries([row.occurrence_id for row in begun]),
        can_manage=can_manage_class(school_class),
        can_view_learners=can_view_learners(current_user),
        now=clock.now(),
    )
    return render_template("classes/class.html", school_class=school_class, page=page)
