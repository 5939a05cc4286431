"""queue(to, template, language, **values) -> UUID (inside or outside `write_transaction()`) · send_due() -> int (the
sweep).

Mail is rows first: a page writes the letter in its own transaction, the worker sends it later, so that no page
waits for a mail server and no letter is lost with one. The content is sealed and leaves the row once it was sent;
of a letter that was given up it stays, so that an admin who put the mail server right can send it after all.

`templates/email/<template>.txt` has the subject in its first line; `<template>.html` says the same in HTML.
"""

import json
import re
from collections.abc import Collection
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from flask import current_app
from flask_babel import force_locale
from sqlalchemy import CheckConstraint, Index, String, and_, or_, select, update
from sqlalchemy.orm import Mapped, mapped_column

from portal.config import Settings
from portal.core import clock
from portal.core.crypto import (
    DecryptionError,
    decrypt_for_row,
    encrypt_for_row,
    hmac_hex,
)
from portal.core.db import (
    Model,
    UuidPrimaryKey,
    db,
    execute_rowcount,
    leases,
    one_of_check,
    write_transaction,
)
from portal.core.mail.codes import MailState
from portal.core.mail.smtp_transport import MailTransport, PermanentMailError, TemporaryMailError
from portal.core.worker_signals import notify_worker

MAX_AGE = timedelta(days=3)
BATCH_SIZE = 20
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_ADDRESS = re.compile(r"[A-Za-z0-9._'-]{1,64}@[A-Za-z0-9.-]{1,189}")


class OutboxMail(UuidPrimaryKey, Model):
    """One letter to one person. `sealed` holds address, subject and texts until it was sent."""

    __tablename__ = "mail_outbox"
    __table_args__ = (
        CheckConstraint(one_of_check("state", MailState), name="state"),
        CheckConstraint("state <> 'queued' OR content_encrypted IS NOT NULL", name="kept_while_queued"),
        CheckConstraint("state <> 'sent' OR content_encrypted IS NULL", name="forgotten_once_sent"),
        Index("ix_mail_outbox_state_next_attempt_at", "state", "next_attempt_at"),
    )

    kind: Mapped[str] = mapped_column(String(40))
    recipient_hash: Mapped[str] = mapped_column(String(64), index=True)
    language: Mapped[str] = mapped_column(String(8))
    content_encrypted: Mapped[str | None]
    state: Mapped[str] = mapped_column(String(10), default=MailState.QUEUED)
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime]
    leased_until: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]


def enqueue_mail(to: str, template: str, language: str, **values: object) -> UUID:
    """Put a letter into the outbox, within the transaction that is open or in one of its own; its id.

    `values` go to the templates. Raises ValueError for an address that is none: such a letter never leaves.
    """
    if not _ADDRESS.fullmatch(to):
        raise ValueError("not an e-mail address")
    subject, text, html = _render(template, language, values)
    letter_id = uuid4()
    now = clock.now()
    content = json.dumps({"to": to, "subject": subject, "text": text, "html": html})
    with write_transaction() as session:
        session.add(
            OutboxMail(
                id=letter_id,
                kind=template,
                recipient_hash=hash_email_address(to),
                language=language,
                content_encrypted=encrypt_for_row(content, _row(letter_id)),
                next_attempt_at=now,
                created_at=now,
            )
        )
    notify_worker("mail")
    return letter_id


def hash_email_address(address: str) -> str:
    """What is kept of an address after sending: enough to find its letters by, useless without our key."""
    return hmac_hex(f"mail\0{address.lower()}")


def strip_control_characters(text: str) -> str:
    """The text without line breaks and control characters, which would begin another header."""
    return " ".join(_CONTROL.sub(" ", text).split())


def send_due_mail() -> int:
    """Send what is due; how many letters were looked at. A dead server costs a wait, never a letter."""
    now = clock.now()
    due = (OutboxMail.state == MailState.QUEUED) & (OutboxMail.next_attempt_at <= now)
    ids = leases.acquire_leases(OutboxMail, due, limit=BATCH_SIZE, order=OutboxMail.created_at)
    if not ids:
        return 0
    mails = list(db.session.scalars(select(OutboxMail).where(OutboxMail.id.in_(ids)).order_by(OutboxMail.created_at)))
    post = _post()
    try:
        for mail in mails:
            _send(post, mail)
    finally:
        post.close()
    return len(mails)


