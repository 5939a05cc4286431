"""The house rules of templates: they compile, they speak through gettext, and they carry no inline code."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from bs4 import BeautifulSoup, NavigableString
from jinja2 import Environment, FileSystemLoader, StrictUndefined, nodes
from jinja2.meta import find_undeclared_variables

TEMPLATES = Path(__file__).parents[2] / "templates"
SANDBOX_TEMPLATES = Path(__file__).parents[2] / "portal" / "sandbox" / "templates"
NAMES = sorted(p.relative_to(TEMPLATES).as_posix() for p in TEMPLATES.rglob("*") if p.is_file())
PAGES = [name for name in NAMES if name.endswith(".html")]
COMPONENTS = [name for name in NAMES if name.startswith("components/")]

# The product's name, and the languages' own names on the switch between them.
SPOKEN_AS_IS = {"Silid", "English", "Filipino"}
SPOKEN_ATTRIBUTES = ("alt", "aria-label", "placeholder", "title")
# Given to every template by the factory, Flask, Flask-Babel and Flask-WTF, also to those that are imported.
GLOBALS = {"_", "asset", "csrf_token", "gettext", "ngettext", "npgettext", "pgettext", "request", "url_for"}
FILTERS = ("time", "weekday", "day", "day_long", "month", "datetime", "minutes", "mark_label", "time_range")
# Short enough to be read without scrolling sideways.
LONGEST_LINE = 160
# What is decided belongs into Python, into a page's model or a message. These still decide more; less is welcome.
MOST_DECISIONS = 19
DECISIONS_LEFT = {
    "admin/audit.html": 20,
    "calendar/index.html": 25,
    "classes/preview.html": 66,
    "components/forms.html": 32,
    "join/join.html": 25,
    "meetings/new.html": 33,
    "reports/participants.html": 25,
}
# Two letters in a row make a word; "&nbsp;" and the like are signs.
WORD = re.compile(r"[^\W\d_]{2,}")
ENTITY = re.compile(r"&#?\w+;")


def _read(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def house() -> Environment:
    """The portal's template environment, as far as compiling goes."""
    jinja = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        autoescape=True,
    )
    for name in (*FILTERS, "tojson"):
        jinja.filters.setdefault(name, str)
    return jinja


def decisions_in(source: str) -> int:
    """The number of `if`, `elif`, `x if y else z`, and conditions of loops."""
    tree = house().parse(source)
    choices = sum(1 for _ in tree.find_all((nodes.If, nodes.CondExpr)))
    return choices + sum(loop.test is not None for loop in tree.find_all(nodes.For))


def spoken_in(source: str) -> list[str]:
    """The words of a template that a reader would see and that no gettext has touched."""
    return sorted(set(_literals(source)) | set(_plain_words(source)))


def _plain_words(source: str) -> Iterator[str]:
    """Words outside `{{ }}` and `{% %}`, and outside `{% trans %}`."""
    plain = re.sub(r"\{#.*?#\}", "", source, flags=re.DOTALL)
    plain = re.sub(r"\{%-?\s*trans\b.*?endtrans\s*-?%\}", "", plain, flags=re.DOTALL)
    plain = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", " ", plain, flags=re.DOTALL)
    page = BeautifulSoup(plain, "html.parser")
    said = [str(text) for text in page.find_all(string=True) if type(text) is NavigableString]
    said += [str(tag[name]) for name in SPOKEN_ATTRIBUTES for tag in page.select(f"[{name}]") if tag.name != "meta"]
    for text in said:
        words = " ".join(ENTITY.sub(" ", text).split())
        if WORD.search(words) and not set(words.split()) <= {*SPOKEN_AS_IS, "-"}:
            yield words


def _literals(source: str) -> Iterator[str]:
    """String literals printed as they are, such as `{{ "Yes" if x else "No" }}`, unless inside a tag."""
    plain = re.sub(r"\{#.*?#\}", "", source, flags=re.DOTALL)
    inside_tag = False
    for piece in re.split(r"(\{\{.*?\}\}|\{%.*?%\})", plain, flags=re.DOTALL):
        if not piece.startswith("{{"):
            if not piece.startswith("{%") and re.search(r"[<>]", piece):
                inside_tag = piece.rfind("<") > piece.rfind(">")
        elif not inside_tag:
            [output] = house().parse(piece).body
            assert isinstance(output, nodes.Output)
            yield from (text for node in output.nodes for text in _constants(node) if WORD.search(text))


