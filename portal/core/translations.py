"""The words of a page in its language, looked up once a page instead of once a word.

Flask-Babel goes through the request's context several times for every word, which was a third of the time of
a sheet with 48 learners. Its functions stay the ones to use; they and the templates end here.
"""

from functools import cached_property
from typing import Any

import flask_babel
from babel.support import NullTranslations, Translations
from flask import Flask, g
from jinja2.runtime import Context
from jinja2.utils import pass_context
from markupsafe import Markup

AnyTranslations = Translations | NullTranslations


class CachedTranslationDomain(flask_babel.Domain):
    """Where Flask-Babel's own functions look: the same catalogues, found once for each request and language."""

    def get_translations(self) -> AnyTranslations:
        """The catalogue of the request's language; empty outside of an application."""
        try:
            here = g._get_current_object()  # every look through a proxy costs, and this is asked for each word
        except RuntimeError:
            return NullTranslations()
        context = here.get("_flask_babel")
        # flask_babel.force_locale() puts another locale there for a while
        held = getattr(context, "silid_translations", None)
        if held is not None and held[0] is context.babel_locale:
            return held[1]
        found: AnyTranslations = super().get_translations()
        context = here._flask_babel
        context.silid_translations = (context.babel_locale, found)
        return found

    def get_translations_cache(self, ctx: Any) -> dict[Any, AnyTranslations]:
        """What was read, by where it is: of two applications in one process each has its own catalogues."""
        here: dict[Any, AnyTranslations] = self.cache.setdefault(tuple(self.translation_directories), {})
        return here


_domain = CachedTranslationDomain()


def gettext(sentence: str, **variables: object) -> str:
    """Flask-Babel's own, for where a page says hundreds of sentences: it finds the catalogue by the shortest way."""
    said: str = _domain.get_translations().ugettext(sentence)
    return said % variables if variables else said


def ngettext(singular: str, plural: str, num: int, **variables: object) -> str:
    """The same for what is counted; `num` may be used in the sentence."""
    said: str = _domain.get_translations().ungettext(singular, plural, num)
    return said % {"num": num, **variables}


class CachedBabel(flask_babel.Babel):
    """Flask-Babel, whose words come from the domain above, in templates too."""

    def init_app(self, app: Flask, *args: Any, **kwargs: Any) -> None:
        super().init_app(app, *args, **kwargs)
        spoken = _TemplateGettext(self.domain_instance)
        app.jinja_env.globals.update(_=spoken.gettext, gettext=spoken.gettext)

    @cached_property
    def domain_instance(self) -> CachedTranslationDomain:
        return _domain


class _TemplateGettext:
    """gettext for templates: a sentence without variables is made safe once for each language, not once a row."""

    def __init__(self, domain: CachedTranslationDomain) -> None:
        rows: dict[tuple[int, str], tuple[AnyTranslations, Markup]] = {}

        @pass_context
        def gettext(context: Context, sentence: str, **variables: Any) -> str:
            """As Jinja's own: the translation is trusted, the variables are escaped, and %% is a percent sign."""
            words = domain.get_translations()
            if not context.eval_ctx.autoescape:
                return str(words.ugettext(sentence) % variables)
            if variables:
                return Markup(words.ugettext(sentence)) % variables  # noqa: S704  # nosec B704: our own catalogue
            key = (id(words), sentence)
            if key not in rows:
                rows[key] = (words, Markup(words.ugettext(sentence)) % {})  # noqa: S704  # nosec B704
            return rows[key][1]

        self.gettext = gettext


def N_(text: str) -> str:
    """Mark a text for the catalogue where it is written; it is translated where it is shown."""
    return text
