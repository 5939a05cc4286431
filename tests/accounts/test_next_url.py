"""After signing in one goes to a page of the portal, or home."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.accounts.sign_in.next_url import safe_next_url

ELSEWHERE = (
    "https://evil.example",
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/\n/evil.example",
    "https:evil.example",
    "https:///evil.example",
    "javascript:alert(1)",
    "/@evil.example/..//",
    "//evil.example\\@host",
    "/\u2028/evil",
    "/%E2%80%A8/evil",
    "/" + "a" * 8000,
)


@pytest.mark.parametrize("target", ELSEWHERE)
def test_another_place_leads_home(target: str) -> None:
    assert safe_next_url(target, "/") == "/"


def test_a_page_of_the_portal_is_kept() -> None:
    assert safe_next_url("/classes/3?x=1", "/") == "/classes/3?x=1"


@given(st.text(alphabet="/\\ab.:@?%\t\n25cCfF", max_size=40))
def test_nothing_that_a_browser_takes_for_another_host_is_kept(target: str) -> None:
    kept = safe_next_url(target, "/home")
    assert kept.startswith("/") and not kept.startswith("//") and "\\" not in kept
