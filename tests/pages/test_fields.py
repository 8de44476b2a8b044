"""Fields that people type into: what keyboards, password managers and screen readers are told."""

import re

import pytest

from stepup.pages.locales import available
from stepup.pages.rendering import render
from tests.pages.page_samples import PAGES
from tests.pages.reading import shown


def field(name: str, locale: str = "en") -> dict[str, str | None]:
    (found,) = [i for i in shown(name, locale).all("input") if i.get("id") == "code"]
    return found


@pytest.mark.parametrize("name", ["code", "code-wrong", "code-email", "add-app", "add-app-wrong"])
def test_a_code_is_typed_into_one_field_that_everything_can_fill(name):
    """UX CH-5."""
    code = field(name)
    assert (
        code
        | {
            "type": "text",
            "inputmode": "numeric",
            "autocomplete": "one-time-code",
            "pattern": r"\d{6}",
            "required": None,
            "autocapitalize": "off",
            "spellcheck": "false",
            "enterkeyhint": "done",
        }
        == code
    )
    # With a length, a pasted code with spaces would be cut.
    assert "maxlength" not in code


@pytest.mark.parametrize("name", ["recovery", "recovery-wrong", "recovery-codes"])
def test_a_recovery_code_is_text_that_nobody_remembers(name):
    code = field(name)
    assert (code["inputmode"], code["autocomplete"]) == ("text", "off")
    assert "pattern" not in code


@pytest.mark.parametrize("name", ["code-wrong", "recovery-wrong", "add-app-wrong"])
def test_a_mistake_is_told_with_its_field_and_takes_the_focus(name):
    html = render(PAGES[name], "en")
    code = field(name)
    assert code["aria-invalid"] == "true"
    assert "problem" in str(code["aria-describedby"]).split()
    assert "autofocus" not in code
    assert re.search(r'id="problem" role="alert" tabindex="-1" autofocus', html)


@pytest.mark.parametrize("locale", available())
@pytest.mark.parametrize("name", PAGES)
def test_every_field_has_a_label_and_every_reference_leads_somewhere(name, locale):
    page = shown(name, locale)
    there = {e.attributes.get("id") for e in page.elements}
    labeled = {label.get("for") for label in page.all("label")}
    for element in page.elements:
        for attribute in ("aria-describedby", "aria-labelledby", "for"):
            for reference in (element.attributes.get(attribute) or "").split():
                assert reference in there
    for entry in page.all("input"):
        assert entry["type"] == "hidden" or entry["id"] in labeled


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("code-wrong", "You have 3 tries left."),
        ("code-wrong-last", "You have 1 try left."),
        ("locked", "opens again in 3 minutes"),
        ("locked-recovery", "within 15 minutes"),
    ],
)
def test_numbers_are_said_in_words_that_fit(name, said):
    assert said in shown(name, "en").text


def test_german_numbers_are_said_in_words_that_fit():
    assert "Sie haben noch 3 Versuche." in shown("code-wrong", "de").text
    assert "Sie haben noch 1 Versuch." in shown("code-wrong-last", "de").text
