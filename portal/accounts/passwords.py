"""Passwords: argon2id with OWASP's parameters (19 MiB, 2 passes), equal work for known and unknown people."""

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
_decoy = _hasher.hash("nobody has this password")
MINIMUM = 12


def hash_password(password: str) -> str:
    return _hasher.hash(password)


def verify(password_hash: str | None, password: str) -> bool:
    """True if it is the password. Hashes exactly once whether there is a hash or not, so that the time an
    answer takes does not tell whether an address is known."""
    try:
        return _hasher.verify(password_hash or _decoy, password) and password_hash is not None
    except (VerificationError, InvalidHashError):
        return False


def needs_rehash(password_hash: str) -> bool:
    return _hasher.check_needs_rehash(password_hash)
