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

from portal.accounts.models import UsedOidcState, User
from portal.config import Settings
from portal.core import clock
from portal.core.crypto import (
    DecryptionError,
    decrypt_for_row,
    encrypt_for_row,
    hash_token,
)
from portal.core.db import end_read_transaction, insert_if_absent, write_transaction
from portal.oidc import claims
from portal.oidc.claims import ExternalUser
from portal.oidc.errors import LoginRefused
from portal.oidc.provider import LoginSecrets, OidcProvider

SSO_ATTEMPT_KEY = "trip"  # in the browser's session
ATTEMPT_LIFETIME = timedelta(minutes=10)
_KEY = "silid.openid"


@dataclass(frozen=True)
class SsoAttempt:
    """Where somebody was sent and what they want there: to sign in, or, being `user_id`, to connect the account."""

    provider: str
    target: str
    user_id: UUID | None
    secrets: LoginSecrets


def init_sso_providers(app: Flask, settings: Settings) -> None:
    """Give the application those providers that are configured."""
    oidc_providers = {}
    if settings.google_client_id:
        # The organisation is only a hint here; what the token says of it is what counts.
        organisation = settings.email_domains[0] if len(settings.email_domains) == 1 else "*"
        oidc_providers["google"] = OidcProvider(
            "google",
            "Google",
            settings.google_issuer,
            settings.google_client_id,
            settings.google_client_secret,
            who=partial(claims.user_from_google_claims, domains=settings.email_domains),
            hints={"hd": organisation},
        )
    if settings.microsoft_client_id:
        oidc_providers["microsoft"] = OidcProvider(
            "microsoft",
            "Microsoft",
            settings.microsoft_issuer,
            settings.microsoft_client_id,
            settings.microsoft_client_secret,
            who=partial(claims.user_from_microsoft_claims, tenant=settings.microsoft_tenant),
            hints={},
        )
    app.extensions[_KEY] = oidc_providers


def list_configured_providers() -> list[OidcProvider]:
    """Where people may sign in, besides here."""
    return list(current_app.extensions[_KEY].values())


def get_sso_provider(name: str) -> OidcProvider | None:
    oidc_provider: OidcProvider | None = current_app.extensions[_KEY].get(name)
    return oidc_provider


def start_sso_attempt(there: OidcProvider, *, target: str = "", user: User | None = None) -> str:
    """The address to send the browser to; it remembers the trip. Raises Unavailable."""
    trip = LoginSecrets.new()
    end_read_transaction()
    address = there.authorization_url(trip, _back(there))
    content = {
        "provider": there.name,
        "target": target,
        "user": str(user.id) if user else "",
        "until": (clock.now() + ATTEMPT_LIFETIME).timestamp(),
        "secrets": asdict(trip),
    }
    session[SSO_ATTEMPT_KEY] = encrypt_for_row(json.dumps(content), SSO_ATTEMPT_KEY)
    return address


def pop_sso_attempt(there: OidcProvider, state: str) -> SsoAttempt:
    """The trip that ends here, which it does whatever comes of it. Raises LoginRefused where this browser has begun
    none
    to this provider, has begun another since, took too long, or comes with the same state again."""
    try:
        content = json.loads(decrypt_for_row(session.pop(SSO_ATTEMPT_KEY, ""), SSO_ATTEMPT_KEY))
    except DecryptionError:
        raise LoginRefused("state") from None
    trip = SsoAttempt(
        content["provider"],
        content["target"],
        UUID(content["user"]) if content["user"] else None,
        LoginSecrets(**content["secrets"]),
    )
    right = hmac.compare_digest(state.encode(), trip.secrets.state.encode())
    if not right or trip.provider != there.name or content["until"] < clock.now().timestamp():
        raise LoginRefused("state")
    with write_transaction():
        first = insert_if_absent(
            UsedOidcState, {"state_hash": hash_token(state), "used_at": clock.now()}, ["state_hash"]
        )
    if not first:
        raise LoginRefused("state again")
    return trip


def fetch_external_user(there: OidcProvider, trip: SsoAttempt, code: str) -> ExternalUser:
    """Who came back with this code. Raises LoginRefused and Unavailable."""
    end_read_transaction()
    return there.fetch_user(code, trip.secrets, _back(there), int(clock.now().timestamp()))


def _back(there: OidcProvider) -> str:
    """Registered with the provider letter by letter; never built from the request, whose Host anybody can write."""
    settings: Settings = current_app.extensions["silid.settings"]
    return f"{settings.base_url}/sign-in/{there.name}/back"
