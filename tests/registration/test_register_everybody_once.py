"""The engine: every learner is registered with Zoom exactly once."""

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from portal.accounts.models import User
from portal.classes.models import Enrolment, Learner, SchoolClass
from portal.core.db import db, write_transaction
from portal.meetings.models import ZoomMeeting
from portal.registration.models import MeetingRegistrant
from portal.registration.queries import registrant_ids_by_person, registration_progress_of
from portal.registration.zoom_sync import daily_limit
from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
from tests.people import People, run_jobs, soon

BATCH, SINGLE = r"/batch_registrants$", r"/registrants$"


def at_zoom(world: SimulatedZoom, meeting: ZoomMeeting) -> list[str]:
    """The addresses that are registered with Zoom now, sorted."""
    return sorted(one.email for one in world.active_registrants(str(meeting.zoom_id)))


def addresses(meeting: ZoomMeeting, state: str = "registered") -> list[str]:
    return sorted(
        db.session.scalars(
            select(MeetingRegistrant.email).where(
                MeetingRegistrant.meeting_id == meeting.id, MeetingRegistrant.state == state
            )
        )
    )


def row_of(meeting: ZoomMeeting, learner: Learner) -> MeetingRegistrant:
    return db.session.scalars(
        select(MeetingRegistrant).where(
            MeetingRegistrant.meeting_id == meeting.id, MeetingRegistrant.learner_id == learner.id
        )
    ).one()


def held_one_by_one(people: People, count: int, ahead: timedelta = timedelta(0)) -> ZoomMeeting:
    """A meeting of a schedule, whose registrants Zoom takes one by one only; nobody is registered yet."""
    section = people.section(people.ada)
    meeting = people.create_registered_meeting(people.ada, people.school_class(people.ada, section), soon() + ahead)
    with write_transaction():
        db.session.get_one(ZoomMeeting, meeting.id).kind = "recurring"
    people.learners(section, count)
    return db.session.get_one(ZoomMeeting, meeting.id)


def change_address(learner: Learner, email: str | None) -> None:
    with write_transaction():
        db.session.get_one(Learner, learner.id).email = email


def test_45_learners_of_a_one_off_class_are_registered_in_batches_of_30(
    app: Flask, people: People, world: SimulatedZoom
) -> None:
    section = people.section(people.ada)
    people.learners(section, 45)
    meeting = people.create_registered_meeting(people.ada, people.school_class(people.ada, section), soon())
    seen = registration_progress_of(meeting.id)
    assert (seen.total, seen.done) == (45, 45)
    rows = list(db.session.scalars(select(MeetingRegistrant)))
    assert all(row.zoom_registrant_id and row.join_url for row in rows)
    assert len({row.join_url for row in rows}) == 45
    assert world.count("POST", BATCH).calls == 2
    assert world.count("GET", SINGLE).calls == 0, "nothing was in doubt"


def test_45_learners_of_a_schedule_are_registered_one_by_one_ten_in_flight(
    app: Flask, people: People, world: SimulatedZoom
) -> None:
    meeting = held_one_by_one(people, 45)
    world.forget_calls()
    run_jobs(app)
    assert registration_progress_of(meeting.id).done == 45
    posts = world.count("POST", SINGLE)
    assert posts.calls == 45 and world.count("POST", BATCH).calls == 0
    assert posts.most_in_flight <= 10


def test_who_is_registered_already_is_taken_over_and_not_doubled(
    app: Flask, people: People, world: SimulatedZoom
) -> None:
    meeting = held_one_by_one(people, 2)
    known = world.register(
        str(meeting.zoom_id), {"email": "300123200001@R1.DepEd.gov.ph", "first_name": "ANA", "auto_approve": True}
    )
    run_jobs(app)
    assert len(at_zoom(world, meeting)) == 2
    ids = set(db.session.scalars(select(MeetingRegistrant.zoom_registrant_id)))
    assert known.id in ids and len(ids) == 2


