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


class Domain(flask_babel.Domain):
    """Where Flask-Babel's own functions look: the same catalogues, found once for each request and language."""

    def get_translations(self) -> AnyTranslations:
        """The catalogue of the request's language; empty outside of an application."""
        if not g:
            return NullTranslations()
        context = g.get("_flask_babel")
        # flask_babel.force_locale() puts another locale there for a while
        held = getattr(context, "silid_translations", None)
        if held is not None and held[0] is context.babel_locale:
            return held[1]
        found: AnyTranslations = super().get_translations()
        context = g._flask_babel
        context.silid_translations = (context.babel_locale, found)
        return found


class Babel(flask_babel.Babel):
    """Flask-Babel, whose words come from the domain above, in templates too."""

    def init_app(self, app: Flask, *args: Any, **kwargs: Any) -> None:
        super().init_app(app, *args, **kwargs)
        spoken = _Spoken(self.domain_instance)
        app.jinja_env.globals.update(_=spoken.gettext, gettext=spoken.gettext)

    @cached_property
    def domain_instance(self) -> Domain:
        return Domain()


class _Spoken:
    """gettext for templates: a sentence without variables is made safe once for each language, not once a row."""

    def __init__(self, domain: Domain) -> None:
        said: dict[tuple[int, str], tuple[AnyTranslations, Markup]] = {}

        @pass_context
        def gettext(context: Context, sentence: str, **variables: Any) -> str:
            """As Jinja's own: the translation is trusted, the variables are escaped, and %% is a percent sign."""
            words = domain.get_translations()
            if not context.eval_ctx.autoescape:
                return str(words.ugettext(sentence) % variables)
            if variables:
                return Markup(words.ugettext(sentence)) % variables  # noqa: S704  # nosec B704: our own catalogue
            key = (id(words), sentence)
            if key not in said:
                said[key] = (words, Markup(words.ugettext(sentence)) % {})  # noqa: S704  # nosec B704
            return said[key][1]

        self.gettext = gettext
