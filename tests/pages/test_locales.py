"""Which language a reader gets."""

import pytest

from stepup.pages.locales import available, negotiate


@pytest.mark.parametrize(
    ("ui_locales", "accept_language", "chosen"),
    [
        pytest.param(None, None, "en", id="nothing said"),
        pytest.param("de", "en", "de", id="the client's wish first"),
        pytest.param("de-AT fr", None, "de", id="a region is met by its language"),
        pytest.param("de_CH", None, "de", id="written with an underscore"),
        pytest.param("xx DE", None, "de", id="the first wish that can be met"),
        pytest.param("xx", "de", "de", id="then the browser's"),
        pytest.param(None, "fr, en;q=0.4, de;q=0.8", "de", id="the better quality"),
        pytest.param(None, "de;q=0, en;q=0.1", "en", id="a language that is refused"),
        pytest.param(None, "*", "en", id="anything"),
        pytest.param(None, "de;q=x", "en", id="a quality that is none"),
        pytest.param(None, ";;,,=,q=1", "en", id="garbage"),
        pytest.param("../../etc", "..", "en", id="a path"),
        pytest.param(None, "xx," * 20 + "de", "en", id="a wish after too many"),
    ],
)
def test_negotiates_a_language(ui_locales, accept_language, chosen):
    assert negotiate(ui_locales, accept_language) == chosen


def test_english_comes_first():
    assert available()[0] == "en"
