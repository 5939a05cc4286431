"""The traces of one learner in what Zoom told: how they are known, where they may be, and taking their name out of it.

Marks are keyed hashes of the learner's addresses and names: they tell the learner in what still comes, and name nobody.
"""

import hashlib
import hmac
import json
import re
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from flask import current_app
from sqlalchemy import Select, or_, select, update

from portal.attendance.models import ParticipantMatch, ZoomParticipant
from portal.classes.lis_names import name_tokens
from portal.classes.models import Enrolment, Learner, SchoolClass
from portal.config import Settings
from portal.core.db import db, end_read_transaction, write_transaction
from portal.meetings.models import ZoomInstance, ZoomMeeting
from portal.privacy import erased_list
from portal.registration.models import FormerRegistrant, MeetingRegistrant
from portal.webhooks.models import ZoomEvent

BATCH_SIZE = 500  # deliveries
_PERSONAL = {"user_name", "leave_reason", "email", "first_name", "last_name", "name", "join_url", "phone", "address"}


class LearnerIdentity:
    """How the learner is called, before it is gone."""

    def __init__(self, learner: Learner) -> None:
        settings: Settings = current_app.extensions["silid.settings"]
        self.lrn = learner.lrn or ""
        self.emails = {learner.email or ""} | {
            address
            for table in (MeetingRegistrant, FormerRegistrant)
            for address in db.session.scalars(select(table.email).where(table.learner_id == learner.id).distinct())
        }
        if self.lrn:
            self.emails |= {f"{self.lrn}@{domain}" for domain in settings.email_domains}
        self.emails.discard("")
        last, first = name_tokens(learner.last_name), name_tokens(learner.first_name)
        middle, extension = name_tokens(learner.middle_name), name_tokens(learner.extension)
        self.names = {
            frozenset((*last, *first, *more))
            for more in ((), middle, extension, (*middle, *extension), tuple(word[0] for word in middle))
        }
        self.words = {word for word in (*last, *first) if len(word) > 2}

    @property
    def fingerprints(self) -> set[str]:
        return {_email_mark(email) for email in self.emails} | {_words_mark(name) for name in self.names if name}

    def without(self, text: str | None) -> str | None:
        """A person's own words without the learner's name, LRN and address."""
        if not text:
            return text
        for address in self.emails:
            text = re.sub(re.escape(address), "...", text, flags=re.IGNORECASE)
        if self.lrn:
            text = text.replace(self.lrn, "...")
        parts = re.split(r"(\W+)", text)
        return "".join("..." if set(name_tokens(part)) & self.words else part for part in parts)


def _email_mark(address: str) -> str:
    return _hash(f"email:{address.strip().casefold()}")


def _name_mark(name: str) -> str:
    return _words_mark(frozenset(name_tokens(name)))


def _words_mark(words: frozenset[str]) -> str:
    return _hash("name:" + " ".join(sorted(words)))


def _hash(text: str) -> str:
    return hmac.new(erased_list.erased_list_secrets()[0], text.encode(), hashlib.sha256).hexdigest()[:32]


def meetings_of_learner(learner_id: UUID) -> Select[UUID]:
    """Meetings the learner may have been in: of the classes of their sections, and those they were registered for."""
    sections = select(Enrolment.section_id).where(Enrolment.learner_id == learner_id)
    classes = select(SchoolClass.id).where(SchoolClass.section_id.in_(sections))
    registered = select(MeetingRegistrant.meeting_id).where(MeetingRegistrant.learner_id == learner_id)
    return select(ZoomMeeting.id).where(or_(ZoomMeeting.class_id.in_(classes), ZoomMeeting.id.in_(registered)))


def registrant_ids_of_learner(learner_id: UUID) -> set[str]:
    return {
        one
        for table in (MeetingRegistrant, FormerRegistrant)
        for one in db.session.scalars(select(table.zoom_registrant_id).where(table.learner_id == learner_id))
        if one
    }


