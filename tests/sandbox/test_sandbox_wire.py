"""Faults on the wire: what the caller sees, and what was done all the same."""

import threading
import time

import pytest
import requests

ADA = "ada@r1.deped.gov.ph"
CREATE = f"/users/{ADA}/meetings"


def test_an_answer_can_be_put_in_zooms_place(api, wire, world):
    body = b'{"code":429,"message":"daily"}'
    wire.break_next(method="POST", path="/meetings$", status=429, body=body, headers={"Retry-After": "2"})
    answer = api("POST", CREATE, json={})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
    assert world.meetings == {}
    assert api("POST", CREATE, json={}).status_code == 201


def test_a_fault_can_wait_for_the_third_call_and_last_for_two(api, wire):
    wire.break_next(method="GET", path="/users$", kind="html", status=502, skip=2, times=2)
    statuses = [api("GET", "/users").status_code for _ in range(6)]
    assert statuses == [200, 200, 502, 502, 200, 200]


def test_an_html_page_comes_instead_of_json(api, wire):
    wire.break_next(kind="html", path="/users$")
    answer = api("GET", "/users")
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "text/html"
    assert b"<h1>" in answer.content


def test_a_truncated_answer_was_done(api, wire, world):
    wire.break_next(kind="truncate", method="POST")
    api.mint()
    wire.heal()
    api("GET", "/users")
    wire.break_next(kind="truncate", method="POST", path="/meetings$")
    answer = api("POST", CREATE, json={})
    assert answer.status_code == 201
    with pytest.raises(requests.JSONDecodeError):
        answer.json()
    assert len(world.meetings) == 1


@pytest.mark.parametrize(("kind", "done"), [("reset", 1), ("reset_before", 0)])
def test_a_cut_connection_may_have_done_it_or_not(api, wire, world, kind, done):
    api("GET", "/users")
    wire.break_next(kind=kind, method="POST", path="/meetings$")
    with pytest.raises(requests.ConnectionError):
        api("POST", CREATE, json={})
    assert len(world.meetings) == done
    assert world.calls[-1].path == f"/v2{CREATE}"


def test_a_hanging_answer_was_done(api, wire, world):
    api("GET", "/users")
    wire.break_next(kind="hang", method="POST", path="/meetings$", seconds=30)
    with pytest.raises(requests.ReadTimeout):
        api("POST", CREATE, json={}, timeout=0.3)
    assert len(world.meetings) == 1


def test_an_unknown_fault_is_refused(wire):
    with pytest.raises(ValueError, match="no such fault"):
        wire.break_next(kind="earthquake")


def test_latency_holds_for_every_call(api, wire):
    api("GET", "/users")
    wire.latency = 0.05
    began = time.monotonic()
    api("GET", "/users")
    assert time.monotonic() - began >= 0.05


def test_calls_are_counted_with_how_many_were_under_way_at_once(api, wire, world):
    api("GET", "/users")
    world.forget_calls()
    wire.latency = 0.2
    threads = [threading.Thread(target=api, args=("GET", "/users")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    count = world.count("GET", "^/v2/users$")
    assert count.calls == 4
    assert count.most_in_flight >= 2
    assert {call.status for call in world.calls} == {200}
