"""Passwords: argon2id with OWASP's parameters (19 MiB, 2 passes), equal work for known and unknown people."""

import re
import threading
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
_decoy = _hasher.hash("nobody has this password")
_at_once = threading.BoundedSemaphore(4)  # each hash takes 19 MiB and a core
MIN_LENGTH = 12
MAX_LENGTH = 256
MIN_REMAINING_CHARACTERS = 5  # different characters that must remain beside what is well known
_ROWS = ("abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")
SEQUENCES = (
    *_ROWS,
    *(row[::-1] for row in _ROWS),
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv5tgb6yhn",
    "qazwsxedcrfvtgbyhn",
)
_WELL_KNOWN = (
    "password passw0rd passwd pass word secret letmein welcome login admin administrator user guest master qwerty "
    "iloveyou love loveyou princess sunshine dragon monkey football baseball superman batman shadow michael jesus "
    "christ god bless family mother father mama papa nanay tatay anak mahal mahalkita kita ako ikaw forever hello "
    "change changeme default test testing temp trustno starwars freedom whatever computer internet summer winter "
    "spring autumn january february march april june july august september october november december monday tuesday "
    "wednesday thursday friday saturday sunday pilipinas philippines filipino filipinas pinoy pinay manila luzon "
    "ilocos norte sur mabuhay salamat maganda pogi ganda school paaralan teacher guro maam sir student learner class "
    "section grade deped silid zoom region division principal eskwela guest google facebook gmail yahoo"
)
COMMON_PASSWORDS = set(_WELL_KNOWN.split())
_WORD = re.compile(r"[^\W_]+")
_LEET = str.maketrans("013457@$!", "oieastasi")


def hash_password(password: str) -> str:
    with _at_once:
        return _hasher.hash(password)


def verify_password(password_hash: str | None, password: str) -> bool:
    """True if it is the password. Hashes exactly once whether there is a hash or not, so that the time an
    answer takes does not tell whether an address is known."""
    try:
        with _at_once:
            return _hasher.verify(password_hash or _decoy, password) and password_hash is not None
    except (VerificationError, InvalidHashError):
        return False


def needs_rehash(password_hash: str) -> bool:
    return _hasher.check_needs_rehash(password_hash)


def password_weakness(password: str, *about: str) -> str | None:
    """Why this password is refused: "short", "long", "common" or "personal". None if it will do.

    `about` are words anybody could guess of the person: name, address, school. Lists of breached passwords hold
    few of 12 and more characters, and those are made of the same pieces: well-known words, years, runs on the
    keyboard, repeats. So the pieces are refused, and the list needs no place on disk and no licence: what is left
    after taking them out must still be a password of `MIN_REMAINING_CHARACTERS` characters.
    """
    if len(password) < MIN_LENGTH:
        return "short"
    if len(password) > MAX_LENGTH:
        return "long"
    plain = unicodedata.normalize("NFKC", password).casefold()
    own = {word for text in about for word in _WORD.findall(text.casefold()) if len(word) > 2}
    for pieces, reason in ((COMMON_PASSWORDS, "common"), (COMMON_PASSWORDS | own, "personal")):
        if any(len(set(_without(text, pieces))) < MIN_REMAINING_CHARACTERS for text in (plain, plain.translate(_LEET))):
            return reason
    return None


def _without(text: str, pieces: set[str]) -> str:
    for piece in sorted(pieces, key=len, reverse=True):
        text = text.replace(piece, " ")
    text = re.sub(r"(?:19|20)\d\d|\W|_", " ", text)
    kept = "".join(sign for word in text.split() for sign in _without_runs(word))
    return re.sub(r"(.{1,4}?)\1{2,}", r"\1", kept)


def _without_runs(word: str) -> str:
    """The word without four and more neighbours of the alphabet, the digits or the keyboard."""
    for line in SEQUENCES:
        for size in range(len(line), 3, -1):
            for start in range(len(line) - size + 1):
                word = word.replace(line[start : start + size], "")
    return word
