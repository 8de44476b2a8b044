"""What you see is what you sign: values of a client, made fit to be shown."""

from dataclasses import replace
from decimal import Decimal

import pytest

from stepup.pages.display import (
    LONGEST_LABEL,
    LONGEST_VALUE,
    MOST_ITEMS,
    display_items,
    localized,
    mask,
    plain,
)
from stepup.pages.rendering import render
from tests.pages.page_samples import PAGES


@pytest.mark.parametrize(
    ("subject", "masked"),
    [
        ("bob@example.com", "bo•@example.com"),
        ("alice", "al•"),
        ("al", "a•"),
        ("a", "a•"),
        ("@example.com", "@e•"),
        ("a@b", "a•@b"),
        ("", "•"),
        ("\u202ebob@example.com", "bo•@example.com"),
    ],
)
def test_a_subject_is_masked(subject, masked):
    assert mask(subject) == masked


def test_a_mask_does_not_tell_the_length():
    assert mask("bob@example.com") == mask("bobbington@example.com")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("\u202egnp.exe", "gnp.exe", id="right-to-left override"),
        pytest.param("a\u2066b\u2069c", "abc", id="isolates"),
        pytest.param("a\u200bb\ufeffc\u00add", "abcd", id="invisible"),
        pytest.param("a\x00b\x1b[31mc\x7f", "ab[31mc", id="control"),
        pytest.param(" a\r\nb\u2028c\t d ", "a b c d", id="lines"),
        pytest.param("e\u0301", "é", id="composed"),
        pytest.param("\ud800x", "x", id="lone surrogate"),
        pytest.param("\ue000x", "x", id="private use"),
        pytest.param("名前 שם", "名前 שם", id="any script"),
    ],
)
def test_a_value_is_shown_as_it_reads(text, shown):
    assert plain(text) == shown


def test_a_long_value_is_cut_visibly():
    cut = plain("x" * 1000)
    assert len(cut) == LONGEST_VALUE
    assert cut.endswith("…")


def test_a_value_drowned_in_invisible_characters_is_cut_visibly_too():
    assert plain("10" + "\u200b" * 10_000 + "000.00") == "10…"


def test_money_comes_first_with_its_currency():
    items = display_items({"payee": "ACME", "amount": "1250.00", "currency": "eur"})
    assert [(i.label, i.kind, i.currency) for i in items] == [
        ("amount", "money", "EUR"),
        ("payee", "text", None),
    ]
    assert items[0].amount == Decimal("1250.00")


@pytest.mark.parametrize("currency", ["EURO", "€", "E1R", 978, ""])
def test_a_currency_that_is_none_stays_beside_the_amount(currency):
    items = display_items({"amount": 5, "currency": currency})
    assert [i.label for i in items] == ["amount", "currency"]
    assert items[0].amount is None


@pytest.mark.parametrize(
    "amount", ["NaN", "Infinity", "five", "", "1e", "1E5", "1_0", "+1", "\u0665", "9" * 19, "1."]
)
def test_an_amount_that_is_no_number_is_shown_as_it_came(amount):
    (item,) = display_items({"amount": amount, "currency": "EUR"})
    assert item.amount is None
    assert item.value == amount


@pytest.mark.parametrize("amount", ["1E1000", "1E999999999", "-1e400", "0." + "1" * 5000])
def test_attack_an_amount_that_cannot_be_drawn_makes_a_page_that_cannot_be_left(amount):
    items = display_items({"amount": amount, "currency": "EUR"})
    page = PAGES["code"]
    page = replace(page, challenge=replace(page.challenge, display=items))

    assert amount[:6] in render(page, "de")


def test_hostile_requests_show_little():
    items = display_items({f"{n}" + "l" * 100: "v" for n in range(50)})
    assert len(items) == MOST_ITEMS
    assert all(len(item.label) == LONGEST_LABEL for item in items)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(True, "✓"), (False, "✗"), (["a", "b"], "a, b"), (None, ""), (7, "7")],
)
def test_values_of_any_type_are_shown(value, shown):
    (item,) = display_items({"x": value})
    assert item.value == shown


@pytest.mark.parametrize(
    ("texts", "locale", "text"),
    [
        ({"en": "pay", "de": "zahlen"}, "de", "zahlen"),
        ({"en": "pay", "de": "zahlen"}, "de-AT", "zahlen"),
        ({"en": "pay"}, "de", "pay"),
        ({"fr": "payer"}, "de", "payer"),
        ({"en": "\u202epay"}, "en", "pay"),
        ({}, "en", None),
        ({"en": "\u200b"}, "en", None),
    ],
)
def test_a_title_is_told_in_the_reader_s_language(texts, locale, text):
    assert localized(texts, locale) == text


@pytest.mark.parametrize(("locale", "shown"), [("en", "€5,000.00"), ("de", "5.000,00\xa0€")])
def test_money_is_written_as_the_reader_writes_it(locale, shown):
    assert shown in render(PAGES["code"], locale)
