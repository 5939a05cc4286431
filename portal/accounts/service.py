"""Operations on a user's own account: creation, language, name, password, address."""

from sqlalchemy import select

from portal.accounts import one_time_links
from portal.accounts.email_domain import EmailDomainError, is_learner_address, normalise_school_email
from portal.accounts.models import School, User
from portal.accounts.sign_in import lockout, passwords, sessions
from portal.core import audit_log, clock
from portal.core.audit_codes import AuditAction, AuditSubject
from portal.core.db import db, write_transaction
from portal.core.mail import outbox
from portal.core.settings import current_settings


class AccountError(ValueError):
    """The account cannot be created; the text says why, for an administrator."""


def create_user(
    *,
    email: str,
    full_name: str,
    role: str,
    scope: str | None,
    school: School | None,
    password: str,
    domains: tuple[str, ...],
) -> User:
    """Create a confirmed account, from the command line or the demo.

    Raises AccountError with a sentence that names what is wrong.
    """
    try:
        address = normalise_school_email(email, domains)
    except EmailDomainError as error:
        raise AccountError(f"Only addresses of {', '.join(domains)} can have an account.") from error
    if is_learner_address(address):
        raise AccountError("An address of 12 digits is a learner's. Learners need no account.")
    if len(password) < passwords.MIN_LENGTH:
        raise AccountError(f"The password needs at least {passwords.MIN_LENGTH} characters.")
    if not full_name.strip():
        raise AccountError("The name is missing.")
    if db.session.scalar(select(User.id).where(User.email == address)):
        raise AccountError(f"{address} has an account already.")
    now = clock.now()
    user = User(
        email=address,
        full_name=full_name.strip(),
        role=role,
        scope=scope,
        school_id=school.id if school else None,
        password_hash=passwords.hash_password(password),
        confirmed_at=now,
        created_at=now,
    )
    with write_transaction() as session:
        session.add(user)
    return user


def get_or_create_school(deped_id: str, name: str, division: str, region: str = "Region I") -> School:
    """The school with this DepEd ID, created if it is new."""
    school = db.session.scalar(select(School).where(School.deped_id == deped_id))
    if school is None:
        school = School(deped_id=deped_id, name=name, division=division, region=region, created_at=clock.now())
        with write_transaction() as session:
            session.add(school)
    return school


def set_user_language(user: User, language: str) -> None:
    """Set the language of a user's pages and mails, "en" or "fil"."""
    with write_transaction():
        user.language = language


def set_password_by_link(token: str, password: str) -> User | None:
    """Consume an invitation or reset link: set the password, confirm the address, end all sessions. None if the link is
    invalid."""
    password_hash = passwords.hash_password(password)
    with write_transaction():
        row = one_time_links.consume_one_time_link(token, one_time_links.PASSWORD_PURPOSES)
        if row is None:
            return None
        link, user = row
        user.password_hash = password_hash
        user.confirmed_at = user.confirmed_at or clock.now()
        _end_old_credentials(user, notify=link.purpose == "reset")
    return user


def change_password(user: User, password: str) -> None:
    """Set a new password; all sessions end, the current one included."""
    password_hash = passwords.hash_password(password)
    with write_transaction():
        user.password_hash = password_hash
        _end_old_credentials(user, notify=True)


def _end_old_credentials(user: User, *, notify: bool) -> None:
    """Revoke links, end sessions and reset the lockout after a password change."""
    one_time_links.revoke_one_time_links(user, ("invite", "reset", "email"))
    sessions.end_all_sessions(user)
    lockout.clear_sign_in_failures(user.email)
    audit_log.record_action(AuditAction.SET_PASSWORD, AuditSubject.USER, user.id, by=user.id)
    if notify:
        link = f"{current_settings().base_url}/sign-in"
        outbox.enqueue_mail(user.email, "password_changed", user.language, name=user.full_name, link=link)


def request_email_change(user: User, email: str, domains: tuple[str, ...]) -> None:
    """Mail a confirmation link to the new address; the account's address changes when it is used.

    Raises EmailDomainError. An address of another account gets no mail, and the page does not reveal that.
    """
    address = normalise_school_email(email, domains)
    if is_learner_address(address):
        raise EmailDomainError(domains)
    if address == user.email or db.session.scalar(select(User.id).where(User.email == address)):
        return
    with write_transaction():
        link = one_time_links.create_one_time_link(user, "email", "/confirm-address", new_email=address)
        outbox.enqueue_mail(address, "new_address", user.language, name=user.full_name, link=link)


def confirm_email_change(token: str) -> bool:
    """Consume the link: set the new address, end all sessions, and notify the old address.

    False if the link is invalid.
    """
    with write_transaction() as session:
        row = one_time_links.consume_one_time_link(token, ("email",))
        if row is None:
            return False
        link, user = row
        is_taken = session.scalar(select(User.id).where(User.email == link.new_email, User.id != user.id))
        if is_taken or link.new_email is None:
            return False
        sign_in = f"{current_settings().base_url}/sign-in"
        outbox.enqueue_mail(
            user.email, "address_changed", user.language, name=user.full_name, address=link.new_email, link=sign_in
        )
        user.email = link.new_email
        one_time_links.revoke_one_time_links(user, one_time_links.PASSWORD_PURPOSES)
        sessions.end_all_sessions(user)
        audit_log.record_action(AuditAction.CHANGED_OWN_EMAIL, AuditSubject.USER, user.id, by=user.id)
    return True


def set_user_name(user: User, full_name: str) -> None:
    """Set the name that colleagues see."""
    with write_transaction():
        user.full_name = outbox.strip_control_characters(full_name)
        audit_log.record_action(AuditAction.CHANGED_OWN_NAME, AuditSubject.USER, user.id, by=user.id)
