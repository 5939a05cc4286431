"""Verification of ID tokens: signature and claims.

OpenID Connect Core 1.0, section 3.1.3.7, and stricter where Google and Microsoft allow it: only RS256, with a key id,
one audience, and issued within the last minutes.
"""

import hmac
from collections.abc import Mapping
from typing import Any

from authlib.oidc.core import CodeIDToken
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from portal.oidc.errors import LoginRefused

LEEWAY = 60  # allowed clock difference in seconds
MAX_TOKEN_AGE = 600  # seconds since the token was issued
MAX_TOKEN_LENGTH = 16 * 1024  # characters


def token_key_id(token: str) -> str:
    """The id of the signing key. Raises LoginRefused, also for another algorithm than RS256."""
    if len(token) > MAX_TOKEN_LENGTH or not token.isascii():
        raise LoginRefused("token")
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, TypeError):
        raise LoginRefused("token") from None
    if header.get("alg") != "RS256":
        raise LoginRefused("alg")
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise LoginRefused("key")
    return kid


def verify_id_token(
    token: str, key: Mapping[str, Any], *, issuer: str, client_id: str, nonce: str, access_token: str, now: int
) -> dict[str, Any]:
    """The verified claims. `key` is the provider's public key (RFC 7517), `now` in seconds since 1970. Raises
    LoginRefused."""
    try:
        if key.get("kty") != "RSA" or key.get("use", "sig") != "sig" or key.get("alg", "RS256") != "RS256":
            raise LoginRefused("key")
        public_key = RSAKey.import_key({name: str(key[name]) for name in ("kty", "n", "e")})
        decoded = jwt.decode(token, public_key, algorithms=["RS256"])
    except (JoseError, ValueError, TypeError, KeyError):
        raise LoginRefused("signature") from None
    claims = dict(decoded.claims)
    _validate_claims(
        claims, decoded.header, issuer=issuer, client_id=client_id, nonce=nonce, access_token=access_token, now=now
    )
    if claims["aud"] not in (client_id, [client_id]):
        raise LoginRefused("aud")
    if not hmac.compare_digest(str(claims["nonce"]).encode(), nonce.encode()):
        raise LoginRefused("nonce")
    if not now - MAX_TOKEN_AGE <= claims["iat"] <= now + LEEWAY:
        raise LoginRefused("iat")
    return claims


def _validate_claims(
    claims: dict[str, Any], header: Any, *, issuer: str, client_id: str, nonce: str, access_token: str, now: int
) -> None:
    """Validate the claims with Authlib, by OpenID Connect Core."""
    claim_options: Any = {
        "iss": {"essential": True, "value": issuer},
        "aud": {"essential": True, "value": client_id},
        "nonce": {"essential": True, "value": nonce},
    }
    parameters = {"nonce": nonce, "client_id": client_id, "access_token": access_token}
    try:
        CodeIDToken(claims, header, claim_options, parameters).validate(now=now, leeway=LEEWAY)
    except JoseError as error:
        raise LoginRefused(str(getattr(error, "claim", "") or error.error)) from None
    except (ValueError, TypeError, AttributeError):
        raise LoginRefused("claims") from None
