"""Provider: one place where people have an account already, and the way there and back (authorization code, PKCE)."""

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

METADATA_TTL = 3600.0  # seconds that the provider's own description and keys are kept
JWKS_REFRESH_INTERVAL = 30.0  # seconds between two looks for keys that nobody knows: anybody can name one
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class LoginSecrets:
    """What one sign-in is bound to: kept with the browser that began it, and good for that one."""

    state: str
    nonce: str
    verifier: str = field(repr=False)

    @classmethod
    def new(cls) -> "LoginSecrets":
        """256 random bits each; the verifier's alphabet and length are those of RFC 7636."""
        return cls(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48))


class OidcProvider:
    """Google or Microsoft, with our name and secret there. For all threads."""

    def __init__(
        self,
        name: str,
        label: str,
        issuer: str,
        client_id: str,
        client_secret: str,
        *,
        who: Callable[[Mapping[str, Any]], ExternalUser],
        hints: Mapping[str, str],
    ) -> None:
        """`who` tells a person of good claims or raises LoginRefused; `hints` go along when somebody is sent there."""
        self.name, self.label, self.issuer = name, label, issuer
        self._client_id, self._client_secret = client_id, client_secret
        self._who, self._hints = who, hints
        self._http = JsonHttpClient()
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, dict[str, Any]]] = {}
        self._looked_again = -JWKS_REFRESH_INTERVAL

    def authorization_url(self, trip: LoginSecrets, back: str) -> str:
        """Where to send the browser; it comes back to `back`. Raises ProviderUnavailable."""
        address: str = prepare_grant_uri(
            self._endpoint("authorization_endpoint"),
            client_id=self._client_id,
            response_type="code",
            redirect_uri=back,
            scope="openid email profile",
            state=trip.state,
            nonce=trip.nonce,
            code_challenge=create_s256_code_challenge(trip.verifier),
            code_challenge_method="S256",
            prompt="select_account",  # computers in schools are shared
            **self._hints,
        )
        return address

    def fetch_user(self, code: str, trip: LoginSecrets, back: str, now: int) -> ExternalUser:
        """Who came back with this code. `now` in seconds since 1970. Raises LoginRefused and ProviderUnavailable."""
        status, answer = self._http.post(
            self._endpoint("token_endpoint"),
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": back,
                "client_id": self._client_id,
                "client_secret": self._client_secret,
                "code_verifier": trip.verifier,
            },
        )
        if status >= 500 or status == 429:
            raise ProviderUnavailable(f"the token endpoint answered {status}")
        if status in (400, 401, 403) and answer.get("error") in ("invalid_client", "unauthorized_client"):
            raise ProviderUnavailable("our client id or secret is not accepted")
        token, access = answer.get("id_token"), answer.get("access_token")
        if status != 200 or not isinstance(token, str) or not isinstance(access, str):
            raise LoginRefused("code")
        claims = verify_id_token(
            token,
            self._key(token_key_id(token)),
            issuer=self.issuer,
            client_id=self._client_id,
            nonce=trip.nonce,
            access_token=access,
            now=now,
        )
        return self._who(claims)

    def _endpoint(self, name: str) -> str:
        """An address of the provider's description, which has to be its own and safe to call."""
        about = self._fetch(f"{self.issuer}/.well-known/openid-configuration", METADATA_TTL)
        address = about.get(name)
        if about.get("issuer") != self.issuer or not isinstance(address, str):
            raise ProviderUnavailable("the description is another's, or incomplete")
        parts = urlsplit(address)
        local = self.issuer.startswith("http://") and parts.scheme == "http" and parts.hostname in LOOPBACK
        if not local and not (parts.scheme == "https" and parts.hostname):
            raise ProviderUnavailable("the description names an address without TLS")
        return address

    def _key(self, kid: str) -> dict[str, Any]:
        """The public key of this name. Providers change keys at any time, so an unknown one is looked for again."""
        address = self._endpoint("jwks_uri")
        values = _named(kid, self._fetch(address, METADATA_TTL))
        if values is None and time.monotonic() - self._looked_again > JWKS_REFRESH_INTERVAL:
            self._looked_again = time.monotonic()
            values = _named(kid, self._fetch(address, 0))
        if values is None:
            raise LoginRefused("key")
        return values

    def _fetch(self, url: str, no_older: float) -> dict[str, Any]:
        with self._lock:
            at, values = self._kept.get(url, (0.0, {}))
        if values and time.monotonic() - at < no_older:
            return values
        values = self._http.get(url)
        with self._lock:
            self._kept[url] = (time.monotonic(), values)
        return values


def _named(kid: str, about: Mapping[str, Any]) -> dict[str, Any] | None:
    keys = about.get("keys")
    for key in keys if isinstance(keys, list) else []:
        if isinstance(key, dict) and key.get("kid") == kid:
            return key
    return None
