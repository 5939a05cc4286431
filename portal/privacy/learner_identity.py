"""Pseudonymisation of one learner in Zoom's data: how to recognise them, where they may appear, and redaction.

Fingerprints are HMACs of the learner's addresses and names: they recognise the learner in data that arrives later,
and identify nobody.
"""

import hashlib
import hmac
import json
import re
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, or_, select, update

from portal.attendance.models import ParticipantMatch, ZoomParticipant
from portal.classes.lis_names import name_tokens
from portal.classes.models import Enrolment, Learner, SchoolClass
from portal.core.db import db, end_read_transaction, write_transaction
from portal.core.settings import current_settings
from portal.meetings.models import ZoomInstance, ZoomMeeting
from portal.privacy import erased_list
from portal.registration.models import FormerRegistrant, MeetingRegistrant
from portal.webhooks.models import ZoomEvent

BATCH_SIZE = 500  # deliveries per transaction
_PERSONAL = {"user_name", "leave_reason", "email", "first_name", "last_name", "name", "join_url", "phone", "address"}


class LearnerIdentity:
    """The learner's addresses and names, read before they are erased."""

    def __init__(self, learner: Learner) -> None:
        settings = current_settings()
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
            frozenset((*last, *first, *extra_words))
            for extra_words in ((), middle, extension, (*middle, *extension), tuple(word[0] for word in middle))
        }
        self.words = {word for word in (*last, *first) if len(word) > 2}

    @property
    def fingerprints(self) -> set[str]:
        return {_email_fingerprint(email) for email in self.emails} | {
            _words_fingerprint(name) for name in self.names if name
        }

    def without(self, text: str | None) -> str | None:
        """A free text with the learner's name, LRN and address replaced."""
        if not text:
            return text
        for address in self.emails:
            text = re.sub(re.escape(address), "...", text, flags=re.IGNORECASE)
        if self.lrn:
            text = text.replace(self.lrn, "...")
        parts = re.split(r"(\W+)", text)
        return "".join("..." if set(name_tokens(part)) & self.words else part for part in parts)


def _email_fingerprint(address: str) -> str:
    return _hash(f"email:{address.strip().casefold()}")


def _name_fingerprint(name: str) -> str:
    return _words_fingerprint(frozenset(name_tokens(name)))


def _words_fingerprint(words: frozenset[str]) -> str:
    return _hash("name:" + " ".join(sorted(words)))


def _hash(text: str) -> str:
    return hmac.new(erased_list.erased_list_secrets()[0], text.encode(), hashlib.sha256).hexdigest()[:32]


def meetings_of_learner(learner_id: UUID) -> Select[UUID]:
    """Meetings the learner may have attended: of their sections' classes, and those they were registered for."""
    section_ids = select(Enrolment.section_id).where(Enrolment.learner_id == learner_id)
    class_ids = select(SchoolClass.id).where(SchoolClass.section_id.in_(section_ids))
    registered_meeting_ids = select(MeetingRegistrant.meeting_id).where(MeetingRegistrant.learner_id == learner_id)
    return select(ZoomMeeting.id).where(
        or_(ZoomMeeting.class_id.in_(class_ids), ZoomMeeting.id.in_(registered_meeting_ids))
    )


def registrant_ids_of_learner(learner_id: UUID) -> set[str]:
    return {
        registrant_id
        for table in (MeetingRegistrant, FormerRegistrant)
        for registrant_id in db.session.scalars(select(table.zoom_registrant_id).where(table.learner_id == learner_id))
        if registrant_id
    }


