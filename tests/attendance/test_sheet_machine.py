"""A lesson lived in every way: events delivered, doubled, held back, dropped; the portal restarted as a new
app on the same database; marks set by hand, learners enrolled and withdrawn, the sheet signed and reopened,
the report asked. After every step the CSV says what forty lines of counting minutes say.

SILID_EXAMPLES sets how many lives are lived (default 15 on each database).
"""

import contextlib
import os
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import hypothesis.strategies as st
import time_machine
from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select, update

from portal import create_app
from portal.attendance import reconcile
from portal.base.db import Base, db, writing
from portal.classes.models import Enrolment, Learner
from portal.meetings.models import MeetingOccurrence
from portal.zoom_account.service import init_zoom
from tests.attendance.lesson import Body, Lesson, Says, add_meeting, at, row
from tests.browser import Browser
from tests.people import People, look_again

EXAMPLES = int(os.environ.get("SILID_EXAMPLES", "15"))
LEARNERS, BEGIN, END, OVER = 3, 0, 60, 90  # minutes after 8:00; at 9:30 a class counts as over
Session = tuple[int, int, int]  # learner, joined, left


@dataclass
class Model:
    """What the sheet must say, counted minute by minute."""

    now: int = 10
    known: set[object] = field(default_factory=set)  # "started", "ended", ("joined", session), ("left", session)
    reported: bool = False
    enrolled: list[bool] = field(default_factory=lambda: [True] * LEARNERS)
    override: dict[int, str] = field(default_factory=dict)
    signed: dict[int, str] | None = None

    def is_over(self) -> bool:
        return self.reported or "ended" in self.known or (bool(self.known) and self.now >= OVER)

    def seen(self, learner: int, sessions: list[Session]) -> tuple[set[int], set[int], bool]:
        """Minutes surely in, minutes possibly in, and whether anything was seen."""
        sure: set[int] = set()
        possible: set[int] = set()
        seen = False
        for one in sessions:
            who, joined, left = one
            knows_join = self.reported or ("joined", one) in self.known
            knows_leave = self.reported or ("left", one) in self.known
            if who != learner or not (knows_join or knows_leave):
                continue
            seen = True
            end = END if "ended" in self.known else 10_000 if self.is_over() else max(self.now, joined)
            until = left if knows_leave else end
            if knows_join and until < 10_000:
                sure |= set(range(joined, until))
            possible |= set(range(joined if knows_join else BEGIN, until))
        return sure, possible | sure, seen

    def line(self, learner: int, sessions: list[Session]) -> tuple[int, str]:
        sure, possible, seen = self.seen(learner, sessions)
        complete = self.reported or {"started", "ended"} <= self.known
        if not self.is_over():
            mark = "pending"
        elif len(sure) >= 15:
            mark = "present"
        elif not complete or len(possible) >= 15:
            mark = "needs review"
        else:
            mark = "partial" if seen else "absent"
        return 60 * len(sure), (self.signed or {}).get(learner) or self.override.get(learner) or mark


def empty_database() -> None:
    db.session.remove()
    with writing() as session:
        for table in reversed(Base.metadata.sorted_tables):
            session.execute(table.delete())


