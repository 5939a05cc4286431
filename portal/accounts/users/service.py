"""User administration by admins: within their scope, and never on users of a wider scope than their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, func, or_, select, true
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from portal.accounts import one_time_links
from portal.accounts.access import schools_in_scope_clause
from portal.accounts.codes import AccountRequestState
from portal.accounts.email_domain import is_learner_address, normalise_school_email
from portal.accounts.models import AccountRequest, School, User
from portal.accounts.sign_in import sessions, totp
from portal.accounts.sso import identities
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.db import db, write_transaction
from portal.core.mail import outbox
from portal.core.settings import current_settings
from portal.core.worker_signals import Topic, notify_worker

SCOPE_RANKS = {None: 0, "school": 1, "division": 2, "region": 3}
PAGE_SIZE = 50


class UserChangeRefused(ValueError):
    """The change is not allowed. `reason` is "taken", "learner", "school", "scope", "self" or "last"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class UserPage:
    """One page of search results, and the total number."""

    people: list[User]
    total: int
    page: int

    @property
    def pages(self) -> int:
        """Number of pages, at least 1."""
        return max(1, -(-self.total // PAGE_SIZE))


def users_in_scope_clause(admin: User) -> ColumnElement[bool]:
    """Condition on User: in the admin's scope."""
    if admin.scope == "region":
        return true()
    return User.school_id.in_(select(School.id).where(schools_in_scope_clause(admin)).correlate(None))


def can_manage_user(admin: User, person: User) -> bool:
    """False for oneself and for a user of a wider scope. Whether the user is in scope is checked by the loader."""
    return admin.id != person.id and SCOPE_RANKS[person.scope] <= SCOPE_RANKS[admin.scope]


def search_users_in_scope(admin: User, words: str, show: str, page: int) -> UserPage:
    """Users in scope whose name or address contains every word; `show` is "", "teachers", "admins" or "off"."""
    conditions = [users_in_scope_clause(admin)]
    for word in words.lower().split()[:5]:
        like = "%" + word.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") + "%"
        name = func.lower(User.full_name).like(like, escape="\\")
        conditions.append(or_(name, User.email.like(like, escape="\\")))
    conditions.append(User.deactivated_at.is_not(None) if show == "off" else User.deactivated_at.is_(None))
    if show in ("teachers", "admins"):
        conditions.append(User.role == show.removesuffix("s"))
    total = db.session.scalar(select(func.count()).select_from(User).where(*conditions)) or 0
    page = min(max(1, page), max(1, -(-total // PAGE_SIZE)))
    rows = (
        select(User).options(joinedload(User.school)).where(*conditions).order_by(func.lower(User.full_name), User.id)
    )
    return UserPage(list(db.session.scalars(rows.limit(PAGE_SIZE).offset((page - 1) * PAGE_SIZE))), total, page)


def get_user_in_scope(admin: User, user_id: UUID) -> User | None:
    """A user in scope, or None."""
    return db.session.scalar(select(User).where(User.id == user_id, users_in_scope_clause(admin)))


def invite_user(admin: User, *, email: str, full_name: str, scope: str | None, deped_id: str) -> tuple[User, str]:
    """Create an account in the admin's language; returns it with its invitation link, which is mailed too. Raises
    EmailDomainError and UserChangeRefused."""
    address = normalise_school_email(email, current_settings().email_domains)
    school = _school_for(admin, scope, deped_id)
    return create_invited_user(admin, address, full_name, scope, school, admin.language)


def create_invited_user(
    admin: User, address: str, full_name: str, scope: str | None, school: School | None, language: str
) -> tuple[User, str]:
    """Create an account for a validated address; returns it with its invitation link. Raises UserChangeRefused: "taken"
    or "learner"."""
    [invited] = create_invited_users(admin, [NewUser(address, full_name, scope, school)], language)
    return invited


@dataclass(frozen=True)
class NewUser:
    """A user to invite, with a validated address. `scope` is an admin's; None for a teacher."""

    address: str
    full_name: str
    scope: str | None
    school: School | None


def create_invited_users(admin: User, invited: Sequence[NewUser], language: str) -> list[tuple[User, str]]:
    """Create accounts, all or none; returns each with its invitation link, which is mailed too. Raises
    UserChangeRefused: "taken" or "learner".

    Links and mails are built before the transaction, which holds SQLite's one writer for a few statements only.
    """
    if any(is_learner_address(person.address) for person in invited):
        raise UserChangeRefused("learner")
    users = [_build_user(person, language) for person in invited]
    links = [one_time_links.build_one_time_link(user, "invite", "/choose-password") for user in users]
    mails = [
        outbox.build_mail(user.email, "invitation", language, name=user.full_name, by=admin.full_name, link=url)
        for user, (_link, url) in zip(users, links, strict=True)
    ]
    with write_transaction() as session:
        if session.scalar(select(User.id).where(User.email.in_([user.email for user in users])).limit(1)):
            raise UserChangeRefused("taken")
        session.add_all(users)
        try:
            session.flush()
        except IntegrityError as error:  # unique constraint: another admin invites the same person at this moment
            raise UserChangeRefused("taken") from error
        session.add_all([link for link, _url in links])
        session.add_all(mails)
        scopes = {user.id: {"scope": user.scope or ""} for user in users}
        audit_log.record_actions(AuditAction.INVITED, AuditSubject.USER, scopes, by=admin.id)
        purposes = {user.id: {"purpose": "invite"} for user in users}
        audit_log.record_actions(AuditAction.SENT_ACCESS_LINK, AuditSubject.USER, purposes, by=admin.id)
    notify_worker(Topic.MAIL)
    return [(user, url) for user, (_link, url) in zip(users, links, strict=True)]


def _build_user(person: NewUser, language: str) -> User:
    return User(
        id=uuid4(),
        email=person.address,
        full_name=outbox.strip_control_characters(person.full_name),
        role="admin" if person.scope else "teacher",
        scope=person.scope,
        school_id=person.school.id if person.school else None,
        language=language,
        created_at=clock.now(),
    )


def send_access_link(admin: User, user: User) -> str:
    """Create and mail a link to choose a password: an invitation, or a reset for a confirmed account."""
    purpose = "reset" if user.confirmed_at else "invite"
    with write_transaction():
        link = one_time_links.create_one_time_link(user, purpose, "/choose-password")
        template = "reset" if purpose == "reset" else "invitation"
        outbox.enqueue_mail(user.email, template, user.language, name=user.full_name, by=admin.full_name, link=link)
        audit_log.record_action(AuditAction.SENT_ACCESS_LINK, AuditSubject.USER, user.id, by=admin.id, purpose=purpose)
    return link


def change_user_role(admin: User, user: User, scope: str | None, deped_id: str) -> None:
    """Make a user a teacher (None) or an admin of a scope, at a school; ends their sessions. Raises
    UserChangeRefused."""
    school = _school_for(admin, scope, deped_id, current_school_id=user.school_id)
    with write_transaction():
        _check_can_manage(admin, user)
        if scope != "region":
            _check_not_last_region_admin(user)
        user.role, user.scope = ("admin", scope) if scope else ("teacher", None)
        user.school_id = school.id if school else None
        sessions.end_all_sessions(user)
        audit_log.record_action(AuditAction.CHANGED_ROLE, AuditSubject.USER, user.id, by=admin.id, scope=scope or "")


def deactivate_user(admin: User, user: User) -> None:
    """Deactivate an account: sessions and links end at once, nothing is deleted. Raises UserChangeRefused."""
    with write_transaction():
        _check_can_manage(admin, user)
        _check_not_last_region_admin(user)
        user.deactivated_at = clock.now()
        sessions.end_all_sessions(user)
        one_time_links.revoke_one_time_links(user, tuple(one_time_links.LIFETIME))
        audit_log.record_action(AuditAction.DEACTIVATED, AuditSubject.USER, user.id, by=admin.id)


def reactivate_user(admin: User, user: User) -> None:
    """Reactivate an account. Raises UserChangeRefused."""
    with write_transaction():
        _check_can_manage(admin, user)
        user.deactivated_at = None
        audit_log.record_action(AuditAction.REACTIVATED, AuditSubject.USER, user.id, by=admin.id)


def end_user_sessions(admin: User, user: User) -> None:
    """End all sessions of a user, e.g. after a lost phone or a break-in. Raises UserChangeRefused."""
    with write_transaction():
        _check_can_manage(admin, user)
        sessions.end_all_sessions(user)
        audit_log.record_action(AuditAction.SIGNED_OUT_EVERYWHERE, AuditSubject.USER, user.id, by=admin.id)


def reset_user_totp(admin: User, user: User) -> None:
    """Disable one-time codes of a user who lost phone and recovery codes; ends their sessions. Raises
    UserChangeRefused."""
    with write_transaction():
        _check_can_manage(admin, user)
        totp.disable_totp_codes(user, by=admin)
        sessions.end_all_sessions(user)


def requests_in_scope_clause(admin: User) -> ColumnElement[bool]:
    """Condition on AccountRequest: in scope. A request that names no known school is for region admins."""
    if admin.scope == "region":
        return true()
    return AccountRequest.school_id.in_(select(School.id).where(schools_in_scope_clause(admin)).correlate(None))


def list_pending_requests(admin: User) -> list[AccountRequest]:
    """The oldest pending requests in scope, at most one page."""
    rows = select(AccountRequest).where(
        requests_in_scope_clause(admin), AccountRequest.state == AccountRequestState.PENDING
    )
    return list(db.session.scalars(rows.order_by(AccountRequest.created_at).limit(PAGE_SIZE)))


def get_pending_request(admin: User, request_id: UUID) -> AccountRequest | None:
    """A pending request in scope, or None."""
    rows = select(AccountRequest).where(AccountRequest.id == request_id, requests_in_scope_clause(admin))
    return db.session.scalar(rows.where(AccountRequest.state == AccountRequestState.PENDING))


def approve_account_request(admin: User, account_request: AccountRequest) -> tuple[User, str]:
    """Create a teacher's account from a request; returns it with the link. Raises UserChangeRefused, e.g. without a
    school."""
    if account_request.school is None or account_request.school.closed_at:
        raise UserChangeRefused("school")
    with write_transaction():
        invited = create_invited_user(
            admin,
            account_request.email,
            account_request.full_name,
            None,
            account_request.school,
            account_request.language,
        )
        identities.attach_to_new_user(invited[0], account_request, by=admin)
        account_request.state, account_request.decided_at = AccountRequestState.APPROVED, clock.now()
    return invited


def reject_account_request(admin: User, account_request: AccountRequest) -> None:
    """Reject the request; the address can then get an account only by invitation."""
    with write_transaction():
        account_request.state, account_request.decided_at = AccountRequestState.REJECTED, clock.now()
        audit_log.record_action(AuditAction.REFUSED, AuditSubject.ACCOUNT_REQUEST, account_request.id, by=admin.id)


def _school_for(
    admin: User, scope: str | None, deped_id: str, *, current_school_id: UUID | None = None
) -> School | None:
    """The open school with this ID in scope, or the user's current one even if it is closed. Raises
    UserChangeRefused."""
    if SCOPE_RANKS[scope] > SCOPE_RANKS[admin.scope]:
        raise UserChangeRefused("scope")
    if scope == "region" and not deped_id:
        return None
    school = db.session.scalar(select(School).where(School.deped_id == deped_id, schools_in_scope_clause(admin)))
    if school is None or (school.closed_at and school.id != current_school_id):
        raise UserChangeRefused("school")
    return school


def _check_can_manage(admin: User, user: User) -> None:
    if admin.id == user.id:
        raise UserChangeRefused("self")
    if not can_manage_user(admin, user):
        raise UserChangeRefused("scope")


def _check_not_last_region_admin(user: User) -> None:
    """Raise if `user` is the last active region admin. The rows are locked, as two admins may demote each other at
    once."""
    if user.scope != "region":
        return
    rows = select(User.id).where(User.scope == "region", User.deactivated_at.is_(None), User.confirmed_at.is_not(None))
    if set(db.session.scalars(rows.with_for_update())) <= {user.id}:
        raise UserChangeRefused("last")
