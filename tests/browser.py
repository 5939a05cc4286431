"""A browser for tests: it fetches pages as a person does, and inspects every page it gets."""

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from bs4 import BeautifulSoup, Tag
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

SPRITE = Path(__file__).parents[1] / "static" / "icons.svg"
REDIRECTS = {301, 302, 303, 307, 308}
MOST_REDIRECTS = 5
# What a person sees when a value was missing, or when a template did not run.
LEAKS = re.compile(r"\b(None|Undefined|NaN)\b|\{\{|\{%|%\(\w+\)[sd]|<(?:flask|sqlalchemy|portal)[.\w]* ")
LEAKY_ATTRIBUTES = {"href", "action", "value", "aria-label", "title", "alt"}
HANDLERS = re.compile(r"on[a-z]+")
NAMELESS_INPUTS = {"hidden", "submit", "button", "image", "reset"}

Upload = tuple[bytes | io.BytesIO, str]


class Browser:
    """One person at one browser, over Flask's test client.

    `page` is the last HTML page as BeautifulSoup, `response` the last answer of any kind, `url` the last
    address (path and query).
    """

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self.response: TestResponse | None = None
        self.page = BeautifulSoup("", "html.parser")
        self.url = "/"

    def get(self, url: str, status: int = 200, follow: bool = False, **options: Any) -> BeautifulSoup:
        """Open a page. `status` is that of the last answer; `options` go to the client (headers...)."""
        return self._arrive(url, self.client.get(url, **options), status, follow)

    def post(
        self,
        url: str,
        data: Mapping[str, Any] | None = None,
        status: int = 200,
        follow: bool = True,
        **options: Any,
    ) -> BeautifulSoup:
        """Post without looking at a form; the token of the current page goes along unless `data` has one."""
        values = dict(data or {})
        values.setdefault("csrf_token", self._token())
        answer = self.client.post(url, data={k: v for k, v in values.items() if v is not None}, **options)
        return self._arrive(url, answer, status, follow)

    def submit(
        self,
        form: str | int = 0,
        *,
        button: str | None = None,
        status: int = 200,
        follow: bool = True,
        **fields: Any,
    ) -> BeautifulSoup:
        """Fill in a form of the current page and send it.

        `form` is a CSS selector (of the form, or of anything in it), or an index among the forms of `<main>`.
        `button` is the text of the button to press; without it, the form's first. `fields` are by name: text,
        a list for several choices, True or False for a checkbox, `(bytes, filename)` for a file. Fields left
        out keep the values of the page. AssertionError if form, field, choice or button are not there.
        """
        element = self._form(form)
        values = form_values(element)
        for name, value in fields.items():
            _fill(element, values, name, value)
        pressed = _button(element, button)
        if pressed.get("name"):
            values[str(pressed["name"])] = [str(pressed.get("value", ""))]
        address = str(pressed.get("formaction") or element.get("action") or self.url)
        url = urljoin(self.url, address)
        assert not urlsplit(address).netloc, f"a form may not post to another host: {address}"
        if str(element.get("method", "get")).lower() == "get":
            query = {name: value for name, value in values.items() if name != "csrf_token"}
            return self._arrive(url, self.client.get(url, query_string=query), status, follow)
        has_file = element.select_one("input[type=file]") is not None
        assert not has_file or element.get("enctype") == "multipart/form-data", "a form with a file needs enctype"
        kind = "multipart/form-data" if has_file else "application/x-www-form-urlencoded"
        return self._arrive(url, self.client.post(url, data=values, content_type=kind), status, follow)

    def click(self, text: str, status: int = 200, follow: bool = True) -> BeautifulSoup:
        """Follow the first link whose words contain `as_text`."""
        for link in self.page.select("a[href]"):
            if text in words(link):
                return self.get(urljoin(self.url, str(link["href"])), status, follow)
        raise AssertionError(f"no link says {text!r}: {[words(a) for a in self.page.select('a')]}")

    @property
    def text(self) -> str:
        """The words of the page's main part, with single spaces."""
        return words(self.page.select_one("main") or self.page)

    def _arrive(self, url: str, answer: TestResponse, status: int, follow: bool) -> BeautifulSoup:
        self.url = url
        for _ in range(MOST_REDIRECTS):
            if not follow or answer.status_code not in REDIRECTS:
                break
            self.url = urljoin(self.url, answer.headers["Location"])
            assert urlsplit(self.url).netloc in ("", "localhost"), f"sent to another host: {self.url}"
            answer = self.client.get(self.url)
        self.response = answer
        assert answer.status_code == status, (
            f"{self.url} answered {answer.status_code}, not {status}: {answer.get_data(as_text=True)[:2000]}"
        )
        if answer.mimetype == "text/html":
            self.page = BeautifulSoup(answer.get_data(as_text=True), "html.parser")
            if answer.status_code not in REDIRECTS:
                inspect(self.page)
        return self.page

    def _form(self, form: str | int) -> Tag:
        if isinstance(form, int):
            forms = self.page.select("main form")
            assert form < len(forms), f"the page has {len(forms)} forms"
            return forms[form]
        found = self.page.select_one(form)
        assert found is not None, f"no form matches {form!r}"
        element = found if found.name == "form" else found.find_parent("form")
        assert element is not None, f"{form!r} is in no form"
        return element

    def _token(self) -> str | None:
        field = self.page.select_one("input[name=csrf_token]")
        return str(field["value"]) if field else None


