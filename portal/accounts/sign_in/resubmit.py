"""keep() · take(): what somebody typed into a form when their session had ended, so that it is not lost.

Nothing is stored: the page that asks them to sign in carries the fields, sealed for the person whose session it was.
When the same person has signed in, they are shown the fields and may send them again. Nobody else can open the seal.
"""

import json
import re
from dataclasses import dataclass
from datetime import timedelta

from flask import request, session

from portal.accounts.models import User
from portal.accounts.sign_in import sessions
from portal.accounts.sign_in.next_url import safe_next_url
from portal.core import clock
from portal.core.crypto import DecryptionError, decrypt_for_row, encrypt_for_row

MAX_FORM_BYTES = 64 * 1024  # bytes of a form: a long description, not an upload
MAX_AGE = timedelta(hours=12)
FORM_CONTENT_TYPES = {"application/x-www-form-urlencoded", "multipart/form-data"}
_SECRET = re.compile(r"pass|secret|token|code", re.IGNORECASE)


@dataclass(frozen=True)
class SavedForm:
    """A form that was not taken: where it went, and its fields in order."""

    path: str
    fields: list[tuple[str, str]]

    @property
    def words(self) -> list[str]:
        """What a person will know again."""
        return [value for _name, value in self.fields if len(value.split()) > 1 or len(value) in range(4, 30)]


def seal_submitted_form() -> str:
    """The form of this request, sealed; "" where there is nothing to keep: no session that was, a file, a secret."""
    owner = sessions.owner_of_any_session(str(session.get("_user_id", "")))
    small = request.content_length is not None and request.content_length <= MAX_FORM_BYTES
    if owner is None or request.method != "POST" or not small or request.mimetype not in FORM_CONTENT_TYPES:
        return ""
    if request.blueprint == "accounts" or any(file.filename for file in request.files.values()):
        return ""
    fields = [
        (name, value)
        for name, values in request.form.lists()
        for value in values
        if name != "csrf_token" and not _SECRET.search(name)
    ]
    path = safe_next_url(request.full_path.rstrip("?"), "")
    if not path or not fields:
        return ""
    until = (clock.now() + MAX_AGE).timestamp()
    return encrypt_for_row(json.dumps({"path": path, "fields": fields, "until": until}), _row(owner))


def open_submitted_form(sealed: str, user: User) -> SavedForm | None:
    """What was kept, if it is this person's and not too old."""
    try:
        found = json.loads(decrypt_for_row(sealed, _row(user)))
    except DecryptionError:
        return None
    if found["until"] < clock.now().timestamp():
        return None
    return SavedForm(found["path"], [(name, value) for name, value in found["fields"]])


def _row(user: User) -> str:
    return f"users/{user.id}/typed"
