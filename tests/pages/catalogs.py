"""The texts of the templates and their translations.

`python -m tests.pages.catalogs` brings every catalog up to date: new texts come without a
translation, which the tests then ask for, and texts that nobody shows any more go.
"""

from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

PAGES = Path("stepup/pages")
TEMPLATES = PAGES / "templates"
LOCALES = PAGES / "locale"

_HEADER = """\
# The pages in another language. Edit the translations only: the texts come from the templates,
# and `python -m tests.pages.catalogs` brings them here."""
_OPTIONS = {"trimmed": "true", "trim_blocks": "true", "lstrip_blocks": "true"}


def template_catalog() -> Catalog:
    """Collect what the templates say."""
    catalog = Catalog(charset="utf-8")
    found = extract_from_dir(
        TEMPLATES,
        method_map=[("**.html", "jinja2.ext.babel_extract")],
        options_map={"**.html": _OPTIONS},
    )
    for file, _, text, _, _ in sorted(found, key=lambda message: (message[0], message[1])):
        catalog.add(text, locations=[(file, None)])
    return catalog


def catalog_path(locale: str) -> Path:
    """Say where the translations of a language are."""
    return LOCALES / locale / "LC_MESSAGES" / "stepup.po"


def read_catalog(locale: str) -> Catalog:
    """Read the translations of a language."""
    return read_po(BytesIO(catalog_path(locale).read_bytes()), locale)


def update(locale: str) -> None:
    """Bring the catalog of a language up to date; a folder without one gets an empty one."""
    path = catalog_path(locale)
    path.parent.mkdir(parents=True, exist_ok=True)
    known = read_catalog(locale) if path.exists() else Catalog(locale)
    catalog = Catalog(locale, header_comment=_HEADER, fuzzy=False)
    for message in template_catalog():
        if message.id:
            present = known.get(message.id)
            translated = present.string if present else None
            catalog.add(message.id, translated, locations=message.locations)
    out = BytesIO()
    # Without a header: Babel would write when it ran, and a change without a change.
    write_po(out, catalog, width=100, omit_header=True, include_lineno=False)
    head = (
        f'{_HEADER}\n\nmsgid ""\nmsgstr ""\n"Language: {locale}\\n"\n'
        '"Content-Type: text/plain; charset=utf-8\\n"\n"Content-Transfer-Encoding: 8bit\\n"\n'
        f'"Plural-Forms: {catalog.plural_forms}\\n"\n\n'
    )
    path.write_text(head + out.getvalue().decode(), encoding="utf-8")


if __name__ == "__main__":
    for folder in sorted(LOCALES.iterdir()):
        update(folder.name)
