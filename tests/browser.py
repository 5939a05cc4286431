"""A browser for tests: it fetches pages as a person does, and inspects every page it gets."""

import io
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
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
LEAKED_VALUE = re.compile(r"None|Undefined|.*\{\{.*")
FORBIDDEN_SCHEMES = re.compile(r"\s*(javascript|data|vbscript):", re.IGNORECASE)
CONTROLS = {"input", "button", "select", "textarea"}
REFERENCES = ("aria-describedby", "aria-labelledby")
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
        self.csrf_token: str | None = None  # of the session, for posts of a browser that is on no page with a form

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
        """Post without looking at a form. Unless `data` has one, the token of the current page goes along, or the
        session's where no page was opened yet."""
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
        return str(field["value"]) if field else self.csrf_token


def words(tag: Tag) -> str:
    """The text of an element with single spaces."""
    return " ".join(tag.get_text(" ").split())


def form_values(form: Tag) -> dict[str, list[Any]]:
    """What a browser would send for a form as it stands: name to values, without files and buttons."""
    values: dict[str, list[Any]] = {}
    for control in _controls(form, "input, select, textarea"):
        name, kind = str(control.get("name", "")), str(control.get("type", "text"))
        if not name or control.has_attr("disabled") or kind in {"file", "submit", "button", "image", "reset"}:
            continue
        if control.name == "select":
            chosen = control.select("option[selected]") or (
                [] if control.has_attr("multiple") else control.select("option")[:1]
            )
            values.setdefault(name, []).extend(str(o.get("value", words(o))) for o in chosen)
        elif control.name == "textarea":
            values.setdefault(name, []).append(control.get_text().removeprefix("\n"))
        elif kind not in {"checkbox", "radio"} or control.has_attr("checked"):
            values.setdefault(name, []).append(str(control.get("value", "on" if kind in {"checkbox", "radio"} else "")))
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


@dataclass
class _Elements:
    """The elements of a page by what the checks ask for, gathered in one walk: a CSS selector walks the whole page
    each time, and every page that the tests fetch is checked."""

    by_name: defaultdict[str, list[Tag]] = field(default_factory=lambda: defaultdict(list))
    ids: list[str] = field(default_factory=list)
    current: list[Tag] = field(default_factory=list)  # with aria-current
    references: list[tuple[Tag, str]] = field(default_factory=list)  # with an attribute that names ids, and its name
    naming_form: list[Tag] = field(default_factory=list)  # controls with the attribute form

    def named(self, *names: str) -> list[Tag]:
        return [tag for name in names for tag in self.by_name[name]]


def inspect(page: BeautifulSoup) -> None:
    """What every HTML page of the portal promises.

    A fragment (an answer to htmx, without `<html>`) is held to all of it but the frame.
    """
    elements = _Elements()
    for tag in page.find_all(True):
        _check_attributes(tag)
        _sort_element(elements, tag)
    ids = set(elements.ids)
    duplicates = sorted({one for one in ids if elements.ids.count(one) > 1}) if len(ids) < len(elements.ids) else []
    assert not duplicates, f"duplicate ids: {duplicates}"
    if page.html is not None:
        _check_frame(page, elements, ids)
    _check_loaded_files(elements)
    _check_labels(page, elements, ids)
    _check_forms(page, elements)
    _check_names(elements)
    _check_icons(elements)
    _check_text(page)


def _sort_element(elements: _Elements, tag: Tag) -> None:
    elements.by_name[tag.name].append(tag)
    if "id" in tag.attrs:
        elements.ids.append(str(tag["id"]))
    if "aria-current" in tag.attrs:
        elements.current.append(tag)
    if "form" in tag.attrs and tag.name in CONTROLS:
        elements.naming_form.append(tag)
    elements.references += [(tag, name) for name in REFERENCES if name in tag.attrs]


def _check_attributes(tag: Tag) -> None:
    for name, value in tag.attrs.items():
        text = " ".join(value) if isinstance(value, list) else str(value)
        assert name != "style", f"style attribute: {tag}"
        assert not HANDLERS.fullmatch(name), f"event handler: {tag}"
        assert not FORBIDDEN_SCHEMES.match(text), f"forbidden address: {tag}"
        if name in LEAKY_ATTRIBUTES:
            assert not LEAKED_VALUE.fullmatch(text), f"a value leaked into {name}: {tag}"


