"""Domain rule: validation and normalisation of every e-mail address that enters the portal."""

import re

_LOCAL = r"[a-z0-9](?:[a-z0-9._'-]{0,62}[a-z0-9])?"
_LEARNER = re.compile(r"[0-9]{12}")


class EmailDomainError(ValueError):
    """The address is not in one of the allowed `domains`."""

    def __init__(self, domains: tuple[str, ...]) -> None:
        super().__init__("address outside the allowed domains")
        self.domains = domains


def normalise_school_email(text: str, domains: tuple[str, ...]) -> str:
    """The address in lower case, if its domain is exactly one of `domains`. Raises EmailDomainError.

    ASCII is tested before lower-casing: the Kelvin sign lowers to "k", and full-width letters, soft hyphens and the
    like would pass a rule that normalises first. No plus addresses, so that one mailbox has one account.
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
    """True if the local part is an LRN (12 digits): learners' accounts at the domain, never staff."""
    return bool(_LEARNER.fullmatch(address.partition("@")[0]))
