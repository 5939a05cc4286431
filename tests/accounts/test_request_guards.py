"""What is refused at the gate: other hosts' names, and more than a form can hold."""

from dataclasses import replace

import pytest
from flask import Flask

from portal.core.client_hash import client_network
from portal.web.request_guards import allowed_hosts_of
from tests.accounts.conftest import Letters
from tests.browser import Browser
from tests.people import People

OTHERS = [
    {"Host": "evil.example"},
    {"Host": "silid.test.evil.example"},
    {"Host": "silid.test@evil.example"},
    {"Host": "silid.test:443@evil.example"},
    {"Host": "silid.test, evil.example"},
    {"Host": "203.0.113.7"},
    {"Host": "silid.test", "X-Forwarded-Host": "evil.example"},
    {"Host": "silid.test", "X-Forwarded-Host": "evil.example, silid.test"},
]


@pytest.mark.parametrize("headers", OTHERS)
def test_another_hosts_name_gets_nothing(
    browser: Browser, people: People, letters: Letters, headers: dict[str, str]
) -> None:
    browser.get("/forgot-password")
    token = browser.page.select_one("[name=csrf_token]")["value"]
    answer = browser.client.post(
        "/forgot-password", data={"email": people.ada.email, "csrf_token": token}, headers=headers
    )
    assert answer.status_code == 400 and "evil" not in answer.text
    assert browser.client.get("/", headers=headers).status_code == 400
    assert not letters()


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "silid.test"},
        {"Host": "SILID.test:443"},
        {"Host": "silid.test."},
        {"Host": "silid.test", "X-Forwarded-Host": "silid.test"},
    ],
)
def test_the_portals_own_name_is_let_in(browser: Browser, headers: dict[str, str]) -> None:
    browser.get("/sign-in", headers=headers)


def test_a_load_balancer_may_ask_by_the_machines_address(app: Flask) -> None:
    assert app.test_client().get("/healthz", headers={"Host": "10.0.0.7:8000"}).status_code == 200


def test_on_one_computer_every_name_of_it_will_do(app: Flask) -> None:
    settings = replace(app.extensions["silid.settings"], base_url="http://localhost:8000")
    assert allowed_hosts_of(settings) == {"localhost", "127.0.0.1", "::1"}
    assert allowed_hosts_of(replace(settings, mode="demo")) == frozenset()


def in_parts(fields: dict[str, str], file: bytes) -> tuple[bytes, str]:
    """A form with a file as a browser sends it, and its content type."""
    line = b"--limit\r\nContent-Disposition: form-data; name="
    parts = [line + f'"{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields.items()]
    parts.append(line + b'"file"; filename="a.csv"\r\n\r\n' + file + b"\r\n--limit--\r\n")
    return b"".join(parts), "multipart/form-data; boundary=limit"


@pytest.mark.parametrize(
    ("fields", "file"),
    [
        ({"email": "x" * 2_000_000}, None),
        ({f"field{number}": "1" for number in range(1001)}, b"a"),
        ({}, b"x" * 30_000_000),
        ({"email": "x" * 2_000_000}, b"a"),
    ],
    ids=["a large field", "too many parts", "a large file", "a large field beside a file"],
)
@pytest.mark.parametrize("path", ["/sign-in", "/classes/import"])
def test_what_is_too_large_is_said_to_be(
    browser: Browser, people: People, fields: dict[str, str], file: bytes | None, path: str
) -> None:
    people.sign_in(browser, people.ada)
    if file is None:
        answer = browser.client.post(path, data=fields)
    else:
        body, kind = in_parts(fields, file)
        answer = browser.client.post(path, data=body, content_type=kind)
    assert answer.status_code == 413 and "too large" in answer.text


@pytest.mark.parametrize("field", ["full_name", "another field"])
def test_a_zero_byte_reaches_no_page(browser: Browser, people: People, field: str) -> None:
    people.sign_in(browser, people.ada)
    browser.get("/settings")
    browser.post("/settings", {"full_name": "Ada", field: "A\0da"}, status=400)
    browser.get("/classes?year=2026%00", status=400)
    assert browser.get("/settings").select_one("[name=full_name]")["value"] == "Ada Lovelace"


def test_an_admin_may_look_for_anything_but_a_zero_byte(browser: Browser, people: People) -> None:
    people.sign_in(browser, people.head)
    for address in ("/admin/people?q=%00", "/admin/audit?who=a%00b", "/admin/audit?what=%00"):
        browser.get(address, status=400)


def test_a_file_may_not_be_called_by_a_zero_byte(browser: Browser, people: People) -> None:
    people.sign_in(browser, people.ada)
    browser.get("/classes/import")
    token = browser.page.select_one("[name=csrf_token]")["value"]
    body = (
        f'--x\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n{token}\r\n'
        '--x\r\nContent-Disposition: form-data; name="file"; filename="a\0b.csv"\r\n\r\nLRN,Name\r\n--x--\r\n'
    )
    answer = browser.client.post("/classes/import", data=body, content_type="multipart/form-data; boundary=x")
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::/64"),
        (None, ""),
    ],
)
def test_all_addresses_of_one_customer_are_one_place(address: str | None, network: str) -> None:
    assert client_network(address) == network
