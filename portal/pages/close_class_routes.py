"""The page that closes a class, with or without cancelling its upcoming dates."""

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from flask_login import current_user
from werkzeug.wrappers import Response
from wtforms import RadioField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired

from portal.classes import access
from portal.core.forms import PortalForm
from portal.meetings.scheduling.class_closing import close_class_with_dates, count_upcoming_occurrences

bp = Blueprint("close_class", __name__)


class CloseClassForm(PortalForm):
    dates = RadioField(
        _l("Its coming dates"),
        [InputRequired(_l("Choose what becomes of the coming dates."))],
        choices=[
            SelectChoice("cancel", _l("Cancel the coming dates too")),
            SelectChoice("leave", _l("Leave them scheduled")),
        ],
    )


@bp.route("/classes/<uuid:class_id>/close", methods=["GET", "POST"])
def close_class(class_id: UUID) -> str | Response | tuple[str, int]:
    """Close the class: nothing new can be scheduled; its upcoming dates are cancelled or kept, as the user chooses."""
    school_class = access.class_or_404(class_id, manage=True)
    if school_class.closed_at:
        return redirect(url_for("class_page.show_class_page", class_id=class_id))
    upcoming_count = count_upcoming_occurrences(class_id)
    form = CloseClassForm()
    if not upcoming_count:
        del form.dates
    if form.validate_on_submit():
        cancelled = close_class_with_dates(
            current_user,
            school_class,
            cancel_dates=bool(form.dates and form.dates.data == "cancel"),
            reason=_("The class was closed"),
        )
        flash(
            _(
                "%(subject)s is closed. Its sheets and reports stay, and it can be opened again.",
                subject=school_class.subject,
            )
        )
        if cancelled:
            flash(
                ngettext(
                    "%(num)d coming date is cancelled. Zoom is told now, and the links no longer open it.",
                    "%(num)d coming dates are cancelled. Zoom is told now, and the links no longer open them.",
                    cancelled,
                )
            )
        return redirect(url_for("class_page.show_class_page", class_id=class_id))
    page = render_template("classes/close_class.html", form=form, school_class=school_class, coming=upcoming_count)
    return page, 422 if form.errors else 200
