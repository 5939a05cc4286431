"""People, as admins manage them: within their scope, and nobody above the scope of the admin who asks."""

from dataclasses import dataclass
from uuid import UUID

from flask import current_app
from sqlalchemy import ColumnElement, func, or_, select, true
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from portal.accounts import one_time_links
from portal.accounts.access import schools_in_scope
from portal.accounts.email_domain import is_learner_address, school_email
from portal.accounts.models import AccountRequest, School, User
from portal.accounts.sign_in import sessions, totp
from portal.accounts.sso import identities
from portal.config import Settings
from portal.core import audit_log, clock
from portal.core.db import db, writing
from portal.core.mail import outbox

RANKS = {None: 0, "school": 1, "division": 2, "region": 3}
PAGE = 50


class Refused(ValueError):
    """It cannot be done so. `reason` is one of "taken", "learner", "school", "scope", "self", "last"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Found:
    """One page of people, and how many there are in all."""

    people: list[User]
    total: int
    page: int

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // PAGE))


def in_scope(admin: User) -> ColumnElement[bool]:
    """A condition on User: those an admin looks after."""
    if admin.scope == "region":
        return true()
    return User.school_id.in_(select(School.id).where(schools_in_scope(admin)).correlate(None))


def may_manage(admin: User, person: User) -> bool:
    """Not oneself, and nobody whose scope is wider than one's own. That the person is in scope is the loader's."""
    return admin.id != person.id and RANKS[person.scope] <= RANKS[admin.scope]


def find(admin: User, words: str, show: str, page: int) -> Found:
    """People in scope whose name or address has every word; `show` is "", "teachers", "admins" or "off"."""
    wanted = [in_scope(admin)]
    for word in words.lower().split()[:5]:
        like = "%" + word.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") + "%"
        name = func.lower(User.full_name).like(like, escape="\\")
        wanted.append(or_(name, User.email.like(like, escape="\\")))
    wanted.append(User.deactivated_at.is_not(None) if show == "off" else User.deactivated_at.is_(None))
    if show in ("teachers", "admins"):
        wanted.append(User.role == show.removesuffix("s"))
    total = db.session.scalar(select(func.count()).select_from(User).where(*wanted)) or 0
    page = min(max(1, page), max(1, -(-total // PAGE)))
    rows = select(User).options(joinedload(User.school)).where(*wanted).order_by(func.lower(User.full_name), User.id)
    return Found(list(db.session.scalars(rows.limit(PAGE).offset((page - 1) * PAGE))), total, page)


def one(admin: User, user_id: UUID) -> User | None:
    """A person in scope."""
    return db.session.scalar(select(User).where(User.id == user_id, in_scope(admin)))


def invite(admin: User, *, email: str, full_name: str, scope: str | None, deped_id: str) -> tuple[User, str]:
    """A new account in the admin's language, and its invitation link, mailed too. Raises NotSchoolEmail and Refused."""
    address = school_email(email, _settings().email_domains)
    school = _school_for(admin, scope, deped_id)
    return make(admin, address, full_name, scope, school, admin.language)


def make(
    admin: User, address: str, full_name: str, scope: str | None, school: School | None, language: str
) -> tuple[User, str]:
    """An account for a checked address, and its invitation link. Raises Refused: "taken" or "learner"."""
    if is_learner_address(address):
        raise Refused("learner")
    with writing() as session:
        if session.scalar(select(User.id).where(User.email == address)):
            raise Refused("taken")
        user = User(
            email=address,
            full_name=outbox.one_line(full_name),
            role="admin" if scope else "teacher",
            scope=scope,
            school_id=school.id if school else None,
            language=language,
            created_at=clock.now(),
        )
        session.add(user)
        try:
            session.flush()
        except IntegrityError as both:  # somebody else invites the same person at this moment
            raise Refused("taken") from both
        audit_log.record("invited", "user", user.id, by=admin.id, scope=scope or "")
        return user, send_link(admin, user)


def send_link(admin: User, user: User) -> str:
    """A new link to choose a password, mailed and returned: an invitation, or a reset for who has begun already."""
    purpose = "reset" if user.confirmed_at else "invite"
    with writing():
        link = one_time_links.issue(user, purpose, "/choose-password")
        template = "reset" if purpose == "reset" else "invitation"
        outbox.queue(user.email, template, user.language, name=user.full_name, by=admin.full_name, link=link)
        audit_log.record("sent a link", "user", user.id, by=admin.id, purpose=purpose)
    return link


