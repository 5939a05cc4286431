"""Single sign-on attempts: the redirect to Google or Microsoft and back, bound to one browser.

What binds an attempt (state, nonce, PKCE verifier) is stored encrypted in the browser's session; the table
`used_oidc_states` makes each state single-use.
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
from portal.core.settings import current_settings
from portal.oidc import claims
from portal.oidc.claims import ExternalUser
from portal.oidc.errors import LoginRefused
from portal.oidc.provider import LoginSecrets, OidcProvider

SSO_ATTEMPT_KEY = "sso_attempt"  # session key
ATTEMPT_LIFETIME = timedelta(minutes=10)
_PROVIDERS_KEY = "silid.openid"


@dataclass(frozen=True)
class SsoAttempt:
    """A started sign-in, or, if `user_id` is set, the linking of an identity to that user."""

    provider: str
    target: str
    user_id: UUID | None
    secrets: LoginSecrets


def init_sso_providers(app: Flask, settings: Settings) -> None:
    """Configure the application's providers."""
    oidc_providers = {}
    if settings.google_client_id:
        # Only a hint for the account chooser; the check is on the token's claims.
        organisation = settings.email_domains[0] if len(settings.email_domains) == 1 else "*"
        oidc_providers["google"] = OidcProvider(
            "google",
            "Google",
            settings.google_issuer,
            settings.google_client_id,
            settings.google_client_secret,
            user_from_claims=partial(claims.user_from_google_claims, domains=settings.email_domains),
            hints={"hd": organisation},
        )
    if settings.microsoft_client_id:
        oidc_providers["microsoft"] = OidcProvider(
            "microsoft",
            "Microsoft",
            settings.microsoft_issuer,
            settings.microsoft_client_id,
            settings.microsoft_client_secret,
            user_from_claims=partial(claims.user_from_microsoft_claims, tenant=settings.microsoft_tenant),
            hints={},
        )
    app.extensions[_PROVIDERS_KEY] = oidc_providers


def list_configured_providers() -> list[OidcProvider]:
    """The configured providers."""
    return list(current_app.extensions[_PROVIDERS_KEY].values())


def get_sso_provider(name: str) -> OidcProvider | None:
    """The configured provider of that name, or None."""
    oidc_provider: OidcProvider | None = current_app.extensions[_PROVIDERS_KEY].get(name)
    return oidc_provider


def start_sso_attempt(provider: OidcProvider, *, target: str = "", user: User | None = None) -> str:
    """Start an attempt and store it in the session; returns the authorization URL. Raises ProviderUnavailable."""
    secrets = LoginSecrets.new()
    end_read_transaction()
    url = provider.authorization_url(secrets, _redirect_uri(provider))
    content = {
        "provider": provider.name,
        "target": target,
        "user": str(user.id) if user else "",
        "until": (clock.now() + ATTEMPT_LIFETIME).timestamp(),
        "secrets": asdict(secrets),
    }
    session[SSO_ATTEMPT_KEY] = encrypt_for_row(json.dumps(content), SSO_ATTEMPT_KEY)
    return url


def pop_sso_attempt(provider: OidcProvider, state: str) -> SsoAttempt:
    """Remove and return the session's attempt, whatever its outcome. Raises LoginRefused if this browser started none
    with this provider, started another since, took too long, or the state was used before."""
    try:
        content = json.loads(decrypt_for_row(session.pop(SSO_ATTEMPT_KEY, ""), SSO_ATTEMPT_KEY))
    except DecryptionError:
        raise LoginRefused("state") from None
    attempt = SsoAttempt(
        content["provider"],
        content["target"],
        UUID(content["user"]) if content["user"] else None,
        LoginSecrets(**content["secrets"]),
    )
    is_same_state = hmac.compare_digest(state.encode(), attempt.secrets.state.encode())
    if not is_same_state or attempt.provider != provider.name or content["until"] < clock.now().timestamp():
        raise LoginRefused("state")
    with write_transaction():
        is_first_use = insert_if_absent(
            UsedOidcState, {"state_hash": hash_token(state), "used_at": clock.now()}, ["state_hash"]
        )
    if not is_first_use:
        raise LoginRefused("state again")
    return attempt


def fetch_external_user(provider: OidcProvider, attempt: SsoAttempt, code: str) -> ExternalUser:
    """Exchange the code for the user's claims. Raises LoginRefused and ProviderUnavailable."""
    end_read_transaction()
    return provider.fetch_user(code, attempt.secrets, _redirect_uri(provider), int(clock.now().timestamp()))


def _redirect_uri(provider: OidcProvider) -> str:
    """The redirect URI, as registered with the provider; never built from the request, whose Host header is
    untrusted."""
    settings = current_settings()
    return f"{settings.base_url}/sign-in/{provider.name}/back"
