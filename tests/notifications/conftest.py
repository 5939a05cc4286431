"""A class that Ada teaches with Bob, in a section that Cora advises; letters go into a folder."""

import email
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import time_machine
from flask import Flask

from portal.accounts.models import User
from portal.classes.models import SchoolClass, Section, co_teachers
from portal.core import clock
from portal.core.db import db, write_transaction
from portal.core.mail import outbox
from portal.jobs import worker
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from tests.people import People, expire_orm_state, run_jobs

NOW = datetime(2026, 11, 24, 7, tzinfo=clock.MANILA)


@pytest.fixture
def tuesday() -> Iterator[Any]:
    with time_machine.travel(NOW, tick=False) as found:
        yield found


@pytest.fixture
def cora(people: People) -> User:
    return people.person("cora", "Cora Reyes", people.school)


@pytest.fixture
def biology(tuesday: Any, app: Flask, people: People, cora: User, world: SimulatedZoom) -> SchoolClass:
    section = people.section(people.ada)
    people.learners(section, 2)
    school_class = people.school_class(people.ada, section)
    with write_transaction() as session:
        session.get_one(Section, section.id).adviser_id = cora.id
        session.execute(co_teachers.insert().values(class_id=school_class.id, user_id=people.bob.id))
    run_jobs(app)
    return db.session.get_one(SchoolClass, school_class.id)


@pytest.fixture
def letters(app: Flask, tmp_path: Path) -> Iterator[Callable[[], list[EmailMessage]]]:
    """Lets the worker write and send what is due by then, and reads what was sent since it was last asked."""
    old = app.extensions["silid.settings"]
    app.extensions["silid.settings"] = replace(old, mail_url="", instance=tmp_path)
    seen: set[Path] = set()

    def read() -> list[EmailMessage]:
        expire_orm_state()
        worker.create_due_notifications()
        outbox.send_due_mail()
        expire_orm_state()
        new = sorted(set((tmp_path / "mail").glob("*.eml")) - seen)
        seen.update(new)
        found = [email.message_from_bytes(path.read_bytes(), policy=policy.default) for path in new]
        return sorted(found, key=lambda letter: str(letter["To"]))  # type: ignore[arg-type, return-value]

    yield read
    app.extensions["silid.settings"] = old


def later(moving: Any, **by: float) -> None:
    moving.shift(timedelta(**by))
