"""The domain rule: strict ASCII, the exact domain, one mailbox one account. One function, used wherever an address
enters."""

import re
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portal.accounts.email_domain import EmailDomainError, is_learner_address, normalise_school_email

DOMAIN = "r1.deped.gov.ph"
DOMAINS = (DOMAIN,)
REFUSED = [
    "juan@deped.gov.ph",
    "juan@r2.deped.gov.ph",
    "juan@evilr1.deped.gov.ph",
    "juan@sub.r1.deped.gov.ph",
    "juan@r1.deped.gov.ph.evil.com",
    "juan@r1.deped.gov.ph.",
    "juan@evil.com@r1.deped.gov.ph",
    '"juan@evil.com"@r1.deped.gov.ph',
    "juan@r1.deped.gov.ph@evil.com",
    "juan@r1.deped.gov.ph,x@evil.com",
    "juan@r1.deped.gov.ph;x@evil.com",
    "x@evil.com<juan@r1.deped.gov.ph>",
    '"juan@r1.deped.gov.ph" <x@evil.com>',
    "juan@r1.deped.gov.ph\n",
    "\tjuan@r1.deped.gov.ph",
    "juan@r1.deped.gov.ph\r\nBcc: x@evil.com",
    "juan@r1.deped.gov.ph%0aBcc:x@evil.com",
    "juan%0a@r1.deped.gov.ph",
    "juan@r1.deped.gov.ph\0@evil.com",
    "=?utf-8?q?x=40evil.com=3e?=@r1.deped.gov.ph",
    "juan@ｒ１.deped.gov.ph",
    "juan@r1。deped。gov。ph",
    "juan@r①.deped.gov.ph",
    "juan@r1.deped.gov.p\u00adh",
    "juan@r1.deped.gov.ph\u200b",
    "juan\u212a@r1.deped.gov.ph",  # the Kelvin sign, which lowers to an ASCII k
    "juan+x@r1.deped.gov.ph",
    "juan@[10.0.0.1]",
    "juan@r1.deped.gov.ph:25",
    "@r1.deped.gov.ph",
    "juan@",
    "juan",
    "",
    "a" * 65 + "@r1.deped.gov.ph",
    "a..b@r1.deped.gov.ph",
    ".a@r1.deped.gov.ph",
    "a.@r1.deped.gov.ph",
    "ju an@r1.deped.gov.ph",
]


@pytest.mark.parametrize("text", REFUSED, ids=ascii)
def test_what_is_no_address_of_the_domain_is_refused(text: str) -> None:
    with pytest.raises(EmailDomainError):
        normalise_school_email(text, DOMAINS)


@pytest.mark.parametrize("text", ["juan.cruz@r1.deped.gov.ph", "  Juan.Cruz@R1.DepEd.GOV.PH "])
def test_letter_case_and_spaces_around_make_no_other_account(text: str) -> None:
    assert normalise_school_email(text, DOMAINS) == "juan.cruz@r1.deped.gov.ph"


def test_each_of_several_domains_will_do() -> None:
    both = (DOMAIN, "deped.gov.ph")
    assert normalise_school_email("juan@deped.gov.ph", both) == "juan@deped.gov.ph"
    with pytest.raises(EmailDomainError):
        normalise_school_email("juan@gov.ph", both)


def test_an_lrn_is_a_learners_address() -> None:
    assert is_learner_address("136425140001@r1.deped.gov.ph")
    assert not is_learner_address("13642514000@r1.deped.gov.ph")


def accepted(text: str) -> str | None:
    try:
        return normalise_school_email(text, DOMAINS)
    except EmailDomainError:
        return None


PIECES = st.sampled_from(
    ["juan", "@", DOMAIN, DOMAIN.upper(), ".", "..", ",", ";", " ", "\n", "\r\n", "\0", "<", ">", '"', "%", "+",
     "evil.com", "\u212a", "\u00ad", "\u200b", "ｒ１", "。", "'", "-", "_", "0", "=?utf-8?q?",
     "\\", "/", ":", "[", "]", "("]
)  # fmt: skip


@given(st.one_of(st.text(), st.text().map(lambda text: f"{text}@{DOMAIN}"), st.lists(PIECES, max_size=8).map("".join)))
@example(f"juan@{DOMAIN}\n")
def test_whatever_is_accepted_is_one_plain_mailbox_of_the_domain(text: str) -> None:
    address = accepted(text)
    if address is None:
        return
    assert address == text.strip(" ").lower() and address.isascii() and len(address) <= 254
    assert address.count("@") == 1 and address.endswith(f"@{DOMAIN}")
    local = address.removesuffix(f"@{DOMAIN}")
    assert 1 <= len(local) <= 64 and set(local) <= set(string.ascii_lowercase + string.digits + "._'-")
    assert ".." not in local and local[0].isalnum() and local[-1].isalnum()
    assert accepted(address) == address, "what was accepted is accepted again, as it is"


LOCAL = st.from_regex(re.compile(r"[a-z0-9]([a-z0-9._'-]{0,30}[a-z0-9])?", re.ASCII), fullmatch=True)


@given(LOCAL.filter(lambda local: ".." not in local), st.randoms(use_true_random=False), st.integers(0, 3))
def test_every_plain_mailbox_is_accepted_however_it_is_written(local: str, random: object, spaces: int) -> None:
    address = f"{local}@{DOMAIN}"
    written = "".join(random.choice((sign, sign.upper())) for sign in address)  # type: ignore[attr-defined]
    assert accepted(" " * spaces + written) == address


@given(LOCAL, st.integers(0, 40), st.characters(exclude_characters=string.ascii_letters + string.digits + "._'- "))
def test_one_strange_sign_anywhere_is_one_too_many(local: str, place: int, sign: str) -> None:
    address = f"{local}@{DOMAIN}"
    place = min(place, len(address))
    assert accepted(address[:place] + sign + address[place:]) is None
