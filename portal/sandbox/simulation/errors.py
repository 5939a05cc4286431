"""Error responses of the simulated Zoom."""

from collections.abc import Mapping, Sequence


class ZoomApiError(Exception):
    """An error response: HTTP status, Zoom's own code, a message, and for code 300 the fields."""

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
        """The JSON body: `{"code", "message"}`, with `errors` if fields are named."""
        body: dict[str, object] = {"code": self.code, "message": self.message}
        if self.fields:
            body["errors"] = [{"field": field, "message": message} for field, message in self.fields]
        return body


def invalid_field(field: str, message: str = "Invalid field.") -> ZoomApiError:
    """400/300 for one field of a request."""
    return ZoomApiError(400, 300, "Validation Failed.", fields=[(field, message)])


def meeting_not_found(meeting_id: str) -> ZoomApiError:
    """404/3001: unknown, deleted or expired meetings all look alike."""
    return ZoomApiError(404, 3001, f"Meeting does not exist: {meeting_id}.")


def user_not_found(user_id: str) -> ZoomApiError:
    """404/1001: nobody of this account has the id or the address."""
    return ZoomApiError(404, 1001, f"User does not exist: {user_id}.")