def words(tag: Tag) -> str:
    """The text of an element with single spaces."""
    return " ".join(tag.get_text(" ").split())


def form_values(form: Tag) -> dict[str, list[Any]]:
    """What a browser would send for a form as it stands: name to values, without files and buttons."""
    values: dict[str, list[Any]] = {}
    for field in _controls(form, "input, select, textarea"):
        name, kind = str(field.get("name", "")), str(field.get("type", "text"))
        if not name or field.has_attr("disabled") or kind in {"file", "submit", "button", "image", "reset"}:
            continue
        if field.name == "select":
            chosen = field.select("option[selected]") or (
                [] if field.has_attr("multiple") else field.select("option")[:1]
            )
            values.setdefault(name, []).extend(str(o.get("value", words(o))) for o in chosen)
        elif field.name == "textarea":
            values.setdefault(name, []).append(field.get_text().removeprefix("\n"))
        elif kind not in {"checkbox", "radio"} or field.has_attr("checked"):
            values.setdefault(name, []).append(str(field.get("value", "on" if kind in {"checkbox", "radio"} else "")))
    return values


def _controls(form: Tag, selector: str) -> list[Tag]:
    """The controls inside a form, and those elsewhere on the page that name it."""
    inside = [c for c in form.select(selector) if c.get("form") in (None, form.get("id"))]
    if not form.get("id"):
        return inside
    page = next(reversed(list(form.parents)))
    named = [c for c in page.select(selector) if c.get("form") == form["id"] and c not in inside]
    return inside + named


def _fill(form: Tag, values: dict[str, list[Any]], name: str, value: Any) -> None:
    fields = [c for c in _controls(form, "input, select, textarea, button") if c.get("name") == name]
    assert fields, f"the form has no field {name!r}"
    if isinstance(value, bool):
        assert fields[0].get("type") == "checkbox", f"{name!r} is no checkbox"
        values.pop(name, None)
        if value:
            values[name] = [str(fields[0].get("value", "on"))]
        return
    if fields[0].get("type") == "file":
        data, filename = value
        values[name] = [(io.BytesIO(data) if isinstance(data, bytes) else data, filename)]
        return
    wanted = [str(v) for v in value] if isinstance(value, list | tuple | set) else [str(value)]
    _must_be_offered(fields, name, wanted)
    values[name] = wanted


def _must_be_offered(fields: list[Tag], name: str, wanted: list[str]) -> None:
    """A person can only choose what the page offers."""
    offered: set[str] | None = None
    if fields[0].name == "select":
        offered = {str(o.get("value", words(o))) for o in fields[0].select("option")}
    elif fields[0].get("type") in {"checkbox", "radio"}:
        offered = {str(f.get("value", "on")) for f in fields}
    assert offered is None or set(wanted) <= offered, f"{name!r} offers {sorted(offered or ())}, not {wanted}"


def _button(form: Tag, text: str | None) -> Tag:
    buttons = [b for b in _controls(form, "button, input[type=submit]") if b.get("type") not in {"button", "reset"}]
    assert buttons, "the form has no button"
    if text is None:
        return buttons[0]
    for button in buttons:
        if text in (words(button) or str(button.get("value", ""))):
            return button
    raise AssertionError(f"no button says {text!r}: {[words(b) for b in buttons]}")


def inspect(page: BeautifulSoup) -> None:
    """What every HTML page of the portal promises.

    A fragment (an answer to htmx, without `<html>`) is held to all of it but the frame.
    """
    if page.html is not None:
        _frame(page)
    ids = [str(tag["id"]) for tag in page.select("[id]")]
    assert len(ids) == len(set(ids)), f"duplicate ids: {sorted({i for i in ids if ids.count(i) > 1})}"
    _policy(page)
    _labels(page, set(ids))
    _forms(page)
    _names(page)
    _icons(page)
    _leaks(page)


