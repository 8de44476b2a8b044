"""Every page in every language: complete, plain, and without a word that needs explaining."""

import json
import re

import pytest

from stepup.pages import assets, rendering
from stepup.pages.locales import available
from tests.pages.page_samples import PAGES
from tests.pages.pseudo import PseudoTranslations
from tests.pages.reading import read, shown

EVERYWHERE = [
    pytest.param(name, locale, id=f"{name}-{locale}") for name in PAGES for locale in available()
]
PSEUDO = rendering.environment("en", PseudoTranslations())
# UX section 1.2; the German ones are what a translation would fall for.
FORBIDDEN = re.compile(
    r"""\b(
        TOTP | HOTP | OTP | WebAuthn | FIDO2? | acr | amr | MFA | [2Z]FA | two-factor
        | (second|zweite[rn]?)[ ](factor|Faktor) | Zwei-Faktor\S* | re-?login | re-?authenticat\w*
        | Einmal(passwort|kennwort|code) | credential | assertion | challenge | (?-i:None|True|False)
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)


@pytest.mark.parametrize(("name", "locale"), EVERYWHERE)
def test_a_page_is_whole_html_in_its_language(name, locale):
    page = shown(name, locale)
    (html,) = page.all("html")
    assert html == {"lang": locale, "dir": "ltr"}
    assert len(page.all("h1")) == 1
    assert len(page.all("main")) == 1
    identifiers = [e.attributes["id"] for e in page.elements if "id" in e.attributes]
    assert len(identifiers) == len(set(identifiers))


@pytest.mark.parametrize(("name", "locale"), EVERYWHERE)
def test_a_page_has_no_inline_script_style_or_handler(name, locale):
    page = shown(name, locale)
    assert page.all("style") == []
    for element in page.elements:
        for attribute, value in element.attributes.items():
            assert attribute != "style"
            assert not attribute.startswith("on")
            assert not (value or "").lower().startswith("javascript:")
    for script in page.all("script"):
        assert script.get("type") == "application/json" or "src" in script


@pytest.mark.parametrize(("name", "locale"), EVERYWHERE)
def test_a_page_uses_no_word_that_needs_explaining(name, locale):
    text = shown(name, locale).text
    assert not FORBIDDEN.search(text), text


@pytest.mark.parametrize(("name", "locale"), EVERYWHERE)
def test_sentences_do_not_run_into_each_other(name, locale):
    texts = shown(name, locale).texts
    assert not [text for text in texts if re.search(r"[a-zäöüß][.!?;:][A-ZÄÖÜ]", text)]


@pytest.mark.parametrize("word", ["TOTP", "an OTP", "WebAuthn", "second factor", "Zwei-Faktor"])
def test_the_search_finds_such_words(word):
    assert FORBIDDEN.search(f"Use {word} here")


@pytest.mark.parametrize(("name", "locale"), EVERYWHERE)
def test_a_page_loads_our_files_only_and_checks_them(name, locale):
    page = shown(name, locale)
    style, script = assets.built()["stepup.css"], assets.built()["stepup.ts"]
    sheets = [link for link in page.all("link") if link["rel"] == "stylesheet"]
    assert sheets == [{"rel": "stylesheet", "href": style.url, "integrity": style.integrity}]
    loaded = [s for s in page.all("script") if "src" in s]
    assert loaded == [{"type": "module", "src": script.url, "integrity": script.integrity}]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_holds_texts_of_any_language(name):
    page = PAGES[name]
    plain = shown(name, "en")
    pseudo = read(PSEUDO.get_template(page.template).render(page=page))
    assert [e.tag for e in pseudo.elements] == [e.tag for e in plain.elements]
    assert len(pseudo.text) > len(plain.text)


def test_a_language_that_is_read_from_right_to_left_says_so():
    page = PAGES["code"]
    templates = rendering.environment("ar", PseudoTranslations())
    (html,) = read(templates.get_template(page.template).render(page=page)).all("html")
    assert html == {"lang": "ar", "dir": "rtl"}


@pytest.mark.parametrize("name", PAGES)
def test_a_posted_form_carries_its_token_and_attempt(name):
    html = rendering.render(PAGES[name], "en")
    for form in re.findall(r'<form[^>]*method="post".*?</form>', html, re.DOTALL):
        # An answer to a client is not for us, and must tell it nothing that is.
        if 'action="https://' in form:
            assert "form_token" not in form
            continue
        assert 'name="form_token" value="form-token"' in form
        assert 'name="attempt" value="attempt-' in form


def test_what_comes_from_outside_stays_text():
    page = PAGES["rename-too-long"]
    hostile = type(page)(
        frame=page.frame, action_url="/x", name='"><script>alert(1)</script>', error=None
    )
    assert "<script>alert" not in rendering.render(hostile, "en")


def test_a_data_block_cannot_be_left():
    page = PAGES["passkey"]
    hostile = type(page)(
        challenge=page.challenge,
        action_url=page.action_url,
        options={"rpId": "</script><script>alert(1)"},
    )
    html = rendering.render(hostile, "en")
    block = re.search(r"data-su-options>(.*?)</script>", html, re.DOTALL)
    assert block is not None
    assert json.loads(block[1]) == hostile.options
    assert "<script>alert" not in html