def _constants(node: nodes.Node) -> Iterator[str]:
    """The constant strings an expression may print as they are."""
    if isinstance(node, nodes.Const) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, nodes.CondExpr):
        yield from (text for branch in (node.expr1, node.expr2) if branch for text in _constants(branch))
    elif isinstance(node, nodes.Concat):
        yield from (text for part in node.nodes for text in _constants(part))
    elif isinstance(node, nodes.BinExpr):
        yield from (text for part in (node.left, node.right) for text in _constants(part))


@pytest.mark.parametrize("name", NAMES)
def test_a_template_compiles(name: str) -> None:
    assert house().get_template(name)


@pytest.mark.parametrize("name", NAMES)
def test_every_visible_word_goes_through_gettext(name: str) -> None:
    assert spoken_in(_read(name)) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_template_carries_no_inline_style_or_script(name: str) -> None:
    source = re.sub(r"\{#.*?#\}", "", _read(name), flags=re.DOTALL)
    page = BeautifulSoup(re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "x", source, flags=re.DOTALL), "html.parser")
    assert page.select("style, [style], script:not([src])") == []
    assert [tag for tag in page.find_all(True) if any(re.fullmatch(r"on[a-z]+", key) for key in tag.attrs)] == []
    assert re.search(r"javascript:|[\"'(]data:|hx-on|\|\s*safe\b", source) is None


@pytest.mark.parametrize("name", NAMES)
def test_a_template_has_no_long_lines(name: str) -> None:
    assert [line for line in _read(name).splitlines() if len(line) > LONGEST_LINE] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_template_decides_little(name: str) -> None:
    assert decisions_in(_read(name)) <= DECISIONS_LEFT.get(name, MOST_DECISIONS)


def test_the_list_of_templates_that_decide_much_is_short_and_true() -> None:
    """A number only goes down: who takes decisions out of a template lowers its number, or strikes its line."""
    assert {name: decisions_in(_read(name)) for name in DECISIONS_LEFT} == DECISIONS_LEFT
    assert min(DECISIONS_LEFT.values()) > MOST_DECISIONS


def test_the_sandboxs_templates_have_no_long_lines() -> None:
    for path in SANDBOX_TEMPLATES.rglob("*.html"):
        assert [line for line in path.read_text(encoding="utf-8").splitlines() if len(line) > LONGEST_LINE] == [], path


@pytest.mark.parametrize("name", NAMES)
def test_a_template_takes_no_date_from_the_time_in_utc(name: str) -> None:
    """Before 8 AM in Manila it would be yesterday's; `clock.today()` is Manila's."""
    assert re.search(r"\bnow\(\)\.(date|day|month|year|strftime)\b", _read(name)) is None


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_uses_only_what_it_is_given(name: str) -> None:
    """Components are imported without the page's context, so any other name would be missing there."""
    tree = house().parse(_read(name))
    set_here = {node.name for node in tree.find_all(nodes.Name) if node.ctx == "store"}
    assert find_undeclared_variables(tree) - set_here <= GLOBALS


def test_state_words_are_not_frozen_at_import() -> None:
    """A component's top level runs once a process: a gettext there would keep the first reader's language."""
    for name in COMPONENTS:
        for node in house().parse(_read(name)).body:
            if not isinstance(node, nodes.Macro):
                called = {call.node.name for call in node.find_all(nodes.Call) if isinstance(call.node, nodes.Name)}
                assert not called & {"_", "gettext", "ngettext"}, name


def test_decisions_are_counted() -> None:
    assert decisions_in("{% if a and b %}1{% elif c %}2{% else %}3{% endif %}") == 2
    assert decisions_in("{{ a if b }}{% for x in y if x %}{{ x }}{% endfor %}{% for x in y %}{{ x }}{% endfor %}") == 2


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("<p>Hello there</p>", ["Hello there"]),
        ('<img alt="A door">', ["A door"]),
        ("<p>{{ 'Present' if x else 'Absent' }}</p>", ["Absent", "Present"]),
        ("<p>{{ 'Ab' ~ name }}</p>", ["Ab"]),
        ("<p>{{ _('Hello there') }}, {% trans %}good day{% endtrans %} &middot; 8</p>", []),
        ('<p class="{{ "quiet" if x }}">{# a remark #}{{ name }} - Silid</p>', []),
    ],
)
def test_the_rule_about_words_finds_what_it_should(source: str, found: list[str]) -> None:
    assert spoken_in(source) == found
