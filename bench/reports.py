"""The region's report of one month compared with hand-written SQL, and the large export: time and memory, in one run.

`python -m bench.reports [--scale 1.0] [--only region|export] [--database sqlite postgresql]`

At scale 1 the region has a million stays in a month (14 divisions, 28 schools, 1,008 classes of 40 learners), and the
export is a school of 5,000 learners over 200 days. The data is generated; the portal's own code is measured. Budgets:
the report at most 1.5 times the hand-written SQL, under 300 ms; the export under 10 s and 100 MB of memory.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from flask import Flask

from bench.databases import fresh, kinds
from bench.server import migrate, settings_for
from portal import create_app
from portal.accounts.models import School, User
from portal.attendance.models import AttendanceRecord, AttendanceSheet, AttendanceTally, ZoomParticipant
from portal.classes.models import Enrolment, Learner, SchoolClass, Section
from portal.core import clock
from portal.core.db import Base, db, write_transaction
from portal.meetings.models import MeetingOccurrence, ZoomInstance, ZoomMeeting
from portal.reports import exports, filters, queries

FIRST = date(2026, 7, 1)
MARKS = ("present",) * 8 + ("partial", "absent")
CHUNK = 20_000
OVER_STAYS = """
    SELECT s.division, COUNT(*), SUM(CASE WHEN t.seconds >= 900 THEN 1 ELSE 0 END), SUM(t.seconds)
      FROM (SELECT i.occurrence_id, p.registrant_id, SUM({seconds}) AS seconds
              FROM zoom_participants p
              JOIN zoom_instances i ON i.id = p.instance_id
              JOIN meeting_occurrences o ON o.id = i.occurrence_id
             WHERE o.local_date BETWEEN '{first}' AND '{last}' AND p.room = 'meeting'
             GROUP BY i.occurrence_id, p.registrant_id) t
      JOIN meeting_occurrences o ON o.id = t.occurrence_id
      JOIN zoom_meetings m ON m.id = o.meeting_id
      JOIN classes c ON c.id = m.class_id
      JOIN sections e ON e.id = c.section_id
      JOIN schools s ON s.id = e.school_id
     GROUP BY s.division
"""
SECONDS = {
    "sqlite": "(julianday(p.left_at) - julianday(p.joined_at)) * 86400",
    "postgresql": "EXTRACT(EPOCH FROM p.left_at - p.joined_at)",
}


@dataclass
class Size:
    divisions: int
    schools: int  # in each division
    sections: int  # in each school
    classes: int  # in each section
    learners: int  # in each section
    days: int
    stays: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", choices=["region", "export"])
    parser.add_argument("--database", nargs="+", choices=["sqlite", "postgresql"])
    parser.add_argument("--child", nargs=3, metavar=("URL", "USER", "KIND"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        export_alone(*options.child)
        return
    for kind in options.database or kinds():
        if options.only != "export":
            region(kind, options.scale)
        if options.only != "region":
            export(kind, options.scale)


def region(kind: str, scale: float) -> None:
    size = Size(14, 2, max(1, round(9 * scale)), 4, 40, 21, True)
    with fresh(kind) as url:
        app = migrate(url)
        with app.app_context():
            stays = fill(size)
            user = person("region", None)
            last_day = FIRST + timedelta(days=30)
            by_stays = OVER_STAYS.format(seconds=SECONDS[kind], first=FIRST, last=last_day)
            with app.test_request_context():
                report_filters = filters.parse_report_filters(user, {"from": str(FIRST), "to": str(last_day)}).filters
            by_tallies = plain(queries._figures(user, report_filters, School.division))
            over_stays = best(lambda: driver(by_stays), times=2)
            over_tallies = best(lambda: driver(by_tallies))
            one_statement = best(lambda: queries.load_report_groups(user, report_filters))
            all_statements = best(lambda: page(app, user, last_day))
        end(app)
    print(f"\nRegion, one month, {stays:,} stays, {kind}")
    print(f"  SQL by hand over stays                {over_stays * 1000:9.0f} ms")
    print(f"  SQL by hand over tallies              {over_tallies * 1000:9.1f} ms")
    print(
        f"  the report's own lines                {one_statement * 1000:9.1f} ms   "
        f"{one_statement / over_tallies:.2f} of tallies by hand, {one_statement / over_stays:.4f} of stays by hand"
    )
    print(f"  all statements of the page            {all_statements * 1000:9.1f} ms")
    print("  budget: at most 1.50 of SQL by hand, under 300 ms")


def export(kind: str, scale: float) -> None:
    size = Size(1, 1, max(1, round(125 * scale)), 1, 40, 200, False)
    with fresh(kind) as url:
        app = migrate(url)
        with app.app_context():
            fill(size)
            user = person("school", db.session.scalars(sa.select(School)).one())
            user_id = str(user.id)
        end(app)
        print(f"\nMarks of {size.sections * 40:,} learners over {size.days} days, {kind}")
        for file in ("csv", "xlsx"):
            command = [sys.executable, "-m", "bench.reports", "--child", url, user_id, file]
            print("  " + subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())
        print("  budget: under 10 s, under 100 MB more")


def export_alone(url: str, user_id: str, kind: str) -> None:
    """Run in a process of its own, to measure its memory: a small file first, then the whole."""
    app = create_app(settings_for(url))
    with app.test_request_context():
        user = db.session.get_one(User, UUID(user_id))
        make_file: Callable[..., Any] = (
            exports.csv_response if kind == "csv" else lambda rows: exports.xlsx_response("Marks", rows)
        )
        make_file(exports.export_marks_rows(user, filters.ReportFilters(FIRST, FIRST))).close()
        rss_before = memory("VmRSS")
        started_at = time.perf_counter()
        with make_file(
            exports.export_marks_rows(user, filters.ReportFilters(FIRST, FIRST + timedelta(days=399)))
        ) as file:
            seconds = time.perf_counter() - started_at
            file.seek(0, 2)
            length = file.tell()
        added_mb = memory("VmHWM") - rss_before
        end(app)
    print(f"{kind:<5} {seconds:6.2f} s   +{added_mb:.0f} MB of memory   {length / 1e6:.1f} MB of file")


def memory(field: str) -> float:
    """Megabytes of this process: VmRSS current, VmHWM peak. From /proc, since `getrusage` includes the parent process
    before exec."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024


