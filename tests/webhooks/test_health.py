"""What /healthz and /metrics say: numbers, and nothing about anybody."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from portal.attendance.models import AttendanceSheet
from portal.core.db import write_transaction
from portal.registration.models import MeetingRegistrant
from tests.people import expire_orm_state, run_jobs
from tests.webhooks.conftest import Class, Zoom, at

TOKEN = "kD93hsn2kalq0vnsi3nf81"


def test_it_tells_what_waits_what_is_stuck_and_whether_the_clocks_agree(
    app: Flask, another_portal: Callable[..., Flask], a_class: Callable[..., Class], monday: Any
) -> None:
    biology = a_class(2)
    portal = another_portal(metrics_token=TOKEN)
    client, zoom = portal.test_client(), Zoom(portal)
    assert client.get("/healthz").get_json()["clock_skew_seconds"] is None
    monday.move_to(at(9, 1))
    now = int(at(9, 1).timestamp())
    for body, age in zip(biology.whole(range(1)), (4, 3, 400, 8000, 5, 6), strict=True):
        assert zoom.sends(body, sent_at=now - age).status_code == (401 if age > 7200 else 200)
    monday.shift(60)
    seen = client.get("/healthz").get_json()
    assert seen["clock_skew_seconds"] == 3
    assert seen["inbox"] == {"waiting": 5, "oldest_seconds": 60, "set_aside": 0}
    assert seen["deliveries"] == {"signature_stale": 1, "accepted": 5, "accepted_late": 1}
    assert (seen["zoom"], seen["webhooks"], seen["durable"] in (True, False)) == ("configured", "configured", True)
    run_jobs(app)
    with write_transaction() as session:
        session.execute(update(AttendanceSheet).values(reconcile_at=at(8)))
        session.execute(update(MeetingRegistrant).values(state="failed"))
    expire_orm_state()
    seen = client.get("/healthz").get_json()
    assert seen["reconcile"] == {"due": 1, "lag_seconds": 62 * 60}
    assert seen["jobs_blocked"] == {"zoom": False, "meetings": 0, "registrants": 2, "mail": 0}

    answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    said = dict(re.findall(r"^(silid_\S+?(?:\{.*?\})?) (\S+)$", answer.text, re.MULTILINE))
    assert answer.content_type.startswith("text/plain")
    assert float(said["silid_reconcile_lag_seconds"]) == 62 * 60
    assert float(said['silid_jobs_blocked{kind="registrants"}']) == 2
    assert float(said['silid_deliveries_total{outcome="signature_stale"}']) == 1
    assert float(said["silid_clock_skew_seconds"]) == 3
    assert biology.zoom_id not in answer.text + client.get("/healthz").text


@pytest.mark.parametrize("shown", [None, "", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", f"bearer{TOKEN}", "Bearer é"])
def test_metrics_are_for_who_has_the_token(another_portal: Callable[..., Flask], shown: str | None) -> None:
    client = another_portal(metrics_token=TOKEN).test_client()
    headers = {} if shown is None else {"Authorization": shown}
    assert client.get("/metrics", headers=headers).status_code == 401


def test_without_a_token_there_are_no_metrics(app: Flask, another_portal: Callable[..., Flask], tmp_path: Any) -> None:
    assert app.test_client().get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404
    broken = another_portal(database_url=f"sqlite:///{tmp_path}/no/x.sqlite3", metrics_token=TOKEN).test_client()
    assert broken.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 503
    assert broken.get("/healthz").status_code == 503