def _frame(page: BeautifulSoup) -> None:
    headings = page.select("h1")
    assert len(headings) == 1, f"a page has one h1, this one {len(headings)}: {[words(h) for h in headings]}"
    title, heading = words(page.title) if page.title else "", words(headings[0])
    assert title.startswith(heading), f"the title {title!r} does not start with the h1 {heading!r}"
    assert page.select_one("html[lang]"), "no language on <html>"
    skip = page.select_one("a.skip[href]")
    assert skip, "no skip link"
    assert page.select_one(str(skip["href"])), "the skip link leads nowhere"
    assert len(page.select(".tabs [aria-current]")) <= 1, "two tabs are current"


def _policy(page: BeautifulSoup) -> None:
    assert not page.select("style"), "inline <style>"
    for tag in page.find_all(True):
        for name, value in tag.attrs.items():
            text = " ".join(value) if isinstance(value, list) else str(value)
            assert name != "style", f"style attribute: {tag}"
            assert not HANDLERS.fullmatch(name), f"event handler: {tag}"
            assert not re.match(r"\s*(javascript|data|vbscript):", text, re.IGNORECASE), f"forbidden address: {tag}"
    for script in page.select("script"):
        assert script.get("src"), f"inline script: {script}"
        assert not script.get_text(strip=True), f"inline script: {script}"
    for tag in page.select("script[src], link[rel=stylesheet], img[src], iframe[src]"):
        address = urlsplit(str(tag.get("src") or tag.get("href")))
        assert not address.netloc, f"loaded from another host: {tag}"


def _labels(page: BeautifulSoup, ids: set[str]) -> None:
    for label in page.select("label[for]"):
        assert str(label["for"]) in ids, f"a label for nothing: {label}"
    for tag in page.select("[aria-describedby], [aria-labelledby]"):
        for attribute in ("aria-describedby", "aria-labelledby"):
            for target in str(tag.get(attribute, "")).split():
                assert page.html is None or target in ids, f"{attribute} names {target!r}, which is not there"
    for field in page.select("input, select, textarea"):
        if field.get("type") in NAMELESS_INPUTS:
            continue
        labelled = field.get("aria-label") or field.get("aria-labelledby") or field.find_parent("label")
        if not labelled and field.get("id"):
            labelled = page.find("label", attrs={"for": field["id"]})
        assert labelled, f"no label: {field}"


def _forms(page: BeautifulSoup) -> None:
    for form in page.select("form"):
        assert form.get("action"), f"a form without an address: {str(form)[:300]}"
        assert str(form.get("method", "")).lower() in {"get", "post"}, f"a form without a method: {str(form)[:300]}"
        if str(form["method"]).lower() == "post":
            tokens = [c for c in _controls(form, "input[value]") if c.get("name") == "csrf_token"]
            assert any(token["value"] for token in tokens), f"a form without a token: {str(form)[:300]}"
        assert not form.find_parent("form"), "a form in a form"
    for tag in page.select("input[form], button[form], select[form], textarea[form]"):
        assert page.html is None or page.find("form", id=tag["form"]), f"names a form that is not there: {tag}"


def _names(page: BeautifulSoup) -> None:
    for tag in page.select("a[href], button, summary, h1, h2, h3, legend, caption, label"):
        labelled = tag.get("aria-label") or tag.get("aria-labelledby") or tag.select_one("[aria-label], img[alt]")
        assert words(tag) or labelled, f"nothing to read: {tag}"
    for image in page.select("img"):
        assert image.has_attr("alt"), f"an image without alt: {image}"
    for link in page.select("a"):
        assert link.get("href") not in (None, "", "#"), f"a link to nowhere: {link}"
    for drawing in page.select("svg"):
        assert (
            drawing.get("aria-hidden") == "true"
            or drawing.get("aria-label")
            or (drawing.title and drawing.get("aria-labelledby"))
        ), f"a drawing without words: {drawing}"


def _icons(page: BeautifulSoup) -> None:
    known = set(re.findall(r'<symbol id="([\w-]+)"', SPRITE.read_text(encoding="utf-8")))
    for use in page.select("svg use"):
        name = str(use.get("href", "")).partition("#")[2]
        assert name in known, f"icons.svg has no {name!r}"


def _leaks(page: BeautifulSoup) -> None:
    text = page.get_text(" ")
    for found in LEAKS.finditer(text):
        around = text[max(0, found.start() - 80) : found.end() + 40]
        raise AssertionError(f"a value leaked into the page: ...{around}...")
    for tag in page.find_all(True):
        for name in LEAKY_ATTRIBUTES & tag.attrs.keys():
            assert not re.fullmatch(r"None|Undefined|.*\{\{.*", str(tag[name])), f"a value leaked into {name}: {tag}"