def page(app: Flask, user: User, last_day: date) -> None:
    with app.test_request_context():
        parsed = filters.parse_report_filters(user, {"from": str(FIRST), "to": str(last_day)})
        queries.sum_report_groups(queries.load_report_groups(user, parsed.filters))
        queries.rate_by_week(queries.totals_by_day(user, parsed.filters))


def best(work: Callable[[], object], times: int = 5) -> float:
    """Seconds of the fastest of several runs, after a warm-up."""
    work()
    durations = []
    for _ in range(times):
        started_at = time.perf_counter()
        work()
        durations.append(time.perf_counter() - started_at)
        db.session.rollback()
    return min(durations)


def driver(statement: str) -> list[Any]:
    """The rows as the database driver returns them."""
    connection: Any = db.session.connection().connection.driver_connection
    cursor = connection.cursor()
    cursor.execute(statement)
    return list(cursor.fetchall())


def plain(statement: sa.Select[Any]) -> str:
    """The statement with literal values, to pass to the driver."""
    return str(statement.compile(db.engine, compile_kwargs={"literal_binds": True})).replace("%%", "%")


def person(scope: str, school: School | None) -> User:
    with write_transaction() as session:
        user = User(
            email=f"{scope}@r1.deped.gov.ph",
            full_name="Fe Ramos",
            role="admin",
            scope=scope,
            school_id=school.id if school else None,
            confirmed_at=clock.now(),
            created_at=clock.now(),
        )
        session.add(user)
    return user


