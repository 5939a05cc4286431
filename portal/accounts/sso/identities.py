"""External identities (Google, Microsoft accounts) and how they are linked to users: never by address alone.

An unknown identity requests an account, which an admin approves; a signed-in user who has just entered their password
links one.
"""

from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy import Select, delete, or_, select, update

from portal.accounts.codes import AccountRequestState
from portal.accounts.email_domain import EmailDomainError, is_learner_address, normalise_school_email
from portal.accounts.models import AccountRequest, ExternalIdentity, School, User
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.db import (
    db,
    execute_rowcount,
    insert_if_absent,
    write_transaction,
)
from portal.core.mail import outbox
from portal.core.settings import current_settings
from portal.oidc.claims import ExternalUser
from portal.oidc.errors import LoginRefused


@dataclass(frozen=True)
class UnknownIdentity:
    """An external identity with a school address that is linked to no user."""

    issuer: str
    subject: str
    address: str
    name: str


def user_for_identity(external_user: ExternalUser) -> User | UnknownIdentity:
    """The user linked to the identity, or `UnknownIdentity`. Raises LoginRefused for an address outside the domain
    rule, a learner, a deactivated account, or an address that another user here has (mailboxes are reassigned)."""
    address = _staff_address(external_user)
    row = db.session.execute(_select_identity_and_user(external_user)).one_or_none()
    if row is None:
        _require_unused_address(address)
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


def has_pending_request(identity: UnknownIdentity) -> bool:
    """True if this identity has requested an account before."""
    rows = select(AccountRequest.id).where(
        AccountRequest.issuer == identity.issuer, AccountRequest.subject == identity.subject
    )
    return db.session.scalar(rows.limit(1)) is not None


def request_account_for_identity(identity: UnknownIdentity, full_name: str, deped_id: str, language: str) -> bool:
    """Request an account linked to this identity. False if no open school has this ID. Raises LoginRefused.

    It replaces an earlier request for the address that had no identity, and is pending again, as the identity proves
    the mailbox. A rejected request with an identity stays rejected.
    """
    school_id = db.session.scalar(select(School.id).where(School.deped_id == deped_id, School.closed_at.is_(None)))
    if school_id is None:
        return False
    values = {
        "full_name": outbox.strip_control_characters(full_name)[:120],
        "school_id": school_id,
        "issuer": identity.issuer,
        "subject": identity.subject,
    }
    with write_transaction() as session:
        _require_unused_address(identity.address)
        request = {"id": uuid4(), "email": identity.address, "language": language, "state": AccountRequestState.PENDING}
        if not insert_if_absent(AccountRequest, {**request, **values, "created_at": clock.now()}, ["email"]):
            is_replaceable = or_(AccountRequest.state == AccountRequestState.PENDING, AccountRequest.issuer.is_(None))
            session.execute(
                update(AccountRequest)
                .where(AccountRequest.email == identity.address, is_replaceable)
                .values(**values, state=AccountRequestState.PENDING, decided_at=None)
            )
    return True


def attach_to_new_user(user: User, account_request: AccountRequest, by: User) -> None:
    """Link a newly created account to the identity that requested it and confirm its address; within
    `write_transaction()`. A no-op if the request has no identity, or another account is linked to it by now."""
    if (
        account_request.issuer
        and account_request.subject
        and _insert_identity(user, account_request.issuer, account_request.subject)
    ):
        user.confirmed_at = clock.now()
        audit_log.record_action(AuditAction.LINKED_IDENTITY, AuditSubject.USER, user.id, by=by.id)


def link_external_identity(user: User, external_user: ExternalUser) -> None:
    """Link the identity to `user`. Raises LoginRefused, also if the address is not the user's own: school computers are
    shared, and a colleague's identity would let the colleague in."""
    if _staff_address(external_user) != user.email:
        raise LoginRefused("another's address")
    with write_transaction():
        if not _insert_identity(user, external_user.issuer, external_user.subject):
            row = db.session.execute(_select_identity_and_user(external_user)).one_or_none()
            if row is None or row[1].id != user.id:
                raise LoginRefused("another's account")
            return
        audit_log.record_action(AuditAction.LINKED_IDENTITY, AuditSubject.USER, user.id, by=user.id)
        _enqueue_mail(user, "sign_in_connected")


def unlink_external_identity(user: User, identity_id: UUID) -> bool:
    """Unlink an identity; False if it is not the user's."""
    with write_transaction():
        deleted = execute_rowcount(
            delete(ExternalIdentity).where(ExternalIdentity.id == identity_id, ExternalIdentity.user_id == user.id)
        )
        if not deleted:
            return False
        audit_log.record_action(AuditAction.UNLINKED_IDENTITY, AuditSubject.USER, user.id, by=user.id)
    return True


def identities_of_user(user: User) -> list[ExternalIdentity]:
    """The user's linked identities."""
    return list(
        db.session.scalars(
            select(ExternalIdentity).where(ExternalIdentity.user_id == user.id).order_by(ExternalIdentity.created_at)
        )
    )


def _select_identity_and_user(external_user: ExternalUser) -> Select[ExternalIdentity, User]:
    return (
        select(ExternalIdentity, User)
        .join(User, User.id == ExternalIdentity.user_id)
        .where(ExternalIdentity.issuer == external_user.issuer, ExternalIdentity.subject == external_user.subject)
    )


def _insert_identity(user: User, issuer: str, subject: str) -> bool:
    values = {"id": uuid4(), "issuer": issuer, "subject": subject, "user_id": user.id, "created_at": clock.now()}
    return insert_if_absent(ExternalIdentity, values, ["issuer", "subject"])


def _staff_address(external_user: ExternalUser) -> str:
    """The identity's address under the domain rule. Raises LoginRefused."""
    try:
        address = normalise_school_email(external_user.address, current_settings().email_domains)
    except EmailDomainError:
        raise LoginRefused("address") from None
    if is_learner_address(address):
        raise LoginRefused("learner")
    return address


def _require_unused_address(address: str) -> None:
    if db.session.scalar(select(User.id).where(User.email == address)):
        raise LoginRefused("known address")


def _enqueue_mail(user: User, template: str) -> None:
    outbox.enqueue_mail(
        user.email, template, user.language, name=user.full_name, link=f"{current_settings().base_url}/sign-in"
    )