class Life(RuleBasedStateMachine):
    """One lesson, one portal, one model."""

    app: Flask
    zoom_url: str

    def __init__(self) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        self.moving = self.stack.enter_context(time_machine.travel(at("7:30"), tick=False))
        self.context = self.stack.enter_context(contextlib.ExitStack())
        self.context.enter_context(self.app.app_context())
        init_zoom(self.app, self.app.extensions["silid.settings"])
        empty_database()
        self.model = Model()

    def teardown(self) -> None:
        db.session.remove()
        self.stack.close()

    @initialize(
        sessions=st.lists(
            st.tuples(st.integers(0, LEARNERS - 1), st.integers(0, 58), st.integers(1, 40)),
            min_size=1,
            max_size=5,
            unique_by=lambda one: one[:2],
        )
    )
    def begin(self, sessions: list[Session]) -> None:
        people = People(self.app)
        section = people.section(people.ada)
        learners = people.learners(section, LEARNERS)
        school_class = people.school_class(people.ada, section)
        meeting = add_meeting(people.ada, school_class, [(at("8:00"), 60)], learners=learners)
        occurrence = db.session.scalars(select(MeetingOccurrence)).one()
        self.at_minute(self.model.now)
        browser = people.sign_in(Browser(self.app.test_client()), people.ada)
        self.lesson = Lesson(
            self.app, people, browser, section, school_class, learners, meeting, occurrence, self.moving
        )
        self.occurrence_id, self.learner_ids = occurrence.id, [one.id for one in learners]
        self.sessions = [(who, joined, min(joined + length, END)) for who, joined, length in sessions]
        self.zoom = Says(began=at("8:00"))
        self.ids = {one: str(1000 + n) for n, one in enumerate(self.sessions)}
        self.events: dict[object, Body] = {"started": self.zoom.started(), "ended": self.zoom.ended(at("9:00"))}
        for one in self.sessions:
            who = {"registrant_id": f"R{one[0] + 1}"}
            self.events["joined", one] = self.zoom.joined(self.ids[one], self.moment(one[1]), **who)
            self.events["left", one] = self.zoom.left(self.ids[one], self.moment(one[2]), **who)
        self.dropped: set[object] = set()

    def moment(self, minute: int) -> Any:
        return at("8:00") + timedelta(minutes=minute)

    def at_minute(self, minute: int) -> None:
        self.moving.move_to(self.moment(minute))

    def happened(self, key: object) -> bool:
        """Zoom tells nothing before it happens."""
        when = {"started": BEGIN, "ended": END}.get(key) if isinstance(key, str) else None  # type: ignore[call-overload]
        if when is None:
            kind, session = key  # type: ignore[misc]  # a pair
            when = session[1] if kind == "joined" else session[2]
        return when <= self.model.now and key not in self.dropped

    @rule(data=st.data(), twice=st.booleans())
    def deliver(self, data: st.DataObject, twice: bool) -> None:
        """In any order, as often as it comes: what is not chosen is held back."""
        keys = [key for key in self.events if self.happened(key)]
        chosen = data.draw(st.lists(st.sampled_from(keys), max_size=4) if keys else st.just([]))
        self.lesson.deliver([self.events[key] for key in chosen] * (1 + twice))
        self.model.known |= set(chosen)

    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        self.dropped.add(data.draw(st.sampled_from(sorted(self.events, key=str))))

    @rule(minutes=st.sampled_from([5, 20, 50]))
    def wait(self, minutes: int) -> None:
        self.model.now = min(self.model.now + minutes, 100)
        self.at_minute(self.model.now)
        self.lesson.work()

    @rule()
    def restart(self) -> None:
        """The portal is killed and started again, as a new app on the same database."""
        old = self.lesson.app
        db.session.remove()
        self.context.close()
        fresh = create_app(old.extensions["silid.settings"])
        fresh.testing, fresh.test_client_class = True, self.app.test_client_class
        self.context.enter_context(fresh.app_context())
        self.context.callback(self._forget, fresh)
        client = fresh.test_client()
        for cookie in self.lesson.browser.client._cookies.values():  # type: ignore[union-attr]  # the same person
            client._cookies[cookie._storage_key] = cookie  # type: ignore[index]
        self.lesson.app, self.lesson.browser = fresh, Browser(client)
        self.lesson.occurrence = db.session.get_one(MeetingOccurrence, self.occurrence_id)
        self.lesson.learners = [db.session.get_one(Learner, one) for one in self.learner_ids]

    def _forget(self, app: Flask) -> None:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()

    @precondition(lambda self: self.model.signed is None)
    @rule(learner=st.integers(0, LEARNERS - 1), mark=st.sampled_from(["present", "partial", "absent", None]))
    def override(self, learner: int, mark: str | None) -> None:
        if not self.model.enrolled[learner]:
            return
        url = f"/attendance/{self.lesson.occurrence.id}"
        self.lesson.browser.get(url)
        data = {"who": str(self.lesson.learners[learner].id), "to": mark or "zoom", "reason": "so"}
        self.lesson.browser.post(f"{url}/marks", data)
        self.model.override.pop(learner, None)
        if mark:
            self.model.override[learner] = mark

    @rule(learner=st.integers(0, LEARNERS - 1), enrolled=st.booleans())
    def enrol_or_withdraw(self, learner: int, enrolled: bool) -> None:
        if self.model.enrolled[learner] == enrolled or self.model.signed is not None:
            return
        if not enrolled and learner in self.model.override:
            return
        with writing() as session:
            until = None if enrolled else at("8:00", 2).date()
            mine = Enrolment.learner_id == self.lesson.learners[learner].id
            session.execute(update(Enrolment).where(mine).values(until_date=until))
        self.model.enrolled[learner] = enrolled

    @precondition(lambda self: self.model.is_over())
    @rule()
    def sign_or_reopen(self) -> None:
        self.lesson.browser.get(f"/attendance/{self.lesson.occurrence.id}")
        if self.model.signed is None:
            self.model.signed = {n: self.model.line(n, self.sessions)[1] for n in range(LEARNERS)}
            self.lesson.browser.post(f"/attendance/{self.lesson.occurrence.id}/finalise")
        else:
            self.model.signed = None
            self.lesson.browser.post(f"/attendance/{self.lesson.occurrence.id}/reopen", {"reason": "so"})

    @precondition(lambda self: self.model.now > END)
    @rule()
    def ask_the_report(self) -> None:
        """It is due at 9:30 and later; a person may ask at any time."""
        if not self.model.known:
            return  # nothing is known of the class yet, and it has no sheet
        zoom = self.lesson.zoom
        zoom.runs[self.zoom.uuid], zoom.ends[self.zoom.uuid] = self.zoom.began, at("9:00")
        zoom.rows[self.zoom.uuid] = [
            row(self.ids[one], self.moment(one[1]), self.moment(one[2]), registrant_id=f"R{one[0] + 1}")
            for one in self.sessions
        ]
        reconcile.reconcile(self.lesson.occurrence.id, zoom)  # type: ignore[arg-type]  # a fake of the client
        self.model.reported = True
        look_again()

    @invariant()
    def the_sheet_says_what_was_counted(self) -> None:
        if not hasattr(self, "lesson"):
            return
        expected = [self.model.line(n, self.sessions) for n in range(LEARNERS) if self.model.enrolled[n]]
        assert self.lesson.verdicts() == expected


def test_whatever_happens_the_sheet_says_what_was_counted(app: Flask) -> None:
    life = type("LifeHere", (Life,), {"app": app})
    profile = settings(
        max_examples=EXAMPLES,
        stateful_step_count=15,
        deadline=None,
        database=None,
        derandomize="SILID_EXAMPLES" not in os.environ,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(life, settings=profile)
