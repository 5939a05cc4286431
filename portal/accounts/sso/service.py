"""providers() · begin(...) · come_back(...): the way to Google or Microsoft and back, bound to one browser.

What a sign-in is bound to (state, nonce, PKCE verifier) travels in the browser's own session, sealed; the table
`spent_states` makes each work once.
"""

import hmac
import json
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

from flask import Flask, current_app, session

from portal.accounts.models import SpentState, User
from portal.config import Settings
from portal.core import clock
from portal.core.crypto import (
    SealBroken,
    seal,
    token_hash,
    unseal,
)
from portal.core.db import end_reading, insert_once, writing
from portal.oidc import claims
from portal.oidc.claims import Person
from portal.oidc.errors import Refused
from portal.oidc.provider import Provider, Secrets

TRIP = "trip"  # in the browser's session
GOOD_FOR = timedelta(minutes=10)
_KEY = "silid.openid"


@dataclass(frozen=True)
class Trip:
    """Where somebody was sent and what they want there: to sign in, or, being `user_id`, to connect the account."""

    provider: str
    target: str
    user_id: UUID | None
    secrets: Secrets


def init_providers(app: Flask, settings: Settings) -> None:
    """Give the application those providers that are configured."""
    found = {}
    if settings.google_client_id:
        # The organisation is only a hint here; what the token says of it is what counts.
        organisation = settings.email_domains[0] if len(settings.email_domains) == 1 else "*"
        found["google"] = Provider(
            "google",
            "Google",
            settings.google_issuer,
            settings.google_client_id,
            settings.google_client_secret,
            who=partial(claims.google, domains=settings.email_domains),
            hints={"hd": organisation},
        )
    if settings.microsoft_client_id:
        found["microsoft"] = Provider(
            "microsoft",
            "Microsoft",
            settings.microsoft_issuer,
            settings.microsoft_client_id,
            settings.microsoft_client_secret,
            who=partial(claims.microsoft, tenant=settings.microsoft_tenant),
            hints={},
        )
    app.extensions[_KEY] = found


def providers() -> list[Provider]:
    """Where people may sign in, besides here."""
    return list(current_app.extensions[_KEY].values())


def provider(name: str) -> Provider | None:
    found: Provider | None = current_app.extensions[_KEY].get(name)
    return found


def begin(there: Provider, *, target: str = "", user: User | None = None) -> str:
    """The address to send the browser to; it remembers the trip. Raises Unavailable."""
    trip = Secrets.new()
    end_reading()
    address = there.address(trip, _back(there))
    content = {
        "provider": there.name,
        "target": target,
        "user": str(user.id) if user else "",
        "until": (clock.now() + GOOD_FOR).timestamp(),
        "secrets": asdict(trip),
    }
    session[TRIP] = seal(json.dumps(content), TRIP)
    return address


def come_back(there: Provider, state: str) -> Trip:
    """The trip that ends here, which it does whatever comes of it. Raises Refused where this browser has begun none
    to this provider, has begun another since, took too long, or comes with the same state again."""
    try:
        content = json.loads(unseal(session.pop(TRIP, ""), TRIP))
    except SealBroken:
        raise Refused("state") from None
    trip = Trip(
        content["provider"],
        content["target"],
        UUID(content["user"]) if content["user"] else None,
        Secrets(**content["secrets"]),
    )
    right = hmac.compare_digest(state.encode(), trip.secrets.state.encode())
    if not right or trip.provider != there.name or content["until"] < clock.now().timestamp():
        raise Refused("state")
    with writing():
        first = insert_once(SpentState, {"state_hash": token_hash(state), "at": clock.now()}, ["state_hash"])
    if not first:
        raise Refused("state again")
    return trip


def ask(there: Provider, trip: Trip, code: str) -> Person:
    """Who came back with this code. Raises Refused and Unavailable."""
    end_reading()
    return there.person(code, trip.secrets, _back(there), int(clock.now().timestamp()))


def _back(there: Provider) -> str:
    """Registered with the provider letter by letter; never built from the request, whose Host anybody can write."""
    settings: Settings = current_app.extensions["silid.settings"]
    return f"{settings.base_url}/sign-in/{there.name}/back"
