"""Every text has a translation in every language, and it fits where the text stood."""

import re

import pytest

from stepup.pages.locales import SOURCE, available
from tests.pages.catalogs import LOCALES, catalog_path, read_catalog, template_catalog

LANGUAGES = [locale for locale in available() if locale != SOURCE]
_PLACES = re.compile(r"%\(\w+\)s|</?\w+>")


def forms(value) -> tuple[str, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def test_there_is_german():
    assert LANGUAGES == ["de"]


def test_every_folder_is_a_language_that_can_be_chosen():
    assert {folder.name for folder in LOCALES.iterdir()} == set(LANGUAGES)


@pytest.mark.parametrize("locale", LANGUAGES)
def test_every_text_is_translated_and_no_translation_is_stale(locale):
    wanted = {message.id for message in template_catalog() if message.id}
    catalog = read_catalog(locale)
    there = {message.id for message in catalog if message.id}
    assert there - wanted == set(), "run `python -m tests.pages.catalogs`"
    assert wanted - there == set(), "run `python -m tests.pages.catalogs`"
    missing = [m.id for m in catalog if m.id and not all(forms(m.string))]
    assert missing == []
    assert [m.id for m in catalog if m.id and m.fuzzy] == []


@pytest.mark.parametrize("locale", LANGUAGES)
def test_a_translation_keeps_placeholders_and_tags(locale):
    for message in read_catalog(locale):
        if not message.id:
            continue
        wanted = sorted(set(_PLACES.findall(" ".join(forms(message.id)))))
        for translated in forms(message.string):
            assert sorted(set(_PLACES.findall(translated))) == wanted, message.id


@pytest.mark.parametrize("locale", LANGUAGES)
def test_a_translation_ends_as_its_text_does(locale):
    for message in read_catalog(locale):
        for text, translated in zip(forms(message.id), forms(message.string), strict=False):
            if text:
                ends = {".": ".", ":": ":", "?": "?", "…": "…"}
                assert ends.get(text[-1]) == ends.get(translated[-1]), text


def test_german_is_formal():
    for message in read_catalog("de"):
        for translated in forms(message.string):
            assert not re.search(r"\b(du|dich|dir|deine?[mnrs]?)\b", translated, re.IGNORECASE)


def test_a_catalog_says_how_it_is_kept():
    assert "tests.pages.catalogs" in catalog_path("de").read_text(encoding="utf-8")
