"""OpenID Connect provider: authorization code flow with PKCE, discovery metadata and signing keys."""

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from portal.oidc.claims import ExternalUser
from portal.oidc.errors import LoginRefused, ProviderUnavailable
from portal.oidc.http_client import JsonHttpClient
from portal.oidc.id_token import token_key_id, verify_id_token

METADATA_TTL = 3600.0  # seconds for which metadata and keys are cached
JWKS_REFRESH_INTERVAL = 30.0  # seconds between two fetches for an unknown key id, which anybody can send
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class LoginSecrets:
    """What binds one sign-in to a browser; single use."""

    state: str
    nonce: str
    verifier: str = field(repr=False)

    @classmethod
    def new(cls) -> "LoginSecrets":
        """256 random bits each; the verifier's alphabet and length are those of RFC 7636."""
        return cls(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48))


class OidcProvider:
    """Google or Microsoft, with our client id and secret. Safe for threads."""

    def __init__(
        self,
        name: str,
        label: str,
        issuer: str,
        client_id: str,
        client_secret: str,
        *,
        user_from_claims: Callable[[Mapping[str, Any]], ExternalUser],
        hints: Mapping[str, str],
    ) -> None:
        """`user_from_claims` maps verified claims to a user or raises LoginRefused; `hints` are extra parameters of the
        authorization URL."""
        self.name, self.label, self.issuer = name, label, issuer
        self._client_id, self._client_secret = client_id, client_secret
        self._user_from_claims, self._hints = user_from_claims, hints
        self._http = JsonHttpClient()
        self._lock = threading.Lock()
        self._cache: dict[str, tuple[float, dict[str, Any]]] = {}
        self._keys_refreshed_at = -JWKS_REFRESH_INTERVAL

    def authorization_url(self, login_secrets: LoginSecrets, redirect_uri: str) -> str:
        """The URL to redirect the browser to; `back` is the redirect URI. Raises ProviderUnavailable."""
        url: str = prepare_grant_uri(
            self._endpoint("authorization_endpoint"),
            client_id=self._client_id,
            response_type="code",
            redirect_uri=redirect_uri,
            scope="openid email profile",
            state=login_secrets.state,
            nonce=login_secrets.nonce,
            code_challenge=create_s256_code_challenge(login_secrets.verifier),
            code_challenge_method="S256",
            prompt="select_account",  # school computers are shared
            **self._hints,
        )
        return url

    def fetch_user(self, code: str, login_secrets: LoginSecrets, redirect_uri: str, now: int) -> ExternalUser:
        """Exchange the code for the user's claims. `now` in seconds since 1970. Raises LoginRefused and
        ProviderUnavailable."""
        status, response = self._http.post(
            self._endpoint("token_endpoint"),
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": redirect_uri,
                "client_id": self._client_id,
                "client_secret": self._client_secret,
                "code_verifier": login_secrets.verifier,
            },
        )
        if status >= 500 or status == 429:
            raise ProviderUnavailable(f"the token endpoint answered {status}")
        if status in (400, 401, 403) and response.get("error") in ("invalid_client", "unauthorized_client"):
            raise ProviderUnavailable("our client id or secret is not accepted")
        id_token, access_token = response.get("id_token"), response.get("access_token")
        if status != 200 or not isinstance(id_token, str) or not isinstance(access_token, str):
            raise LoginRefused("code")
        claims = verify_id_token(
            id_token,
            self._key(token_key_id(id_token)),
            issuer=self.issuer,
            client_id=self._client_id,
            nonce=login_secrets.nonce,
            access_token=access_token,
            now=now,
        )
        return self._user_from_claims(claims)

    def _endpoint(self, name: str) -> str:
        """A URL from the discovery document, which must be of this issuer and use TLS."""
        metadata = self._fetch(f"{self.issuer}/.well-known/openid-configuration", METADATA_TTL)
        url = metadata.get(name)
        if metadata.get("issuer") != self.issuer or not isinstance(url, str):
            raise ProviderUnavailable("the description is another's, or incomplete")
        parts = urlsplit(url)
        is_local = self.issuer.startswith("http://") and parts.scheme == "http" and parts.hostname in LOOPBACK
        if not is_local and not (parts.scheme == "https" and parts.hostname):
            raise ProviderUnavailable("the description names an address without TLS")
        return url

    def _key(self, kid: str) -> dict[str, Any]:
        """The public key of this id. Providers rotate keys at any time, so an unknown one is fetched again."""
        url = self._endpoint("jwks_uri")
        key = _find_key(kid, self._fetch(url, METADATA_TTL))
        if key is None and time.monotonic() - self._keys_refreshed_at > JWKS_REFRESH_INTERVAL:
            self._keys_refreshed_at = time.monotonic()
            key = _find_key(kid, self._fetch(url, 0))
        if key is None:
            raise LoginRefused("key")
        return key

    def _fetch(self, url: str, max_age: float) -> dict[str, Any]:
        with self._lock:
            fetched_at, values = self._cache.get(url, (0.0, {}))
        if values and time.monotonic() - fetched_at < max_age:
            return values
        values = self._http.get(url)
        with self._lock:
            self._cache[url] = (time.monotonic(), values)
        return values


def _find_key(kid: str, jwks: Mapping[str, Any]) -> dict[str, Any] | None:
    keys = jwks.get("keys")
    for key in keys if isinstance(keys, list) else []:
        if isinstance(key, dict) and key.get("kid") == kid:
            return key
    return None
