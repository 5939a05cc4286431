"""Server-to-Server OAuth: who gets a token and what it opens."""

import requests

from portal.sandbox import defaults


def test_it_gives_a_token_for_an_hour_that_points_back_here(api):
    answer = api.mint()
    body = answer.json()
    assert (answer.status_code, body["token_type"], body["expires_in"]) == (200, "bearer", 3599)
    assert body["api_url"] == api.base
    assert "meeting:write:meeting:admin" in body["scope"].split()
    assert 600 <= len(body["access_token"]) <= 1000


def test_the_parameters_may_also_stand_in_the_query(api):
    where = f"{api.base}/oauth/token?grant_type=account_credentials&account_id={defaults.ACCOUNT_ID}"
    answer = requests.post(where, auth=(defaults.CLIENT_ID, defaults.CLIENT_SECRET), timeout=5)
    assert answer.status_code == 200


def test_it_refuses_a_wrong_client(api):
    answer = api.mint(client=f"{defaults.CLIENT_ID}:wrong")
    assert answer.status_code == 400
    assert answer.json() == {"reason": "Invalid client_id or client_secret", "error": "invalid_client"}


def test_it_refuses_another_account_and_another_grant(api):
    assert api.mint(account_id="other").json() == {"reason": "Bad Request", "error": "invalid_request"}
    assert api.mint(grant_type="client_credentials").json()["error"] == "unsupported_grant_type"


def test_an_expired_token_is_401_with_code_124(api, clock):
    assert api("GET", "/users").status_code == 200
    clock.move(minutes=60)
    answer = api("GET", "/users")
    assert (answer.status_code, answer.json()["code"]) == (401, 124)


def test_no_token_is_401_with_code_124(api):
    answer = requests.get(f"{api.base}/v2/users", timeout=5)
    assert (answer.status_code, answer.json()) == (401, {"code": 124, "message": "Invalid access token."})


def test_a_new_token_leaves_the_old_one_alone_unless_switched_to_kill_it(api, world):
    api("GET", "/users")
    api.mint()
    assert api("GET", "/users").status_code == 200
    world.switches.revoke_old_on_issue = True
    api.mint()
    assert api("GET", "/users").status_code == 401


def test_a_missing_scope_is_named(api, world):
    world.scopes = world.scopes - {"meeting:write:meeting:admin"}
    answer = api("POST", f"/users/{next(iter(world.users))}/meetings", json={"topic": "T"})
    assert (answer.status_code, answer.json()["code"]) == (400, 4711)
    assert "scopes:[meeting:write:meeting:admin]" in answer.json()["message"]


def test_the_message_of_a_missing_scope_may_be_broken_json(api, world):
    world.scopes = frozenset({"meeting:read:meeting:admin"})
    world.switches.missing_scope_is_invalid_json = True
    answer = api("GET", "/users")
    assert answer.status_code == 400
    assert answer.text.startswith('{"code":4711,"message":"Invalid access token, "scopes"')


def test_a_classic_scope_opens_as_well(api, world):
    world.scopes = frozenset({"user:read:admin"})
    assert api("GET", "/users").status_code == 200
    assert api("GET", "/users/me/meetings").json()["code"] == 4711