def _check_frame(page: BeautifulSoup, elements: _Elements, ids: set[str]) -> None:
    headings = elements.named("h1")
    assert len(headings) == 1, f"a page has one h1, this one {len(headings)}: {[words(h) for h in headings]}"
    title, heading = words(page.title) if page.title else "", words(headings[0])
    assert title.startswith(heading), f"the title {title!r} does not start with the h1 {heading!r}"
    assert page.html is not None and page.html.has_attr("lang"), "no language on <html>"
    skips = [link for link in elements.named("a") if "skip" in link.get("class", []) and link.has_attr("href")]
    assert skips, "no skip link"
    hash_sign, _, target = str(skips[0]["href"]).partition("#")
    assert not hash_sign and target in ids, "the skip link leads nowhere"
    current = [tag for tag in elements.current if tag.find_parent(class_="tabs")]
    assert len(current) <= 1, "two tabs are current"


def _check_loaded_files(elements: _Elements) -> None:
    assert not elements.named("style"), "inline <style>"
    for script in elements.named("script"):
        assert script.get("src"), f"inline script: {script}"
        assert not script.get_text(strip=True), f"inline script: {script}"
    sheets = [link for link in elements.named("link") if "stylesheet" in link.get("rel", [])]
    for tag in elements.named("script", "img", "iframe") + sheets:
        address = urlsplit(str(tag.get("src") or tag.get("href") or ""))
        assert not address.netloc, f"loaded from another host: {tag}"


def _check_labels(page: BeautifulSoup, elements: _Elements, ids: set[str]) -> None:
    labelled_ids = set()
    for label in elements.named("label"):
        if label.has_attr("for"):
            labelled_ids.add(str(label["for"]))
            assert str(label["for"]) in ids, f"a label for nothing: {label}"
    for tag, attribute in elements.references:
        for target in str(tag[attribute]).split():
            assert page.html is None or target in ids, f"{attribute} names {target!r}, which is not there"
    for control in elements.named("input", "select", "textarea"):
        if control.get("type") in NAMELESS_INPUTS:
            continue
        labelled = control.get("aria-label") or control.get("aria-labelledby") or control.find_parent("label")
        assert labelled or (control.get("id") and control["id"] in labelled_ids), f"no label: {control}"


def _check_forms(page: BeautifulSoup, elements: _Elements) -> None:
    form_ids = {str(form["id"]) for form in elements.named("form") if form.has_attr("id")}
    for form in elements.named("form"):
        assert form.get("action"), f"a form without an address: {str(form)[:300]}"
        method = str(form.get("method", "")).lower()
        assert method in {"get", "post"}, f"a form without a method: {str(form)[:300]}"
        if method == "post":
            elsewhere = [tag for tag in elements.naming_form if form.get("id") and tag["form"] == form["id"]]
            inside = [tag for tag in form.find_all("input") if "form" not in tag.attrs]
            tokens = [tag for tag in inside + elsewhere if tag.name == "input" and tag.get("name") == "csrf_token"]
            assert any(token.get("value") for token in tokens), f"a form without a token: {str(form)[:300]}"
        assert not form.find_parent("form"), "a form in a form"
    for tag in elements.naming_form:
        assert page.html is None or tag["form"] in form_ids, f"names a form that is not there: {tag}"


def _check_names(elements: _Elements) -> None:
    links = [link for link in elements.named("a") if link.has_attr("href")]
    for tag in links + elements.named("button", "summary", "h1", "h2", "h3", "legend", "caption", "label"):
        assert words(tag) or _has_label(tag), f"nothing to read: {tag}"
    for image in elements.named("img"):
        assert image.has_attr("alt"), f"an image without alt: {image}"
    for link in elements.named("a"):
        assert link.get("href") not in (None, "", "#"), f"a link to nowhere: {link}"
    for drawing in elements.named("svg"):
        assert (
            drawing.get("aria-hidden") == "true"
            or drawing.get("aria-label")
            or (drawing.title and drawing.get("aria-labelledby"))
        ), f"a drawing without words: {drawing}"


def _has_label(tag: Tag) -> bool:
    if tag.get("aria-label") or tag.get("aria-labelledby"):
        return True
    return tag.find(attrs={"aria-label": True}) is not None or tag.find("img", alt=True) is not None


def _check_icons(elements: _Elements) -> None:
    for use in elements.named("use"):
        name = str(use.get("href", "")).partition("#")[2]
        assert name in icon_names(), f"icons.svg has no {name!r}"


@cache
def icon_names() -> frozenset[str]:
    return frozenset(re.findall(r'<symbol id="([\w-]+)"', SPRITE.read_text(encoding="utf-8")))


def _check_text(page: BeautifulSoup) -> None:
    text = page.get_text(" ")
    for found in LEAKS.finditer(text):
        around = text[max(0, found.start() - 80) : found.end() + 40]
        raise AssertionError(f"a value leaked into the page: ...{around}...")
