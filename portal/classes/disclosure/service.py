"""Opening learners' rows: a division or region works with figures, and says why before it sees a child's row.

`grant_section_disclosure` lets one session see one section for 8 hours and writes the reason into the audit log,
where the school's
admin finds it. `disclosed_sections_select` is the condition, `abort_with_reason_form` the page that stands in for the
one that was asked for. Who has
opened a section may look and never change: `governs` and `manages` say no as before.
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
SHORTEST, LONGEST = 10, 300  # characters of a reason
DISCLOSURE_ACTION = AuditAction.DISCLOSED_LEARNERS  # as the audit log says it


class SectionDisclosure(UuidPrimaryKey, Model):
    """The learners' rows of one section, open to one session until a moment. The reason is in the audit log alone."""

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
                SHORTEST,
                LONGEST,
                message=_l("The reason has at least 10 characters and at most 300, so that the school understands it."),
            ),
        ],
        filters=[lambda text: " ".join(text.split()) if text else text],
        description=_l("For example: a parent's complaint about absences of 24 November. Do not name a learner here."),
        render_kw={"rows": 3, "maxlength": LONGEST},
    )
    next = HiddenField()


def grant_section_disclosure(user: User, section: Section, reason: str) -> datetime:
    """Open the section's rows to the person's present session; until when. The reason is written down."""
    until = clock.now() + DISCLOSURE_LIFETIME
    session_id = db.session.scalar(_session(user))
    if session_id is None:
        raise RuntimeError("rows are opened to somebody who is signed in")
    with write_transaction() as session:
        session.execute(
            delete(SectionDisclosure).where(
                SectionDisclosure.session_id == session_id, SectionDisclosure.section_id == section.id
            )
        )
        session.add(SectionDisclosure(session_id=session_id, section_id=section.id, expires_at=until))
        audit_log.record_action(
            DISCLOSURE_ACTION, AuditSubject.SECTION, section.id, by=user.id, section_id=section.id, reason=reason
        )
    return until


def disclosed_sections_select(user: User) -> Select[UUID]:
    """The sections whose rows the person has opened since signing in, where that still holds."""
    mine = _session(user).scalar_subquery()
    return select(SectionDisclosure.section_id).where(
        SectionDisclosure.session_id == mine, SectionDisclosure.expires_at > clock.now()
    )


def is_section_disclosed(user: User, section_id: UUID) -> bool:
    statement = disclosed_sections_select(user).where(SectionDisclosure.section_id == section_id)
    return bool(db.session.scalar(select(exists(statement))))


def abort_with_reason_form(section: Section, back: str = "") -> None:
    """Answer with the form that asks for the reason, in place of the page: 403, and nothing of a learner on it."""
    asked = back or (request.full_path if request.query_string else request.path)
    answer = make_response(render_reason_form(section, DisclosureReasonForm(formdata=None, next=asked)), 403)
    if "HX-Request" in request.headers:
        answer.headers["HX-Refresh"] = "true"  # a part of a page that lay open until the time was over
    abort(answer)


def render_reason_form(section: Section, form: DisclosureReasonForm) -> str:
    return render_template(
        "classes/why.html", section=section, form=form, hours=DISCLOSURE_LIFETIME // timedelta(hours=1)
    )


def _session(user: User) -> Select[UUID]:
    token = getattr(user, "session_token", None) or ""
    return select(UserSession.id).where(UserSession.token_hash == hash_token(token), UserSession.user_id == user.id)
