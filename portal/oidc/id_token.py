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

from portal.oidc.errors import Refused

LEEWAY = 60  # seconds that two clocks may differ
FRESH = 600  # seconds since the token was issued
LONGEST = 16 * 1024  # characters


def key_id(token: str) -> str:
    """The name of the key that signed. Raises Refused, for any other algorithm than RS256 too."""
    if len(token) > LONGEST or not token.isascii():
        raise Refused("token")
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, TypeError):
        raise Refused("token") from None
    if header.get("alg") != "RS256":
        raise Refused("alg")
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise Refused("key")
    return kid


def read_token(
    token: str, key: Mapping[str, Any], *, issuer: str, client_id: str, nonce: str, access_token: str, now: int
) -> dict[str, Any]:
    """The claims. `key` is the provider's public key (RFC 7517), `now` in seconds since 1970. Raises Refused."""
    try:
        if key.get("kty") != "RSA" or key.get("use", "sig") != "sig" or key.get("alg", "RS256") != "RS256":
            raise Refused("key")
        public = RSAKey.import_key({name: str(key[name]) for name in ("kty", "n", "e")})
        decoded = jwt.decode(token, public, algorithms=["RS256"])
    except (JoseError, ValueError, TypeError, KeyError):
        raise Refused("signature") from None
    claims = dict(decoded.claims)
    _by_the_book(
        claims, decoded.header, issuer=issuer, client_id=client_id, nonce=nonce, access_token=access_token, now=now
    )
    if claims["aud"] not in (client_id, [client_id]):
        raise Refused("aud")
    if not hmac.compare_digest(str(claims["nonce"]).encode(), nonce.encode()):
        raise Refused("nonce")
    if not now - FRESH <= claims["iat"] <= now + LEEWAY:
        raise Refused("iat")
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
        raise Refused(str(getattr(no, "claim", "") or no.error)) from None
    except (ValueError, TypeError, AttributeError):
        raise Refused("claims") from None
