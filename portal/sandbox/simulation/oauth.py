"""Server-to-Server OAuth: tokens, and authorization of calls."""

import base64
import binascii
import hmac
from datetime import timedelta

from portal.sandbox.api.scopes import ScopeGate
from portal.sandbox.api.times import whole_seconds
from portal.sandbox.simulation.errors import ZoomApiError
from portal.sandbox.simulation.ids import derive_secret
from portal.sandbox.simulation.models import JSON
from portal.sandbox.simulation.reports import ReportService

GRANT = "account_credentials"


class TokenRefusal(Exception):
    """Error of the token endpoint, in its own shape: HTTP 400, `reason` and `error`."""

    def __init__(self, reason: str, error: str) -> None:
        super().__init__(f"{error}: {reason}")
        self.reason, self.error = reason, error

    def body(self) -> JSON:
        """`{"reason", "error"}`."""
        return {"reason": self.reason, "error": self.error}


class OAuthServer(ReportService):
    """Layer of the simulation: issues and verifies tokens."""

    def issue_token(self, authorization: str, grant_type: str, account_id: str) -> JSON:
        """A new token, valid for an hour; `api_url` points to this simulation.

        :param authorization: the header `Basic base64(client_id:client_secret)`.
        :raises TokenRefusal: by Zoom's error table.
        """
        with self.changing():
            self._check_client(authorization)
            if grant_type != GRANT:
                raise TokenRefusal("unsupported grant type", "unsupported_grant_type")
            if account_id != self.account_id:
                raise TokenRefusal("Bad Request", "invalid_request")
            self._delete_expired_tokens()
            token, scope = self._new_token(), " ".join(sorted(self.scopes))
            lifetime = self.switches.token_seconds
            row = {"expires_at": self.now() + timedelta(seconds=lifetime), "scope": scope}
            self.tokens[token] = row
            self.keep("token", token, row)
            self.next_number("minted")
            return {
                "access_token": token,
                "token_type": "bearer",
                "expires_in": lifetime - 1,
                "scope": scope,
                "api_url": self.public_url.rstrip("/"),
            }

    def _new_token(self) -> str:
        """Opaque, but as long as Zoom's, so that a short column does not go unnoticed."""
        return f"eyJzdiI6IjAwMDAwMiIsImFsZyI6IkhTNTEyIn0.{derive_secret(360)}.{derive_secret(64)}"

    def _check_client(self, authorization: str) -> None:
        kind, _, encoded = authorization.partition(" ")
        try:
            credentials = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            credentials = b""
        expected = f"{self.client_id}:{self.client_secret}".encode()
        if kind.lower() != "basic" or not hmac.compare_digest(credentials, expected):
            raise TokenRefusal("Invalid client_id or client_secret", "invalid_client")
        if not self.switches.app_enabled:
            raise TokenRefusal("The app has been disabled", "invalid_client")

    def _delete_expired_tokens(self) -> None:
        for token, row in list(self.tokens.items()):
            if self.switches.revoke_old_on_issue or row["expires_at"] <= self.now():
                del self.tokens[token]
                self.drop("token", token)

    @property
    def tokens_minted(self) -> int:
        """Number of tokens issued so far."""
        return self.counters.get("minted", 0)

    def revoke_tokens(self) -> None:
        """Invalidate all tokens, as when the app is deactivated and activated."""
        with self.changing():
            for token in list(self.tokens):
                del self.tokens[token]
                self.drop("token", token)

    def let_through(self, authorization: str, gate: ScopeGate) -> None:
        """Check the bearer token, its scope and the rate limits, in this order.

        :raises ZoomApiError: 401/124, 400/4711, 429.
        """
        with self.changing():
            kind, _, token = authorization.partition(" ")
            row = self.tokens.get(token.strip()) if kind.lower() == "bearer" else None
            if row is None or not self.switches.app_enabled:
                raise ZoomApiError(401, 124, "Invalid access token.")
            if whole_seconds(row["expires_at"]) <= self.now():
                raise ZoomApiError(401, 124, "Access token is expired.")
            granted = set(row["scope"].split())
            if not granted & {gate.granular, gate.classic}:
                message = f"Invalid access token, does not contain scopes:[{gate.granular}]."
                raise ZoomApiError(400, 4711, message)
            self.limits.admit(gate.label)
