"""Exceptions of the OpenID Connect client."""


class ProviderUnavailable(Exception):
    """The provider is unreachable or its response is not OpenID Connect; a later attempt may succeed."""


class LoginRefused(Exception):
    """The response does not authenticate anybody. `reason` is a short code for the log, never for the page."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
