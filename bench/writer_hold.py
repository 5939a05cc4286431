"""Longest hold of SQLite's write lock by the largest operations, with signed deliveries posted alongside.

`python -m bench.writer_hold [--only "roster|undone"] [--seconds 0.3]`

For each operation: its transactions, the longest hold in CPU time of the holding thread (robust while other programs
run) and on the clock, and how many of the deliveries posted meanwhile were answered 503. Returns 1 if a hold took more
CPU time than --seconds, or a delivery was refused.
"""

import argparse
import json
import logging
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID, uuid4

from flask import Flask
from flask_migrate import upgrade

from bench import events
from bench.databases import copy_of, fresh
from bench.server import settings_for
from portal import create_app
from portal.accounts.models import School, User
from portal.accounts.users.csv_import import invite_parsed_users, parse_users_csv
from portal.attendance.models import (
    AttendanceHistory,
    AttendanceRecord,
    AttendanceSheet,
    DailyAttendance,
    ZoomParticipant,
)
from portal.classes.models import Enrolment, Learner, RosterImport, SchoolClass, Section, school_year_of
from portal.classes.roster_files.reader import parse_roster_file
from portal.classes.roster_import.service import confirm_roster_import, create_roster_import
from portal.classes.roster_import.undo import undo_roster_import
from portal.classes.service import create_school_year
from portal.core import clock
from portal.core.db import bulk_insert_ignore, db, write_transaction
from portal.core.db.write_holds import WriteHold, observe_write_holds
from portal.jobs.retention import delete_expired_rows
from portal.meetings.models import CalendarDay, MeetingOccurrence, ZoomInstance
from portal.meetings.scheduling.class_closing import close_class_with_dates
from portal.meetings.scheduling.recurrence import TimeSlot, WeeklyRule, expand_weekly_rule
from portal.meetings.scheduling.schedules import create_schedule, plan_from_expansion
from portal.meetings.school_calendar.affected_classes import cancel_listed_occurrences, find_affected_classes
from portal.meetings.service import MeetingDetails, add_meeting
from portal.operations.backups import create_backup, restore_backup, rotate_all_encryption
from portal.privacy import attendance_retention, erasure
from portal.privacy.merge_learners import merge_learners
from portal.registration.desired_registrants import sync_registrant_rows
from portal.registration.join_links import create_missing_links, rotate_class_links
from portal.webhooks.models import ZoomEvent
from portal.zoom.webhooks.signature import sign_webhook
from tests.people import DOMAINS, People

LIMIT = 0.3
ROSTER_ROWS = 5_000  # most rows of one file
PAUSE = 0.05  # between two deliveries


@dataclass
class World:
    """The portal on a database of its own, and its people."""

    app: Flask
    people: People
    school: School
    ada: User
    head: User


Operation = Callable[[], object]


@dataclass(frozen=True)
class Scenario:
    """An operation to measure. `prepare` fills the database and returns the operation."""

    name: str
    prepare: Callable[[World], Operation]
    stops_all: bool = False  # nothing else can be answered meanwhile, and need not be


@dataclass
class Deliveries:
    """Posts signed deliveries, one after the other, and counts the answers."""

    app: Flask
    statuses: Counter[int] = field(default_factory=Counter)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        client = self.app.test_client(use_cookies=False)
        number = 0
        while not self._stopped.is_set():
            number += 1
            body = events.joined("86123456789", "beside", number, registrant_id=f"R{number}")
            raw = json.dumps(body).encode()
            now = int(time.time())
            headers = {
                "x-zm-request-timestamp": str(now),
                "x-zm-signature": sign_webhook(events.SECRET, now, raw),
                "content-type": "application/json",
            }
            self.statuses[client.post("/api/zoom/webhook", data=raw, headers=headers).status_code] += 1
            self._stopped.wait(PAUSE)

    @contextmanager
    def posted(self) -> Iterator[None]:
        thread = threading.Thread(target=self.run)
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()


