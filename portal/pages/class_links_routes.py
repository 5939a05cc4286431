"""The join links of one class, for its teacher: printing them as slips with QR codes, rotating and revoking them."""

from uuid import UUID

import segno
from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from portal.classes.access import can_view_learners, class_or_404
from portal.core import audit_log
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.pages.join.state import join_page_url
from portal.registration import join_links

bp = Blueprint("class_links", __name__)


@bp.get("/classes/<uuid:class_id>/links")
def show_class_links(class_id: UUID) -> str:
    """Everybody's link, as a list on the screen and as slips on paper."""
    school_class = class_or_404(class_id, manage=True)
    people = join_links.list_class_links(school_class) if can_view_learners(current_user) else []
    audit_log.record_view(
        AuditAction.VIEWED_JOIN_LINKS, AuditSubject.CLASS, school_class.id, by=current_user.id, people=len(people)
    )
    return render_template(
        "join/links.html",
        school_class=school_class,
        people=people,
        class_token=join_links.class_link_token(school_class.id),
        address=join_page_url,
        qr=class_qr_code,
    )


@bp.post("/classes/<uuid:class_id>/links/renew")
def renew_join_links(class_id: UUID) -> AnyResponse:
    """Rotate the link of one learner, of the class, or (`whose=all`) of everybody."""
    school_class = class_or_404(class_id, manage=True)
    target = request.form.get("whose", "")
    if target == "all":
        count = join_links.rotate_class_links(current_user, school_class)
        flash(
            ngettext(
                "%(num)d link is new. The old one does not work any more.",
                "%(num)d links are new. The old ones do not work any more.",
                count,
            )
        )
    elif join_links.rotate_join_link(current_user, school_class, _parse_learner_id(target)):
        flash(_("The link is new. The old one does not work any more."))
    else:
        flash(_("There is no such link: the learner may have left the section."), "bad")
    return redirect(url_for(".show_class_links", class_id=school_class.id))


@bp.post("/classes/<uuid:class_id>/links/end")
def end_join_link(class_id: UUID) -> AnyResponse:
    school_class = class_or_404(class_id, manage=True)
    if join_links.revoke_join_link(current_user, school_class, _parse_learner_id(request.form.get("whose", ""))):
        flash(_("The link does not work any more. A new one can be made at any time."))
    else:
        flash(_("There is no such link: the learner may have left the section."), "bad")
    return redirect(url_for(".show_class_links", class_id=school_class.id))


def _parse_learner_id(text: str) -> UUID | None:
    """The learner of the link; None, the class's own link, if the text is empty or invalid."""
    try:
        return UUID(text)
    except ValueError:
        return None


def class_qr_code(token: str) -> Markup:
    """The URL as an inline SVG QR code: no image is fetched."""
    code = segno.make(join_page_url(token), error="m", micro=False)
    drawing = code.svg_inline(border=2, omitsize=True, svgclass="qr", lineclass=None)
    # Generated from a URL of our own: it contains no user input.
    return Markup(drawing.replace("<svg ", '<svg aria-hidden="true" ', 1))  # noqa: S704  # nosec B704