def redact_learner_stays(learner_id: UUID, fingerprints: set[str]) -> None:
    """Redact names and addresses in the participant rows, within the open transaction."""
    meeting_ids = list(db.session.scalars(meetings_of_learner(learner_id)))
    registrant_ids = registrant_ids_of_learner(learner_id)
    instance_ids = select(ZoomInstance.id).where(ZoomInstance.meeting_id.in_(meeting_ids))
    matched_ids = select(ParticipantMatch.participant_id).where(ParticipantMatch.learner_id == learner_id)
    shared_ids = select(ParticipantMatch.participant_id).where(
        ParticipantMatch.learner_id.is_not(None), ParticipantMatch.learner_id != learner_id
    )
    identities = db.session.execute(
        select(ZoomParticipant.name, ZoomParticipant.email)
        .where(ZoomParticipant.instance_id.in_(instance_ids))
        .distinct()
    ).all()
    names = {name for name, _ in identities if name and _name_fingerprint(name) in fingerprints}
    emails = {email for _, email in identities if email and _email_fingerprint(email) in fingerprints}
    db.session.execute(
        update(ZoomParticipant)
        .where(
            ZoomParticipant.instance_id.in_(instance_ids),
            or_(
                ZoomParticipant.registrant_id.in_(registrant_ids),
                ZoomParticipant.name.in_(names),
                ZoomParticipant.email.in_(emails),
                ZoomParticipant.id.in_(matched_ids) & ZoomParticipant.id.not_in(shared_ids),
            ),
        )
        .values(name="", email=None)
        .execution_options(synchronize_session=False)
    )


def redact_learner_deliveries(learner_id: UUID, fingerprints: set[str], since: datetime | None) -> None:
    """Redact names and addresses in raw deliveries received after `since` (None: in all), in small transactions."""
    registrant_ids = registrant_ids_of_learner(learner_id)
    zoom_ids = select(ZoomMeeting.zoom_id).where(
        ZoomMeeting.id.in_(meetings_of_learner(learner_id)), ZoomMeeting.zoom_id.is_not(None)
    )
    statement = (
        select(ZoomEvent.id, ZoomEvent.body).where(ZoomEvent.zoom_meeting_id.in_(zoom_ids)).order_by(ZoomEvent.id)
    )
    if since is not None:
        statement = statement.where(ZoomEvent.received_at >= since - timedelta(hours=1))
    last_id = None
    while rows := db.session.execute(
        (statement if last_id is None else statement.where(ZoomEvent.id > last_id)).limit(BATCH_SIZE)
    ).all():
        last_id = rows[-1].id
        end_read_transaction()
        redacted = [(row.id, text) for row in rows if (text := _redact_body(row.body, registrant_ids, fingerprints))]
        if redacted:
            with write_transaction() as session:
                session.execute(update(ZoomEvent), [{"id": key, "body": text} for key, text in redacted])
    end_read_transaction()


def _redact_body(raw_body: bytes, registrant_ids: set[str], fingerprints: set[str]) -> bytes | None:
    """The redacted delivery; None if it is not about the learner."""
    try:
        body = json.loads(raw_body)
    except ValueError:
        return None
    return json.dumps(body).encode() if _redact_in_place(body, registrant_ids, fingerprints) else None


def _redact_in_place(part: Any, registrant_ids: set[str], fingerprints: set[str]) -> bool:
    if isinstance(part, list):
        return (
            sum(_redact_in_place(item, registrant_ids, fingerprints) for item in part) > 0
        )  # a list, not a generator: every item, not up to the first
    if not isinstance(part, dict):
        return False
    changed = sum(_redact_in_place(item, registrant_ids, fingerprints) for item in part.values()) > 0
    if _is_about_learner(part, registrant_ids, fingerprints):
        for key in _PERSONAL & part.keys():
            part[key] = ""
            changed = True
    return changed


def _is_about_learner(part: dict[str, Any], registrant_ids: set[str], fingerprints: set[str]) -> bool:
    if {str(part.get("registrant_id") or ""), str(part.get("id") or "")} & registrant_ids:
        return True
    name = part.get("user_name") or f"{part.get('first_name') or ''} {part.get('last_name') or ''}"
    email = part.get("email")
    return (isinstance(email, str) and bool(email) and _email_fingerprint(email) in fingerprints) or _name_fingerprint(
        str(name)
    ) in fingerprints
