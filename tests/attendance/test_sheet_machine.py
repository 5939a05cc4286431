"""A lesson lived in every way: events delivered, doubled, held back, dropped; the portal restarted as a new
app on the same database; the meeting opened twice, guests recognised, marks set by hand, learners enrolled and
withdrawn, the sheet signed and reopened, the report asked in vain and with success. After every step the CSV
says what some lines of counting minutes say.

SILID_EXAMPLES sets how many lives are lived (default 15 on each database, a quarter in the profile quick).
"""

import contextlib
import os
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

import hypothesis.strategies as st
import time_machine
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
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
from portal.attendance.evidence import zoom_report
from portal.attendance.models import ZoomParticipant
from portal.classes.models import Enrolment, Learner
from portal.core.db import Base, db, write_transaction
from portal.meetings.models import MeetingOccurrence
from portal.zoom.errors import ZoomUnavailable
from portal.zoom.models import ReportRow
from portal.zoom_account.client import init_zoom
from tests.attendance.lesson import Body, Lesson, Says, add_meeting, at, row
from tests.browser import Browser
from tests.examples import count_examples
from tests.people import People, expire_orm_state

EXAMPLES = int(os.environ.get("SILID_EXAMPLES", count_examples(15)))
LEARNERS, RUNS, END, OVER = 3, ((0, 28), (32, 60)), 60, 90  # minutes after 8:00; at 9:30 a class counts as over
NEVER = 10_000


class Session(NamedTuple):
    """Somebody's stay: with a registration, or as a guest whom the teacher has to recognise."""

    learner: int
    joined: int
    left: int
    is_guest: bool
    run: int


@dataclass
class Model:
    """What the sheet must say, counted minute by minute."""

    now: int = 10
    known: set[object] = field(default_factory=set)  # ("started", run), ("ended", run), ("joined", session) ...
    reported: bool = False
    enrolled: list[bool] = field(default_factory=lambda: [True] * LEARNERS)
    override: dict[int, str] = field(default_factory=dict)
    signed: dict[int, str] | None = None
    recognised: dict[Session, list[int]] = field(default_factory=dict)  # guests, the last word last

    def runs(self) -> set[int]:
        said = {key[1] if isinstance(key[1], int) else key[1].run for key in self.known}  # type: ignore[index]
        return {0, 1} if self.reported else said

    def has_ended(self, run: int) -> bool:
        return self.reported or ("ended", run) in self.known

    def is_over(self) -> bool:
        return self.now >= OVER or (bool(self.runs()) and self.has_ended(max(self.runs())))

    def is_complete(self) -> bool:
        each = [{("started", run), ("ended", run)} <= self.known for run in self.runs()]
        return self.reported or (all(each) and bool(each))

    def owner(self, one: Session) -> int | None:
        return next(reversed(self.recognised.get(one, [])), None) if one.is_guest else one.learner

    def seen(self, learner: int, sessions: list[Session]) -> tuple[set[int], set[int], bool]:
        """Minutes surely in, minutes possibly in, and whether anything was seen."""
        sure: set[int] = set()
        possible: set[int] = set()
        seen = False
        for one in sessions:
            knows_join = self.reported or ("joined", one) in self.known
            knows_leave = self.reported or ("left", one) in self.known
            if self.owner(one) != learner or not (knows_join or knows_leave):
                continue
            seen = True
            goes_on = not self.is_over() and one.run == max(self.runs())
            end = RUNS[one.run][1] if self.has_ended(one.run) else max(self.now, one.joined) if goes_on else NEVER
            until = one.left if knows_leave else end
            if knows_join and until < NEVER:
                sure |= set(range(one.joined, until))
            possible |= set(range(one.joined if knows_join else RUNS[one.run][0], until))
        return sure, possible | sure, seen

    def line(self, learner: int, sessions: list[Session]) -> tuple[int, str]:
        sure, possible, seen = self.seen(learner, sessions)
        if not self.is_over():
            mark = "pending"
        elif len(sure) >= 15:
            mark = "present"
        elif not self.is_complete() or len(possible) >= 15:
            mark = "needs review"
        else:
            mark = "partial" if seen else "absent"
        return 60 * len(sure), (self.signed or {}).get(learner) or self.override.get(learner) or mark


