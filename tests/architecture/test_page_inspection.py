"""The inspector of pages finds each fault that it is there for."""

import pytest
from bs4 import BeautifulSoup

from tests.browser import inspect

TOKEN = '<input type="hidden" name="csrf_token" value="t">'


def page_with(body: str, *, title: str = "Classes", html: str = '<html lang="en">', skip: str = "#main") -> str:
    return (
        f"<!doctype html>{html}<head><title>{title}</title></head><body>"
        f'<a class="skip" href="{skip}">Skip</a><main id="main"><h1>Classes</h1>{body}</main></body></html>'
    )


def look_at(html: str) -> None:
    inspect(BeautifulSoup(html, "html.parser"))


GOOD = {
    "form": f'<form action="/x" method="post">{TOKEN}<label for="a">Name</label><input id="a"></form>',
    "label around": '<label>Name <input name="a"></label>',
    "token elsewhere": '<form id="f" action="/x" method="post"></form>' + TOKEN.replace("<input", '<input form="f"'),
    "form of links": '<form action="/x" method="get"><button>Look</button></form>',
    "icon": '<svg aria-hidden="true"><use href="/static/icons.svg#silid"></use></svg>',
    "described": '<p id="why">Because</p><input aria-label="Name" aria-describedby="why">',
    "picture in a link": '<a href="/"><img src="/static/a.png" alt="Home"></a>',
    "one tab": '<nav class="tabs"><a href="/a" aria-current="page">A</a></nav><a href="/b" aria-current="page">B</a>',
}
BROKEN = {
    "two h1": ("<h1>Again</h1>", "one h1"),
    "duplicate id": ('<p id="a"></p><p id="a"></p>', "duplicate ids"),
    "two current tabs": (
        '<nav class="tabs"><a href="/a" aria-current="page">A</a><a href="/b" aria-current="page">B</a></nav>',
        "two tabs",
    ),
    "style element": ("<style>p {}</style>", "inline <style>"),
    "style attribute": ('<p style="color: red">a</p>', "style attribute"),
    "event handler": ('<p onclick="go()">a</p>', "event handler"),
    "script address": ('<a href=" JavaScript:go()">a</a>', "forbidden address"),
    "data address": ('<img alt="" src="data:image/png;base64,AA">', "forbidden address"),
    "inline script": ("<script>go()</script>", "inline script"),
    "script with both": ('<script src="/a.js">go()</script>', "inline script"),
    "foreign script": ('<script src="https://cdn.example/a.js"></script>', "another host"),
    "foreign sheet": ('<link rel="stylesheet" href="//cdn.example/a.css">', "another host"),
    "foreign image": ('<img alt="" src="https://cdn.example/a.png">', "another host"),
    "foreign frame": ('<iframe src="https://cdn.example/"></iframe>', "another host"),
    "label for nothing": ('<label for="a">A</label>', "a label for nothing"),
    "described by nothing": ('<p aria-describedby="a">b</p>', "which is not there"),
    "labelled by nothing": ('<p id="a">b</p><p aria-labelledby="a b">b</p>', "which is not there"),
    "input without label": ('<input name="a">', "no label"),
    "select without label": ('<select id="a"></select>', "no label"),
    "text without label": ("<textarea></textarea>", "no label"),
    "form without address": ('<form method="get"></form>', "without an address"),
    "form without method": ('<form action="/x"></form>', "without a method"),
    "form without token": ('<form action="/x" method="post"></form>', "without a token"),
    "empty token": (
        '<form action="/x" method="post"><input type="hidden" name="csrf_token" value=""></form>',
        "without a token",
    ),
    "token of another form": (
        f'<form id="a" action="/x" method="post">{TOKEN}</form><form id="b" action="/x" method="post">'
        + TOKEN.replace("<input", '<input form="a"')
        + "</form>",
        "without a token",
    ),
    "form in a form": ('<form action="/x" method="get"><form action="/y" method="get"></form></form>', "in a form"),
    "control of no form": ('<button form="a">A</button>', "a form that is not there"),
    "empty link": ('<a href="/x"></a>', "nothing to read"),
    "empty button": ('<button><svg aria-hidden="true"></svg></button>', "nothing to read"),
    "empty heading": ("<h2> </h2>", "nothing to read"),
    "image without alt": ('<img src="/a.png">', "without alt"),
    "link without address": ("<a>there</a>", "a link to nowhere"),
    "link to nowhere": ('<a href="#">there</a>', "a link to nowhere"),
    "drawing without words": ("<svg></svg>", "without words"),
    "unknown icon": ('<svg aria-hidden="true"><use href="/icons.svg#nothing"></use></svg>', "icons.svg has no"),
    "missing value": ("<p>None came</p>", "leaked into the page"),
    "template in text": ("<p>{{ name }}</p>", "leaked into the page"),
    "object in text": ("<p>&lt;portal.accounts.User at 0x7f&gt;</p>", "leaked into the page"),
    "missing value in a link": ('<a href="None">a</a>', "leaked into href"),
    "template in a field": ('<input aria-label="a" value="{{ x }}">', "leaked into value"),
}


@pytest.mark.parametrize("body", GOOD.values(), ids=GOOD)
def test_a_page_in_order_passes(body: str) -> None:
    look_at(page_with(body))


@pytest.mark.parametrize(("body", "fault"), BROKEN.values(), ids=BROKEN)
def test_a_fault_is_found_and_named(body: str, fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        look_at(page_with(body))


@pytest.mark.parametrize(
    ("frame", "fault"),
    [
        ({"title": "Reports"}, "does not start with the h1"),
        ({"html": "<html>"}, "no language"),
        ({"skip": "#nothing"}, "leads nowhere"),
    ],
)
def test_a_fault_of_the_frame_is_found(frame: dict[str, str], fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        look_at(page_with("", **frame))


def test_a_page_without_skip_link_is_refused() -> None:
    with pytest.raises(AssertionError, match="no skip link"):
        look_at('<html lang="en"><title>A</title><h1>A</h1></html>')


def test_a_fragment_needs_no_frame_but_all_the_rest() -> None:
    look_at('<p aria-describedby="elsewhere">A</p><button form="elsewhere">B</button>')
    with pytest.raises(AssertionError, match="no label"):
        look_at("<p>A</p><input>")
