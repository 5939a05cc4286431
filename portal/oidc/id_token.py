"""read_token(...) -> claims: what an ID token says, once every reason to distrust it is ruled out.

OpenID Connect Core 1.0, section 3.1.3.7, and stricter where Google and Microsoft allow it: RS256 alone, a key that
is named, one audience, issued within the last minutes.
"""

import hmac
from collections.abc import Mapping
from typing import Any

from authlib.oidc.core import CodeIDToken
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from portal.oidc.errors import LoginRefused

LEEWAY = 60  # seconds that two clocks may differ
MAX_TOKEN_AGE = 600  # seconds since the token was issued
MAX_TOKEN_LENGTH = 16 * 1024  # characters


def token_key_id(token: str) -> str:
    """The name of the key that signed. Raises LoginRefused, for any other algorithm than RS256 too."""
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
    """The claims. `key` is the provider's public key (RFC 7517), `now` in seconds since 1970. Raises LoginRefused."""
    try:
        if key.get("kty") != "RSA" or key.get("use", "sig") != "sig" or key.get("alg", "RS256") != "RS256":
            raise LoginRefused("key")
        public = RSAKey.import_key({name: str(key[name]) for name in ("kty", "n", "e")})
        decoded = jwt.decode(token, public, algorithms=["RS256"])
    except (JoseError, ValueError, TypeError, KeyError):
        raise LoginRefused("signature") from None
    claims = dict(decoded.claims)
    _by_the_book(
        claims, decoded.header, issuer=issuer, client_id=client_id, nonce=nonce, access_token=access_token, now=now
    )
    if claims["aud"] not in (client_id, [client_id]):
        raise LoginRefused("aud")
    if not hmac.compare_digest(str(claims["nonce"]).encode(), nonce.encode()):
        raise LoginRefused("nonce")
    if not now - MAX_TOKEN_AGE <= claims["iat"] <= now + LEEWAY:
        raise LoginRefused("iat")
    return claims


def _by_the_book(
    claims: dict[str, Any], header: Any, *, issuer: str, client_id: str, nonce: str, access_token: str, now: int
) -> None:
    wanted: Any = {
        "iss": {"essential": True, "value": issuer},
        "aud": {"essential": True, "value": client_id},
        "nonce": {"essential": True, "value": nonce},
    }
    about = {"nonce": nonce, "client_id": client_id, "access_token": access_token}
    try:
        CodeIDToken(claims, header, wanted, about).validate(now=now, leeway=LEEWAY)
    except JoseError as no:
        raise LoginRefused(str(getattr(no, "claim", "") or no.error)) from None
    except (ValueError, TypeError, AttributeError):
        raise LoginRefused("claims") from None
