"""Ids and secrets in Zoom's formats."""

import base64
import random
import secrets
import string
import uuid


class IdGenerator:
    """Generates ids; reproducible with a seed, random without."""

    def __init__(self, seed: int | None = None) -> None:
        # Reproducible ids for tests; no id of the simulation needs to be unguessable.
        self._random = random.Random(seed) if seed is not None else random.SystemRandom()  # noqa: S311

    def meeting_id(self) -> str:
        """Eleven digits, above 2^31, as text."""
        return str(self._random.randrange(85_000_000_001, 90_000_000_000))

    def code(self, length: int = 22) -> str:
        """Letters, digits, `-` and `_`, as Zoom's user and registrant ids."""
        return "".join(self._random.choice(string.ascii_letters + string.digits + "-_") for _ in range(length))

    def passcode(self) -> str:
        """Six characters, as Zoom generates them."""
        return "".join(self._random.choice(string.ascii_letters + string.digits) for _ in range(6))

    def digits(self, length: int = 6) -> int:
        """A random number with `length` digits."""
        return self._random.randrange(10 ** (length - 1), 10**length)

    def participant_uuid(self) -> str:
        """`67C1A429-1476-BE1C-7324-EDCA76B69406`."""
        return str(uuid.UUID(bytes=self._random.randbytes(16))).upper()

    def meeting_uuid(self, nth: int) -> str:
        """Base64 of 16 bytes; of every five, one begins with `/` and one contains `//`.

        These must be encoded twice in a path, which clients forget.
        """
        raw = bytearray(self._random.randbytes(16))
        if nth % 5 == 3:
            raw[0] = 0xFF
        elif nth % 5 == 0:
            raw[3] = 0xFF
            raw[4] |= 0xF0
        else:
            raw[0] &= 0x7F
        return base64.b64encode(bytes(raw)).decode()


def derive_secret(length: int = 48) -> str:
    """A random token, never reproducible."""
    return secrets.token_urlsafe(length)
