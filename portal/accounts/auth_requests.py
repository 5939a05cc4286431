"""Password-reset and account requests of signed-out visitors: stored unread and processed by the worker, so that the
response time does not reveal whether an address has an account."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, func, select

from portal.accounts import one_time_links
from portal.accounts.codes import AccountRequestState
from portal.accounts.email_domain import EmailDomainError, is_learner_address, normalise_school_email
from portal.accounts.models import AccountRequest, PendingAuthRequest, School, User
from portal.accounts.sign_in import lockout
from portal.core import clock
from portal.core.crypto import (
    DecryptionError,
    decrypt_for_row,
    encrypt_for_row,
    hmac_hex,
)
from portal.core.db import db, insert_if_absent, leases, write_transaction
from portal.core.mail import outbox
from portal.core.settings import current_settings
from portal.core.worker_signals import Topic, notify_worker

BATCH_SIZE = 20
MAX_MAILS_PER_HOUR = 5  # per address and hour, whoever requests
HOUR = timedelta(hours=1)


def store_password_reset_request(email: str) -> None:
    """Store a request for a reset link. Raises EmailDomainError, and TooManyAttempts for the client."""
    _store_request("password", normalise_school_email(email, current_settings().email_domains), {})


def store_account_request(email: str, full_name: str, deped_id: str, language: str) -> None:
    """Store a request for an account; an admin decides, and a user who has one gets a mail that says so. Raises
    EmailDomainError, also for a learner's address, and TooManyAttempts for the client."""
    domains = current_settings().email_domains
    address = normalise_school_email(email, domains)
    if is_learner_address(address):
        raise EmailDomainError(domains)
    _store_request("account", address, {"full_name": full_name, "school": deped_id, "language": language})


def _store_request(kind: str, address: str, fields: dict[str, str]) -> None:
    client_hash = lockout.current_client_hash()
    lockout.check_attempt_rate(PendingAuthRequest.requested_at, PendingAuthRequest.client_hash == client_hash)
    request_id = uuid4()
    content = encrypt_for_row(json.dumps({"address": address, **fields}), _encryption_context(request_id))
    with write_transaction() as session:
        session.add(
            PendingAuthRequest(
                id=request_id,
                kind=kind,
                address_hash=hmac_hex(f"wish\0{address}"),
                client_hash=client_hash,
                request_encrypted=content,
                requested_at=clock.now(),
            )
        )
    notify_worker(Topic.AUTH_REQUESTS)


def process_pending_requests() -> int:
    """Process a batch of due requests; returns their number. The mail and the end of its request are one
    transaction."""
    ids = leases.acquire_leases(
        PendingAuthRequest,
        PendingAuthRequest.request_encrypted.is_not(None),
        limit=BATCH_SIZE,
        order=PendingAuthRequest.requested_at,
    )
    for request_row in db.session.scalars(
        select(PendingAuthRequest).where(PendingAuthRequest.id.in_(ids)).order_by(PendingAuthRequest.requested_at)
    ).all():
        with write_transaction():
            _process_request(request_row)
            request_row.request_encrypted = request_row.leased_until = None
    return len(ids)


def _process_request(request_row: PendingAuthRequest) -> None:
    try:
        values: dict[str, Any] = json.loads(
            decrypt_for_row(request_row.request_encrypted or "", _encryption_context(request_row.id))
        )
    except DecryptionError:
        return  # its key was removed from ENCRYPTION_KEYS, so the request can no longer be read
    user = db.session.scalar(select(User).where(User.email == values["address"]))
    same_address: ColumnElement[bool] = PendingAuthRequest.address_hash == request_row.address_hash
    earlier_count = db.session.scalar(
        select(func.count()).where(
            same_address,
            PendingAuthRequest.requested_at > request_row.requested_at - HOUR,
            PendingAuthRequest.requested_at < request_row.requested_at,
        )
    )
    if (earlier_count or 0) < MAX_MAILS_PER_HOUR:
        REQUEST_HANDLERS[request_row.kind](user, values)


def _mail_reset_link(user: User | None, _values: dict[str, Any]) -> None:
    if user is not None and user.is_active:
        link = one_time_links.create_one_time_link(user, "reset", "/choose-password")
        outbox.enqueue_mail(user.email, "reset", user.language, name=user.full_name, link=link)


def _handle_account_request(user: User | None, values: dict[str, Any]) -> None:
    if user is None:
        _create_account_request(values)
    elif user.is_active:
        link = f"{current_settings().base_url}/sign-in"
        outbox.enqueue_mail(user.email, "have_account", user.language, name=user.full_name, link=link)


def _create_account_request(values: dict[str, Any]) -> None:
    insert_if_absent(
        AccountRequest,
        {
            "id": uuid4(),
            "email": values["address"],
            "full_name": outbox.strip_control_characters(values["full_name"])[:120],
            "school_id": db.session.scalar(
                select(School.id).where(School.deped_id == values["school"], School.closed_at.is_(None))
            ),
            "language": values["language"],
            "state": AccountRequestState.PENDING,
            "created_at": clock.now(),
        },
        ["email"],
    )


REQUEST_HANDLERS: dict[str, Callable[[User | None, dict[str, Any]], None]] = {
    "password": _mail_reset_link,
    "account": _handle_account_request,
}


def _encryption_context(request_id: UUID) -> str:
    return f"door_wishes/{request_id}"
