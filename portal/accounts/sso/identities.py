"""Whose account at Google or Microsoft it is, and how it becomes somebody's: never by its address alone.

An unknown one asks for an account, which an admin approves; a person who is signed in and has just written their
password connects one.
"""

from dataclasses import dataclass
from uuid import UUID, uuid4

from flask import current_app
from sqlalchemy import Select, delete, or_, select, update

from portal.accounts.email_domain import NotSchoolEmail, is_learner_address, school_email
from portal.accounts.models import AccountRequest, Identity, School, User
from portal.config import Settings
from portal.core import audit_log, clock
from portal.core.db import (
    db,
    insert_once,
    rows_changed,
    writing,
)
from portal.core.mail import outbox
from portal.oidc.claims import Person
from portal.oidc.errors import Refused


@dataclass(frozen=True)
class Newcomer:
    """Somebody with a school's address whom nobody here knows yet."""

    issuer: str
    subject: str
    address: str
    name: str


def user_of(found: Person) -> User | Newcomer:
    """Who signs in with it. Raises Refused: outside the domain rule, a learner, a closed account, an address that is
    somebody else's here (mailboxes are given to the next person)."""
    address = _staff_address(found)
    row = db.session.execute(_whose(found)).one_or_none()
    if row is None:
        _nobodys(address)
        return Newcomer(found.issuer, found.subject, address, outbox.one_line(found.name)[:120])
    identity, user = row
    if not user.is_active:
        raise Refused("closed account")
    with writing() as session:
        session.execute(update(Identity).where(Identity.id == identity.id).values(last_used_at=clock.now()))
    return user


def has_asked(new: Newcomer) -> bool:
    """Has this very account asked already?"""
    rows = select(AccountRequest.id).where(AccountRequest.issuer == new.issuer, AccountRequest.subject == new.subject)
    return db.session.scalar(rows.limit(1)) is not None


def ask(new: Newcomer, full_name: str, deped_id: str, language: str) -> bool:
    """Ask for an account that opens with this identity. False if no open school has this ID. Raises Refused.

    Where somebody has typed the same address at the door before, the request is now of who has the mailbox, and
    waits for a decision once more. One that was refused with an account elsewhere stays refused.
    """
    school = db.session.scalar(select(School.id).where(School.deped_id == deped_id, School.closed_at.is_(None)))
    if school is None:
        return False
    said = {
        "full_name": outbox.one_line(full_name)[:120],
        "school_id": school,
        "issuer": new.issuer,
        "subject": new.subject,
    }
    with writing() as session:
        _nobodys(new.address)
        request = {"id": uuid4(), "email": new.address, "language": language, "state": "waiting"}
        if not insert_once(AccountRequest, {**request, **said, "created_at": clock.now()}, ["email"]):
            open_again = or_(AccountRequest.state == "waiting", AccountRequest.issuer.is_(None))
            session.execute(
                update(AccountRequest)
                .where(AccountRequest.email == new.address, open_again)
                .values(**said, state="waiting", decided_at=None)
            )
    return True


def open_with(user: User, wish: AccountRequest, by: User) -> None:
    """The account that was just made of a request belongs to the identity that asked, and its address is confirmed;
    within `writing()`. Nothing happens where the request came with none, or another account has it by now."""
    if wish.issuer and wish.subject and _link(user, wish.issuer, wish.subject):
        user.confirmed_at = clock.now()
        audit_log.record("connected a sign-in", "user", user.id, by=by.id)


def connect(user: User, found: Person) -> None:
    """From now on `user` may sign in with it. Raises Refused, also where the address is not their own: computers in
    schools are shared, and a colleague's account would let the colleague in."""
    if _staff_address(found) != user.email:
        raise Refused("another's address")
    with writing():
        if not _link(user, found.issuer, found.subject):
            row = db.session.execute(_whose(found)).one_or_none()
            if row is None or row[1].id != user.id:
                raise Refused("another's account")
            return
        audit_log.record("connected a sign-in", "user", user.id, by=user.id)
        _tell(user, "sign_in_connected")


def disconnect(user: User, identity_id: UUID) -> bool:
    """The person no longer signs in with it. False if it is not theirs."""
    with writing():
        gone = rows_changed(delete(Identity).where(Identity.id == identity_id, Identity.user_id == user.id))
        if not gone:
            return False
        audit_log.record("disconnected a sign-in", "user", user.id, by=user.id)
    return True


def of(user: User) -> list[Identity]:
    """What the person may sign in with, besides their password."""
    return list(db.session.scalars(select(Identity).where(Identity.user_id == user.id).order_by(Identity.created_at)))


def _whose(found: Person) -> Select[Identity, User]:
    return (
        select(Identity, User)
        .join(User, User.id == Identity.user_id)
        .where(Identity.issuer == found.issuer, Identity.subject == found.subject)
    )


def _link(user: User, issuer: str, subject: str) -> bool:
    values = {"id": uuid4(), "issuer": issuer, "subject": subject, "user_id": user.id, "created_at": clock.now()}
    return insert_once(Identity, values, ["issuer", "subject"])


def _staff_address(found: Person) -> str:
    try:
        address = school_email(found.address, _settings().email_domains)
    except NotSchoolEmail:
        raise Refused("address") from None
    if is_learner_address(address):
        raise Refused("learner")
    return address


def _nobodys(address: str) -> None:
    if db.session.scalar(select(User.id).where(User.email == address)):
        raise Refused("known address")


def _tell(user: User, template: str) -> None:
    outbox.queue(user.email, template, user.language, name=user.full_name, link=f"{_settings().base_url}/sign-in")


def _settings() -> Settings:
    settings: Settings = current_app.extensions["silid.settings"]
    return settings
