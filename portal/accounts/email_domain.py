"""The domain rule: one function for every address that enters the portal."""

import re

_LOCAL = r"[a-z0-9](?:[a-z0-9._'-]{0,62}[a-z0-9])?"
_LEARNER = re.compile(r"[0-9]{12}")


class EmailDomainError(ValueError):
    """The address is not one of the school's. `domains` says which would be."""

    def __init__(self, domains: tuple[str, ...]) -> None:
        super().__init__("address outside the allowed domains")
        self.domains = domains


def normalise_school_email(text: str, domains: tuple[str, ...]) -> str:
    """The address in lower case, if it belongs to exactly one of `domains`. Raises EmailDomainError.

    Strict ASCII, tested before lowering: the Kelvin sign lowers to "k", and full-width letters, soft
    hyphens and the like would pass a rule that normalises first. No plus addresses: one mailbox, one account.
    """
    address = text.strip(" ")
    if not address.isascii():
        raise EmailDomainError(domains)
    address = address.lower()
    local, _, domain = address.rpartition("@")
    if domain not in domains or len(address) > 254 or ".." in address or not re.fullmatch(_LOCAL, local):
        raise EmailDomainError(domains)
    return address


def is_learner_address(address: str) -> bool:
    """Learners' accounts are their LRN, 12 digits, at the domain: such an address is never staff."""
    return bool(_LEARNER.fullmatch(address.partition("@")[0]))
