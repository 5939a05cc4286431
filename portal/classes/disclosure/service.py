"""Disclosure of learners' rows to division and region admins, who work with totals and must give a reason first.

`grant_section_disclosure` lets one session read one section for 8 hours and writes the reason to the audit log, where
the school's admin reads it. `disclosed_sections_select` is the condition for queries, `abort_with_reason_form` the page
shown in place of the requested one. A disclosure never allows a change: `can_manage_section` and `can_manage_class`
stay False.
"""

from datetime import datetime, timedelta
from uuid import UUID

from flask import abort, make_response, render_template, request
from flask_babel import lazy_gettext as _l
from sqlalchemy import ForeignKey, Select, UniqueConstraint, delete, exists, select
from sqlalchemy.orm import Mapped, mapped_column
from wtforms import HiddenField, TextAreaField
from wtforms.validators import InputRequired, Length

from portal.accounts.models import User, UserSession
from portal.classes.models import Section
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.crypto import hash_token
from portal.core.db import (
    Model,
    UuidPrimaryKey,
    db,
    write_transaction,
)
from portal.core.forms import PortalForm

DISCLOSURE_LIFETIME = timedelta(hours=8)
MIN_REASON_LENGTH, MAX_REASON_LENGTH = 10, 300  # characters of a reason
DISCLOSURE_ACTION = AuditAction.DISCLOSED_LEARNERS


class SectionDisclosure(UuidPrimaryKey, Model):
    """A time-limited permission of one session to read one section's learners. The reason is stored in the audit log
    only."""

    __tablename__ = "section_disclosures"
    __table_args__ = (UniqueConstraint("session_id", "section_id"),)

    session_id: Mapped[UUID] = mapped_column(ForeignKey("user_sessions.id", ondelete="CASCADE"))
    section_id: Mapped[UUID] = mapped_column(ForeignKey("sections.id", ondelete="CASCADE"))
    expires_at: Mapped[datetime]


class DisclosureReasonForm(PortalForm):
    reason = TextAreaField(
        _l("Your reason"),
        [
            InputRequired(_l("Write the reason.")),
            Length(
                MIN_REASON_LENGTH,
                MAX_REASON_LENGTH,
                message=_l("The reason has at least 10 characters and at most 300, so that the school understands it."),
            ),
        ],
        filters=[lambda text: " ".join(text.split()) if text else text],
        description=_l("For example: a parent's complaint about absences of 24 November. Do not name a learner here."),
        render_kw={"rows": 3, "maxlength": MAX_REASON_LENGTH},
    )
    next = HiddenField()


def grant_section_disclosure(user: User, section: Section, reason: str) -> datetime:
    """Let the user's current session read the section's learners; returns when that expires. The reason is audited."""
    expires_at = clock.now() + DISCLOSURE_LIFETIME
    session_id = db.session.scalar(_session_id_select(user))
    if session_id is None:
        raise RuntimeError("rows are opened to somebody who is signed in")
    with write_transaction() as session:
        session.execute(
            delete(SectionDisclosure).where(
                SectionDisclosure.session_id == session_id, SectionDisclosure.section_id == section.id
            )
        )
        session.add(SectionDisclosure(session_id=session_id, section_id=section.id, expires_at=expires_at))
        audit_log.record_action(
            DISCLOSURE_ACTION, AuditSubject.SECTION, section.id, by=user.id, section_id=section.id, reason=reason
        )
    return expires_at


def disclosed_sections_select(user: User) -> Select[UUID]:
    """Select the ids of the sections disclosed to the user's current session and not expired."""
    session_id = _session_id_select(user).scalar_subquery()
    return select(SectionDisclosure.section_id).where(
        SectionDisclosure.session_id == session_id, SectionDisclosure.expires_at > clock.now()
    )


def is_section_disclosed(user: User, section_id: UUID) -> bool:
    """True if the section is disclosed to the user's current session."""
    statement = disclosed_sections_select(user).where(SectionDisclosure.section_id == section_id)
    return bool(db.session.scalar(select(exists(statement))))


def abort_with_reason_form(section: Section, return_url: str = "") -> None:
    """Abort with the reason form and 403 in place of the requested page; it names no learner."""
    next_url = return_url or (request.full_path if request.query_string else request.path)
    response = make_response(render_reason_form(section, DisclosureReasonForm(formdata=None, next=next_url)), 403)
    if "HX-Request" in request.headers:
        response.headers["HX-Refresh"] = "true"  # HTMX request for a fragment after expiry: reload the whole page
    abort(response)


def render_reason_form(section: Section, form: DisclosureReasonForm) -> str:
    """Render the reason form for a section."""
    return render_template(
        "classes/why.html", section=section, form=form, hours=DISCLOSURE_LIFETIME // timedelta(hours=1)
    )


def _session_id_select(user: User) -> Select[UUID]:
    token = getattr(user, "session_token", None) or ""
    return select(UserSession.id).where(UserSession.token_hash == hash_token(token), UserSession.user_id == user.id)
