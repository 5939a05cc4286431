"""Sealing of what must not lie open in the database: passcodes, tokens, join links.

A sealed value carries the identity of its row inside, so a value that was copied to another row does not
open there. Keys rotate by putting a new one first in ENCRYPTION_KEYS; old values open with the later ones.
"""

import hashlib
import hmac
import secrets

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from flask import Flask, current_app

_KEY = "silid.fernet"


class DecryptionError(Exception):
    """The value was made with an unknown key, damaged, or belongs to another row."""


def init_crypto(app: Flask, keys: tuple[str, ...]) -> None:
    app.extensions[_KEY] = MultiFernet([Fernet(key) for key in keys])


def encrypt_for_row(text: str, row: str) -> str:
    """Encrypt `text` for the row named `row`, e.g. "zoom_meetings/<id>/password"."""
    fernet: MultiFernet = current_app.extensions[_KEY]
    return fernet.encrypt(f"{row}\0{text}".encode()).decode()


def decrypt_for_row(sealed: str, row: str) -> str:
    """The text again. Raises DecryptionError."""
    fernet: MultiFernet = current_app.extensions[_KEY]
    try:
        owner, _, text = fernet.decrypt(sealed.encode()).decode().partition("\0")
    except InvalidToken as error:
        raise DecryptionError("unknown key or damaged value") from error
    if owner != row:
        raise DecryptionError("value of another row")
    return text


def rotate_encryption(sealed: str) -> str:
    """The same value, of the same row, under the first of the keys. Raises DecryptionError."""
    fernet: MultiFernet = current_app.extensions[_KEY]
    try:
        return fernet.rotate(sealed.encode()).decode()
    except InvalidToken as error:
        raise DecryptionError("unknown key or damaged value") from error


def generate_token() -> str:
    """256 random bits for a link or a cookie."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """What is stored of a token. Plain SHA-256 is enough for 256 random bits."""
    return hashlib.sha256(token.encode()).hexdigest()


def hmac_hex(text: str) -> str:
    """HMAC-SHA256 with SECRET_KEY, 64 hex digits: for what is short enough to be tried out, and only compared."""
    return _keyed(current_app.config["SECRET_KEY"], text)


def hmac_hex_all_keys(text: str) -> list[str]:
    """`hmac_hex` under SECRET_KEY and each of SECRET_KEY_FALLBACKS: what was stored before the key changed."""
    keys = [current_app.config["SECRET_KEY"], *(current_app.config["SECRET_KEY_FALLBACKS"] or ())]
    return [_keyed(key, text) for key in keys]


def _keyed(key: str, text: str) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()