def test_a_learner_who_enrols_late_is_registered_for_all_coming_meetings(
    app: Flask, people: People, world: SimulatedZoom
) -> None:
    section = people.section(people.ada)
    people.learners(section, 2)
    school_class = people.school_class(people.ada, section)
    meetings = [
        people.create_registered_meeting(people.ada, school_class, soon() + timedelta(days=day)) for day in (0, 1)
    ]
    people.learners(section, 1, start=3)
    run_jobs(app)
    assert [registration_progress_of(meeting.id).done for meeting in meetings] == [3, 3]


def test_a_learner_who_leaves_loses_the_registration_but_stays_known_for_past_dates(
    app: Flask, people: People, world: SimulatedZoom
) -> None:
    section = people.section(people.ada)
    learners = people.learners(section, 2)
    meeting = people.create_registered_meeting(people.ada, people.school_class(people.ada, section), soon())
    before = row_of(meeting, learners[0]).zoom_registrant_id
    leave(learners[0])
    run_jobs(app)
    row = row_of(meeting, learners[0])
    assert (row.state, row.join_url, row.is_expected) == ("cancelled", None, False)
    assert (learners[0].id, None, before) in registrant_ids_by_person(meeting.id)
    assert registration_progress_of(meeting.id).total == 1
    assert len(at_zoom(world, meeting)) == 1


def leave(learner: Learner) -> None:
    with write_transaction() as session:
        row = session.scalars(select(Enrolment).where(Enrolment.learner_id == learner.id)).one()
        row.from_date = row.until_date = row.from_date.replace(month=7)


def test_a_learner_who_comes_back_is_registered_again(app: Flask, people: People, world: SimulatedZoom) -> None:
    section = people.section(people.ada)
    learners = people.learners(section, 2)
    meeting = people.create_registered_meeting(people.ada, people.school_class(people.ada, section), soon())
    before = row_of(meeting, learners[0]).zoom_registrant_id
    leave(learners[0])
    run_jobs(app)
    with write_transaction() as session:
        row = session.scalars(select(Enrolment).where(Enrolment.learner_id == learners[0].id)).one()
        row.until_date = None
    run_jobs(app)
    row = row_of(meeting, learners[0])
    assert row.state == "registered" and row.zoom_registrant_id != before
    assert len(at_zoom(world, meeting)) == 2
    assert {one[2] for one in registrant_ids_by_person(meeting.id)} >= {before, row.zoom_registrant_id}


def test_a_changed_address_is_registered_anew_and_the_old_one_cancelled_at_zoom(
    app: Flask, people: People, world: SimulatedZoom
) -> None:
    section = people.section(people.ada)
    learners = people.learners(section, 3)
    meeting = people.create_registered_meeting(people.ada, people.school_class(people.ada, section), soon())
    before = row_of(meeting, learners[1]).zoom_registrant_id
    world.forget_calls()
    change_address(learners[1], "maria.cruz@r1.deped.gov.ph")
    run_jobs(app)
    assert at_zoom(world, meeting) == [
        "300123200001@r1.deped.gov.ph",
        "300123200003@r1.deped.gov.ph",
        "maria.cruz@r1.deped.gov.ph",
    ]
    calls = [call.method for call in world.calls if "registrants" in call.path]
    assert calls == ["PUT", "POST"], "first the old one is cancelled"
    assert (learners[1].id, None, before) in registrant_ids_by_person(meeting.id), (
        "the stays of yesterday stay the learner's"
    )


def test_two_learners_may_change_addresses_with_each_other(app: Flask, people: People, world: SimulatedZoom) -> None:
    section = people.section(people.ada)
    one, other = people.learners(section, 2)
    change_address(one, "a@r1.deped.gov.ph")
    change_address(other, "b@r1.deped.gov.ph")
    meeting = people.create_registered_meeting(people.ada, people.school_class(people.ada, section), soon())
    ids = {row_of(meeting, learner).zoom_registrant_id for learner in (one, other)}
    change_address(one, "b@r1.deped.gov.ph")
    change_address(other, "a@r1.deped.gov.ph")
    run_jobs(app)
    assert at_zoom(world, meeting) == ["a@r1.deped.gov.ph", "b@r1.deped.gov.ph"]
    assert row_of(meeting, one).email == "b@r1.deped.gov.ph"
    active = {found.email: found.id for found in world.active_registrants(str(meeting.zoom_id))}
    for learner in (one, other):
        row = row_of(meeting, learner)
        assert active[row.email] == row.zoom_registrant_id and row.zoom_registrant_id not in ids


