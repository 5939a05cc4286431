"""Whose account at Google or Microsoft it is, and how it becomes somebody's: never by its address alone.

An unknown one asks for an account, which an admin approves; a person who is signed in and has just written their
password connects one.
"""

from dataclasses import dataclass
from uuid import UUID, uuid4

from flask import current_app
from sqlalchemy import Select, delete, or_, select, update

from portal.accounts.codes import AccountRequestState
from portal.accounts.email_domain import EmailDomainError, is_learner_address, normalise_school_email
from portal.accounts.models import AccountRequest, ExternalIdentity, School, User
from portal.config import Settings
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.db import (
    db,
    execute_rowcount,
    insert_if_absent,
    write_transaction,
)
from portal.core.mail import outbox
from portal.oidc.claims import ExternalUser
from portal.oidc.errors import LoginRefused


@dataclass(frozen=True)
class UnknownIdentity:
    """Somebody with a school's address whom nobody here knows yet."""

    issuer: str
    subject: str
    address: str
    name: str


def user_for_identity(external_user: ExternalUser) -> User | UnknownIdentity:
    """Who signs in with it. Raises LoginRefused: outside the domain rule, a learner, a closed account, an address
    that is
    somebody else's here (mailboxes are given to the next person)."""
    address = _staff_address(external_user)
    row = db.session.execute(_whose(external_user)).one_or_none()
    if row is None:
        _nobodys(address)
        return UnknownIdentity(
            external_user.issuer,
            external_user.subject,
            address,
            outbox.strip_control_characters(external_user.name)[:120],
        )
    identity, user = row
    if not user.is_active:
        raise LoginRefused("closed account")
    with write_transaction() as session:
        session.execute(
            update(ExternalIdentity).where(ExternalIdentity.id == identity.id).values(last_used_at=clock.now())
        )
    return user


def has_pending_request(new: UnknownIdentity) -> bool:
    """Has this very account asked already?"""
    rows = select(AccountRequest.id).where(AccountRequest.issuer == new.issuer, AccountRequest.subject == new.subject)
    return db.session.scalar(rows.limit(1)) is not None


def request_account_for_identity(new: UnknownIdentity, full_name: str, deped_id: str, language: str) -> bool:
    """Ask for an account that opens with this identity. False if no open school has this ID. Raises LoginRefused.

    Where somebody has typed the same address at the door before, the request is now of who has the mailbox, and
    waits for a decision once more. One that was refused with an account elsewhere stays refused.
    """
    school = db.session.scalar(select(School.id).where(School.deped_id == deped_id, School.closed_at.is_(None)))
    if school is None:
        return False
    values = {
        "full_name": outbox.strip_control_characters(full_name)[:120],
        "school_id": school,
        "issuer": new.issuer,
        "subject": new.subject,
    }
    with write_transaction() as session:
        _nobodys(new.address)
        request = {"id": uuid4(), "email": new.address, "language": language, "state": AccountRequestState.PENDING}
        if not insert_if_absent(AccountRequest, {**request, **values, "created_at": clock.now()}, ["email"]):
            open_again = or_(AccountRequest.state == AccountRequestState.PENDING, AccountRequest.issuer.is_(None))
            session.execute(
                update(AccountRequest)
                .where(AccountRequest.email == new.address, open_again)
                .values(**values, state=AccountRequestState.PENDING, decided_at=None)
            )
    return True


def attach_to_new_user(user: User, account_request: AccountRequest, by: User) -> None:
    """The account that was just made of a request belongs to the identity that asked, and its address is confirmed;
    within `write_transaction()`. Nothing happens where the request came with none, or another account has it by now."""
    if (
        account_request.issuer
        and account_request.subject
        and _link(user, account_request.issuer, account_request.subject)
    ):
        user.confirmed_at = clock.now()
        audit_log.record_action(AuditAction.LINKED_IDENTITY, AuditSubject.USER, user.id, by=by.id)


def link_external_identity(user: User, external_user: ExternalUser) -> None:
    """From now on `user` may sign in with it. Raises LoginRefused, also where the address is not their own: computers
    in
    schools are shared, and a colleague's account would let the colleague in."""
    if _staff_address(external_user) != user.email:
        raise LoginRefused("another's address")
    with write_transaction():
        if not _link(user, external_user.issuer, external_user.subject):
            row = db.session.execute(_whose(external_user)).one_or_none()
            if row is None or row[1].id != user.id:
                raise LoginRefused("another's account")
            return
        audit_log.record_action(AuditAction.LINKED_IDENTITY, AuditSubject.USER, user.id, by=user.id)
        _tell(user, "sign_in_connected")


def unlink_external_identity(user: User, identity_id: UUID) -> bool:
    """The person no longer signs in with it. False if it is not theirs."""
    with write_transaction():
        gone = execute_rowcount(
            delete(ExternalIdentity).where(ExternalIdentity.id == identity_id, ExternalIdentity.user_id == user.id)
        )
        if not gone:
            return False
        audit_log.record_action(AuditAction.UNLINKED_IDENTITY, AuditSubject.USER, user.id, by=user.id)
    return True


def identities_of_user(user: User) -> list[ExternalIdentity]:
    """What the person may sign in with, besides their password."""
    return list(
        db.session.scalars(
            select(ExternalIdentity).where(ExternalIdentity.user_id == user.id).order_by(ExternalIdentity.created_at)
        )
    )


def _whose(external_user: ExternalUser) -> Select[ExternalIdentity, User]:
    return (
        select(ExternalIdentity, User)
        .join(User, User.id == ExternalIdentity.user_id)
        .where(ExternalIdentity.issuer == external_user.issuer, ExternalIdentity.subject == external_user.subject)
    )


def _link(user: User, issuer: str, subject: str) -> bool:
    values = {"id": uuid4(), "issuer": issuer, "subject": subject, "user_id": user.id, "created_at": clock.now()}
    return insert_if_absent(ExternalIdentity, values, ["issuer", "subject"])


def _staff_address(external_user: ExternalUser) -> str:
    try:
        address = normalise_school_email(external_user.address, _settings().email_domains)
    except EmailDomainError:
        raise LoginRefused("address") from None
    if is_learner_address(address):
        raise LoginRefused("learner")
    return address


def _nobodys(address: str) -> None:
    if db.session.scalar(select(User.id).where(User.email == address)):
        raise LoginRefused("known address")


def _tell(user: User, template: str) -> None:
    outbox.enqueue_mail(
        user.email, template, user.language, name=user.full_name, link=f"{_settings().base_url}/sign-in"
    )


def _settings() -> Settings:
    settings: Settings = current_app.extensions["silid.settings"]
    return settings