def fill(size: Size) -> int:
    """Insert the region's data, table by table; returns the number of stays."""
    now = datetime(2026, 6, 1, tzinfo=UTC)
    teacher = uuid4()
    weekdays = (FIRST + timedelta(days=n) for n in range(size.days * 2))
    days = list(islice((day for day in weekdays if day.weekday() < 5), size.days))
    schools = [
        {"id": uuid4(), "deped_id": f"{300000 + d * 100 + s}", "name": f"School {d}-{s}",
         "division": f"Division {d:02}", "region": "Region I", "created_at": now}
        for d in range(size.divisions) for s in range(size.schools)
    ]  # fmt: skip
    sections = [
        {"id": uuid4(), "school_id": school["id"], "school_year": "2026-2027", "grade_level": "Grade 8",
         "name": f"Section {n:03}", "created_at": now}
        for school in schools for n in range(size.sections)
    ]  # fmt: skip
    classes = [
        {"id": uuid4(), "section_id": section["id"], "subject": f"Subject {n}", "teacher_id": teacher,
         "created_at": now}
        for section in sections for n in range(size.classes)
    ]  # fmt: skip
    learners = {section["id"]: [uuid4() for _ in range(size.learners)] for section in sections}
    insert(School, schools)
    insert(User, [{"id": teacher, "email": "t@r1.deped.gov.ph", "full_name": "T", "role": "teacher", "language": "en",
                   "created_at": now, "confirmed_at": now}])  # fmt: skip
    insert(Section, sections)
    insert(SchoolClass, classes)
    insert(Learner, (
        {"id": one, "school_id": section["school_id"], "lrn": f"{400000000000 + at * 1000 + n}",
         "lis_name": f"LEARNER{n:03},ANA MARIA, DE LA CRUZ", "last_name": f"LEARNER{n:03}", "first_name": "ANA MARIA",
         "middle_name": "DE LA CRUZ", "extension": "", "sex": "MF"[n % 2], "created_at": now}
        for at, section in enumerate(sections) for n, one in enumerate(learners[section["id"]])
    ))  # fmt: skip
    insert(Enrolment, (
        {"id": uuid4(), "section_id": key, "learner_id": one, "position": n, "from_date": date(2026, 6, 8)}
        for key, ids in learners.items() for n, one in enumerate(ids)
    ))  # fmt: skip
    meetings = [
        {"id": uuid4(), "client_key": uuid4().hex, "marker": str(uuid4()), "class_id": one["id"], "created_by": teacher,
         "host": "t@r1.deped.gov.ph", "title": "Lesson", "description": "", "kind": "recurring", "audience": "class",
         "starts_at": now, "minutes": 60, "timezone": "Asia/Manila", "state": "scheduled", "created_at": now,
         "updated_at": now}
        for one in classes
    ]  # fmt: skip
    insert(ZoomMeeting, meetings)
    section_of = {one["id"]: one["section_id"] for one in classes}
    dates = [
        (uuid4(), uuid4(), meeting["id"], learners[section_of[meeting["class_id"]]], day)
        for meeting in meetings for day in days
    ]  # fmt: skip
    insert(MeetingOccurrence, (
        {"id": one, "meeting_id": meeting, "starts_at": at(day, 0), "minutes": 60, "local_date": day, "state": "ended",
         "scheduled": True, "threshold_seconds": 900}
        for one, _run, meeting, _ids, day in dates
    ))  # fmt: skip
    insert(AttendanceSheet, (
        {"occurrence_id": one, "state": "reconciled", "dirty": False, "gap": False, "reconcile_attempts": 1,
         "evidence_changed": False, "counts": True, "finalised_at": at(day, 90)}
        for one, _run, _meeting, _ids, day in dates
    ))  # fmt: skip
    insert(AttendanceRecord, (
        {"id": uuid4(), "occurrence_id": one, "learner_id": learner, "computed_mark": MARKS[(n + day.day) % 10],
         "final_mark": MARKS[(n + day.day) % 10], "seconds": 3000, "stays": 1, "matched_by": ["registration"],
         "flags": [], "still_in": False, "late": False, "left_early": False}
        for one, _run, _meeting, ids, day in dates for n, learner in enumerate(ids)
    ))  # fmt: skip
    insert(AttendanceTally, (tally(one, ids, day) for one, _run, _meeting, ids, day in dates))
    if not size.stays:
        return 0
    insert(ZoomInstance, (
        {"id": run, "uuid": str(run), "meeting_id": meeting, "occurrence_id": one, "started_at": at(day, 0),
         "ended_at": at(day, 60), "start_seen": True, "end_seen": True}
        for one, run, meeting, _ids, day in dates
    ))  # fmt: skip
    return insert(ZoomParticipant, (
        {"id": uuid4(), "instance_id": run, "session": f"{n}-{part}", "registrant_id": learner.hex, "name": "x",
         "joined_at": at(day, 1 + 30 * part), "left_at": at(day, 26 + 30 * part), "room": "meeting",
         "source": "report", "nth": 0, "left_source": "report", "is_host": False}
        for _one, run, _meeting, ids, day in dates for n, learner in enumerate(ids)
        for part in range(2 if n % 5 == 0 else 1)
    ))  # fmt: skip


def tally(occurrence: UUID, ids: list[UUID], day: date) -> dict[str, Any]:
    marks = [MARKS[(n + day.day) % 10] for n in range(len(ids))]
    present, partial, absent = (marks.count(word) for word in ("present", "partial", "absent"))
    return {"occurrence_id": occurrence, "present": present, "partial": partial, "absent": absent, "review": 0,
            "pending": 0, "seconds": 3000 * (present + partial), "ran_seconds": 3600}  # fmt: skip


def at(day: date, minutes: int) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=minutes)


def insert(model: type[Base], rows: Any) -> int:
    """Bulk insert in chunks; returns the number of rows."""
    count = 0
    source: Iterator[dict[str, Any]] = iter(rows)
    while chunk := list(islice(source, CHUNK)):
        with write_transaction() as session:
            session.connection().execute(sa.insert(model.__table__), chunk)
        count += len(chunk)
    with db.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()
    return count


def end(app: Flask) -> None:
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


if __name__ == "__main__":
    main()