@dataclass(frozen=True)
class Measurement:
    """The holds of one operation, and the answers to the deliveries beside it."""

    name: str
    holds: list[WriteHold]
    statuses: Counter[int]
    seconds: float

    @property
    def longest_cpu(self) -> float:
        return max((hold.cpu_seconds for hold in self.holds), default=0.0)

    @property
    def refused(self) -> int:
        return self.statuses[503]

    def line(self) -> str:
        longest = max((hold.seconds for hold in self.holds), default=0.0)
        return (
            f"{self.name:<44} {len(self.holds):>5} {self.longest_cpu:>8.3f} {longest:>8.3f} {self.seconds:>8.2f}"
            f" {self.refused:>5} of {self.statuses.total()}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="a regular expression: operations whose name contains a match")
    parser.add_argument("--seconds", type=float, default=LIMIT)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    print(f"{'operation':<44} {'trans.':>5} {'cpu s':>8} {'clock s':>8} {'all s':>8} {'503':>5}")
    failed = 0
    with fresh("sqlite") as url:
        _fill(url)
        for scenario in SCENARIOS:
            if re.search(options.only, scenario.name):
                with copy_of(url) as copy:
                    measurement = _measure(scenario, copy)
                print(measurement.line(), flush=True)
                if not scenario.stops_all and (measurement.longest_cpu > options.seconds or measurement.refused):
                    failed += 1
    if failed:
        print(f"\n{failed} operations hold the writer for more than {options.seconds} s, or had a delivery refused")
    return 1 if failed else 0


def _fill(url: str) -> None:
    app = create_app(settings_for(url))
    with app.app_context():
        upgrade()
        People(app)
        db.session.execute(db.text("PRAGMA wal_checkpoint(TRUNCATE)"))
        db.session.remove()
        db.engine.dispose()


def _measure(scenario: Scenario, url: str) -> Measurement:
    app = create_app(settings_for(url))
    app.testing = True
    app.config["HOSTS"] |= {"localhost"}
    with app.app_context():
        operation = scenario.prepare(_load_world(app))
        db.session.rollback()
        db.session.expire_all()
        holds: list[WriteHold] = []
        deliveries = Deliveries(app)
        this_thread = threading.get_ident()
        with observe_write_holds(holds.append), deliveries.posted():
            begun = time.perf_counter()
            operation()
            seconds = time.perf_counter() - begun
        db.session.remove()
        db.engine.dispose()
    own_holds = [hold for hold in holds if hold.thread_id == this_thread]
    return Measurement(scenario.name, own_holds, deliveries.statuses, seconds)


def _load_world(app: Flask) -> World:
    people = People.__new__(People)  # its constructor makes the accounts, which are there already
    people.app = app
    found = {user.email.partition("@")[0]: user for user in db.session.scalars(db.select(User))}
    people.school = db.session.scalars(db.select(School)).one()
    people.ada, people.bob, people.head = found["ada"], found["bob"], found["head"]
    return World(app, people, people.school, people.ada, people.head)


# Rows


def _batched(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _insert(table: Any, rows: Iterable[dict[str, Any]]) -> None:
    for batch in _batched(rows, 2_000):
        with write_transaction():
            bulk_insert_ignore(table, batch)


def _last_name(number: int) -> str:
    """A last name of its own for each number: a roster file's names have no digits."""
    return "LEARNER" + "".join("ABCDEFGHIJ"[int(digit)] for digit in f"{number:05d}")


def _learner_rows(school: School, count: int, start: int = 0) -> list[dict[str, Any]]:
    return [
        {
            "id": uuid4(),
            "school_id": school.id,
            "lrn": f"3001{number:08d}",
            "lis_name": f"{_last_name(number)},ANA, CRUZ",
            "last_name": _last_name(number),
            "first_name": "ANA",
            "middle_name": "CRUZ",
            "extension": "",
            "sex": "F",
            "created_at": clock.now(),
        }
        for number in range(start, start + count)
    ]


def _fill_roster(world: World, section: Section, count: int, start: int = 0) -> list[UUID]:
    learners = _learner_rows(world.school, count, start)
    _insert(Learner, learners)
    _insert(
        Enrolment,
        (
            {
                "id": uuid4(),
                "section_id": section.id,
                "learner_id": learner["id"],
                "position": position,
                "from_date": section.first_day,
            }
            for position, learner in enumerate(learners, 1)
        ),
    )
    return [learner["id"] for learner in learners]


def _details(title: str = "Biology lesson") -> MeetingDetails:
    return MeetingDetails(title=title, description="", starts_at=clock.now() + timedelta(days=1), minutes=60)


def _add_dates(world: World, school_class: SchoolClass, count: int, first_day: int = 1) -> list[UUID]:
    """Meetings of at most 50 dates each, from `first_day` days ahead; returns the ids of the meetings."""
    begun = clock.now().replace(minute=0, second=0, microsecond=0)
    meeting_ids = []
    for days in _batched(range(first_day, first_day + count), 50):
        slots = [TimeSlot(begun + timedelta(days=day), 60) for day in days]
        with write_transaction():
            meeting = add_meeting(
                world.ada, school_class, _details(), slots, "ada@r1.deped.gov.ph", client_key=uuid4().hex,
                kind="recurring", recurrence={"weekdays": [1, 2, 3, 4, 5, 6, 7], "dates": len(slots)},
            )  # fmt: skip
            meeting_ids.append(meeting.id)
    return meeting_ids


def _hold_class(
    world: World, school_class: SchoolClass, learner_ids: list[UUID], dates: int, *, with_history: bool = True
) -> None:
    """`dates` past dates with a sheet, records, stays and history each."""
    meeting_ids = _add_dates(world, school_class, dates, first_day=-dates)
    occurrences = db.session.execute(
        db.select(MeetingOccurrence.id, MeetingOccurrence.meeting_id).where(
            MeetingOccurrence.meeting_id.in_(meeting_ids)
        )
    ).all()
    now = clock.now()
    instances = [
        {"id": uuid4(), "uuid": uuid4().hex, "meeting_id": meeting_id, "occurrence_id": occurrence_id,
         "started_event_received": True, "ended_event_received": True}
        for occurrence_id, meeting_id in occurrences
    ]  # fmt: skip
    _insert(ZoomInstance, instances)
    _insert(AttendanceSheet, ({"occurrence_id": key, "state": "provisional"} for key, _meeting in occurrences))
    _insert(
        AttendanceRecord,
        (
            {"id": uuid4(), "occurrence_id": key, "learner_id": learner_id, "computed_mark": "present",
             "seconds": 2400, "stay_count": 1, "matched_by": ["email"], "flags": []}
            for key, _meeting in occurrences for learner_id in learner_ids
        ),
    )  # fmt: skip
    _insert(
        ZoomParticipant,
        (
            {"id": uuid4(), "instance_id": instance["id"], "session": f"{number}", "name": f"{_last_name(number)} ANA",
             "email": f"3001{number:08d}@r1.deped.gov.ph", "joined_at": now, "left_at": now}
            for instance in instances for number, _learner in enumerate(learner_ids)
        ),
    )  # fmt: skip
    if with_history:
        _insert(
            AttendanceHistory,
            (
                {"occurrence_id": key, "learner_id": learner_id, "occurred_at": now, "event": "computed",
                 "to_mark": "present", "reason": "LEARNER00001 had no line"}
                for key, _meeting in occurrences for learner_id in learner_ids
            ),
        )  # fmt: skip


def _roster_csv(count: int, *, first: str = "ANA", start: int = 0) -> bytes:
    lines = ["LRN,LastName,FirstName,MiddleName,Extension,Sex,Email,Remarks"]
    lines += [f"3001{number:08d},{_last_name(number)},{first},CRUZ,,F,," for number in range(start, start + count)]
    return "\r\n".join(lines).encode()


def _upload(world: World, section: Section, data: bytes) -> RosterImport:
    file = parse_roster_file(data, "roster.csv")
    return create_roster_import(world.head, section, file, "roster.csv", domains=DOMAINS)


def _import(world: World, section: Section, data: bytes) -> RosterImport:
    upload = _upload(world, section, data)
    confirm_roster_import(upload, world.head, {}, keep_all=True)
    return upload


# Operations


def _close_class(world: World) -> Operation:
    school_class = world.people.school_class(world.ada, world.people.section(world.ada))
    _add_dates(world, school_class, 500)
    return lambda: close_class_with_dates(world.ada, school_class, cancel_dates=True)


def _cancel_days_off(world: World) -> Operation:
    """The most dates that one page cancels, all on one day off."""
    day = clock.today() + timedelta(days=3)
    with write_transaction() as session:
        session.add(CalendarDay(date=day, kind="suspended", scope="region", name="Typhoon", created_at=clock.now()))
    for number in range(100):
        section = world.people.section(world.ada, f"Section {number}")
        _add_dates(world, world.people.school_class(world.ada, section), 10)
    chosen = {line.occurrence_id for line in find_affected_classes(world.head, day, day)[0]}
    assert len(chosen) == 100
    return lambda: cancel_listed_occurrences(world.head, day, day, chosen)


def _schedule_year(world: World) -> Operation:
    school_class = world.people.school_class(world.ada, world.people.section(world.ada))
    first = clock.today() + timedelta(days=1)
    start = (clock.to_manila(clock.now())).time().replace(second=0, microsecond=0)
    rule = WeeklyRule(dict.fromkeys(range(1, 8), (start, 60)), first, dates=300)
    plan = plan_from_expansion(expand_weekly_rule(rule, off={}))
    return lambda: create_schedule(world.ada, school_class, _details(), rule, plan, client_key=uuid4().hex)


def _import_roster(world: World) -> Operation:
    upload = _upload(world, world.people.section(world.ada), _roster_csv(ROSTER_ROWS))
    return lambda: confirm_roster_import(upload, world.head, {}, keep_all=True)


def _upload_roster(world: World) -> Operation:
    section = world.people.section(world.ada)
    return lambda: _upload(world, section, _roster_csv(ROSTER_ROWS))


def _import_three_rosters(world: World) -> Operation:
    sections = [world.people.section(world.ada, f"Section {number}") for number in range(3)]

    def run() -> None:
        for number, section in enumerate(sections):
            _import(world, section, _roster_csv(ROSTER_ROWS, start=number * ROSTER_ROWS))

    return run


def _import_corrected_roster(world: World) -> Operation:
    section = world.people.section(world.ada)
    _fill_roster(world, section, ROSTER_ROWS)
    upload = _upload(world, section, _roster_csv(ROSTER_ROWS, first="ANNA"))
    return lambda: confirm_roster_import(upload, world.head, {}, keep_all=True)


def _import_moved_roster(world: World) -> Operation:
    _fill_roster(world, world.people.section(world.ada, "Old"), ROSTER_ROWS)
    upload = _upload(world, world.people.section(world.ada), _roster_csv(ROSTER_ROWS))
    return lambda: confirm_roster_import(upload, world.head, {}, keep_all=True)


def _undo_import(world: World) -> Operation:
    upload = _import(world, world.people.section(world.ada), _roster_csv(ROSTER_ROWS))
    return lambda: undo_roster_import(upload, world.head)


def _undo_corrections(world: World) -> Operation:
    section = world.people.section(world.ada)
    _fill_roster(world, section, ROSTER_ROWS)
    upload = _import(world, section, _roster_csv(ROSTER_ROWS, first="ANNA"))
    return lambda: undo_roster_import(upload, world.head)


def _delete_year(world: World) -> Operation:
    year = school_year_of(clock.today())
    old_year = f"{int(year[:4]) - 4}-{int(year[:4]) - 3}"
    for number in range(10):
        section = world.people.section(world.ada, f"Section {number}")
        learner_ids = _fill_roster(world, section, 40, start=number * 40)
        _hold_class(world, world.people.school_class(world.ada, section), learner_ids, 100)
        _insert(
            DailyAttendance,
            (
                {"id": uuid4(), "section_id": section.id, "learner_id": learner_id, "day": date(2022, 9, 1) + day,
                 "mark": "present", "set_at": clock.now()}
                for learner_id in learner_ids for day in map(timedelta, range(100))
            ),
        )  # fmt: skip
    with write_transaction() as session:
        session.execute(db.update(Section).values(school_year=old_year))
        session.execute(db.update(School).values(attendance_retention_years=2))
    return attendance_retention.purge_expired_attendance


def _open_year(world: World) -> Operation:
    year = school_year_of(clock.today())
    for number in range(200):
        world.people.section(world.ada, f"Section {number}")
    ids = list(db.session.scalars(db.select(Section.id)))
    return lambda: create_school_year(world.head, year, ids)


def _register_large_meeting(world: World) -> Operation:
    section = world.people.section(world.ada)
    _fill_roster(world, section, ROSTER_ROWS)
    _add_dates(world, world.people.school_class(world.ada, section), 1)

    def run() -> None:
        while sync_registrant_rows(DOMAINS):
            pass

    return run


def _unregister_large_meeting(world: World) -> Operation:
    section = world.people.section(world.ada)
    _fill_roster(world, section, ROSTER_ROWS)
    _add_dates(world, world.people.school_class(world.ada, section), 1)
    while sync_registrant_rows(DOMAINS):
        pass
    with write_transaction() as session:
        session.execute(db.update(Learner).values(email="x" + Learner.lrn + "@r1.deped.gov.ph"))

    def run() -> None:
        while sync_registrant_rows(DOMAINS):
            pass

    return run


def _rotate_keys(world: World) -> Operation:
    section = world.people.section(world.ada)
    _fill_roster(world, section, 1_000)
    world.people.school_class(world.ada, section)
    while create_missing_links():
        pass
    return rotate_all_encryption


def _rotate_links(world: World) -> Operation:
    section = world.people.section(world.ada)
    _fill_roster(world, section, ROSTER_ROWS)
    school_class = world.people.school_class(world.ada, section)
    while create_missing_links():
        pass
    return lambda: rotate_class_links(world.ada, school_class)


def _create_links(world: World) -> Operation:
    section = world.people.section(world.ada)
    _fill_roster(world, section, ROSTER_ROWS)
    world.people.school_class(world.ada, section)

    def run() -> None:
        while create_missing_links():
            pass

    return run


def _erase(world: World) -> Operation:
    """A learner of several years: 600 sheets with 40 stays each."""
    section = world.people.section(world.ada)
    learner_ids = _fill_roster(world, section, 40)
    for number in range(3):
        _hold_class(world, world.people.school_class(world.ada, section, f"Subject {number}"), learner_ids, 200)
    learner = db.session.get_one(Learner, learner_ids[0])
    erasure.request_learner_erasure(learner, "asked", by=world.head)
    return erasure.process_due_erasures


def _merge(world: World) -> Operation:
    section = world.people.section(world.ada)
    learner_ids = _fill_roster(world, section, 2)
    for number in range(3):
        school_class = world.people.school_class(world.ada, section, f"Subject {number}")
        _hold_class(world, school_class, learner_ids, 200)
        _add_dates(world, school_class, 200)
    while sync_registrant_rows(DOMAINS):
        pass
    first, second = (db.session.get_one(Learner, key) for key in learner_ids)
    return lambda: merge_learners(world.head, section, first, second, lrn=first.lrn)


def _invite_users(world: World) -> Operation:
    lines = ["email,name,role,scope,school id", *(f"t{n}@r1.deped.gov.ph,Teacher {n},teacher,," for n in range(200))]
    rows = parse_users_csv(world.head, "\r\n".join(lines).encode())
    assert all(row.invitation for row in rows)
    return lambda: invite_parsed_users(world.head, rows)


def _purge_events(world: World) -> Operation:
    _insert(
        ZoomEvent,
        (
            {"fingerprint": uuid4().hex, "received_at": clock.now() - timedelta(days=40), "event": "meeting.started",
             "zoom_meeting_id": "86123456789", "body": b"{}" * 400}
            for _ in range(20_000)
        ),
    )  # fmt: skip
    return delete_expired_rows


def _restore(world: World) -> Operation:
    section = world.people.section(world.ada)
    _hold_class(world, world.people.school_class(world.ada, section), _fill_roster(world, section, 40), 50)
    folder = TemporaryDirectory(prefix="silid-bench-")
    backup = Path(folder.name) / "backup.tar.gz"
    create_backup(backup, portable=True)

    def run() -> None:
        with folder:
            restore_backup(backup, replace=True)

    return run


SCENARIOS = (
    Scenario("500 dates cancelled by closing a class", _close_class),
    Scenario("100 dates cancelled for a day off", _cancel_days_off),
    Scenario("a schedule of 300 dates", _schedule_year),
    Scenario("a roster of 5,000 uploaded", _upload_roster),
    Scenario("a roster of 5,000 imported", _import_roster),
    Scenario("three rosters of 5,000 in a row", _import_three_rosters),
    Scenario("a roster of 5,000 corrected", _import_corrected_roster),
    Scenario("a roster of 5,000 moved here", _import_moved_roster),
    Scenario("an import of 5,000 undone", _undo_import),
    Scenario("an import of 5,000 corrections undone", _undo_corrections),
    Scenario("a year of attendance deleted", _delete_year),
    Scenario("20,000 old deliveries deleted", _purge_events),
    Scenario("a school year of 200 sections opened", _open_year),
    Scenario("registrants of a class of 5,000", _register_large_meeting),
    Scenario("new addresses of 5,000 registrants", _unregister_large_meeting),
    Scenario("join links of a class of 5,000", _create_links),
    Scenario("join links of a class of 5,000 replaced", _rotate_links),
    Scenario("1,000 encrypted values rotated", _rotate_keys),
    Scenario("a learner of 600 sheets erased", _erase),
    Scenario("two learners of 600 sheets merged", _merge),
    Scenario("200 people invited from a CSV", _invite_users),
    Scenario("a backup restored", _restore, stops_all=True),
)

if __name__ == "__main__":
    sys.exit(main())
