"""The reason form: division and region admins say why they need to see learners' rows."""

from uuid import UUID

from flask import Blueprint, flash, redirect, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.accounts.sign_in.next_url import safe_next_url
from portal.classes import access
from portal.classes.disclosure import service
from portal.core.date_format import format_time

bp = Blueprint("disclosure", __name__)


@bp.route("/classes/sections/<uuid:section_id>/why", methods=["GET", "POST"])
def ask_disclosure_reason(section_id: UUID) -> str | Response | tuple[str, int]:
    """Show or process the form, then redirect to the requested page. Only for division and region admins; 404 for
    everybody else."""
    section = access.disclosable_section_or_404(section_id)
    form = service.DisclosureReasonForm()
    if not form.is_submitted():
        form.next.data = request.args.get("next", "")
    if form.validate_on_submit():
        expires_at = service.grant_section_disclosure(
            current_user._get_current_object(), section, form.reason.data or ""
        )
        flash(
            _("Open to you until %(time)s, to look at. Your reason is written down for the school.",
              time=format_time(expires_at))
        )  # fmt: skip
        return redirect(safe_next_url(form.next.data, url_for("classes.show_section", section_id=section.id)))
    return service.render_reason_form(section, form), 422 if form.errors else 200
