"""A page becomes HTML: one template, one language.

Templates escape by default, refuse names that do not exist, and see nothing but the page, its
locale and the filters below.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache, partial
from gettext import NullTranslations
from math import ceil
from typing import ClassVar, Protocol

from babel import Locale
from babel.dates import format_date, format_timedelta
from babel.numbers import format_currency
from jinja2 import Environment, PackageLoader, StrictUndefined

from stepup.pages import assets, locales


class Page(Protocol):
    """A value that names the template which shows it."""

    template: ClassVar[str]


def render(page: Page, locale: str) -> str:
    """Render a page in one of the `locales.available()`."""
    return _environment(locale).get_template(page.template).render(page=page)


def environment(locale: str, translations: NullTranslations) -> Environment:
    """Prepare the templates for one language."""
    templates = Environment(
        loader=PackageLoader("stepup.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    # The extension adds this method to the environment when it is loaded.
    templates.install_gettext_translations(translations, newstyle=True)  # type: ignore[attr-defined]
    templates.policies["ext.i18n.trimmed"] = True
    known = Locale.parse(locale)
    templates.globals.update(
        locale=locale, direction=known.text_direction, asset=lambda source: assets.built()[source]
    )
    templates.filters.update(
        span=partial(_span, locale=known),
        day=partial(_day, locale=known),
        money=partial(_money, locale=known),
    )
    return templates


@cache
def _environment(locale: str) -> Environment:
    return environment(locale, locales.translations(locale))


def _span(value: timedelta, locale: Locale) -> str:
    # Rounded up to minutes: "0 minutes" while there is time left would be wrong.
    if value >= timedelta(minutes=1):
        value = timedelta(minutes=ceil(value / timedelta(minutes=1)))
    return format_timedelta(value, threshold=2, locale=locale)


def _day(value: date | datetime, locale: Locale) -> str:
    return format_date(value, "long", locale=locale)


def _money(value: Decimal, currency: str, locale: Locale) -> str:
    return format_currency(value, currency, locale=locale)