def empty_database() -> None:
    db.session.remove()
    with write_transaction() as session:
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
        stays=st.lists(
            st.tuples(st.integers(0, LEARNERS - 1), st.integers(0, 26), st.integers(1, 28), *[st.booleans()] * 2),
            min_size=1,
            max_size=5,
            unique_by=lambda one: (one[0], one[1], one[4]),
        ),
        now=st.sampled_from([10, 40, 65, 95]),
    )
    def begin(self, stays: list[tuple[int, int, int, bool, bool]], now: int) -> None:
        self.model.now = now
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
        self.zoom = [Says(uuid=f"/run//{n}==", began=self.moment(run[0])) for n, run in enumerate(RUNS)]
        self.sessions = []
        for who, after, length, guest, run in stays:
            joined = RUNS[run][0] + after
            self.sessions.append(Session(who, joined, min(joined + length, RUNS[run][1]), guest, int(run)))
        self.ids = {one: str(1000 + n) for n, one in enumerate(self.sessions)}
        self.events: dict[tuple[str, Any], Body] = {}
        for run, zoom in enumerate(self.zoom):
            self.events["started", run] = zoom.started()
            self.events["ended", run] = zoom.ended(self.moment(RUNS[run][1]))
        for one in self.sessions:
            zoom, session = self.zoom[one.run], self.ids[one]
            self.events["joined", one] = zoom.joined(session, self.moment(one.joined), **self.who(one))
            self.events["left", one] = zoom.left(session, self.moment(one.left), **self.who(one))
        self.dropped: set[object] = set()

    def who(self, one: Session) -> dict[str, str]:
        """A guest shows the name of a phone, which is never remembered."""
        guest = {"user_name": f"OPPO A{self.ids[one]}"}
        return guest if one.is_guest else {"registrant_id": f"R{one.learner + 1}"}

    def moment(self, minute: int) -> Any:
        return at("8:00") + timedelta(minutes=minute)

    def at_minute(self, minute: int) -> None:
        self.moving.move_to(self.moment(minute))

    def happened(self, key: tuple[str, Any]) -> bool:
        """Zoom tells nothing before it happens."""
        kind, what = key
        if kind in ("started", "ended"):
            when = RUNS[what][kind == "ended"]
        else:
            when = what.joined if kind == "joined" else what.left
        return when <= self.model.now and key not in self.dropped

    @rule(data=st.data(), twice=st.booleans())
    def deliver(self, data: st.DataObject, twice: bool) -> None:
        """In any order, as often as it comes: what is not chosen is held back."""
        keys = [key for key in self.events if self.happened(key)]
        chosen = data.draw(st.lists(st.sampled_from(keys), min_size=1, max_size=6) if keys else st.just([]))
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
        fresh.config["HOSTS"] = old.config["HOSTS"]
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
        with write_transaction() as session:
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

    @precondition(lambda self: self.model.signed is None)
    @rule(data=st.data(), learner=st.integers(0, LEARNERS - 1) | st.none())
    def recognise_a_guest(self, data: st.DataObject, learner: int | None) -> None:
        """The teacher says who a guest is, or takes the last word back."""
        guests = [one for one in self.sessions if one.is_guest and self.happened(("joined", one))]
        if not guests or not all(self.model.enrolled):
            return
        guest = data.draw(st.sampled_from(guests))
        self.lesson.deliver(self.events["joined", guest])
        self.model.known.add(("joined", guest))
        words = self.model.recognised.setdefault(guest, [])
        if learner is None and not words:
            return
        url = f"/attendance/{self.lesson.occurrence.id}"
        page = self.lesson.browser.get(url)
        form = f"form[action$='/{'match' if learner is not None else 'unmatch'}']"
        for found in page.select(form):  # the one of this guest
            rows = [UUID(str(one["value"])) for one in found.select("input[name=stay]")]
            sessions = {db.session.get_one(ZoomParticipant, one).session for one in rows}
            if self.ids[guest] in sessions:
                break
        else:
            assert words or not self.model.is_over(), "a guest is offered to be matched"
            mine = select(ZoomParticipant.id).where(ZoomParticipant.session == self.ids[guest])
            rows = list(db.session.scalars(mine.limit(1)))
        expire_orm_state()
        stay = [str(one) for one in rows]
        if learner is None:
            self.lesson.browser.post(f"{url}/unmatch", {"stay": stay})
            words.pop()
        else:
            who = str(self.lesson.learners[learner].id)
            self.lesson.browser.post(f"{url}/match", {"stay": stay, "learner": who})
            words.append(learner)

    @precondition(lambda self: self.model.now > END)
    @rule()
    def ask_the_report(self) -> None:
        """It is due at 9:30 and later; a person may ask at any time."""
        if not self.model.known:
            return  # nothing is known of the class yet, and it has no sheet
        zoom = self.lesson.zoom
        zoom.error = None
        for run, said in enumerate(self.zoom):
            zoom.runs[said.uuid], zoom.ends[said.uuid] = said.began, self.moment(RUNS[run][1])
            host = row(f"host{run}", said.began, self.moment(RUNS[run][1]), user_email="ada@r1.deped.gov.ph")
            zoom.rows[said.uuid] = [host, *(self.reported(one) for one in self.sessions if one.run == run)]
        zoom_report.reconcile_occurrence(self.lesson.occurrence.id, zoom)  # type: ignore[arg-type]  # a fake of the client
        self.model.reported = True
        expire_orm_state()

    def reported(self, one: Session) -> ReportRow:
        said = {"name" if key == "user_name" else key: value for key, value in self.who(one).items()}
        return row(self.ids[one], self.moment(one.joined), self.moment(one.left), **said)

    @precondition(lambda self: self.model.now > END and not self.model.reported)
    @rule(fails=st.booleans())
    def ask_in_vain(self, fails: bool) -> None:
        """No answer, or an empty one, changes nothing."""
        if not self.model.known:
            return
        zoom = self.lesson.zoom
        zoom.error = ZoomUnavailable("down") if fails else None
        zoom.rows = {said.uuid: [] for said in self.zoom}
        zoom_report.reconcile_occurrence(self.lesson.occurrence.id, zoom)  # type: ignore[arg-type]  # a fake of the client
        expire_orm_state()

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
        phases=[Phase.generate],  # to shorten a life that went wrong takes an hour
    )
    run_state_machine_as_test(life, settings=profile)