def _render(template: str, language: str, values: dict[str, object]) -> tuple[str, str, str]:
    settings = _settings()
    names = {**values, "base_url": settings.base_url, "language": language}
    with force_locale(language):
        subject, _, text = current_app.jinja_env.get_template(f"email/{template}.txt").render(**names).partition("\n")
        html = current_app.jinja_env.get_template(f"email/{template}.html").render(**names)
    return strip_control_characters(subject), text.strip() + "\n", html


def _send(post: MailTransport, mail: OutboxMail) -> None:
    try:
        message = _message(mail)
        post.send(message, str(mail.id))
    except TemporaryMailError as problem:
        if clock.now() - mail.created_at > MAX_AGE:
            _finish(mail, MailState.FAILED, error=str(problem))
        else:
            attempts = mail.attempts + 1
            leases.release_leases(
                OutboxMail,
                [mail.id],
                attempts=attempts,
                next_attempt_at=leases.next_attempt_at(attempts),
                error=str(problem)[:200],
            )
    except (PermanentMailError, DecryptionError) as problem:
        _finish(mail, MailState.FAILED, error=str(problem))
    else:
        _finish(mail, MailState.SENT, sent_at=clock.now())


def requeue_mail(letter_ids: Collection[UUID] | None = None) -> int:
    """Have letters sent at once that were given up or wait for their next try: these, or all of them; how many.

    They count as new: they are tried for another three days. What has no content any more cannot be sent.
    """
    stuck = and_(OutboxMail.state.in_((MailState.FAILED, MailState.QUEUED)), OutboxMail.content_encrypted.is_not(None))
    # One that a worker has in hand is being sent already; one never tried yet is due anyway.
    stuck = and_(
        stuck, OutboxMail.attempts > 0, or_(OutboxMail.leased_until.is_(None), OutboxMail.leased_until < clock.now())
    )
    if letter_ids is not None:
        stuck = and_(stuck, OutboxMail.id.in_(letter_ids))
    now = clock.now()
    with write_transaction():
        changed = execute_rowcount(
            update(OutboxMail)
            .where(stuck)
            .values(state=MailState.QUEUED, attempts=0, next_attempt_at=now, created_at=now)
        )
    notify_worker("mail")
    return changed


def _finish(mail: OutboxMail, state: str, error: str | None = None, sent_at: datetime | None = None) -> None:
    leases.release_leases(
        OutboxMail,
        [mail.id],
        state=state,
        content_encrypted=mail.content_encrypted if state == MailState.FAILED else None,
        attempts=mail.attempts + 1,
        error=error[:200] if error else None,
        sent_at=sent_at,
    )


def _message(mail: OutboxMail) -> EmailMessage:
    """The letter as it goes out. Its Message-ID is the row's, so that a repeat after a crash is seen as one."""
    content = json.loads(decrypt_for_row(mail.content_encrypted or "", _row(mail.id)))
    sender = _settings().mail_from
    message = EmailMessage()
    message["From"] = f"Silid <{sender}>"
    message["To"] = content["to"]
    message["Subject"] = content["subject"]
    message["Date"] = format_datetime(mail.created_at)
    message["Message-ID"] = f"<{mail.id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(content["text"])
    message.add_alternative(content["html"], subtype="html")
    return message


def _post() -> MailTransport:
    settings = _settings()
    return MailTransport(urlsplit(settings.mail_url), mail_directory())


def mail_directory() -> Path:
    """Where letters are put as files while there is no mail server."""
    return _settings().instance / "mail"


def _settings() -> Settings:
    settings: Settings = current_app.extensions["silid.settings"]
    return settings


def _row(letter_id: UUID) -> str:
    return f"mail_outbox/{letter_id}"