def test_twins_with_one_address_are_not_made_one_and_the_second_gets_it_when_it_is_free(
    app: Flask, people: People, world: SimulatedZoom
) -> None:
    section = people.section(people.ada)
    twins = people.learners(section, 2)
    for twin in twins:
        change_address(twin, "cruz.family@r1.deped.gov.ph")
    meeting = people.create_registered_meeting(people.ada, people.school_class(people.ada, section), soon())
    states = [(row_of(meeting, twin).state, row_of(meeting, twin).reason) for twin in twins]
    assert states == [("registered", None), ("failed", "shared_address")]
    change_address(twins[0], None)
    run_jobs(app)
    assert at_zoom(world, meeting) == ["300123200001@r1.deped.gov.ph", "cruz.family@r1.deped.gov.ph"]
    assert [row_of(meeting, twin).state for twin in twins] == ["registered", "registered"]


def test_an_address_outside_the_domain_is_listed_and_the_others_go_on(
    app: Flask, people: People, world: SimulatedZoom
) -> None:
    section = people.section(people.ada)
    learners = people.learners(section, 3)
    change_address(learners[1], "child@gmail.com")
    meeting = people.create_registered_meeting(people.ada, people.school_class(people.ada, section), soon())
    seen = registration_progress_of(meeting.id)
    assert (seen.done, seen.failed) == (2, 1)
    assert row_of(meeting, learners[1]).reason == "outside_domain"
    change_address(learners[1], "child@r1.deped.gov.ph")
    run_jobs(app)
    assert registration_progress_of(meeting.id).done == 3


def test_an_address_that_moves_outside_the_domain_is_taken_away_at_zoom(
    app: Flask, people: People, world: SimulatedZoom
) -> None:
    section = people.section(people.ada)
    learners = people.learners(section, 2)
    meeting = people.create_registered_meeting(people.ada, people.school_class(people.ada, section), soon())
    change_address(learners[0], "child@gmail.com")
    run_jobs(app)
    assert at_zoom(world, meeting) == ["300123200002@r1.deped.gov.ph"]
    row = row_of(meeting, learners[0])
    assert (row.state, row.reason, row.next_attempt_at) == ("failed", "outside_domain", None)


def test_staff_are_registered_except_the_host_and_a_new_teacher_replaces_the_old(
    app: Flask, people: People, world: SimulatedZoom
) -> None:
    section = people.section(people.ada)
    people.learners(section, 1)
    school_class = people.school_class(people.ada, section)
    cora = people.person("cora", "Cora Diaz", people.school)
    with write_transaction() as session:
        found = session.get_one(SchoolClass, school_class.id)
        session.refresh(found, ["co_teachers"])
        found.co_teachers.append(session.get_one(User, people.bob.id))
    meeting = people.create_registered_meeting(people.ada, school_class, soon())
    learner = "300123200001@r1.deped.gov.ph"
    assert at_zoom(world, meeting) == [learner, people.bob.email]
    with write_transaction() as session:
        found = session.get_one(SchoolClass, school_class.id)
        session.refresh(found, ["co_teachers"])
        found.teacher_id, found.co_teachers = cora.id, []
    run_jobs(app)
    assert at_zoom(world, meeting) == [learner, cora.email]


def test_a_class_for_learners_alone_registers_no_staff(app: Flask, people: People, world: SimulatedZoom) -> None:
    section = people.section(people.ada)
    people.learners(section, 1)
    school_class = people.school_class(people.ada, section)
    with write_transaction() as session:
        found = session.get_one(SchoolClass, school_class.id)
        session.refresh(found, ["co_teachers"])
        found.co_teachers.append(session.get_one(User, people.bob.id))
    meeting = people.meeting(people.ada, school_class, soon(), audience="students")
    run_jobs(app)
    assert addresses(meeting) == ["300123200001@r1.deped.gov.ph"]
    with write_transaction():
        db.session.get_one(ZoomMeeting, meeting.id).audience = "class"
    run_jobs(app)
    assert addresses(meeting) == ["300123200001@r1.deped.gov.ph", people.bob.email]
    with write_transaction():
        db.session.get_one(ZoomMeeting, meeting.id).audience = "students"
    run_jobs(app)
    assert addresses(meeting) == ["300123200001@r1.deped.gov.ph"]


