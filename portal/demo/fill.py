"""Demo data: a simulated Zoom mounted beside the portal, and a small fictitious school.

All data is created by the same code as in production: accounts by the service, rosters by the importer, meetings and
registration by the worker over HTTP, attendance by signed webhooks.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4

from flask import Flask, current_app
from sqlalchemy import select, update
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from portal.accounts import service as accounts
from portal.accounts.models import School, User
from portal.classes import service as classes
from portal.classes.models import SchoolClass, Section
from portal.classes.roster_files.reader import parse_roster_file
from portal.classes.roster_import import service as roster_import_service
from portal.config import SANDBOX_MOUNT, Settings
from portal.core import clock
from portal.core.db import db, end_read_transaction, write_transaction
from portal.core.settings import current_settings
from portal.demo.school_data import (
    BANEZ,
    DEMO_PASSWORD,
    HEAD,
    JADEITE,
    PENA,
    PEOPLE,
    REYES,
    SAPPHIRE,
    SCHOOL,
    DemoPerson,
    DemoSection,
    sample_roster_csv,
)
from portal.meetings import service as meetings
from portal.meetings.models import MeetingOccurrence, ZoomMeeting
from portal.meetings.scheduling import recurrence, schedules
from portal.meetings.school_calendar import service as school_calendar_service
from portal.meetings.staff_meetings import service as staff_meetings_service
from portal.registration.queries import registration_progress_of
from portal.sandbox.app import create_sandbox
from portal.sandbox.simulation.class_script import run_whole_class
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from portal.sandbox.webhook_sender import WebhookSender
from portal.webhooks.codes import DeliveryState
from portal.webhooks.models import ZoomEvent

WAIT_SECONDS = 60.0  # timeout for the worker while filling


@dataclass
class MountedSandbox:
    """The simulated Zoom that runs beside the portal."""

    world: SimulatedZoom
    sender: WebhookSender

    def start(self) -> None:
        """Start the webhook sender."""
        self.sender.start()

    def stop(self) -> None:
        """Stop the sender and close the simulation."""
        self.sender.stop()
        self.world.close()


def mount_sandbox_app(app: Flask, settings: Settings) -> tuple[Any, MountedSandbox]:
    """The portal with the simulated Zoom mounted at `/zoom-sandbox`, on the same port. Raises RuntimeError in live
    mode."""
    if not settings.is_demo:
        raise RuntimeError("the pretend Zoom runs in demo mode only")
    world = SimulatedZoom(settings.instance / "demo-zoom.sqlite3")
    world.switches.over_closes_registration = False  # the demo has classes on past days
    for person in PEOPLE:
        if person.role == "teacher":
            world.add_user(person.email, person.first_name, person.last_name, licensed=True)
    webhook_url = f"http://127.0.0.1:{settings.port}/api/zoom/webhook"
    sender = WebhookSender(world, webhook_url, settings.zoom_webhook_secrets[0])
    sandbox_app = create_sandbox(
        world,
        sender,
        public_url=f"{settings.base_url}{SANDBOX_MOUNT}",
        portal_url=f"{settings.base_url}/",
    )
    sandbox = MountedSandbox(world, sender)
    app.extensions["silid.sandbox"] = sandbox
    return DispatcherMiddleware(app.wsgi_app, {SANDBOX_MOUNT: sandbox_app}), sandbox


def create_demo_data(report: Callable[[str], None]) -> None:
    """Create the demo school, once. With the simulated Zoom running, some classes of the past days are held."""
    if db.session.scalar(select(School.id).where(School.deped_id == SCHOOL.deped_id)):
        return
    report("Making the demo school ...")
    school = accounts.get_or_create_school(SCHOOL.deped_id, SCHOOL.name, SCHOOL.division, SCHOOL.region)
    people = {person.email: _create_account(person, school) for person in PEOPLE}
    reyes, pena = people[REYES.email], people[PENA.email]
    jadeite = _create_section_with_roster(JADEITE, reyes)
    sapphire = _create_section_with_roster(SAPPHIRE, pena)
    science = classes.create_class(reyes, jadeite, subject="Science 8")
    sapphire_science = classes.create_class(reyes, sapphire, subject="Science 8")
    mathematics = classes.create_class(pena, jadeite, subject="Mathematics 8")
    if "silid.sandbox" in current_app.extensions:
        _hold_past_classes(report, reyes, science, pena, mathematics)
        _schedule_today(reyes, science, sapphire_science)
        _schedule_weekly(pena, classes.create_class(pena, sapphire, subject="Homeroom Guidance 8"))
        _schedule_staff_meeting(reyes, [pena, people[BANEZ.email]])
        _add_suspended_day(people[HEAD.email])


def _create_account(person: DemoPerson, school: School) -> User:
    settings = current_settings()
    return accounts.create_user(
        email=person.email,
        full_name=person.name,
        role=person.role,
        scope=person.scope,
        school=None if person.scope == "region" else school,
        password=DEMO_PASSWORD,
        domains=settings.email_domains,
    )


def _create_section_with_roster(sample: DemoSection, adviser: User) -> Section:
    section = classes.create_section(adviser, grade_level=sample.grade_level, name=sample.name)
    settings = current_settings()
    file = parse_roster_file(sample_roster_csv(sample).encode(), "sample.csv")
    upload = roster_import_service.create_roster_import(
        adviser, section, file, "sample.csv", domains=settings.email_domains
    )
    roster_import_service.confirm_roster_import(upload, adviser, {})
    return section


def _hold_past_classes(
    report: Callable[[str], None], reyes: User, science: SchoolClass, pena: User, mathematics: SchoolClass
) -> None:
    """Hold three classes of the last class days at the simulated Zoom."""
    report("Holding a few classes of the last days, so that there is something to look at ...")
    days = _last_class_days(2)
    plan = [
        (reyes, science, "Science 8: Typhoons and the PAR", days[1], 8),
        (pena, mathematics, "Mathematics 8: Linear equations", days[1], 10),
        (reyes, science, "Science 8: The layers of the Earth", days[0], 8),
    ]
    rows = [
        (_schedule_class(teacher, school_class, title, _tomorrow()), day, hour)
        for teacher, school_class, title, day, hour in plan
    ]
    if not _wait_until(lambda: all(_is_registered(meeting.id) for meeting, _day, _hour in rows)):
        report("The pretend Zoom was slow; the demo goes on without past classes.")
        return
    for meeting, day, hour in rows:
        starts_at = clock.from_manila(day, datetime.min.time().replace(hour=hour))
        _move_to_past(meeting, starts_at)
        zoom_id = db.session.scalar(select(ZoomMeeting.zoom_id).where(ZoomMeeting.id == meeting.id))
        end_read_transaction()
        run_whole_class(current_app.extensions["silid.sandbox"].world, str(zoom_id), starts_at)
    _wait_until(_inbox_is_empty)


def _tomorrow() -> datetime:
    return clock.now() + timedelta(days=1)


def _move_to_past(meeting: ZoomMeeting, starts_at: datetime) -> None:
    """Move a registered class to the past: Zoom registers nobody for a past meeting, so it was created for tomorrow."""
    with write_transaction() as session:
        session.execute(update(ZoomMeeting).where(ZoomMeeting.id == meeting.id).values(starts_at=starts_at))
        session.execute(
            update(MeetingOccurrence)
            .where(MeetingOccurrence.meeting_id == meeting.id)
            .values(starts_at=starts_at, local_date=clock.to_manila(starts_at).date())
        )


def _schedule_today(reyes: User, science: SchoolClass, sapphire_science: SchoolClass) -> None:
    """Schedule a class that begins in 20 minutes, and one tomorrow."""
    starts_at = clock.to_manila(clock.now()) + timedelta(minutes=20)
    starts_at = starts_at.replace(minute=starts_at.minute // 5 * 5, second=0, microsecond=0)
    _schedule_class(reyes, science, "Science 8: Earthquakes and faults", starts_at)
    _schedule_class(reyes, sapphire_science, "Science 8: Typhoons and the PAR", starts_at + timedelta(days=1))


def _schedule_weekly(teacher: User, school_class: SchoolClass) -> None:
    """Schedule Mondays and Wednesdays at 1 PM for two months: one recurring meeting at Zoom."""
    first = clock.today() + timedelta(days=1)
    last = first + timedelta(days=60)
    slot = (datetime.min.time().replace(hour=13), 45)
    rule = recurrence.WeeklyRule(times={1: slot, 3: slot}, first=first, until=last)
    days_off = school_calendar_service.days_off_for_user(teacher, first, last)
    plan = schedules.plan_from_expansion(recurrence.expand_weekly_rule(rule, off=days_off))
    details = meetings.MeetingDetails(
        title="Homeroom Guidance 8", description="", starts_at=plan.slots[0].starts_at, minutes=45, waiting_room=False
    )
    schedules.create_schedule(teacher, school_class, details, rule, plan, client_key=uuid4().hex)


def _schedule_staff_meeting(teacher: User, colleagues: list[User]) -> None:
    """Schedule a meeting without a class: a Learning Action Cell, DepEd's term for teachers learning from each
    other."""
    starts_at = clock.from_manila(clock.today() + timedelta(days=2), datetime.min.time().replace(hour=15))
    details = meetings.MeetingDetails(
        title="Learning Action Cell: reading in Science", description="", starts_at=starts_at, minutes=60,
        audience="personal",
    )  # fmt: skip
    staff_meetings_service.create_staff_meeting(teacher, details, colleagues, client_key=uuid4().hex)


def _add_suspended_day(head: User) -> None:
    """Suspend a day on which the weekly class is scheduled."""
    scope = school_calendar_service.CalendarScope("school", school_id=head.school_id)
    school_calendar_service.add_calendar_days(
        head,
        scope,
        [school_calendar_service.CalendarEntry(demo_suspended_day(), "suspended", "In-service training of teachers")],
    )


def demo_suspended_day() -> date:
    """The first Wednesday at least two weeks from today."""
    day = clock.today() + timedelta(days=14)
    return day + timedelta(days=(3 - day.isoweekday()) % 7)


def _schedule_class(teacher: User, school_class: SchoolClass, title: str, starts_at: datetime) -> ZoomMeeting:
    details = meetings.MeetingDetails(title=title, description="", starts_at=starts_at, minutes=60, waiting_room=False)
    return meetings.create_meeting(teacher, school_class, details, client_key=uuid4().hex)


def _last_class_days(count: int) -> list[date]:
    """The last weekdays before today, newest last."""
    days: list[date] = []
    day = clock.today()
    while len(days) < count:
        day -= timedelta(days=1)
        if day.weekday() < 5:
            days.insert(0, day)
    return days


def _is_registered(meeting_id: object) -> bool:
    progress = registration_progress_of(meeting_id)  # type: ignore[arg-type]  # a UUID
    return progress.total > 0 and progress.waiting == 0


def _inbox_is_empty() -> bool:
    return db.session.scalar(select(ZoomEvent.id).where(ZoomEvent.state == DeliveryState.PENDING).limit(1)) is None


def _wait_until(is_done: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        is_over = is_done()
        end_read_transaction()
        if is_over:
            return True
        time.sleep(0.2)
    return False
