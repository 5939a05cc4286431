"""Fixtures of the lesson, see `lesson`."""

import itertools
from collections.abc import Callable, Iterator
from datetime import date, datetime

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from portal.core.db import db
from portal.meetings.models import MeetingOccurrence
from tests.attendance.lesson import Lesson, add_meeting, at, rename
from tests.browser import Browser
from tests.people import People


@pytest.fixture
def make_lesson(app: Flask, browser: Browser) -> Iterator[Callable[..., Lesson]]:
    """Makes the lesson with so many learners; the clock stands at 9:05 and moves only when told."""
    with time_machine.travel(at("7:30"), tick=False) as moving:
        people = People(app)

        def make(
            count: int,
            dates: list[tuple[datetime, int]] | None = None,
            since: date = date(2026, 6, 8),
            names: list[str] | None = None,
        ) -> Lesson:
            section = people.section(people.ada)
            learners = people.learners(section, count, since=since)
            if names:
                rename(learners, names)
            school_class = people.school_class(people.ada, section)
            meeting = add_meeting(people.ada, school_class, dates or [(at("8:00"), 60)], learners=learners)
            occurrence = db.session.scalars(select(MeetingOccurrence).order_by(MeetingOccurrence.starts_at)).first()
            assert occurrence
            moving.move_to(at("9:05"))
            people.sign_in(browser, people.ada)
            return Lesson(app, people, browser, section, school_class, learners, meeting, occurrence, moving)

        yield make


@pytest.fixture
def sessions() -> Iterator[str]:
    """Zoom's user ids, new with every join."""
    return (str(16_778_240 + 1024 * number) for number in itertools.count())
