"""A small OpenID provider over real HTTP, with a key of its own. It can be told to misbehave."""

import base64
import hashlib
import hmac
import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography.hazmat.primitives import serialization
from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.exceptions import HTTPException
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

CLIENT_ID = "silid-at-the-provider"
CLIENT_SECRET = "of-the-tests-alone"
Claims = dict[str, Any]

_KEY = RSAKey.generate_key(2048, {"kid": "first", "use": "sig"}, private=True)
_OTHER_KEY = RSAKey.generate_key(2048, {"kid": "first", "use": "sig"}, private=True)


class Issuer:
    """What it says of the person at its door is `claims`; the rest are ways to go wrong.

    `spoil` changes the claims just before they are signed, `sign` how they are, `answers` replaces the answer of a
    path ("/token", "/keys", ...).
    """

    def __init__(self) -> None:
        self.url = ""
        self.back = ""  # the redirect address that is registered here
        self.reset()

    def reset(self) -> None:
        """As new: nobody at the door, nothing wrong."""
        self.claims: Claims = {}
        self.spoil: Callable[[Claims], object] = lambda claims: None
        self.sign: Callable[[Claims], str] = rs256
        self.answers: dict[str, Callable[[], Response]] = {}
        self.keys = [_KEY.as_dict(private=False)]
        self.asked: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}

    def authorize(self, address: str) -> str:
        """What a browser does that is sent here and whose person says yes: the path it is sent back to."""
        parts = urlsplit(address)
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{self.url}/authorize"
        said = {name: values[0] for name, values in parse_qs(parts.query, strict_parsing=True).items()}
        assert said["client_id"] == CLIENT_ID and said["response_type"] == "code"
        assert said["redirect_uri"] == self.back, "the redirect address is not registered"
        assert said["code_challenge_method"] == "S256" and len(said["code_challenge"]) == 43
        assert len(said["state"]) >= 43 and len(said["nonce"]) >= 43
        assert set(said["scope"].split()) == {"openid", "email", "profile"}
        code = secrets.token_urlsafe(16)
        self._codes[code] = said
        return f"{urlsplit(self.back).path}?{urlencode({'state': said['state'], 'code': code})}"

    def __call__(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        self.asked.append(request.path)
        try:
            answer = self.answers.get(request.path, lambda: self._answer(request))()
        except HTTPException as error:
            answer = error.get_response(environ)  # type: ignore[assignment]
        return answer(environ, start_response)

    def _answer(self, request: Request) -> Response:
        if request.path == "/.well-known/openid-configuration":
            names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
            return said({"issuer": self.url, **{name: f"{self.url}/{path}" for name, path in names.items()}})
        if request.path == "/keys":
            return said({"keys": self.keys})
        if request.path == "/token":
            return self._token(request.form.to_dict())
        return Response(status=404)

    def _token(self, form: dict[str, str]) -> Response:
        begun = self._codes.pop(form.get("code", ""), None)  # works once
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return said({"error": "invalid_client"}, 401)
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if begun is None or b64(verifier) != begun["code_challenge"] or form.get("redirect_uri") != self.back:
            return said({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": CLIENT_ID,
            "azp": CLIENT_ID,
            "iat": now,
            "exp": now + 3600,
            "nonce": begun["nonce"],
            **self.claims,
        }
        self.spoil(claims)
        return said(
            {"access_token": "unused", "token_type": "Bearer", "expires_in": 3600, "id_token": self.sign(claims)}
        )


def said(content: object, status: int = 200) -> Response:
    return Response(json.dumps(content), status, content_type="application/json")


def rs256(claims: Claims) -> str:
    return jwt.encode({"alg": "RS256", "kid": "first"}, claims, _KEY)


def another_key(claims: Claims) -> str:
    """Signed by somebody else, under the same name."""
    return jwt.encode({"alg": "RS256", "kid": "first"}, claims, _OTHER_KEY)


def unknown_key(claims: Claims) -> str:
    return jwt.encode({"alg": "RS256", "kid": "nobody's"}, claims, _OTHER_KEY)


def no_key_named(claims: Claims) -> str:
    return jwt.encode({"alg": "RS256"}, claims, _KEY)


def rs512(claims: Claims) -> str:
    return jwt.encode({"alg": "RS512", "kid": "first"}, claims, _KEY, algorithms=["RS512"])


def unsigned(claims: Claims) -> str:
    return f"{_part({'alg': 'none', 'kid': 'first'})}.{_part(claims)}."


def hs256_with_the_public_key(claims: Claims) -> str:
    """The old trick: the public key, which everybody has, taken for a shared secret."""
    public = _KEY.raw_value.public_key() if hasattr(_KEY.raw_value, "public_key") else _KEY.raw_value
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    text = f"{_part({'alg': 'HS256', 'kid': 'first'})}.{_part(claims)}"
    return f"{text}.{b64(hmac.new(pem, text.encode(), hashlib.sha256).digest())}"


def key_inside(claims: Claims) -> str:
    """Brings its own key along in the header."""
    header = {"alg": "RS256", "kid": "first", "jwk": _OTHER_KEY.as_dict(private=False)}
    return jwt.encode(header, claims, _OTHER_KEY)


def keys_elsewhere(claims: Claims) -> str:
    """Says in the header where its key is to be had."""
    return jwt.encode({"alg": "RS256", "kid": "first", "jku": "https://evil.example/keys"}, claims, _OTHER_KEY)


def cut_off(claims: Claims) -> str:
    return rs256(claims)[:-20]


def rubbish(_claims: Claims) -> str:
    return "no.token.é"


def rotated(issuer: Issuer) -> None:
    """The provider signs with a new key from now on, as providers do."""
    new = RSAKey.generate_key(2048, {"kid": "second", "use": "sig", "alg": "RS256"}, private=True)
    issuer.keys = [new.as_dict(private=False)]
    issuer.sign = lambda claims: jwt.encode({"alg": "RS256", "kid": "second"}, claims, new)


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _part(content: object) -> str:
    return b64(json.dumps(content).encode())


@contextmanager
def serving(issuer: Issuer) -> Iterator[Issuer]:
    """The provider at a port of this computer."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, issuer, threaded=True)
    issuer.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
