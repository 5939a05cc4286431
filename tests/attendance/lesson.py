"""A lesson on Tuesday 3 November 2026, 8:00 to 9:00 in Manila, and Zoom's events of it over HTTP.

The meeting and its registrations are put in the database as if Zoom had made them long ago: learner n holds
the registration Rn. Events go through the signed endpoint, answers are read from the CSV.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from flask import Flask
from sqlalchemy import func, select

from portal.accounts.models import User
from portal.attendance.evidence import zoom_report
from portal.classes.models import Learner, SchoolClass, Section
from portal.core import clock
from portal.core.db import db, write_transaction
from portal.jobs import worker
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.registration.models import MeetingRegistrant
from portal.sandbox import defaults
from portal.webhooks.models import ZoomEvent
from portal.zoom.errors import ZoomRefused
from portal.zoom.models import PastInstance, PastMeeting, ReportRow
from portal.zoom.webhooks.signature import sign_webhook
from tests.browser import Browser
from tests.people import People, expire_orm_state

TUESDAY = datetime(2026, 11, 3, tzinfo=clock.MANILA)
ZOOM_ID = "86123456789"
HOST_ID = "host-of-zoom"
Body = dict[str, Any]


def at(time: str, day: int = 3) -> datetime:
    """A time of that November in Manila: "8:05" or "8:05:30"."""
    hours, minutes, seconds = (int(part) for part in (time + ":0").split(":")[:3])
    return TUESDAY.replace(day=day, hour=hours, minute=minutes, second=seconds)


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Says:
    """What Zoom's events about one running of the meeting look like."""

    uuid: str = "/aB//c=="
    zoom_id: str = ZOOM_ID
    began: datetime = field(default_factory=lambda: at("7:58"))

    def started(self) -> Body:
        return self._body("meeting.started", self.began)

    def ended(self, moment: datetime) -> Body:
        return self._body("meeting.ended", moment, end_time=stamp(moment))

    def stay(self, session: str, joined: datetime, left: datetime, **who: str) -> list[Body]:
        return [self.joined(session, joined, **who), self.left(session, left, **who)]

    def joined(self, session: str, moment: datetime, **who: str) -> Body:
        return self._participant("participant_joined", session, "join_time", moment, who)

    def left(self, session: str, moment: datetime, **who: str) -> Body:
        return self._participant("participant_left", session, "leave_time", moment, who)

    def waits(self, session: str, moment: datetime, **who: str) -> Body:
        return self._participant("participant_joined_waiting_room", session, "date_time", moment, who)

    def sent_back(self, session: str, moment: datetime, **who: str) -> Body:
        return self._participant("participant_put_in_waiting_room", session, "date_time", moment, who)

    def admitted(self, session: str, moment: datetime, **who: str) -> Body:
        return self._participant("participant_admitted", session, "date_time", moment, who)

    def joined_room(self, session: str, moment: datetime, **who: str) -> Body:
        return self._participant("participant_joined_breakout_room", session, "join_time", moment, who)

    def left_room(self, session: str, moment: datetime, **who: str) -> Body:
        return self._participant("participant_left_breakout_room", session, "leave_time", moment, who)

    def waits_for_host(self, moment: datetime, **who: str) -> Body:
        return self._participant("participant_jbh_waiting", "", "date_time", moment, who)

    def host(self, session: str, joined: datetime, left: datetime) -> list[Body]:
        return self.stay(session, joined, left, id=HOST_ID, user_name="Ada", email="ada@r1.deped.gov.ph")

    def _participant(self, event: str, session: str, key: str, moment: datetime, who: dict[str, str]) -> Body:
        person = {"user_id": session, "user_name": "", "id": "", "email": "", key: stamp(moment)} | who
        return self._body(f"meeting.{event}", moment, participant=person)

    def _body(self, event: str, moment: datetime, **more: object) -> Body:
        about = {"id": self.zoom_id, "uuid": self.uuid, "host_id": HOST_ID, "start_time": stamp(self.began)}
        return {
            "event": event,
            "event_ts": int(moment.timestamp() * 1000),
            "payload": {"account_id": "a", "object": about | more},
        }


class FakeReports:
    """Zoom's side of the report: what it knows of the runnings of the meeting, by uuid."""

    is_configured = True

    def __init__(self) -> None:
        self.runs: dict[str, datetime] = {}
        self.ends: dict[str, datetime] = {}
        self.rows: dict[str, list[ReportRow]] = {}
        self.error: Exception | None = None
        self.asked = 0

    def past_instances(self, _zoom_id: str) -> list[PastInstance]:
        return [PastInstance(uuid, began.astimezone(UTC)) for uuid, began in self.runs.items()]

    def past_meeting(self, uuid: str) -> PastMeeting:
        if uuid not in self.ends:
            raise ZoomRefused(404, 3001, resource="past")
        said = {"uuid": uuid, "start_time": None, "end_time": stamp(self.ends[uuid])}
        return PastMeeting.read(said | ({"start_time": stamp(self.runs[uuid])} if uuid in self.runs else {}))

    def report_participants(self, uuid: str) -> list[ReportRow]:
        self.asked += 1
        if self.error:
            raise self.error
        if uuid not in self.rows:
            raise ZoomRefused(404, 3001, resource="report")
        return self.rows[uuid]


def row(session: str | None, joined: datetime, left: datetime | None, **more: object) -> ReportRow:
    """A row of the report, as Zoom's JSON is read."""
    said = {
        "user_id": session,
        "name": "",
        "join_time": stamp(joined),
        "leave_time": stamp(left) if left else "",
        "duration": int((left - joined).total_seconds()) if left else 0,
        "status": "in_meeting",
    }
    return ReportRow.read(said | more)


