"""What is stored becomes a sheet: in any order, by several workers, with one bad row among the good ones."""

import json
import random
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portal.attendance.evidence.events import _EVIDENCE
from portal.attendance.models import AttendanceRecord, AttendanceSheet, ZoomParticipant
from portal.core import clock
from portal.core.db import db, is_postgresql, write_transaction
from portal.jobs.webhook_projection import project_pending_deliveries
from portal.jobs.worker import recompute_due_sheets
from portal.meetings.models import MeetingOccurrence, ZoomInstance, ZoomMeeting
from portal.webhooks.models import ZoomEvent
from portal.webhooks.outages import EVIDENCE_EVENTS
from portal.webhooks.replay import replay_deliveries
from tests.examples import count_examples
from tests.people import expire_orm_state, run_jobs
from tests.webhooks.conftest import Class, Zoom, at, z


def healthz(app: Flask) -> dict[str, Any]:
    found = app.test_client().get("/healthz").get_json()
    assert isinstance(found, dict)
    return found


def waits_for_the_disk() -> bool:
    """A PostgreSQL for tests alone may be set not to."""
    return not is_postgresql() or db.session.scalar(sa.text("SHOW synchronous_commit")) != "off"


def test_the_inbox_and_the_sheet_agree_on_what_is_evidence() -> None:
    assert set(EVIDENCE_EVENTS) == set(_EVIDENCE)


def test_without_a_worker_deliveries_wait_visibly_and_are_on_the_sheet_soon_after(
    app: Flask, zoom: Zoom, a_class: Callable[..., Class], monday: Any
) -> None:
    biology = a_class(2)
    monday.move_to(at(9, 1))
    for body in biology.whole(range(1)):
        assert zoom.sends(body).status_code == 200
    monday.shift(60)
    seen = healthz(app)
    assert seen["inbox"] == {"waiting": 6, "oldest_seconds": 60, "set_aside": 0}
    assert seen["last_event_at"].startswith("2026-11-23T01:01:00")
    assert seen["durable"] is waits_for_the_disk()
    run_jobs(app)
    assert healthz(app)["inbox"]["waiting"] == 0
    assert biology.marks() == [("present", 2100), ("absent", 0)]


def test_three_workers_make_the_same_sheet_of_shuffled_deliveries_as_one_in_order(
    app: Flask, zoom: Zoom, a_class: Callable[..., Class], monday: Any
) -> None:
    biology = a_class(30)
    monday.move_to(at(9, 1))
    bodies = biology.whole(range(29))
    shuffled = [*bodies, *random.Random(4).choices(bodies, k=300 - len(bodies))]
    random.Random(5).shuffle(shuffled)
    for body in shuffled:
        assert zoom.sends(body).status_code == 200
    expire_orm_state()
    assert in_threads(app, [project_pending_deliveries] * 3 + [recompute_due_sheets] * 2) == []
    run_jobs(app)
    together = biology.csv()
    assert biology.marks() == [("present", 2100)] * 29 + [("absent", 0)]

    forget_everything()
    assert replay_deliveries(("done", "ignored")) == len(bodies)
    run_jobs(app)
    assert biology.csv() == together


def test_workers_on_many_classes_never_wait_for_each_other_crosswise(
    app: Flask, zoom: Zoom, a_class: Callable[..., Class], monday: Any
) -> None:
    classes = [a_class(3, name, 1 + 10 * number) for number, name in enumerate(("Ruby", "Opal", "Topaz", "Jade"))]
    monday.move_to(at(9, 1))
    bodies = [body for one in classes for body in one.whole(range(3))]
    random.Random(6).shuffle(bodies)
    for body in bodies:
        zoom.sends(body)
    expire_orm_state()
    before = deadlocks()
    assert in_threads(app, [project_pending_deliveries] * 3 + [recompute_due_sheets] * 2) == []
    run_jobs(app)
    assert deadlocks() == before
    assert db.session.scalar(sa.select(sa.func.max(ZoomEvent.attempts))) == 0
    assert [one.marks() for one in classes] == [[("present", 2100)] * 3] * 4


