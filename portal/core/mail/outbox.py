"""Mail outbox: mails are rows, written in the page's own transaction and sent later by the worker, so that no page
waits for a mail server and no mail is lost with one.

The content is encrypted and deleted from the row once sent; of a failed mail it stays, so that an admin who fixed the
mail server can requeue it. `templates/email/<template>.txt` has the subject in its first line; `<template>.html` is the
HTML version.
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
from portal.core.settings import current_settings
from portal.core.worker_signals import Topic, notify_worker

MAX_AGE = timedelta(days=3)
BATCH_SIZE = 20
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_ADDRESS = re.compile(r"[A-Za-z0-9._'-]{1,64}@[A-Za-z0-9.-]{1,189}")


class OutboxMail(UuidPrimaryKey, Model):
    """One mail to one recipient. `content_encrypted` holds address, subject and texts until it is sent."""

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
    """Insert a mail, within the open transaction or in one of its own; returns its id.

    `values` are passed to the templates. Raises ValueError for an invalid address.
    """
    mail = build_mail(to, template, language, **values)
    with write_transaction() as session:
        session.add(mail)
    notify_worker(Topic.MAIL)
    return mail.id


def build_mail(to: str, template: str, language: str, **values: object) -> OutboxMail:
    """A mail, rendered and encrypted, that is not stored yet. Raises ValueError for an invalid address."""
    if not _ADDRESS.fullmatch(to):
        raise ValueError("not an e-mail address")
    subject, text, html = _render(template, language, values)
    mail_id = uuid4()
    now = clock.now()
    content = json.dumps({"to": to, "subject": subject, "text": text, "html": html})
    return OutboxMail(
        id=mail_id,
        kind=template,
        recipient_hash=hash_email_address(to),
        language=language,
        content_encrypted=encrypt_for_row(content, _encryption_context(mail_id)),
        next_attempt_at=now,
        created_at=now,
    )


def hash_email_address(address: str) -> str:
    """HMAC of an address, kept after sending: enough to find its mails."""
    return hmac_hex(f"mail\0{address.lower()}")


def strip_control_characters(text: str) -> str:
    """The text without line breaks and control characters, which would allow header injection."""
    return " ".join(_CONTROL.sub(" ", text).split())


def send_due_mail() -> int:
    """Send a batch of due mails; returns their number. An unreachable server only delays them."""
    now = clock.now()
    due = (OutboxMail.state == MailState.QUEUED) & (OutboxMail.next_attempt_at <= now)
    ids = leases.acquire_leases(OutboxMail, due, limit=BATCH_SIZE, order=OutboxMail.created_at)
    if not ids:
        return 0
    mails = list(db.session.scalars(select(OutboxMail).where(OutboxMail.id.in_(ids)).order_by(OutboxMail.created_at)))
    transport = _open_transport()
    try:
        for mail in mails:
            _send(transport, mail)
    finally:
        transport.close()
    return len(mails)


def _render(template: str, language: str, values: dict[str, object]) -> tuple[str, str, str]:
    settings = current_settings()
    context = {**values, "base_url": settings.base_url, "language": language}
    with force_locale(language):
        subject, _, text = current_app.jinja_env.get_template(f"email/{template}.txt").render(**context).partition("\n")
        html = current_app.jinja_env.get_template(f"email/{template}.html").render(**context)
    return strip_control_characters(subject), text.strip() + "\n", html


def _send(transport: MailTransport, mail: OutboxMail) -> None:
    try:
        message = _build_message(mail)
        transport.send(message, str(mail.id))
    except TemporaryMailError as error:
        if clock.now() - mail.created_at > MAX_AGE:
            _finish(mail, MailState.FAILED, error=str(error))
        else:
            attempts = mail.attempts + 1
            leases.release_leases(
                OutboxMail,
                [mail.id],
                attempts=attempts,
                next_attempt_at=leases.next_attempt_at(attempts),
                error=str(error)[:200],
            )
    except (PermanentMailError, DecryptionError) as error:
        _finish(mail, MailState.FAILED, error=str(error))
    else:
        _finish(mail, MailState.SENT, sent_at=clock.now())


def requeue_mail(mail_ids: Collection[UUID] | None = None) -> int:
    """Reset failed mails and those that wait for a retry, all or the given ones; returns how many.

    They count as new, so they are retried for another three days. Mails without content cannot be sent again.
    """
    is_requeueable = and_(
        OutboxMail.state.in_((MailState.FAILED, MailState.QUEUED)), OutboxMail.content_encrypted.is_not(None)
    )
    # A leased one is being sent already; one without an attempt is due anyway.
    is_requeueable = and_(
        is_requeueable,
        OutboxMail.attempts > 0,
        or_(OutboxMail.leased_until.is_(None), OutboxMail.leased_until < clock.now()),
    )
    if mail_ids is not None:
        is_requeueable = and_(is_requeueable, OutboxMail.id.in_(mail_ids))
    now = clock.now()
    with write_transaction():
        row_count = execute_rowcount(
            update(OutboxMail)
            .where(is_requeueable)
            .values(state=MailState.QUEUED, attempts=0, next_attempt_at=now, created_at=now)
        )
    notify_worker(Topic.MAIL)
    return row_count


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


def _build_message(mail: OutboxMail) -> EmailMessage:
    """The mail as sent. Its Message-ID is the row's, so that a repeat after a crash is recognised as a duplicate."""
    content = json.loads(decrypt_for_row(mail.content_encrypted or "", _encryption_context(mail.id)))
    sender = current_settings().mail_from
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


def _open_transport() -> MailTransport:
    settings = current_settings()
    return MailTransport(urlsplit(settings.mail_url), mail_directory())


def mail_directory() -> Path:
    """Directory of the mail files while there is no mail server."""
    return current_settings().instance / "mail"


def _encryption_context(mail_id: UUID) -> str:
    return f"mail_outbox/{mail_id}"
