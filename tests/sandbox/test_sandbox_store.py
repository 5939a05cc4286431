"""The pretend Zoom remembers over a restart, also one that nobody announced."""

import base64
import subprocess
import sys
import textwrap

from portal.sandbox import SimulatedZoom, WebhookSender, defaults

ADA = "ada@r1.deped.gov.ph"


def played(world):
    """A class that runs, with one registrant in and one webhook undelivered."""
    WebhookSender(world, "http://portal.test/", "s3cret", post=lambda *_: 503)
    world.add_user(ADA, "Ada", "Reyes")
    rule = {"type": 2, "end_times": 2}
    asked = {
        "type": 8,
        "start_time": "2026-11-03T08:00:00",
        "recurrence": rule,
        "settings": {"approval_type": 1},
    }
    made = world.create_meeting(ADA, asked)
    one = world.register(made.id, {"email": "niño@b.ph", "first_name": "Niño", "auto_approve": True})
    world.start(made.id)
    world.advance(made.id, 10)
    world.join(made.id, registrant_id=one.id)
    return made


def test_everything_is_there_after_a_restart(tmp_path, clock):
    world = SimulatedZoom(tmp_path / "zoom.sqlite3", now=clock)
    made = played(world)
    token = world.issue_token(basic(), "account_credentials", defaults.ACCOUNT_ID)["access_token"]
    before = (
        world.users,
        world.meetings,
        world.registrants,
        world.instances,
        world.stays,
        world.deliveries,
        world.used,
        world.counters,
        world.class_clock(made.id),
        world.signing_key,
    )
    world.close()
    again = SimulatedZoom(tmp_path / "zoom.sqlite3", now=clock)
    assert before == (
        again.users,
        again.meetings,
        again.registrants,
        again.instances,
        again.stays,
        again.deliveries,
        again.used,
        again.counters,
        again.class_clock(made.id),
        again.signing_key,
    )
    assert token in again.tokens
    assert len(again.waiting) == len(world.waiting) > 0
    again.end(made.id)
    again.close()


def basic():
    return "Basic " + base64.b64encode(f"{defaults.CLIENT_ID}:{defaults.CLIENT_SECRET}".encode()).decode()


def test_a_killed_process_keeps_what_it_had_answered(tmp_path):
    script = """
        import os, signal, sys
        from pathlib import Path
        from portal.sandbox.simulation.simulated_zoom import SimulatedZoom
        world = SimulatedZoom(Path(sys.argv[1]))
        world.add_user("ada@r1.deped.gov.ph", "Ada", "Reyes")
        print(world.create_meeting("ada@r1.deped.gov.ph", {"type": 1}).id, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    path = tmp_path / "zoom.sqlite3"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == -9, done.stderr
    world = SimulatedZoom(path)
    assert list(world.meetings) == [done.stdout.strip()]
    world.close()


def test_a_reset_forgets_all_but_the_switches(tmp_path, clock):
    path = tmp_path / "zoom.sqlite3"
    world = SimulatedZoom(path, now=clock)
    played(world)
    world.switches.strict_me = True
    world.reset()
    assert world.meetings == world.users == world.deliveries == {}
    assert world.switches.strict_me
    world.close()
    again = SimulatedZoom(path, now=clock)
    assert again.meetings == again.users == {}
    again.close()
