"""Resubmission of a form whose session had expired, so that its content is not lost.

Nothing is stored: the sign-in page carries the fields, encrypted for the user of the expired session. After signing in
as the same user, they see the fields and may submit them again.
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

MAX_FORM_BYTES = 64 * 1024  # a long description, not an upload
MAX_AGE = timedelta(hours=12)
FORM_CONTENT_TYPES = {"application/x-www-form-urlencoded", "multipart/form-data"}
CREDENTIAL_BLUEPRINTS = {"accounts", "profile", "sso"}  # their forms hold passwords and one-time codes
_SECRET = re.compile(r"pass|secret|token|code", re.IGNORECASE)


@dataclass(frozen=True)
class SavedForm:
    """A form that was not processed: its path, and its fields in order."""

    path: str
    fields: list[tuple[str, str]]

    @property
    def words(self) -> list[str]:
        """Values that the user will recognise, to show them."""
        return [value for _name, value in self.fields if len(value.split()) > 1 or len(value) in range(4, 30)]


def seal_submitted_form() -> str:
    """The encrypted form of this request; "" if there is nothing to save: no earlier session, a file upload, a form
    with secrets."""
    owner = sessions.owner_of_any_session(str(session.get("_user_id", "")))
    is_small = request.content_length is not None and request.content_length <= MAX_FORM_BYTES
    if owner is None or request.method != "POST" or not is_small or request.mimetype not in FORM_CONTENT_TYPES:
        return ""
    if request.blueprint in CREDENTIAL_BLUEPRINTS or any(file.filename for file in request.files.values()):
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
    expires_at = (clock.now() + MAX_AGE).timestamp()
    return encrypt_for_row(
        json.dumps({"path": path, "fields": fields, "until": expires_at}), _encryption_context(owner)
    )


def open_submitted_form(sealed: str, user: User) -> SavedForm | None:
    """The decrypted form, if it is this user's and not expired."""
    try:
        values = json.loads(decrypt_for_row(sealed, _encryption_context(user)))
    except DecryptionError:
        return None
    if values["until"] < clock.now().timestamp():
        return None
    return SavedForm(values["path"], [(name, value) for name, value in values["fields"]])


def _encryption_context(user: User) -> str:
    return f"users/{user.id}/typed"
