"""Signing in with Google or Microsoft: only our own people, each known by issuer and subject, never by an address."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select
from werkzeug.wrappers import Response

from portal.accounts.models import AccountRequest, ExternalIdentity, UsedOidcState, User, UserSession
from portal.accounts.sso import service as sso_service
from portal.accounts.users import service as admins
from portal.core import clock
from portal.core.audit_log import AuditEntry
from portal.core.db import db, write_transaction
from portal.jobs import retention
from tests import openid_issuer as spoiled
from tests.accounts.conftest import Letters
from tests.browser import Browser
from tests.openid_issuer import CLIENT_ID, CLIENT_SECRET, Claims, Issuer
from tests.people import PASSWORD, People, expire_orm_state

TENANT = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490"
OID = "0f1e2d3c-0000-4000-8000-00000000ada0"
ADA = {
    "google": {
        "sub": "110169484474386276334",
        "hd": "r1.deped.gov.ph",
        "email": "ada@r1.deped.gov.ph",
        "email_verified": True,
        "name": "Ada Lovelace",
    },
    "microsoft": {
        "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
        "tid": TENANT,
        "oid": OID,
        "preferred_username": "ada@r1.deped.gov.ph",
        "name": "Ada Lovelace",
    },
}
ADDRESS = {"google": "email", "microsoft": "preferred_username"}
SUBJECT = {"google": ADA["google"]["sub"], "microsoft": f"{TENANT}:{OID}"}


@pytest.fixture(scope="module")
def server() -> Iterator[Issuer]:
    with spoiled.serving(Issuer()) as issuer:
        yield issuer


@pytest.fixture
def configure(app: Flask, server: Issuer) -> Iterator[Callable[[str], Issuer]]:
    """Switches sign-in with one provider on, whose part the issuer of the tests then plays."""
    before = app.extensions["silid.settings"]

    def switch_on(name: str) -> Issuer:
        values: dict[str, Any] = {
            f"{name}_client_id": CLIENT_ID,
            f"{name}_client_secret": CLIENT_SECRET,
            f"{name}_issuer": server.url,
            "microsoft_tenant": TENANT,
        }
        app.extensions["silid.settings"] = replace(before, **values)
        sso_service.init_sso_providers(app, app.extensions["silid.settings"])
        server.reset()
        server.back = f"https://silid.test/sign-in/{name}/back"
        server.claims = dict(ADA[name])
        return server

    yield switch_on
    app.extensions["silid.settings"] = before
    sso_service.init_sso_providers(app, before)


@pytest.fixture(params=["google", "microsoft"])
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def issuer(configure: Callable[[str], Issuer], provider: str) -> Issuer:
    return configure(provider)


@pytest.fixture
def google(configure: Callable[[str], Issuer]) -> Issuer:
    return configure("google")


@pytest.fixture
def microsoft(configure: Callable[[str], Issuer]) -> Issuer:
    return configure("microsoft")


def known(user: User, issuer: Issuer, subject: str) -> None:
    """The identity is connected to this person."""
    with write_transaction() as session:
        session.add(ExternalIdentity(issuer=issuer.url, subject=subject, user_id=user.id, created_at=clock.now()))


@pytest.fixture
def ada(people: People, issuer: Issuer, provider: str) -> User:
    """Ada, whose account at the provider is connected."""
    known(people.ada, issuer, SUBJECT[provider])
    return people.ada


def go(browser: Browser, provider: str, query: str = "") -> str:
    """Press the link on the sign-in page; the address at the provider to which it leads."""
    browser.get(f"/sign-in{query}")
    [link] = [a["href"] for a in browser.page.select("main a") if f"/sign-in/{provider}" in str(a["href"])]
    return leads_to(browser, str(link))


def leads_to(browser: Browser, path: str) -> str:
    browser.get(path, status=303)
    assert browser.response is not None and browser.response.headers["Cache-Control"] == "no-store"
    return browser.response.headers["Location"]


def come(browser: Browser, issuer: Issuer, provider: str, status: int = 200, query: str = "") -> str:
    """There and back; the words of the page where it ends."""
    browser.get(issuer.authorize(go(browser, provider, query)), status=status, follow=True)
    return browser.text


def refused(browser: Browser, issuer: Issuer, provider: str) -> str:
    """There and back, and not let in; the reason that was written down."""
    come(browser, issuer, provider, 403)
    return turned_away(browser)


def turned_away(browser: Browser) -> str:
    """Nobody is in, nothing was made, the page is the one that all get. The reason in the log."""
    assert browser.text.startswith("That did not work You cannot go on with this account, or it took too long.")
    browser.get("/classes", status=302)
    assert db.session.scalar(select(func.count()).select_from(UserSession)) == 0
    assert db.session.scalar(select(func.count()).select_from(AccountRequest)) == 0
    entries = db.session.scalars(
        select(AuditEntry).where(AuditEntry.action == "refused_sign_in").order_by(AuditEntry.id)
    )
    [entry] = list(entries)
    assert len(str(entry.details["place"])) == 32 and "@" not in str(entry.details)
    return str(entry.details["reason"])


# What there is to see


def test_without_settings_nothing_of_it_is_there(browser: Browser, people: People) -> None:
    browser.get("/sign-in")
    assert "Google" not in browser.text and "Microsoft" not in browser.text
    for name in ("google", "microsoft"):
        browser.get(f"/sign-in/{name}", status=404)
        browser.get(f"/sign-in/{name}/back?state=x&code=y", status=404)
    browser.get("/sign-in/facebook", status=404)
    people.sign_in_by_form(browser, people.ada)
    browser.get("/settings")
    assert "Google" not in browser.text


def test_only_what_is_configured_is_offered(browser: Browser, google: Issuer) -> None:
    browser.get("/sign-in")
    assert "Sign in with Google" in browser.text and "Microsoft" not in browser.text
    browser.get("/sign-in/microsoft", status=404)


# The way there


def test_the_way_there_is_bound_to_this_browser_alone(browser: Browser, other: Browser, google: Issuer) -> None:
    seen = [{k: v[0] for k, v in parse_qs(urlsplit(go(one, "google")).query).items()} for one in (browser, other)]
    for name in ("state", "nonce", "code_challenge"):
        assert seen[0][name] != seen[1][name]
    assert seen[0]["hd"] == "r1.deped.gov.ph" and seen[0]["prompt"] == "select_account"
    assert seen[0]["redirect_uri"] == "https://silid.test/sign-in/google/back"


def test_what_it_is_bound_to_cannot_be_read_in_the_cookie(browser: Browser, google: Issuer) -> None:
    said = parse_qs(urlsplit(go(browser, "google")).query)
    with browser.client.session_transaction() as kept:
        text = str(dict(kept))
    assert "sso_attempt" in text and said["state"][0] not in text and said["nonce"][0] not in text


def test_the_hosts_name_in_the_request_does_not_get_into_the_redirect(browser: Browser, google: Issuer) -> None:
    browser.get("/sign-in/google", status=303, headers={"Host": "localhost:9999", "X-Forwarded-Proto": "http"})
    assert browser.response is not None
    back = parse_qs(urlsplit(browser.response.headers["Location"]).query)["redirect_uri"]
    assert back == ["https://silid.test/sign-in/google/back"]


# Who is let in


def test_a_connected_account_signs_in(browser: Browser, issuer: Issuer, provider: str, ada: User) -> None:
    come(browser, issuer, provider)
    assert browser.url == "/"
    browser.get("/classes")
    [entry] = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "signed_in"))
    assert entry.user_id == ada.id and len(str(entry.details["place"])) == 32
    assert db.session.scalars(select(ExternalIdentity.last_used_at)).one() is not None
    assert not db.session.scalars(select(UserSession)).one().remembered


def test_it_leads_to_the_page_that_was_asked_for(browser: Browser, issuer: Issuer, provider: str, ada: User) -> None:
    come(browser, issuer, provider, query="?next=/reports")
    assert browser.url == "/reports"


def test_it_leads_nowhere_else(browser: Browser, issuer: Issuer, provider: str, ada: User) -> None:
    address = leads_to(browser, f"/sign-in/{provider}?next=https://evil.example/")
    browser.get(issuer.authorize(address), status=302)
    assert browser.response is not None and browser.response.headers["Location"] == "/"


def test_signing_in_gives_a_new_session(browser: Browser, issuer: Issuer, provider: str, ada: User) -> None:
    with browser.client.session_transaction() as kept:
        kept["from before"] = "an attacker's"
    come(browser, issuer, provider)
    with browser.client.session_transaction() as kept:
        assert "from before" not in kept and "sso_attempt" not in kept


def test_the_account_is_known_after_its_address_has_changed(
    browser: Browser, issuer: Issuer, provider: str, ada: User
) -> None:
    issuer.claims[ADDRESS[provider]] = "ada.byron@r1.deped.gov.ph"
    come(browser, issuer, provider)
    browser.get("/settings")
    assert ada.email in browser.text


def test_codes_are_asked_for_all_the_same(browser: Browser, other: Browser, google: Issuer, people: People) -> None:
    known(people.ada, google, SUBJECT["google"])
    people.sign_in_by_form(other, people.ada)
    phone = pyotp.TOTP(other.get("/settings/codes").select_one("#secret").text)  # type: ignore[union-attr]
    other.submit(code=phone.now())
    come(browser, google, "google", query="?next=/reports")
    assert browser.url.startswith("/sign-in/code")
    browser.get("/classes", status=302)
    with time_machine.travel(clock.now() + timedelta(seconds=90)):
        come(browser, google, "google", query="?next=/reports")
        browser.submit(code=phone.at(clock.now()))
        assert browser.url == "/reports"


def test_an_admin_without_codes_sets_them_up_first(
    app: Flask, browser: Browser, google: Issuer, people: People
) -> None:
    known(people.head, google, SUBJECT["google"])
    app.extensions["silid.settings"] = replace(app.extensions["silid.settings"], codes_for_admins=True)
    come(browser, google, "google")
    assert browser.url == "/settings/codes"
    browser.get("/admin/people", status=302)


def test_a_new_key_of_the_provider_is_looked_for(
    browser: Browser, other: Browser, issuer: Issuer, provider: str, ada: User
) -> None:
    come(browser, issuer, provider)
    spoiled.rotated(issuer)
    come(other, issuer, provider)
    other.get("/classes")
    issuer.sign = spoiled.unknown_key
    for _ in range(3):
        come(Browser(other.client.application.test_client()), issuer, provider, 403)
    assert issuer.asked.count("/keys") == 2, "names that nobody knows do not send us to the provider each time"


def test_descriptions_and_keys_are_fetched_once(
    browser: Browser, other: Browser, issuer: Issuer, provider: str, ada: User
) -> None:
    come(browser, issuer, provider)
    come(other, issuer, provider)
    assert sorted(issuer.asked) == ["/.well-known/openid-configuration", "/keys", "/token", "/token"]


# Who is not


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"hd": None}, "hd"),
        ({"hd": "evil.example"}, "hd"),
        ({"hd": "R1.deped.gov.ph.evil.example"}, "hd"),
        ({"hd": ["r1.deped.gov.ph"]}, "hd"),
        ({"hd": True}, "hd"),
        ({"email_verified": False}, "email_verified"),
        ({"email_verified": "false"}, "email_verified"),
        ({"email_verified": "true"}, "email_verified"),
        ({"email_verified": 1}, "email_verified"),
        ({"email_verified": None}, "email_verified"),
        ({"email": None}, "email"),
        ({"email": ["ada@r1.deped.gov.ph"]}, "email"),
        ({"email": "ada@evil.example"}, "address"),
        ({"email": "ada@r1.deped.gov.ph.evil.example"}, "address"),
        ({"email": "ada+x@r1.deped.gov.ph"}, "address"),
        ({"email": "\u212aada@r1.deped.gov.ph"}, "address"),
        ({"email": "300123200001@r1.deped.gov.ph"}, "learner"),
        ({"sub": None}, "sub"),
        ({"sub": 110169484474386276334}, "sub"),
        ({"sub": ""}, "sub"),
        ({"sub": "x" * 256}, "sub"),
        ({"sub": "110169484474386276334 "}, "sub"),
    ],
)
def test_who_is_not_of_the_school_at_google_is_refused(
    browser: Browser, google: Issuer, people: People, change: Claims, reason: str
) -> None:
    known(people.ada, google, SUBJECT["google"])
    google.claims = {k: v for k, v in (google.claims | change).items() if v is not None}
    assert refused(browser, google, "google") == reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tid": "00000000-2b34-4da1-9baa-8bc8c9d6a490"}, "tid"),
        ({"tid": "9188040d-6c67-4c5b-b112-36a304b66dad"}, "tid"),  # all private accounts
        ({"tid": None}, "tid"),
        ({"oid": None}, "oid"),
        ({"oid": "ada"}, "oid"),
        ({"idp": "https://sts.windows.net/00000000-2b34-4da1-9baa-8bc8c9d6a490/"}, "guest"),
        ({"email_verified": False}, "email_verified"),
        ({"preferred_username": None}, "preferred_username"),
        ({"preferred_username": "ada@gmail.com", "email": "ada@r1.deped.gov.ph"}, "address"),
        ({"preferred_username": "300123200001@r1.deped.gov.ph"}, "learner"),
    ],
)
def test_who_is_not_of_the_tenant_at_microsoft_is_refused(
    browser: Browser, microsoft: Issuer, people: People, change: Claims, reason: str
) -> None:
    known(people.ada, microsoft, SUBJECT["microsoft"])
    microsoft.claims = {k: v for k, v in (microsoft.claims | change).items() if v is not None}
    assert refused(browser, microsoft, "microsoft") == reason


def _set(**values: Any) -> Callable[[Claims], object]:
    return lambda claims: claims.update(values)


def _without(name: str) -> Callable[[Claims], object]:
    return lambda claims: claims.pop(name)


def _seconds(name: str, seconds: int) -> Callable[[Claims], object]:
    return lambda claims: claims.update({name: int(time.time()) + seconds})


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_set(nonce="another"), "nonce"),
        (_set(nonce=""), "nonce"),
        (lambda claims: claims.update(nonce=[claims["nonce"]]), "nonce"),
        (_without("nonce"), "nonce"),
        (_set(aud="another-client"), "aud"),
        (_set(aud=[CLIENT_ID, "another-client"]), "aud"),
        (_without("aud"), "aud"),
        (_set(azp="another-client"), "azp"),
        (_set(iss="https://accounts.evil.example"), "iss"),
        (_without("iss"), "iss"),
        (_seconds("exp", -120), "exp"),
        (_set(exp="tomorrow"), "exp"),
        (_without("exp"), "exp"),
        (_seconds("iat", 600), "iat"),
        (_seconds("iat", -3000), "iat"),
        (_without("iat"), "iat"),
        (_seconds("nbf", 600), "nbf"),
        (_set(at_hash="of another token"), "at_hash"),
        (_set(at_hash=7), "at_hash"),
    ],
)
def test_a_token_that_says_something_else_is_refused(
    browser: Browser, issuer: Issuer, provider: str, ada: User, spoil: Callable[[Claims], object], reason: str
) -> None:
    issuer.spoil = spoil
    assert refused(browser, issuer, provider) == reason


@pytest.mark.parametrize(
    ("sign", "reason"),
    [
        (spoiled.unsigned, "alg"),
        (spoiled.hs256_with_the_public_key, "alg"),
        (spoiled.rs512, "alg"),
        (spoiled.another_key, "signature"),
        (spoiled.key_inside, "token"),
        (spoiled.keys_elsewhere, "signature"),
        (spoiled.unknown_key, "key"),
        (spoiled.no_key_named, "key"),
        (spoiled.cut_off, "signature"),
        (spoiled.rubbish, "token"),
    ],
)
def test_a_token_that_is_signed_otherwise_is_refused(
    browser: Browser, issuer: Issuer, provider: str, ada: User, sign: Callable[[Claims], str], reason: str
) -> None:
    issuer.sign = sign
    assert refused(browser, issuer, provider) == reason


def test_a_state_of_another_browser_is_refused(
    browser: Browser, other: Browser, issuer: Issuer, provider: str, ada: User
) -> None:
    back = issuer.authorize(go(other, provider))
    browser.get(back, status=403)
    assert turned_away(browser) == "state"
    assert "/token" not in issuer.asked


def test_another_state_is_refused(browser: Browser, issuer: Issuer, provider: str, ada: User) -> None:
    back = issuer.authorize(go(browser, provider))
    browser.get(back.replace("state=", "state=x"), status=403)
    assert turned_away(browser) == "state"
    browser.get(back, status=403)  # the trip is over, though this one would have been right


def test_a_state_works_once_even_with_a_copy_of_the_cookie(
    browser: Browser, other: Browser, issuer: Issuer, provider: str, ada: User
) -> None:
    address = go(browser, provider)
    cookie = browser.client.get_cookie("__Host-session", "localhost") or browser.client.get_cookie("__Host-session")
    assert cookie is not None
    other.client.set_cookie("__Host-session", cookie.value, secure=True)
    issuer.spoil = _set(nonce="another")
    browser.get(issuer.authorize(address), status=403)
    issuer.reset()
    issuer.claims = dict(ADA[provider])
    other.get(issuer.authorize(address), status=403)
    reasons = db.session.scalars(
        select(AuditEntry).where(AuditEntry.action == "refused_sign_in").order_by(AuditEntry.id)
    )
    assert [entry.details["reason"] for entry in reasons] == ["nonce", "state again"]
    assert issuer.asked == []


def test_a_code_works_with_the_verifier_of_this_browser_alone(
    browser: Browser, other: Browser, issuer: Issuer, provider: str, ada: User
) -> None:
    stolen = parse_qs(urlsplit(issuer.authorize(go(other, provider))).query)["code"][0]
    own = parse_qs(urlsplit(go(browser, provider)).query)["state"][0]
    browser.get(f"/sign-in/{provider}/back?state={own}&code={stolen}", status=403)
    assert turned_away(browser) == "code"


def test_who_stays_away_too_long_begins_again(browser: Browser, issuer: Issuer, provider: str, ada: User) -> None:
    back = issuer.authorize(go(browser, provider))
    with time_machine.travel(clock.now() + timedelta(minutes=11)):
        browser.get(back, status=403)
        assert turned_away(browser) == "state"


def test_an_answer_of_another_issuer_is_refused(browser: Browser, issuer: Issuer, provider: str, ada: User) -> None:
    back = issuer.authorize(go(browser, provider))
    browser.get(f"{back}&iss=https://accounts.evil.example", status=403)
    assert turned_away(browser) == "iss of the answer"


def test_a_trip_to_one_provider_does_not_end_at_the_other(
    app: Flask, browser: Browser, google: Issuer, people: People
) -> None:
    known(people.ada, google, SUBJECT["google"])
    settings = replace(
        app.extensions["silid.settings"],
        microsoft_client_id=CLIENT_ID,
        microsoft_client_secret=CLIENT_SECRET,
        microsoft_issuer=google.url,
    )
    sso_service.init_sso_providers(app, settings)
    back = google.authorize(go(browser, "google"))
    browser.get(back.replace("/google/", "/microsoft/"), status=403)
    assert turned_away(browser) == "state"


def test_who_changes_her_mind_is_no_failed_try(app: Flask, browser: Browser, google: Issuer, people: People) -> None:
    for _ in range(2):
        state = parse_qs(urlsplit(go(browser, "google")).query)["state"][0]
        browser.get(f"/sign-in/google/back?state={state}&error=access_denied", status=403)
    reasons = {e.details["reason"] for e in db.session.scalars(select(AuditEntry)) if "reason" in e.details}
    assert reasons == {"given up there"}
    settings = app.extensions["silid.settings"]
    app.extensions["silid.settings"] = replace(settings, sign_ins_per_address=1)
    browser.get("/sign-in/google", status=303)


def test_trying_again_and_again_is_slowed(app: Flask, browser: Browser, google: Issuer) -> None:
    app.extensions["silid.settings"] = replace(app.extensions["silid.settings"], sign_ins_per_address=3)
    for _ in range(3):
        browser.get("/sign-in/google/back?state=guessed&code=guessed", status=403)
    for path in ("/sign-in/google/back?state=guessed&code=guessed", "/sign-in/google"):
        browser.get(path, status=429)
        assert browser.response is not None and int(browser.response.headers["Retry-After"]) > 0


def test_a_recycled_mailbox_opens_nobodys_account(browser: Browser, issuer: Issuer, provider: str, ada: User) -> None:
    issuer.claims |= {"sub": "999", "oid": OID.replace("ada0", "ada1")}
    assert refused(browser, issuer, provider) == "known address"
    assert db.session.scalars(select(ExternalIdentity.user_id)).all() == [ada.id]


def test_a_known_address_is_not_connected_by_itself(
    browser: Browser, issuer: Issuer, provider: str, people: People
) -> None:
    assert refused(browser, issuer, provider) == "known address"
    assert db.session.scalars(select(ExternalIdentity)).all() == []


def test_a_closed_account_stays_closed(browser: Browser, issuer: Issuer, provider: str, ada: User) -> None:
    with write_transaction():
        ada.deactivated_at = clock.now()
    assert refused(browser, issuer, provider) == "closed account"


def test_all_who_are_refused_see_the_same(
    browser: Browser, other: Browser, issuer: Issuer, provider: str, ada: User
) -> None:
    pages = []
    for spoil in (
        _set(nonce="another"),
        _set(aud="another"),
        _set(hd="evil.example", tid="another"),
        _seconds("exp", -90),
    ):
        issuer.spoil = spoil
        come(browser, issuer, provider, 403)
        pages.append(str(browser.page.select_one("main")))
    with write_transaction():
        ada.deactivated_at = clock.now()
    issuer.spoil = _set()
    come(browser, issuer, provider, 403)
    assert set(pages) == {str(browser.page.select_one("main"))}


# A provider in trouble


def _huge() -> Response:
    return spoiled.said({"keys": ["x" * 300_000]})


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/keys"])
@pytest.mark.parametrize(
    "answer",
    [
        lambda: Response("busy", 503),
        lambda: Response("<h1>Hello</h1>", content_type="text/html"),
        lambda: spoiled.said(["a", "list"]),
        lambda: Response("", 302, headers={"Location": "http://169.254.169.254/latest"}),
        _huge,
    ],
    ids=["503", "a page", "a list", "a redirect", "too_large"],
)
def test_a_provider_in_trouble_is_named_and_the_password_still_works(
    browser: Browser, google: Issuer, people: People, path: str, answer: Callable[[], Response]
) -> None:
    known(people.ada, google, SUBJECT["google"])
    google.answers[path] = answer
    if path.startswith("/.well"):
        browser.get("/sign-in/google", status=503)
    else:
        browser.get(google.authorize(go(browser, "google")), status=503)
    assert "Google does not answer" in browser.text and "Sign in with your password" in browser.text
    people.sign_in_by_form(browser, people.ada)
    browser.get("/classes")


def test_a_provider_that_is_not_there_is_named(app: Flask, browser: Browser, google: Issuer) -> None:
    sso_service.init_sso_providers(app, replace(app.extensions["silid.settings"], google_issuer="http://127.0.0.1:9"))
    browser.get("/sign-in/google", status=503)
    assert "Google does not answer" in browser.text


def test_a_description_of_another_issuer_is_not_believed(browser: Browser, google: Issuer) -> None:
    about = {"issuer": "https://accounts.evil.example", "authorization_endpoint": f"{google.url}/authorize"}
    google.answers["/.well-known/openid-configuration"] = lambda: spoiled.said(about)
    browser.get("/sign-in/google", status=503)


@pytest.mark.parametrize("address", ["http://evil.example/authorize", "javascript:alert(1)", "/authorize", 7, None])
def test_a_description_that_leads_off_the_safe_way_is_not_followed(
    browser: Browser, google: Issuer, address: object
) -> None:
    about = {"issuer": google.url, "authorization_endpoint": address}
    google.answers["/.well-known/openid-configuration"] = lambda: spoiled.said(about)
    browser.get("/sign-in/google", status=503)


def test_a_wrong_secret_of_ours_is_our_trouble(app: Flask, browser: Browser, google: Issuer) -> None:
    sso_service.init_sso_providers(app, replace(app.extensions["silid.settings"], google_client_secret="old"))
    browser.get(google.authorize(go(browser, "google")), status=503)


# Whom nobody knows yet


@pytest.fixture
def cora(issuer: Issuer, provider: str, people: People) -> str:
    """Cora has an account at the provider, none here."""
    issuer.claims |= {"name": "Cora\r\nPeña", ADDRESS[provider]: "Cora@r1.deped.gov.ph"}
    return "cora@r1.deped.gov.ph"


def test_an_unknown_colleague_asks_and_an_admin_lets_her_in(
    browser: Browser, other: Browser, issuer: Issuer, provider: str, people: People, cora: str, letters: Letters
) -> None:
    come(browser, issuer, provider)
    assert browser.url == "/ask-for-account/checked" and cora in browser.text
    assert browser.page.select_one("[name=full_name]")["value"] == "Cora Peña"  # type: ignore[index]
    browser.submit(school="999999", status=422)
    assert "No school here has this ID" in browser.text
    browser.submit(school="300123")
    assert "We have your request" in browser.text
    assert db.session.scalars(select(ExternalIdentity)).all() == []
    browser.post("/ask-for-account/checked", {"full_name": "Another Name", "school": "300123"})
    assert db.session.scalars(select(AccountRequest.full_name)).all() == ["Cora Peña"]
    come(browser, issuer, provider)
    assert "We have your request" in browser.text

    people.sign_in_by_form(other, people.head)
    other.get("/admin/people")
    assert "the address is checked" in other.text
    other.submit("form[action$=approve]")
    assert [letter["to"] for letter in letters()] == [cora]
    come(browser, issuer, provider)
    assert browser.url == "/"
    browser.get("/settings")
    assert cora in browser.text


def test_a_refused_colleague_stays_out(
    browser: Browser, other: Browser, issuer: Issuer, provider: str, people: People, cora: str
) -> None:
    come(browser, issuer, provider)
    browser.submit(school="300123")
    people.sign_in_by_form(other, people.head)
    other.get("/admin/people")
    other.submit("form[action$=refuse]")
    come(browser, issuer, provider)
    assert "We have your request" in browser.text
    assert db.session.scalar(select(User).where(User.email == cora)) is None


@pytest.mark.parametrize("state", ["pending", "rejected"])
def test_what_a_stranger_typed_before_gives_way_to_who_has_the_mailbox(
    browser: Browser, issuer: Issuer, provider: str, people: People, cora: str, state: str
) -> None:
    with write_transaction() as session:
        session.add(AccountRequest(email=cora, full_name="Mallory", language="en", state=state, created_at=clock.now()))
    come(browser, issuer, provider)
    browser.submit(school="300123")
    [wish] = db.session.scalars(select(AccountRequest))
    assert (wish.full_name, wish.issuer, wish.subject) == ("Cora Peña", issuer.url, SUBJECT[provider])
    assert wish.state == "pending"


def test_the_next_owner_of_a_mailbox_that_was_refused_stays_out_too(
    browser: Browser, issuer: Issuer, provider: str, people: People, cora: str
) -> None:
    with write_transaction() as session:
        session.add(
            AccountRequest(
                email=cora,
                full_name="Cora Peña",
                language="en",
                state="rejected",
                issuer=issuer.url,
                subject="somebody before",
                created_at=clock.now(),
            )
        )
    come(browser, issuer, provider)
    browser.submit(school="300123")
    assert "We have your request" in browser.text
    [wish] = db.session.scalars(select(AccountRequest))
    assert (wish.state, wish.subject) == ("rejected", "somebody before")


def test_who_was_invited_in_the_meantime_is_not_connected(
    browser: Browser, issuer: Issuer, provider: str, people: People, cora: str
) -> None:
    come(browser, issuer, provider)
    people.person("cora", "Cora Peña", people.school)
    browser.submit(school="300123", status=403)
    assert db.session.scalars(select(AccountRequest)).all() == []


def test_an_account_elsewhere_opens_one_account_here(
    browser: Browser, issuer: Issuer, provider: str, people: People, cora: str
) -> None:
    come(browser, issuer, provider)
    browser.submit(school="300123")
    known(people.bob, issuer, SUBJECT[provider])  # connected by somebody else before the admin decides
    [wish] = db.session.scalars(select(AccountRequest))
    made, _link = admins.approve_account_request(people.head, wish)
    expire_orm_state()
    assert db.session.get_one(User, made.id).confirmed_at is None
    assert db.session.scalars(select(ExternalIdentity.user_id)).all() == [people.bob.id]


def test_nobody_gets_to_the_form_without_the_provider(browser: Browser, issuer: Issuer) -> None:
    browser.get("/ask-for-account/checked", status=302)
    browser.get("/sign-in")
    browser.post("/ask-for-account/checked", {"full_name": "Eve", "school": "300123"}, status=302, follow=False)
    assert db.session.scalars(select(AccountRequest)).all() == []


def test_the_form_is_open_for_half_an_hour(browser: Browser, issuer: Issuer, provider: str, cora: str) -> None:
    come(browser, issuer, provider)
    with time_machine.travel(clock.now() + timedelta(minutes=31)):
        browser.submit(school="300123", status=302, follow=False)
    assert db.session.scalars(select(AccountRequest)).all() == []


# Connecting and disconnecting


def prove(browser: Browser) -> None:
    browser.get("/settings/ways-in")
    browser.submit(current=PASSWORD)


def connect(browser: Browser, issuer: Issuer, provider: str, status: int = 200) -> None:
    label = {"google": "Google", "microsoft": "Microsoft"}[provider]
    [link] = [a["href"] for a in browser.page.select("main a") if f"Connect {label}" in a.text]
    browser.get(issuer.authorize(leads_to(browser, str(link))), status=status, follow=True)


def test_a_person_connects_an_account_signs_in_with_it_and_disconnects_it(
    browser: Browser, other: Browser, issuer: Issuer, provider: str, people: People, letters: Letters
) -> None:
    people.sign_in_by_form(browser, people.ada)
    browser.get("/settings")
    browser.click("Google" if provider == "google" else "Microsoft")
    assert "Connect Google" not in browser.text and "Connect Microsoft" not in browser.text
    browser.submit(current=PASSWORD)
    connect(browser, issuer, provider)
    assert browser.url == "/settings/ways-in" and "Connected: you can now sign in" in browser.text
    assert "Connect Google" not in browser.text and "Connect Microsoft" not in browser.text
    [letter] = letters()
    assert letter["to"] == people.ada.email and "Another way to sign in" in letter["subject"]
    come(other, issuer, provider)
    other.get("/classes")
    browser.get("/settings/ways-in")
    browser.submit("form[action$=end]", button="Disconnect")
    assert "Disconnected" in browser.text
    third = Browser(browser.client.application.test_client())
    come(third, issuer, provider, 403)
    said = set(db.session.scalars(select(AuditEntry.action)))
    assert {"linked_identity", "unlinked_identity"} <= said


def test_connecting_twice_changes_nothing(
    browser: Browser, issuer: Issuer, provider: str, ada: User, people: People, letters: Letters
) -> None:
    people.sign_in_by_form(browser, ada)
    prove(browser)
    address = leads_to(browser, f"/settings/ways-in/connect?provider={provider}")
    browser.get(issuer.authorize(address), follow=True)
    assert db.session.scalars(select(ExternalIdentity.user_id)).all() == [ada.id] and letters() == []


def test_without_the_password_nothing_is_connected_or_disconnected(
    browser: Browser, issuer: Issuer, provider: str, ada: User, people: People
) -> None:
    people.sign_in_by_form(browser, ada)
    browser.get(f"/settings/ways-in/connect?provider={provider}", follow=True)
    assert "Write your password first" in browser.text
    browser.submit(current="not this one at all", status=422)
    [identity] = db.session.scalars(select(ExternalIdentity))
    browser.post(f"/settings/ways-in/{identity.id}/end")
    assert "Write your password first" in browser.text
    prove(browser)
    with time_machine.travel(clock.now() + timedelta(minutes=6)):
        browser.post(f"/settings/ways-in/{identity.id}/end")
        browser.get(f"/settings/ways-in/connect?provider={provider}", status=302)
    assert len(db.session.scalars(select(ExternalIdentity)).all()) == 1


def test_a_colleagues_account_on_a_shared_computer_is_not_connected(
    browser: Browser, issuer: Issuer, provider: str, people: People
) -> None:
    people.sign_in_by_form(browser, people.bob)
    prove(browser)
    connect(browser, issuer, provider, 403)  # Ada is still signed in at the provider
    assert "That did not work" in browser.text and db.session.scalars(select(ExternalIdentity)).all() == []
    browser.get("/classes")


def test_an_account_that_is_somebody_elses_way_in_is_not_taken_over(
    browser: Browser, issuer: Issuer, provider: str, people: People
) -> None:
    known(people.bob, issuer, SUBJECT[provider])
    people.sign_in_by_form(browser, people.ada)
    prove(browser)
    connect(browser, issuer, provider, 403)
    assert db.session.scalars(select(ExternalIdentity.user_id)).all() == [people.bob.id]


def test_a_trip_to_connect_ends_with_the_session_that_began_it(
    browser: Browser, issuer: Issuer, provider: str, people: People
) -> None:
    people.sign_in_by_form(browser, people.ada)
    prove(browser)
    back = issuer.authorize(leads_to(browser, f"/settings/ways-in/connect?provider={provider}"))
    with write_transaction() as session:
        session.get_one(UserSession, session.scalars(select(UserSession.id)).one()).ended_at = clock.now()
    browser.get(back, status=403)
    assert db.session.scalars(select(ExternalIdentity)).all() == []


def test_a_trip_to_sign_in_connects_nothing_to_who_signed_in_meanwhile(
    browser: Browser, issuer: Issuer, provider: str, people: People
) -> None:
    address = go(browser, provider)
    with browser.client.session_transaction() as kept:
        trip = kept["sso_attempt"]
    people.sign_in_by_form(browser, people.ada)
    with browser.client.session_transaction() as kept:
        kept["sso_attempt"] = trip
    browser.get(issuer.authorize(address), status=403)
    assert db.session.scalars(select(ExternalIdentity)).all() == []


def test_somebody_elses_way_in_is_not_there(
    browser: Browser, issuer: Issuer, provider: str, ada: User, people: People
) -> None:
    people.sign_in_by_form(browser, people.bob)
    prove(browser)
    [identity] = db.session.scalars(select(ExternalIdentity))
    browser.post(f"/settings/ways-in/{identity.id}/end", status=404)
    assert len(db.session.scalars(select(ExternalIdentity)).all()) == 1


def test_spent_states_and_refusals_are_forgotten_in_time(
    browser: Browser, issuer: Issuer, provider: str, ada: User
) -> None:
    issuer.spoil = _set(nonce="another")
    come(browser, issuer, provider, 403)
    with time_machine.travel(clock.now() + timedelta(days=2)):
        retention.delete_expired_rows()
    expire_orm_state()
    assert db.session.scalars(select(UsedOidcState)).all() == []
    with time_machine.travel(clock.now() + timedelta(days=181)):
        retention.delete_expired_rows()
    assert db.session.scalars(select(AuditEntry).where(AuditEntry.action == "refused_sign_in")).all() == []
