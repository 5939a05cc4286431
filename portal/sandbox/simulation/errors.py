"""How the pretend Zoom says no."""

from collections.abc import Mapping, Sequence


class Refusal(Exception):
    """Zoom's error answer: an HTTP status, Zoom's own code, a message, and for code 300 the fields."""

    def __init__(
        self,
        status: int,
        code: int,
        message: str,
        *,
        fields: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status}/{code} {message}")
        self.status = status
        self.code = code
        self.message = message
        self.fields = tuple(fields)
        self.headers = dict(headers or {})

    def body(self) -> dict[str, object]:
        """The JSON body: `{"code", "message"}`, with `errors` where fields are named."""
        body: dict[str, object] = {"code": self.code, "message": self.message}
        if self.fields:
            body["errors"] = [{"field": field, "message": message} for field, message in self.fields]
        return body


def invalid(field: str, message: str = "Invalid field.") -> Refusal:
    """400/300 for one field of a request."""
    return Refusal(400, 300, "Validation Failed.", fields=[(field, message)])


def no_meeting(meeting_id: str) -> Refusal:
    """404/3001: unknown, deleted or expired meetings all look alike."""
    return Refusal(404, 3001, f"Meeting does not exist: {meeting_id}.")


def no_user(user_id: str) -> Refusal:
    """404/1001: nobody of this account has the id or the address."""
    return Refusal(404, 1001, f"User does not exist: {user_id}.")