@dataclass
class Lesson:
    """The class, its teacher's browser, and Zoom's deliveries into the portal."""

    app: Flask
    people: People
    browser: Browser
    section: Section
    school_class: SchoolClass
    learners: list[Learner]
    meeting: ZoomMeeting
    occurrence: MeetingOccurrence
    moving: Any
    zoom: FakeReports = field(default_factory=FakeReports)
    signed_in_at: datetime = field(default_factory=clock.now)

    def deliver(self, *events: Body | list[Body], project: bool = True) -> None:
        """Signed and accepted, one after the other, then projected and computed."""
        client = self.app.test_client(use_cookies=False)
        for body in flat(events):
            raw = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
            sent_at = int(clock.now().timestamp())
            headers = {
                "Content-Type": "application/json",
                "x-zm-request-timestamp": str(sent_at),
                "x-zm-signature": sign_webhook(defaults.WEBHOOK_SECRET, sent_at, raw),
            }
            answer = client.post("/api/zoom/webhook", data=raw, headers=headers)
            assert answer.status_code in (200, 204), answer.get_data(as_text=True)
        if project:
            self.work()

    def work(self) -> None:
        """What the worker does with events and sheets."""
        expire_orm_state()
        while sum(
            sweep()
            for sweep in (
                worker.project_deliveries,
                worker.requeue_late_deliveries,
                worker.mark_overdue_meetings,
                worker.recompute_due_sheets,
            )
        ):
            pass
        expire_orm_state()

    def reconcile(self) -> None:
        """What the worker does with reports that are due."""
        expire_orm_state()
        zoom_report.find_occurrences_without_events(self.zoom)  # type: ignore[arg-type]  # a fake with what is needed of the client
        for occurrence_id in zoom_report.lease_due_reports():
            zoom_report.reconcile_occurrence(occurrence_id, self.zoom)  # type: ignore[arg-type]
        self.work()

    def csv(self, occurrence: MeetingOccurrence | None = None) -> str:
        self.browser.get(f"/attendance/{(occurrence or self.occurrence).id}.csv")
        assert self.browser.response
        return self.browser.response.text

    def rows(self, occurrence: MeetingOccurrence | None = None) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.csv(occurrence))))

    def verdicts(self, occurrence: MeetingOccurrence | None = None) -> list[tuple[int, str]]:
        """Seconds and mark of each learner, in the order of the roster."""
        return [(int(one["seconds"]), one["mark"]) for one in self.rows(occurrence)]

    def sheet(self, query: str = "", occurrence: MeetingOccurrence | None = None) -> str:
        self.browser.get(f"/attendance/{(occurrence or self.occurrence).id}{query}")
        return self.browser.text

    def dates(self) -> list[MeetingOccurrence]:
        expire_orm_state()
        return list(db.session.scalars(select(MeetingOccurrence).order_by(MeetingOccurrence.starts_at)))

    def stored(self) -> int:
        expire_orm_state()
        return db.session.scalar(select(func.count()).select_from(ZoomEvent)) or 0

    def move(self, moment: datetime) -> None:
        """Later. Whoever was away for long signs in again."""
        self.moving.move_to(moment)
        if not timedelta() <= moment - self.signed_in_at <= timedelta(hours=1):
            self.signed_in_at = moment
            self.browser = self.people.sign_in(Browser(self.app.test_client()), self.people.ada)
        self.work()


def flat(events: Any) -> Iterator[Body]:
    for one in events:
        if isinstance(one, dict):
            yield one
        else:
            yield from flat(one)


def add_meeting(
    teacher: User,
    school_class: SchoolClass,
    dates: list[tuple[datetime, int]],
    *,
    zoom_id: str = ZOOM_ID,
    registrants: Callable[[int], str] = "R{}".format,
    learners: list[Learner] | None = None,
) -> ZoomMeeting:
    """A meeting that Zoom has, with everybody registered."""
    now = clock.now()
    with write_transaction() as session:
        meeting = ZoomMeeting(
            id=uuid4(),
            client_key=uuid4().hex,
            marker=str(uuid4()),
            class_id=school_class.id,
            created_by=teacher.id,
            host_email=teacher.email,
            title="Biology",
            starts_at=dates[0][0],
            minutes=dates[0][1],
            kind="recurring" if len(dates) > 1 else "scheduled",
            state="scheduled",
            zoom_id=zoom_id,
            pending_action=None,
            created_at=now,
            updated_at=now,
        )
        session.add(meeting)
        session.flush()
        for starts_at, minutes in dates:
            session.add(
                MeetingOccurrence(
                    meeting_id=meeting.id,
                    starts_at=starts_at,
                    minutes=minutes,
                    local_date=clock.to_manila(starts_at).date(),
                )
            )
        for number, learner in enumerate(learners or [], start=1):
            session.add(
                MeetingRegistrant(
                    meeting_id=meeting.id,
                    learner_id=learner.id,
                    email=learner.email or f"{learner.lrn}@r1.deped.gov.ph",
                    first_name=learner.first_name,
                    last_name=learner.last_name,
                    state="registered",
                    zoom_registrant_id=registrants(number),
                    created_at=now,
                    updated_at=now,
                )
            )
    return meeting


def rename(learners: list[Learner], names: list[str]) -> None:
    """Gives learners other names, as LIS writes them: "SANTOS,MARIA, CRUZ"."""
    with write_transaction():
        for learner, name in zip(learners, names, strict=False):
            last, first, middle = (part.strip() for part in name.split(","))
            learner.lis_name, learner.last_name, learner.first_name, learner.middle_name = name, last, first, middle
