"""Encryption of secrets in the database (passcodes, tokens, join links), and hashes of tokens.

An encrypted value includes the identity of its row, so a value copied to another row does not decrypt there. Keys are
rotated by putting a new one first in ENCRYPTION_KEYS; older values decrypt with the later ones.
"""

import hashlib
import hmac
import secrets

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from flask import Flask, current_app

_FERNET_KEY = "silid.fernet"


class DecryptionError(Exception):
    """The value was encrypted with an unknown key, is damaged, or belongs to another row."""


def init_crypto(app: Flask, keys: tuple[str, ...]) -> None:
    """Configure the application's keys, the current one first."""
    app.extensions[_FERNET_KEY] = MultiFernet([Fernet(key) for key in keys])


def encrypt_for_row(text: str, row: str) -> str:
    """Encrypt `text` for the row identified by `row`, e.g. "zoom_meetings/<id>/password"."""
    fernet: MultiFernet = current_app.extensions[_FERNET_KEY]
    return fernet.encrypt(f"{row}\0{text}".encode()).decode()


def decrypt_for_row(sealed: str, row: str) -> str:
    """The decrypted text. Raises DecryptionError."""
    fernet: MultiFernet = current_app.extensions[_FERNET_KEY]
    try:
        owner, _, text = fernet.decrypt(sealed.encode()).decode().partition("\0")
    except InvalidToken as error:
        raise DecryptionError("unknown key or damaged value") from error
    if owner != row:
        raise DecryptionError("value of another row")
    return text


def rotate_encryption(sealed: str) -> str:
    """Re-encrypt a value under the first key, for the same row. Raises DecryptionError."""
    fernet: MultiFernet = current_app.extensions[_FERNET_KEY]
    try:
        return fernet.rotate(sealed.encode()).decode()
    except InvalidToken as error:
        raise DecryptionError("unknown key or damaged value") from error


def generate_token() -> str:
    """A random token of 256 bits, for a link or a cookie."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """The hash that is stored of a token. Plain SHA-256 is enough for 256 random bits."""
    return hashlib.sha256(token.encode()).hexdigest()


def hmac_hex(text: str) -> str:
    """HMAC-SHA256 with SECRET_KEY, 64 hex digits: for values so short that a plain hash could be reversed by
    guessing."""
    return _hmac_sha256(current_app.config["SECRET_KEY"], text)


def hmac_hex_all_keys(text: str) -> list[str]:
    """`hmac_hex` under SECRET_KEY and each of SECRET_KEY_FALLBACKS, to find values stored before a key change."""
    keys = [current_app.config["SECRET_KEY"], *(current_app.config["SECRET_KEY_FALLBACKS"] or ())]
    return [_hmac_sha256(key, text) for key in keys]


def _hmac_sha256(key: str, text: str) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()
