"""The rules about people: who may have an account, who may sign in."""

from sqlalchemy import select

from portal.accounts import passwords
from portal.accounts.domain import NotSchoolEmail, is_learner_address, school_email
from portal.accounts.models import School, User
from portal.base import clock
from portal.base.db import db, writing


class AccountRefused(ValueError):
    """An account cannot be made so. The text says why, for an administrator."""


def check_password(email: str, password: str, domains: tuple[str, ...]) -> User | None:
    """The person whose address and password these are. None for every kind of no.

    Raises NotSchoolEmail for an address outside the domains: that rule is public and says nothing about
    who has an account.
    """
    address = school_email(email, domains)
    user = db.session.scalar(select(User).where(User.email == address))
    good = passwords.verify(user.password_hash if user else None, password)
    if user is None or not good or not user.is_active:
        return None
    if passwords.needs_rehash(user.password_hash or ""):
        with writing():
            user.password_hash = passwords.hash_password(password)
    return user


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
    """A confirmed account, made by an administrator at the command line or by the demo.

    Raises AccountRefused with a sentence that names what is wrong.
    """
    try:
        address = school_email(email, domains)
    except NotSchoolEmail as error:
        raise AccountRefused(f"Only addresses of {', '.join(domains)} can have an account.") from error
    if is_learner_address(address):
        raise AccountRefused("An address of 12 digits is a learner's. Learners need no account.")
    if len(password) < passwords.MINIMUM:
        raise AccountRefused(f"The password needs at least {passwords.MINIMUM} characters.")
    if not full_name.strip():
        raise AccountRefused("The name is missing.")
    if db.session.scalar(select(User.id).where(User.email == address)):
        raise AccountRefused(f"{address} has an account already.")
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
    with writing() as session:
        session.add(user)
    return user


def create_school(deped_id: str, name: str, division: str, region: str = "Region I") -> School:
    """The school with this DepEd id, made if it is new."""
    school = db.session.scalar(select(School).where(School.deped_id == deped_id))
    if school is None:
        school = School(deped_id=deped_id, name=name, division=division, region=region, created_at=clock.now())
        with writing() as session:
            session.add(school)
    return school


def set_language(user: User, language: str) -> None:
    """The language of a person's pages and mails, "en" or "fil"."""
    with writing():
        user.language = language