def test_a_meeting_that_was_made_again_registers_everybody_anew(
    app: Flask, people: People, world: SimulatedZoom
) -> None:
    section = people.section(people.ada)
    learners = people.learners(section, 3)
    meeting = people.create_registered_meeting(people.ada, people.school_class(people.ada, section), soon())
    before = {row_of(meeting, learner).zoom_registrant_id for learner in learners}
    again = world.create_meeting("ada@r1.deped.gov.ph", {"topic": "x", "type": 2, "settings": {"approval_type": 1}})
    with write_transaction() as session:
        found = session.get_one(ZoomMeeting, meeting.id)
        found.zoom_id, found.zoom_generation = again.id, 1
    run_jobs(app)
    meeting = db.session.get_one(ZoomMeeting, meeting.id)
    assert len(at_zoom(world, meeting)) == 3
    now = {row_of(meeting, learner).zoom_registrant_id for learner in learners}
    assert not now & before
    assert {one[2] for one in registrant_ids_by_person(meeting.id)} == now | before


def test_one_learner_over_the_limit_of_the_day_waits_until_0800_and_the_others_go_on(
    app: Flask, people: People, world: SimulatedZoom
) -> None:
    with time_machine.travel(datetime(2026, 11, 23, 1, 0, tzinfo=UTC), tick=False) as moving:
        meeting = held_one_by_one(people, 12, timedelta(days=2))
        for _ in range(3):
            world.register(str(meeting.zoom_id), {"email": "x@r1.deped.gov.ph", "first_name": "X"})
        learner = db.session.scalars(select(Learner).where(Learner.lrn == "300123200009")).one()
        change_address(learner, "x@r1.deped.gov.ph")
        world.delete_registrant(str(meeting.zoom_id), world.active_registrants(str(meeting.zoom_id))[0].id)
        run_jobs(app)
        seen = registration_progress_of(meeting.id)
        assert (seen.done, seen.waiting, seen.deferred) == (11, 1, 1)
        row = row_of(meeting, learner)
        assert row.reason == "daily_limit"
        assert row.next_attempt_at == seen.resumes_at == datetime(2026, 11, 24, tzinfo=UTC)
        assert not seen.running and not daily_limit.is_limit_across_meetings()
        posts = world.count("POST", SINGLE).calls
        moving.move_to(datetime(2026, 11, 23, 23, 59, tzinfo=UTC))
        run_jobs(app)
        assert world.count("POST", SINGLE).calls == posts
        moving.move_to(datetime(2026, 11, 24, 0, 0, 1, tzinfo=UTC))
        run_jobs(app)
        assert registration_progress_of(meeting.id).done == 12
        assert world.count("POST", SINGLE).calls == posts + 1


@pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
def test_it_learns_that_zoom_counts_the_three_posts_over_all_meetings(
    app: Flask, people: People, world: SimulatedZoom, limits: object
) -> None:
    world.limits.registrant_counts_over_all_meetings = True
    section = people.section(people.ada)
    people.learners(section, 2)
    with time_machine.travel(datetime(2026, 11, 23, 1, 0, tzinfo=UTC), tick=False):
        for subject in ("Biology", "Filipino", "Music", "Science", "English"):
            school_class = people.school_class(people.ada, section, subject)
            meeting = people.meeting(people.ada, school_class, soon() + timedelta(hours=2))
            with write_transaction():
                db.session.get_one(ZoomMeeting, meeting.id).kind = "recurring"
            run_jobs(app)
        assert daily_limit.is_limit_across_meetings()
        registered = [row.state for row in db.session.scalars(select(MeetingRegistrant))].count("registered")
        assert registered == 6, "two learners, three meetings each"
        posts = world.count("POST", SINGLE).calls
        assert posts == 8, "the fourth meeting taught it, the fifth was not even tried"
        assert daily_limit.zoom_day_start().date() == date(2026, 11, 23)
