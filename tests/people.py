"""The people of the tests. Ada teaches Biology in her own section, Bob teaches elsewhere, Head is the admin."""

import contextvars
from datetime import date, datetime, timedelta
from uuid import UUID, uuid4

from flask import Flask, session
from flask_wtf.csrf import generate_csrf
from werkzeug.http import parse_cookie

from portal.accounts import service as accounts
from portal.accounts.models import School, User
from portal.accounts.sign_in import sessions
from portal.classes import service as classes
from portal.classes.models import Enrolment, Learner, SchoolClass, Section
from portal.core import clock
from portal.core.db import db, write_transaction
from portal.jobs.worker import run_until_idle
from portal.meetings import service as meetings
from portal.meetings.models import ZoomMeeting
from tests.browser import Browser

PASSWORD = "correct horse battery"
BASE_URL = "https://silid.test"
DOMAINS = ("r1.deped.gov.ph",)


def name_in_letters(number: int) -> str:
    """LEARNEROOA, LEARNEROOB: a roster file with a figure in a name is refused."""
    return f"LEARNER{number:03d}".translate(str.maketrans("0123456789", "OABCDEFGHI"))


class People:
    """Makes accounts, sections, classes and meetings through the services, as a story needs them."""

    surname = staticmethod("LEARNER{:03d}".format)  # the tests of imports put `name_in_letters` here

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.school = accounts.get_or_create_school("300123", "San Nicolas National High School", "Ilocos Norte")
        self.ada = self.person("ada", "Ada Lovelace", self.school)
        self.bob = self.person("bob", "Bob Santos", self.school)
        self.head = self.person("head", "Hedy Abad", self.school, role="admin", scope="school")

    def person(
        self,
        name: str,
        full_name: str,
        school: School | None,
        role: str = "teacher",
        scope: str | None = None,
    ) -> User:
        return accounts.create_user(
            email=f"{name}@r1.deped.gov.ph",
            full_name=full_name,
            role=role,
            scope=scope,
            school=school,
            password=PASSWORD,
            domains=DOMAINS,
        )

    def sign_in(self, browser: Browser, user: User) -> Browser:
        """Give the browser the cookie of a new session, as the sign-in form does once the password was right.
        No page is fetched: the browser opens its first one afterwards."""
        contextvars.Context().run(_start_session, browser, user.id)
        expire_orm_state()
        return browser

    def sign_in_by_form(self, browser: Browser, user: User) -> Browser:
        """Fill in the sign-in form, and be on the page that it leads to."""
        browser.get("/sign-in")
        browser.submit(email=user.email, password=PASSWORD)
        return browser

    def section(self, adviser: User, name: str = "Jadeite", grade: str = "Grade 8") -> Section:
        return classes.create_section(adviser, grade_level=grade, name=name)

    def school_class(self, teacher: User, section: Section, subject: str = "Biology") -> SchoolClass:
        return classes.create_class(teacher, section, subject=subject)

    def learners(
        self, section: Section, count: int, *, sex: str = "M", start: int = 1, since: date = date(2026, 6, 8)
    ) -> list[Learner]:
        """`count` learners on the section's roster; LRNs count up from 300123200001."""
        made = []
        with write_transaction() as rows:
            for number in range(start, start + count):
                learner = Learner(
                    school_id=section.school_id,
                    lrn=f"3001232{number:05d}",
                    lis_name=f"{self.surname(number)},ANA, CRUZ",
                    last_name=self.surname(number),
                    first_name="ANA",
                    middle_name="CRUZ",
                    sex=sex,
                    created_at=clock.now(),
                )
                rows.add(learner)
                rows.flush()
                rows.add(Enrolment(section_id=section.id, learner_id=learner.id, position=number, from_date=since))
                made.append(learner)
        return made

    def meeting(
        self,
        teacher: User,
        school_class: SchoolClass,
        starts_at: datetime,
        minutes: int = 60,
        **options: object,
    ) -> ZoomMeeting:
        details = meetings.MeetingDetails(
            title=f"{school_class.subject} lesson",
            description="",
            starts_at=starts_at,
            minutes=minutes,
            **options,  # type: ignore[arg-type]
        )
        return meetings.create_meeting(teacher, school_class, details, client_key=uuid4().hex)

    def create_registered_meeting(self, teacher: User, school_class: SchoolClass, starts_at: datetime) -> ZoomMeeting:
        """A meeting that Zoom has and for which everybody is registered."""
        meeting = self.meeting(teacher, school_class, starts_at)
        run_jobs(self.app)
        return db.session.get_one(ZoomMeeting, meeting.id)


def _start_session(browser: Browser, user_id: UUID) -> None:
    """In a context of its own, as a request is: what it remembers must not reach the next."""
    app = browser.client.application
    with app.test_request_context("/sign-in", base_url=BASE_URL):
        user = db.session.get_one(User, user_id)
        assert user.is_active and not user.has_codes, "the form would not let this person in at once"
        sessions.start_user_session(user, remember=False)
        browser.csrf_token = generate_csrf()
        answer = app.response_class()
        app.session_interface.save_session(app, session, answer)  # type: ignore[arg-type]  # the proxy of it
        name = app.config["SESSION_COOKIE_NAME"]
        value = parse_cookie(answer.headers["Set-Cookie"])[name]
    browser.client.set_cookie(name, value, secure=app.config["SESSION_COOKIE_SECURE"], httponly=True)


def run_jobs(app: Flask) -> None:
    """Let the worker do everything that is due; the test's session then sees what it wrote."""
    expire_orm_state()
    run_until_idle(app)
    expire_orm_state()


def expire_orm_state() -> None:
    """The test's session forgets what it has read: others have written since."""
    db.session.rollback()
    db.session.expire_all()


def today_at(hour: int, minute: int = 0) -> datetime:
    """A time of today on the clock in Manila."""
    return clock.from_manila(clock.today(), datetime.min.time().replace(hour=hour, minute=minute))


def soon() -> datetime:
    """In a quarter of an hour, on a full minute."""
    return (clock.now() + timedelta(minutes=15)).replace(second=0, microsecond=0)
