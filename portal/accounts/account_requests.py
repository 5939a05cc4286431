"""ask_for_password(...) · ask_for_account(...): what strangers ask for at the door · answer_due() -> int (the sweep).

A page that looked the address up would take longer for those it knows. So it only keeps the wish, the same for
everybody, and the worker finds out whose address it is and what to do.
"""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from flask import current_app
from sqlalchemy import ColumnElement, func, select

from portal.accounts import one_time_links
from portal.accounts.email_domain import NotSchoolEmail, is_learner_address, school_email
from portal.accounts.models import AccountRequest, DoorWish, School, User
from portal.accounts.sign_in import lockout
from portal.config import Settings
from portal.core import clock
from portal.core.crypto import (
    SealBroken,
    keyed_hash,
    seal,
    unseal,
)
from portal.core.db import db, insert_once, leases, writing
from portal.core.mail import outbox
from portal.core.worker_signals import wake

BATCH = 20
LETTERS = 5  # to one address within an hour, whoever asks
HOUR = timedelta(hours=1)


def ask_for_password(email: str) -> None:
    """Whoever has an account with this address gets a link. Raises NotSchoolEmail, and TooMany for the place."""
    _keep("password", school_email(email, _settings().email_domains), {})


def ask_for_account(email: str, full_name: str, deped_id: str, language: str) -> None:
    """An admin decides; whoever has an account gets a letter that says so. Raises NotSchoolEmail, also for a
    learner's address, and TooMany for the place."""
    domains = _settings().email_domains
    address = school_email(email, domains)
    if is_learner_address(address):
        raise NotSchoolEmail(domains)
    _keep("account", address, {"full_name": full_name, "school": deped_id, "language": language})


def _keep(kind: str, address: str, said: dict[str, str]) -> None:
    place = lockout.place()
    lockout.check_number(DoorWish.at, DoorWish.place_hash == place)
    wish_id = uuid4()
    content = seal(json.dumps({"address": address, **said}), _row(wish_id))
    with writing() as session:
        session.add(
            DoorWish(
                id=wish_id,
                kind=kind,
                address_hash=keyed_hash(f"wish\0{address}"),
                place_hash=place,
                sealed=content,
                at=clock.now(),
            )
        )
    wake("door")


def answer_due() -> int:
    """Answer what was asked for; how many wishes were looked at. A letter and its wish's end are one transaction."""
    ids = leases.take(DoorWish, DoorWish.sealed.is_not(None), limit=BATCH, order=DoorWish.at)
    for wish in db.session.scalars(select(DoorWish).where(DoorWish.id.in_(ids)).order_by(DoorWish.at)).all():
        with writing():
            _answer(wish)
            wish.sealed = wish.leased_until = None
    return len(ids)


def _answer(wish: DoorWish) -> None:
    try:
        said: dict[str, Any] = json.loads(unseal(wish.sealed or "", _row(wish.id)))
    except SealBroken:
        return  # its key was taken out of ENCRYPTION_KEYS: nobody can know any more what was asked
    user = db.session.scalar(select(User).where(User.email == said["address"]))
    earlier: ColumnElement[bool] = DoorWish.address_hash == wish.address_hash
    number = db.session.scalar(select(func.count()).where(earlier, DoorWish.at > wish.at - HOUR, DoorWish.at < wish.at))
    if (number or 0) < LETTERS:
        ANSWERS[wish.kind](user, said)


def _answer_password(user: User | None, _said: dict[str, Any]) -> None:
    if user is not None and user.is_active:
        link = one_time_links.issue(user, "reset", "/choose-password")
        outbox.queue(user.email, "reset", user.language, name=user.full_name, link=link)


def _answer_account(user: User | None, said: dict[str, Any]) -> None:
    if user is None:
        _ask_an_admin(said)
    elif user.is_active:
        link = f"{_settings().base_url}/sign-in"
        outbox.queue(user.email, "have_account", user.language, name=user.full_name, link=link)


def _ask_an_admin(said: dict[str, Any]) -> None:
    insert_once(
        AccountRequest,
        {
            "id": uuid4(),
            "email": said["address"],
            "full_name": outbox.one_line(said["full_name"])[:120],
            "school_id": db.session.scalar(
                select(School.id).where(School.deped_id == said["school"], School.closed_at.is_(None))
            ),
            "language": said["language"],
            "state": "waiting",
            "created_at": clock.now(),
        },
        ["email"],
    )


ANSWERS: dict[str, Callable[[User | None, dict[str, Any]], None]] = {
    "password": _answer_password,
    "account": _answer_account,
}


def _row(wish_id: UUID) -> str:
    return f"door_wishes/{wish_id}"


def _settings() -> Settings:
    settings: Settings = current_app.extensions["silid.settings"]
    return settings
