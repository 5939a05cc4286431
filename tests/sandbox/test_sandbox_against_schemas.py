"""The pretend Zoom against Zoom's own published schemas, where a copy is at hand.

The schemas are Zoom's and not ours to hand on, so they are not in this repository. Where a
copy is, `ZOOM_WEBHOOK_SCHEMAS` names a JSON file whose `definitions` has a schema per event, and
`ZOOM_OPENAPI` an OpenAPI 3.0 file of the Meetings API. Without both, these tests are not collected (see conftest).
"""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

ADA = "ada@r1.deped.gov.ph"
EIGHT = datetime(2026, 11, 3, 0, 0, tzinfo=UTC)


def minute(number):
    return EIGHT + timedelta(minutes=number)


def published(variable):
    return json.loads(Path(os.environ[variable]).read_text())


def everything_once(world):
    """One meeting through which every kind of event passes."""
    asked = {"topic": "Science 8", "start_time": "2026-11-03T08:00:00", "settings": {"approval_type": 1}}
    made = world.create_meeting(ADA, asked)
    sam = world.register(made.id, {"email": "sam@b.ph", "first_name": "Sam", "auto_approve": True})
    eve = world.register(made.id, {"email": "eve@b.ph", "first_name": "Eve"})
    world.set_registrants_status(made.id, "deny", [{"id": eve.id}])
    world.set_registrants_status(made.id, "approve", [{"id": eve.id}])
    world.delete_registrant(made.id, eve.id)
    world.update_meeting(made.id, {"topic": "Science 9", "settings": {"host_video": True}})
    waiting = world.join(made.id, name="Early", at=minute(-5))
    world.leave(waiting, minute(-4))
    world.join(made.id, registrant_id=sam.id, at=minute(-3))
    world.start(made.id, EIGHT)
    world.join(made.id, host=True, at=minute(1))
    knocking = world.join(made.id, name="OPPO A5s", at=minute(2), waiting_room=True)
    inside = world.admit(knocking, minute(3))
    world.join_breakout_room(inside, minute(5))
    world.leave_breakout_room(world.stays_of(made.id)[-1], minute(6))
    world.leave(world.put_in_waiting_room(inside, minute(7)), minute(8))
    world.end(made.id, minute(60))
    world.delete_meeting(made.id)
    world.recover_meeting(made.id)
    return made


def test_every_event_fits_zooms_schema_of_it(world):
    import jsonschema_rs

    schemas = published("ZOOM_WEBHOOK_SCHEMAS")["definitions"]
    told = world.events(everything_once(world).id)
    for body in told:
        validator = jsonschema_rs.validator_for(schemas[body["event"]])
        assert [error.message for error in validator.iter_errors(body)] == [], body
    assert len({body["event"] for body in told}) == 21


def test_every_answer_fits_zooms_description_of_it(api, world):
    import jsonschema_rs

    openapi = published("ZOOM_OPENAPI")

    def check(method, template, answer):
        media = openapi["paths"][template][method]["responses"][str(answer.status_code)].get("content")
        if media is None:
            assert answer.content == b""
            return
        [schema] = [one["schema"] for one in media.values()][:1]
        validator = jsonschema_rs.Draft4Validator({"components": openapi["components"], "allOf": [schema]})
        assert [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(answer.json())] == []

    made = everything_once(world)
    world.register(made.id, {"email": "kim@b.ph", "first_name": "Kim", "auto_approve": True})
    [instance] = world.instances_of(made.id)
    past = quote(quote(instance.uuid, safe=""), safe="")
    person = {"email": "pat@b.ph", "first_name": "Pat", "auto_approve": True}
    one, of_user = "/meetings/{meetingId}", "/users/{userId}/meetings"
    for method, template, path, body in [
        ("post", of_user, f"/users/{ADA}/meetings", {"topic": "T"}),
        ("get", of_user, f"/users/{ADA}/meetings", None),
        ("get", one, f"/meetings/{made.id}", None),
        ("patch", one, f"/meetings/{made.id}", {"topic": "U"}),
        ("post", f"{one}/registrants", f"/meetings/{made.id}/registrants", person),
        (
            "post",
            f"{one}/batch_registrants",
            f"/meetings/{made.id}/batch_registrants",
            {"registrants": [person]},
        ),
        ("get", f"{one}/registrants", f"/meetings/{made.id}/registrants", None),
        ("get", "/past_meetings/{meetingId}/instances", f"/past_meetings/{made.id}/instances", None),
        ("get", "/past_meetings/{meetingId}/participants", f"/past_meetings/{past}/participants", None),
        ("get", "/report/meetings/{meetingId}/participants", f"/report/meetings/{past}/participants", None),
        ("get", "/users", "/users", None),
        ("get", "/users/{userId}", f"/users/{ADA}", None),
        ("delete", one, f"/meetings/{made.id}", None),
    ]:
        check(method, template, api(method.upper(), path, json=body))