def set_scope(admin: User, user: User, scope: str | None, deped_id: str) -> None:
    """Make somebody a teacher (None) or an admin of a scope, at a school; ends their sessions. Raises Refused."""
    school = _school_for(admin, scope, deped_id, stays=user.school_id)
    with writing():
        _must_manage(admin, user)
        if scope != "region":
            _keep_one_region_admin(user)
        user.role, user.scope = ("admin", scope) if scope else ("teacher", None)
        user.school_id = school.id if school else None
        sessions.end_all(user)
        audit_log.record("changed the role", "user", user.id, by=admin.id, scope=scope or "")


def deactivate(admin: User, user: User) -> None:
    """Close an account at once: sessions and links end, nothing is deleted. Raises Refused."""
    with writing():
        _must_manage(admin, user)
        _keep_one_region_admin(user)
        user.deactivated_at = clock.now()
        sessions.end_all(user)
        one_time_links.end(user, tuple(one_time_links.LIFE))
        audit_log.record("deactivated", "user", user.id, by=admin.id)


def reactivate(admin: User, user: User) -> None:
    """Open an account again. Raises Refused."""
    with writing():
        _must_manage(admin, user)
        user.deactivated_at = None
        audit_log.record("reactivated", "user", user.id, by=admin.id)


def sign_out(admin: User, user: User) -> None:
    """Sign somebody out everywhere: a phone was lost, or somebody else is in. Raises Refused."""
    with writing():
        _must_manage(admin, user)
        sessions.end_all(user)
        audit_log.record("signed out everywhere", "user", user.id, by=admin.id)


def remove_codes(admin: User, user: User) -> None:
    """For somebody who lost phone and paper: no codes any more, sessions ended. Raises Refused."""
    with writing():
        _must_manage(admin, user)
        totp.switch_off(user, by=admin)
        sessions.end_all(user)


def requests_in_scope(admin: User) -> ColumnElement[bool]:
    """A condition on AccountRequest. A request that names no school of ours is for the region."""
    if admin.scope == "region":
        return true()
    return AccountRequest.school_id.in_(select(School.id).where(schools_in_scope(admin)).correlate(None))


def waiting(admin: User) -> list[AccountRequest]:
    """The oldest requests that wait for a decision, at most a page of them."""
    rows = select(AccountRequest).where(requests_in_scope(admin), AccountRequest.state == "waiting")
    return list(db.session.scalars(rows.order_by(AccountRequest.created_at).limit(PAGE)))


def one_request(admin: User, request_id: UUID) -> AccountRequest | None:
    """A request in scope that waits for a decision."""
    rows = select(AccountRequest).where(AccountRequest.id == request_id, requests_in_scope(admin))
    return db.session.scalar(rows.where(AccountRequest.state == "waiting"))


def approve(admin: User, wish: AccountRequest) -> tuple[User, str]:
    """Make a teacher's account of a request; the person, and the link. Raises Refused, e.g. without a school."""
    if wish.school is None or wish.school.closed_at:
        raise Refused("school")
    with writing():
        made = make(admin, wish.email, wish.full_name, None, wish.school, wish.language)
        identities.open_with(made[0], wish, by=admin)
        wish.state, wish.decided_at = "approved", clock.now()
    return made


def refuse(admin: User, wish: AccountRequest) -> None:
    """Say no; the address can ask again only through an invitation."""
    with writing():
        wish.state, wish.decided_at = "refused", clock.now()
        audit_log.record("refused", "account request", wish.id, by=admin.id)


def _school_for(admin: User, scope: str | None, deped_id: str, *, stays: UUID | None = None) -> School | None:
    """The open school with this ID in scope, or the closed one at which somebody stays. Raises Refused."""
    if RANKS[scope] > RANKS[admin.scope]:
        raise Refused("scope")
    if scope == "region" and not deped_id:
        return None
    school = db.session.scalar(select(School).where(School.deped_id == deped_id, schools_in_scope(admin)))
    if school is None or (school.closed_at and school.id != stays):
        raise Refused("school")
    return school


def _must_manage(admin: User, user: User) -> None:
    if admin.id == user.id:
        raise Refused("self")
    if not may_manage(admin, user):
        raise Refused("scope")


def _keep_one_region_admin(user: User) -> None:
    """Somebody must be able to let others in. The rows are locked: two admins may remove each other at once."""
    if user.scope != "region":
        return
    rows = select(User.id).where(User.scope == "region", User.deactivated_at.is_(None), User.confirmed_at.is_not(None))
    if set(db.session.scalars(rows.with_for_update())) <= {user.id}:
        raise Refused("last")


def _settings() -> Settings:
    settings: Settings = current_app.extensions["silid.settings"]
    return settings