def in_threads(app: Flask, sweeps: list[Callable[[], int]]) -> list[Exception]:
    """Run each sweep in a thread until it finds nothing some times in a row; what they raised."""
    raised: list[Exception] = []
    together = threading.Barrier(len(sweeps))

    def run(sweep: Callable[[], int]) -> None:
        together.wait()
        idle = 0
        while idle < 5:
            try:
                with app.app_context():
                    idle = 0 if sweep() else idle + 1
            except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
                raised.append(error)
                return

    threads = [threading.Thread(target=run, args=(sweep,)) for sweep in sweeps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def deadlocks() -> int:
    """How many deadlocks the database has had to break; SQLite knows none."""
    if not is_postgresql():
        return 0
    with db.engine.connect() as connection:
        connection.exec_driver_sql("SELECT pg_stat_force_next_flush()")
        count = connection.exec_driver_sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(count.scalar() or 0)


def forget_everything() -> None:
    """As if nothing had ever been projected."""
    expire_orm_state()
    with write_transaction() as session:
        session.execute(sa.update(MeetingOccurrence).values(state="scheduled"))
        session.execute(sa.update(ZoomMeeting).values(state="scheduled"))
        for model in (AttendanceRecord, ZoomParticipant, ZoomInstance, AttendanceSheet):
            session.execute(sa.delete(model))


def test_a_row_that_raises_is_set_aside_after_five_tries_and_holds_nobody_up(
    app: Flask, zoom: Zoom, a_class: Callable[..., Class], monday: Any
) -> None:
    biology = a_class(2)
    monday.move_to(at(9, 1))
    bodies = biology.whole(range(1))
    zoom.sends(bodies[0])
    poison("poison", b"no JSON at all", biology.zoom_id)
    for body in bodies[1:]:
        zoom.sends(body)
    run_jobs(app)
    assert biology.marks() == [("present", 2100), ("needs review", 0)], "one of its events is not understood"
    for tries in range(1, 6):
        row = db.session.scalars(sa.select(ZoomEvent).where(ZoomEvent.fingerprint == "poison")).one()
        assert (row.attempts, row.state) == (tries, "failed" if tries == 5 else "pending")
        monday.shift(timedelta(minutes=1))
        run_jobs(app)
    assert row.error == "JSONDecodeError"
    assert healthz(app)["inbox"] == {"waiting": 0, "oldest_seconds": 0, "set_aside": 1}

    with write_transaction():
        row.body = b'{"event":"meeting.participant_feedback"}'  # the repair
    answer = app.test_cli_runner().invoke(args=["webhooks", "replay"])
    assert answer.output == "1 deliveries will be projected again.\n"
    run_jobs(app)
    assert healthz(app)["inbox"]["set_aside"] == 0


odd = st.none() | st.booleans() | st.integers() | st.text(max_size=300) | st.lists(st.text(max_size=3), max_size=2)
fields = ("user_id", "participant_uuid", "id", "email", "user_name", "registrant_id", "join_time", "leave_time", "x")


@settings(max_examples=count_examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(EVIDENCE_EVENTS),
    about=st.dictionaries(st.sampled_from(("uuid", "start_time", "end_time", "host_id")), odd, max_size=2),
    who=st.none() | st.dictionaries(st.sampled_from(fields), odd, max_size=5),
)
def test_whatever_is_in_an_event_it_is_either_evidence_or_set_aside(
    app: Flask, zoom: Zoom, a_class: Callable[..., Class], monday: Any, name: str, about: Any, who: Any
) -> None:
    if not hasattr(zoom, "biology"):
        zoom.biology = a_class(1)  # type: ignore[attr-defined]  # one class for all of it
    told = {"id": zoom.biology.zoom_id, "uuid": "u", "start_time": z(at(8))}  # type: ignore[attr-defined]
    body = {"event": name, "event_ts": 1, "payload": {"object": told | about | {"participant": who}}}
    assert zoom.sends(json.dumps(body).encode()).status_code == 200
    project_pending_deliveries()
    expire_orm_state()
    assert set(db.session.scalars(sa.select(ZoomEvent.error))) <= {None, "UnusableEvidence"}


def poison(fingerprint: str, raw: bytes, zoom_id: str) -> None:
    expire_orm_state()
    with write_transaction() as session:
        session.add(
            ZoomEvent(
                fingerprint=fingerprint,
                received_at=clock.now(),
                event="meeting.participant_joined",
                zoom_meeting_id=zoom_id,
                body=raw,
            )
        )


def test_evidence_that_says_too_little_is_set_aside_and_then_nobody_is_absent(
    app: Flask, zoom: Zoom, a_class: Callable[..., Class], monday: Any
) -> None:
    biology = a_class(3)
    monday.move_to(at(9, 1))
    bare = biology.joined(1, 7, at(8))
    bare["payload"]["object"]["uuid"] = ""
    nameless = [biology.joined(2, 0, at(8)), biology.left(2, 0, at(8, 10))]
    for body in nameless:
        del body["payload"]["object"]["participant"]["user_id"]
    for body in [*biology.whole(range(1)), bare, *nameless]:
        assert zoom.sends(body).status_code == 200
    for _ in range(5):
        run_jobs(app)
        monday.shift(timedelta(minutes=1))
    assert healthz(app)["inbox"]["set_aside"] == 1
    assert biology.marks() == [("present", 2100), ("needs review", 0), ("needs review", 600)]


def test_deliveries_of_a_meeting_that_is_not_known_yet_attach_when_it_is(
    app: Flask, zoom: Zoom, a_class: Callable[..., Class], monday: Any
) -> None:
    biology = a_class(1)
    expire_orm_state()
    with write_transaction():
        db.session.execute(sa.update(ZoomMeeting).values(zoom_id=None, pending_action=None))
    monday.move_to(at(9, 1))
    for body in biology.whole(range(1)):
        assert zoom.sends(body).status_code == 200
    project_pending_deliveries()
    assert set(db.session.scalars(sa.select(ZoomEvent.state))) == {"unmatched"}
    monday.shift(30)
    with write_transaction():
        db.session.execute(sa.update(ZoomMeeting).values(zoom_id=biology.zoom_id))
    run_jobs(app)
    assert biology.marks() == [("present", 2100)]


def test_deliveries_of_a_meeting_of_somebody_else_are_kept_and_change_nothing(app: Flask, zoom: Zoom) -> None:
    body = {"event": "meeting.started", "payload": {"object": {"id": "999", "uuid": "x"}}}
    assert zoom.sends(body).status_code == 200
    run_jobs(app)
    assert list(db.session.scalars(sa.select(ZoomEvent.state))) == ["unmatched"]
    assert db.session.scalar(sa.select(ZoomInstance.id)) is None
