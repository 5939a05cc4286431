"""The words of a page: found once for each language, escaped as ever, and another language for a letter meanwhile."""

import flask
import pytest
from flask_babel import force_locale, gettext
from markupsafe import Markup

from portal.core.translations import CachedBabel


@pytest.fixture
def page() -> flask.Flask:
    app = flask.Flask("page", root_path="portal")
    CachedBabel(app, locale_selector=lambda: flask.request.args.get("language", "en"))
    return app


def said(app: flask.Flask, template: str, language: str, **names: str) -> str:
    with app.test_request_context(f"/?language={language}"):
        return flask.render_template_string(template, **names)


def test_the_same_sentence_is_said_to_each_reader_in_her_language(page: flask.Flask) -> None:
    spoken = [said(page, "{{ _('Present') }}", language) for language in ("en", "fil", "en", "fil")]
    assert spoken[0] == spoken[2] == "Present"
    assert spoken[1] == spoken[3] != "Present"


def test_a_letter_in_another_language_does_not_change_the_page_around_it(page: flask.Flask) -> None:
    with page.test_request_context("/?language=fil"):
        before = gettext("Present")
        with force_locale("en"):
            assert gettext("Present") == "Present"
            assert flask.render_template_string("{{ _('Present') }}") == "Present"
        assert gettext("Present") == before == flask.render_template_string("{{ _('Present') }}")


def test_what_is_filled_in_is_escaped_and_the_sentence_is_not(page: flask.Flask) -> None:
    template = "{{ _('<b>%(name)s</b> was in', name=name) }} {{ _('50%% of <i>all</i>') }}"
    assert said(page, template, "en", name="<Ana & Ben>") == ("<b>&lt;Ana &amp; Ben&gt;</b> was in 50% of <i>all</i>")
    assert "<u>" in said(page, "{{ _('%(name)s was in', name=name) }}", "en", name=Markup("<u>Ana</u>"))


def test_a_text_without_markup_is_not_escaped(page: flask.Flask) -> None:
    template = "{% autoescape false %}{{ _('%(name)s was in: 50%%', name=name) }} {{ _('a < b') }}{% endautoescape %}"
    assert said(page, template, "en", name="Ana & Ben") == "Ana & Ben was in: 50% a < b"


def test_outside_of_a_request_the_words_are_english(page: flask.Flask) -> None:
    with page.app_context(), force_locale("en"):
        assert gettext("Present") == "Present"
    assert gettext("Present") == "Present"
