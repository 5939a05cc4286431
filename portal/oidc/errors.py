"""What can go wrong between us and a provider."""


class ProviderUnavailable(Exception):
    """The provider does not answer, or not as a provider should. Trying again later may help."""


class LoginRefused(Exception):
    """Nobody may sign in by this answer. `reason` is one word or two, for the log and never for the page."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