def redact_learner_stays(learner_id: UUID, marks: set[str]) -> None:
    """Names and addresses in what is known of who was in, within the transaction that is open."""
    meetings = list(db.session.scalars(meetings_of_learner(learner_id)))
    registrant_ids = registrant_ids_of_learner(learner_id)
    instances = select(ZoomInstance.id).where(ZoomInstance.meeting_id.in_(meetings))
    linked = select(ParticipantMatch.participant_id).where(ParticipantMatch.learner_id == learner_id)
    others = select(ParticipantMatch.participant_id).where(
        ParticipantMatch.learner_id.is_not(None), ParticipantMatch.learner_id != learner_id
    )
    shown = db.session.execute(
        select(ZoomParticipant.name, ZoomParticipant.email).where(ZoomParticipant.instance_id.in_(instances)).distinct()
    ).all()
    names = {name for name, _ in shown if name and _name_mark(name) in marks}
    emails = {email for _, email in shown if email and _email_mark(email) in marks}
    db.session.execute(
        update(ZoomParticipant)
        .where(
            ZoomParticipant.instance_id.in_(instances),
            or_(
                ZoomParticipant.registrant_id.in_(registrant_ids),
                ZoomParticipant.name.in_(names),
                ZoomParticipant.email.in_(emails),
                ZoomParticipant.id.in_(linked) & ZoomParticipant.id.not_in(others),
            ),
        )
        .values(name="", email=None)
        .execution_options(synchronize_session=False)
    )


def redact_learner_deliveries(learner_id: UUID, marks: set[str], since: datetime | None) -> None:
    """Names and addresses in raw deliveries that came after `since` (None: in all), in small transactions."""
    registrant_ids = registrant_ids_of_learner(learner_id)
    zoom_ids = select(ZoomMeeting.zoom_id).where(
        ZoomMeeting.id.in_(meetings_of_learner(learner_id)), ZoomMeeting.zoom_id.is_not(None)
    )
    statement = (
        select(ZoomEvent.id, ZoomEvent.body).where(ZoomEvent.zoom_meeting_id.in_(zoom_ids)).order_by(ZoomEvent.id)
    )
    if since is not None:
        statement = statement.where(ZoomEvent.received_at >= since - timedelta(hours=1))
    last = None
    while rows := db.session.execute(
        (statement if last is None else statement.where(ZoomEvent.id > last)).limit(BATCH_SIZE)
    ).all():
        last = rows[-1].id
        end_read_transaction()
        scrubbed = [(one.id, text) for one in rows if (text := _without_her(one.body, registrant_ids, marks))]
        if scrubbed:
            with write_transaction() as session:
                session.execute(update(ZoomEvent), [{"id": key, "body": text} for key, text in scrubbed])
    end_read_transaction()


def _without_her(raw: bytes, registrant_ids: set[str], marks: set[str]) -> bytes | None:
    """The delivery without the learner's name and address; None where it is not about the learner."""
    try:
        body = json.loads(raw)
    except ValueError:
        return None
    return json.dumps(body).encode() if _blank(body, registrant_ids, marks) else None


def _blank(part: Any, registrant_ids: set[str], marks: set[str]) -> bool:
    if isinstance(part, list):
        return sum(_blank(one, registrant_ids, marks) for one in part) > 0  # every one of them, not the first alone
    if not isinstance(part, dict):
        return False
    changed = sum(_blank(one, registrant_ids, marks) for one in part.values()) > 0
    if _is_her(part, registrant_ids, marks):
        for key in _PERSONAL & part.keys():
            part[key] = ""
            changed = True
    return changed


def _is_her(part: dict[str, Any], registrant_ids: set[str], marks: set[str]) -> bool:
    if {str(part.get("registrant_id") or ""), str(part.get("id") or "")} & registrant_ids:
        return True
    name = part.get("user_name") or f"{part.get('first_name') or ''} {part.get('last_name') or ''}"
    email = part.get("email")
    return (isinstance(email, str) and bool(email) and _email_mark(email) in marks) or _name_mark(str(name)) in marks
