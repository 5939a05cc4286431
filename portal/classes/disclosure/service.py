"""Opening learners' rows: a division or region works with figures, and says why before it sees a child's row.

`open_rows` lets one session see one section for 8 hours and writes the reason into the audit log, where the school's
admin finds it. `sections_open` is the condition, `ask` the page that stands in for the one that was asked for. Who has
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
from portal.core.crypto import token_hash
from portal.core.db import (
    Model,
    WithId,
    db,
    writing,
)
from portal.core.forms import Form

OPEN_FOR = timedelta(hours=8)
SHORTEST, LONGEST = 10, 300  # characters of a reason
OPENED = "opened learners' rows"  # as the audit log says it


class OpenedSection(WithId, Model):
    """The learners' rows of one section, open to one session until a moment. The reason is in the audit log alone."""

    __tablename__ = "opened_sections"
    __table_args__ = (UniqueConstraint("session_id", "section_id"),)

    session_id: Mapped[UUID] = mapped_column(ForeignKey("user_sessions.id", ondelete="CASCADE"))
    section_id: Mapped[UUID] = mapped_column(ForeignKey("sections.id", ondelete="CASCADE"))
    until: Mapped[datetime]


class WhyForm(Form):
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


def open_rows(user: User, section: Section, reason: str) -> datetime:
    """Open the section's rows to the person's present session; until when. The reason is written down."""
    until = clock.now() + OPEN_FOR
    session_id = db.session.scalar(_session(user))
    if session_id is None:
        raise RuntimeError("rows are opened to somebody who is signed in")
    with writing() as session:
        session.execute(
            delete(OpenedSection).where(OpenedSection.session_id == session_id, OpenedSection.section_id == section.id)
        )
        session.add(OpenedSection(session_id=session_id, section_id=section.id, until=until))
        audit_log.record(OPENED, "section", section.id, by=user.id, section_id=section.id, reason=reason)
    return until


def sections_open(user: User) -> Select[UUID]:
    """The sections whose rows the person has opened since signing in, where that still holds."""
    mine = _session(user).scalar_subquery()
    return select(OpenedSection.section_id).where(OpenedSection.session_id == mine, OpenedSection.until > clock.now())


def is_open(user: User, section_id: UUID) -> bool:
    found = sections_open(user).where(OpenedSection.section_id == section_id)
    return bool(db.session.scalar(select(exists(found))))


def ask(section: Section, back: str = "") -> None:
    """Answer with the form that asks for the reason, in place of the page: 403, and nothing of a learner on it."""
    asked = back or (request.full_path if request.query_string else request.path)
    answer = make_response(page(section, WhyForm(formdata=None, next=asked)), 403)
    if "HX-Request" in request.headers:
        answer.headers["HX-Refresh"] = "true"  # a part of a page that lay open until the time was over
    abort(answer)


def page(section: Section, form: WhyForm) -> str:
    return render_template("classes/why.html", section=section, form=form, hours=OPEN_FOR // timedelta(hours=1))


def _session(user: User) -> Select[UUID]:
    token = getattr(user, "session_token", None) or ""
    return select(UserSession.id).where(UserSession.token_hash == token_hash(token), UserSession.user_id == user.id)
