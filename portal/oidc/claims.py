"""Users from the claims of a verified ID token, by the rules of Google and Microsoft."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portal.oidc.errors import LoginRefused

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SUBJECT = re.compile(r"[!-~]{1,255}")  # OpenID Connect Core 1.0, section 2: at most 255 ASCII characters


@dataclass(frozen=True)
class ExternalUser:
    """A user as the provider identifies them. Issuer and subject are permanent; address and name may change, and the
    address may be reassigned to somebody else."""

    issuer: str
    subject: str
    address: str
    name: str


def user_from_google_claims(claims: Mapping[str, Any], domains: tuple[str, ...]) -> ExternalUser:
    """A user of a Google Workspace of one of the domains. Raises LoginRefused.

    `hd` is the organisation of the account. The address is not enough: anybody can make a private Google account with a
    school's address. developers.google.com/identity/openid-connect/openid-connect
    """
    if claims.get("hd") not in domains:
        raise LoginRefused("hd")
    if claims.get("email_verified") is not True:
        raise LoginRefused("email_verified")
    return ExternalUser(claims["iss"], _subject(claims.get("sub")), _required_text(claims, "email"), _name(claims))


def user_from_microsoft_claims(claims: Mapping[str, Any], tenant: str) -> ExternalUser:
    """A member of the tenant, not a guest. Raises LoginRefused.

    `oid` identifies the person within the tenant `tid`. The address is the sign-in name, whose domain the tenant has
    proven to own; `email` is free text of an admin.
    learn.microsoft.com/entra/identity-platform/id-token-claims-reference
    """
    oid = claims.get("oid")
    if claims.get("tid") != tenant:
        raise LoginRefused("tid")
    if not isinstance(oid, str) or not _GUID.fullmatch(oid):
        raise LoginRefused("oid")
    if claims.get("idp", claims["iss"]) != claims["iss"]:
        raise LoginRefused("guest")
    if claims.get("email_verified", True) is not True:
        raise LoginRefused("email_verified")
    return ExternalUser(claims["iss"], f"{tenant}:{oid}", _required_text(claims, "preferred_username"), _name(claims))


def is_guid(text: str) -> bool:
    """True for a lower-case GUID, the form of Microsoft's tenant and object ids."""
    return bool(_GUID.fullmatch(text))


def _subject(text: object) -> str:
    if not isinstance(text, str) or not _SUBJECT.fullmatch(text):
        raise LoginRefused("sub")
    return text


def _required_text(claims: Mapping[str, Any], name: str) -> str:
    text = claims.get(name)
    if not isinstance(text, str) or not text:
        raise LoginRefused(name)
    return text


def _name(claims: Mapping[str, Any]) -> str:
    name = claims.get("name")
    return name if isinstance(name, str) else ""
