"""Two lessons of Ada's in her section and one of Bob's, held and computed, in November 2026."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from portal.attendance.sheet import corrections
from portal.classes.models import Learner, SchoolClass, Section
from portal.core.db import db
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from tests.attendance.lesson import add_meeting, at
from tests.browser import Browser
from tests.people import People


@dataclass
class Month:
    """Ada's Biology on the 3rd and the 10th, her Art on the 4th; Bob's Biology on the 3rd, in his own section."""

    app: Flask
    people: People
    section: Section
    biology: SchoolClass
    art: SchoolClass
    bobs: SchoolClass
    learners: list[Learner]
    bobs_learners: list[Learner]
    moving: Any

    def dates(self, school_class: SchoolClass) -> list[MeetingOccurrence]:
        return list(
            db.session.scalars(
                select(MeetingOccurrence)
                .join(ZoomMeeting, ZoomMeeting.id == MeetingOccurrence.meeting_id)
                .where(ZoomMeeting.class_id == school_class.id)
                .order_by(MeetingOccurrence.starts_at)
            )
        )


ALL = "from=2026-11-01&to=2026-11-30"


@pytest.fixture
def month(app: Flask) -> Iterator[Month]:
    """Learners 1 to 4 are Ada's (2 boys, 2 girls), 11 and 12 Bob's. Marks are set by hand, with reasons."""
    with time_machine.travel(at("7:30", day=2), tick=False) as moving:
        people = People(app)
        section = people.section(people.ada)
        learners = [*people.learners(section, 2), *people.learners(section, 2, sex="F", start=3)]
        elsewhere = people.section(people.bob, name="Ruby")
        bobs_learners = people.learners(elsewhere, 2, start=11)
        biology = people.school_class(people.ada, section)
        art = people.school_class(people.ada, section, "Art")
        bobs = people.school_class(people.bob, elsewhere)
        found = Month(app, people, section, biology, art, bobs, learners, bobs_learners, moving)
        add_meeting(people.ada, biology, [(at("8:00"), 60), (at("8:00", day=10), 60)], zoom_id="1")
        add_meeting(people.ada, art, [(at("9:00", day=4), 60)], zoom_id="2")
        add_meeting(people.bob, bobs, [(at("8:00"), 60)], zoom_id="3")
        moving.move_to(at("12:00", day=11))
        first, second = found.dates(biology)
        mark(found, people.ada, first, learners, ["present", "present", "partial", "absent"])
        mark(found, people.ada, second, learners, ["present", "absent", "present", "absent"])
        mark(found, people.ada, found.dates(art)[0], learners, ["present"] * 4)
        mark(found, people.bob, found.dates(bobs)[0], bobs_learners, ["absent", "absent"])
        yield found


def mark(month: Month, who: Any, occurrence: MeetingOccurrence, learners: list[Learner], marks: list[str]) -> None:
    occurrence = db.session.scalars(
        select(MeetingOccurrence)
        .where(MeetingOccurrence.id == occurrence.id)
        .options(joinedload(MeetingOccurrence.meeting))
    ).one()
    for word in set(marks):
        ids = [learner.id for learner, said in zip(learners, marks, strict=True) if said == word]
        corrections.override_marks(who, occurrence, ids, word, "seen by the teacher")
    corrections.finalise_sheet(who, occurrence)


@pytest.fixture
def ada(month: Month, browser: Browser) -> Browser:
    return month.people.sign_in(browser, month.people.ada)


@pytest.fixture
def head(month: Month, app: Flask) -> Browser:
    return month.people.sign_in(Browser(app.test_client()), month.people.head)
