"""Languages: which there are, which one a reader gets, and their texts.

English is the source text in the templates and needs no catalog; every folder of `locale/` adds a
language without a change of code.
"""

from collections.abc import Iterator
from functools import cache
from gettext import NullTranslations
from importlib.resources import files
from importlib.resources.abc import Traversable
from io import BytesIO

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

SOURCE = "en"
_DOMAIN = "stepup"
# What a hostile header may make us read.
_MOST_TAGS = 20


@cache
def available() -> tuple[str, ...]:
    """Return the languages there are, English first."""
    folder = files("stepup.pages") / "locale"
    # A folder without a catalog is a language that somebody has only begun.
    found = (entry.name for entry in folder.iterdir() if _catalog(entry.name).is_file())
    return (SOURCE, *sorted(name for name in found if name != SOURCE))


@cache
def translations(locale: str) -> NullTranslations:
    """Read the catalog of a language."""
    if locale == SOURCE:
        return NullTranslations()
    catalog = read_po(BytesIO(_catalog(locale).read_bytes()), locale, _DOMAIN)
    compiled = BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return Translations(compiled, _DOMAIN)


def negotiate(ui_locales: str | None, accept_language: str | None) -> str:
    """Choose a language: what the client asked for, else what the browser prefers, else English.

    `ui_locales` is space-separated (OpenID Connect Core section 3.1.2.1), `accept_language` the
    header. A wish such as `de-AT` is met by `de`.
    """
    wishes = [*(ui_locales or "").split()[:_MOST_TAGS], *_by_quality(accept_language or "")]
    for wish in wishes:
        language = wish.replace("_", "-").partition("-")[0].lower()
        if language in available():
            return language
    return SOURCE


def _catalog(locale: str) -> Traversable:
    return files("stepup.pages") / "locale" / locale / "LC_MESSAGES" / f"{_DOMAIN}.po"


def _by_quality(header: str) -> list[str]:
    weighted = sorted(_weighted(header), key=lambda pair: -pair[0])
    return [tag for quality, tag in weighted if quality > 0]


def _weighted(header: str) -> Iterator[tuple[float, str]]:
    for part in header.split(",")[:_MOST_TAGS]:
        tag, _, parameter = part.partition(";")
        name, _, quality = parameter.strip().partition("=")
        try:
            yield (float(quality) if name.strip() == "q" else 1.0), tag.strip()
        except ValueError:
            continue
