"""The pretend Zoom as a program of its own, and mounted below a path."""

import os
import socket
import subprocess
import sys
import time

import requests
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from portal.sandbox import SimulatedZoom, create_sandbox


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_it_runs_alone_and_remembers_after_being_killed(tmp_path):
    port, store = free_port(), tmp_path / "zoom.sqlite3"
    where = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "portal.sandbox", "--port", str(port), "--store", str(store)]
    command += ["--host-user", "ada@r1.deped.gov.ph"]

    def run():
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ))
        for _ in range(300):
            try:
                if requests.get(f"{where}/_sim/state", timeout=1).ok:
                    return process
            except requests.ConnectionError:
                time.sleep(0.1)
        raise AssertionError("it did not start")

    first = run()
    added = {"email": "bob@r1.deped.gov.ph", "first_name": "Bob"}
    assert requests.post(f"{where}/_sim/users", json=added, timeout=5).ok
    first.kill()
    first.wait(10)
    second = run()
    users = requests.get(f"{where}/_sim/state", timeout=5).json()["users"]
    second.terminate()
    second.wait(10)
    assert [user["email"] for user in users] == ["ada@r1.deped.gov.ph", "bob@r1.deped.gov.ph"]


def test_mounted_below_a_path_a_uuid_with_slashes_still_arrives(world: SimulatedZoom):
    made = world.create_meeting("ada@r1.deped.gov.ph", {"type": 1})
    world.start(made.id, uuid="/aB//c==")
    world.end(made.id)
    world.limits.plan = "unlimited"
    pretend = create_sandbox(world, public_url="http://portal.test/zoom-sandbox")
    client = Client(DispatcherMiddleware(Flask("portal"), {"/zoom-sandbox": pretend}))
    basic = (world.client_id, world.client_secret)
    form = {"grant_type": "account_credentials", "account_id": world.account_id}
    token = client.post("/zoom-sandbox/oauth/token", data=form, auth=basic).json
    assert token["api_url"] == "http://portal.test/zoom-sandbox"
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    twice = "%252FaB%252F%252Fc%253D%253D"
    answer = client.get(f"/zoom-sandbox/v2/past_meetings/{twice}", headers=headers)
    assert (answer.status_code, answer.json["uuid"]) == (200, "/aB//c==")
