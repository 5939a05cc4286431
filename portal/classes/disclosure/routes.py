"""The answer to "Why do you need to see this?", and the way back to the page that was asked for."""

from uuid import UUID

from flask import Blueprint, flash, redirect, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.accounts.sign_in.next_url import safe_next
from portal.classes import access
from portal.classes.disclosure import service
from portal.core.date_format import clock_time

bp = Blueprint("opening", __name__)


@bp.route("/classes/sections/<uuid:section_id>/why", methods=["GET", "POST"])
def why(section_id: UUID) -> str | Response | tuple[str, int]:
    """For admins of a division and the region. Everybody else sees the rows without, or not at all."""
    section = access.section_to_open_or_404(section_id)
    form = service.WhyForm()
    if not form.is_submitted():
        form.next.data = request.args.get("next", "")
    if form.validate_on_submit():
        until = service.open_rows(current_user._get_current_object(), section, form.reason.data or "")
        flash(
            _("Open to you until %(time)s, to look at. Your reason is written down for the school.",
              time=clock_time(until))
        )  # fmt: skip
        return redirect(safe_next(form.next.data, url_for("classes.section", section_id=section.id)))
    return service.page(section, form), 422 if form.errors else 200
