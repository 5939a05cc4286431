"""Translation lookup with the catalogue cached per request instead of looked up per sentence.

Flask-Babel reads the request's context several times per sentence, which was a third of the time of a sheet with 48
learners. Its functions are used as before; they and the templates end here.
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
    """The domain of Flask-Babel's own functions: the same catalogues, looked up once per request and language."""

    def get_translations(self) -> AnyTranslations:
        """The catalogue of the request's language; an empty one outside an application."""
        try:
            context_globals = g._get_current_object()  # avoid the proxy: this is called for every sentence
        except RuntimeError:
            return NullTranslations()
        context = context_globals.get("_flask_babel")
        # flask_babel.force_locale() puts another locale there temporarily
        cached = getattr(context, "silid_translations", None)
        if cached is not None and cached[0] is context.babel_locale:
            return cached[1]
        translations: AnyTranslations = super().get_translations()
        context = context_globals._flask_babel
        context.silid_translations = (context.babel_locale, translations)
        return translations

    def get_translations_cache(self, ctx: Any) -> dict[Any, AnyTranslations]:
        """The loaded catalogues by directory: two applications in one process have their own."""
        cache: dict[Any, AnyTranslations] = self.cache.setdefault(tuple(self.translation_directories), {})
        return cache


_domain = CachedTranslationDomain()


def gettext(sentence: str, **variables: object) -> str:
    """Like Flask-Babel's, with the shortest lookup, for pages with hundreds of sentences."""
    translated: str = _domain.get_translations().ugettext(sentence)
    return translated % variables if variables else translated


def ngettext(singular: str, plural: str, num: int, **variables: object) -> str:
    """Like `gettext`, for counted sentences; `num` may be used in the sentence."""
    translated: str = _domain.get_translations().ungettext(singular, plural, num)
    return translated % {"num": num, **variables}


class CachedBabel(flask_babel.Babel):
    """Flask-Babel with the cached domain, in templates too."""

    def init_app(self, app: Flask, *args: Any, **kwargs: Any) -> None:
        super().init_app(app, *args, **kwargs)
        template_gettext = _TemplateGettext(self.domain_instance)
        app.jinja_env.globals.update(_=template_gettext.gettext, gettext=template_gettext.gettext)

    @cached_property
    def domain_instance(self) -> CachedTranslationDomain:
        return _domain


class _TemplateGettext:
    """gettext for templates: sentences without variables are made safe once per language instead of at every use."""

    def __init__(self, domain: CachedTranslationDomain) -> None:
        cache: dict[tuple[int, str], tuple[AnyTranslations, Markup]] = {}

        @pass_context
        def gettext(context: Context, sentence: str, **variables: Any) -> str:
            """As Jinja's own: the translation is trusted, the variables are escaped, and %% is a percent sign."""
            translations = domain.get_translations()
            if not context.eval_ctx.autoescape:
                return str(translations.ugettext(sentence) % variables)
            if variables:
                return Markup(translations.ugettext(sentence)) % variables  # noqa: S704  # nosec B704: our own catalogue
            key = (id(translations), sentence)
            if key not in cache:
                cache[key] = (translations, Markup(translations.ugettext(sentence)) % {})  # noqa: S704  # nosec B704
            return cache[key][1]

        self.gettext = gettext


def N_(text: str) -> str:
    """Mark a text for extraction where it is defined; it is translated where it is shown."""
    return text
