"""Password hashing and strength: argon2id with OWASP's parameters (19 MiB, 2 passes), and the same work for known and
unknown users."""

import re
import threading
import unicodedata
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask import Flask, current_app

from portal.config import Settings

_KEY = "silid.passwords"
_hash_semaphore = threading.BoundedSemaphore(4)  # limits concurrent hashes: each takes 19 MiB and a core
MIN_LENGTH = 12
MAX_LENGTH = 256
MIN_REMAINING_CHARACTERS = 5  # distinct characters that must remain after removing common pieces
_KEYBOARD_ROWS = ("abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")
SEQUENCES = (
    *_KEYBOARD_ROWS,
    *(row[::-1] for row in _KEYBOARD_ROWS),
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv5tgb6yhn",
    "qazwsxedcrfvtgbyhn",
)
_COMMON_WORDS = (
    "password passw0rd passwd pass word secret letmein welcome login admin administrator user guest master qwerty "
    "iloveyou love loveyou princess sunshine dragon monkey football baseball superman batman shadow michael jesus "
    "christ god bless family mother father mama papa nanay tatay anak mahal mahalkita kita ako ikaw forever hello "
    "change changeme default test testing temp trustno starwars freedom whatever computer internet summer winter "
    "spring autumn january february march april june july august september october november december monday tuesday "
    "wednesday thursday friday saturday sunday pilipinas philippines filipino filipinas pinoy pinay manila luzon "
    "ilocos norte sur mabuhay salamat maganda pogi ganda school paaralan teacher guro maam sir student learner class "
    "section grade deped silid zoom region division principal eskwela guest google facebook gmail yahoo"
)
COMMON_PASSWORDS = set(_COMMON_WORDS.split())
_WORD = re.compile(r"[^\W_]+")
_LEET = str.maketrans("013457@$!", "oieastasi")


@dataclass(frozen=True)
class _Hashing:
    """The hasher of one application, and a hash that is no password's, made with the same parameters."""

    hasher: PasswordHasher
    dummy_hash: str


def init_passwords(app: Flask, settings: Settings) -> None:
    """Make the hasher from the settings, and the dummy hash before the first sign-in: made at that sign-in it
    would add its time to one answer."""
    hasher = PasswordHasher(time_cost=settings.argon2_time_cost, memory_cost=settings.argon2_memory_kib, parallelism=1)
    app.extensions[_KEY] = _Hashing(hasher, hasher.hash("nobody has this password"))


def hash_password(password: str) -> str:
    """The argon2id hash, in encoded form."""
    hashing: _Hashing = current_app.extensions[_KEY]
    with _hash_semaphore:
        return hashing.hasher.hash(password)


def verify_password(password_hash: str | None, password: str) -> bool:
    """True if the password matches. Hashes exactly once even without a hash, so that the response time does not reveal
    whether an address has an account."""
    hashing: _Hashing = current_app.extensions[_KEY]
    try:
        with _hash_semaphore:
            return hashing.hasher.verify(password_hash or hashing.dummy_hash, password) and password_hash is not None
    except (VerificationError, InvalidHashError):
        return False


def needs_rehash(password_hash: str) -> bool:
    """True if the hash was made with other parameters than today's."""
    hashing: _Hashing = current_app.extensions[_KEY]
    return hashing.hasher.check_needs_rehash(password_hash)


def password_weakness(password: str, *about: str) -> str | None:
    """Why a password is refused: "short", "long", "common" or "personal"; None if it is acceptable.

    `about` are words that anybody could guess for the person: name, address, school. Lists of breached passwords have
    few of 12 and more characters, and those are made of the same pieces: common words, years, keyboard sequences,
    repeats. So the pieces are removed instead of comparing with a list, which would need disk space and a licence;
    `MIN_REMAINING_CHARACTERS` distinct characters must remain.
    """
    if len(password) < MIN_LENGTH:
        return "short"
    if len(password) > MAX_LENGTH:
        return "long"
    normalised = unicodedata.normalize("NFKC", password).casefold()
    personal_words = {word for text in about for word in _WORD.findall(text.casefold()) if len(word) > 2}
    for pieces, reason in ((COMMON_PASSWORDS, "common"), (COMMON_PASSWORDS | personal_words, "personal")):
        if any(
            len(set(_remove_pieces(text, pieces))) < MIN_REMAINING_CHARACTERS
            for text in (normalised, normalised.translate(_LEET))
        ):
            return reason
    return None


def _remove_pieces(text: str, pieces: set[str]) -> str:
    for piece in sorted(pieces, key=len, reverse=True):
        text = text.replace(piece, " ")
    text = re.sub(r"(?:19|20)\d\d|\W|_", " ", text)
    remaining = "".join(char for word in text.split() for char in _remove_sequences(word))
    return re.sub(r"(.{1,4}?)\1{2,}", r"\1", remaining)


def _remove_sequences(word: str) -> str:
    """The word without runs of four or more neighbours in the alphabet, the digits or on the keyboard."""
    for sequence in SEQUENCES:
        for size in range(len(sequence), 3, -1):
            for start in range(len(sequence) - size + 1):
                word = word.replace(sequence[start : start + size], "")
    return word
