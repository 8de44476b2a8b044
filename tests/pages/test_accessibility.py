"""Every page in every language, light and dark, for everybody: WCAG 2.2 AA, measured in Chromium."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from stepup.pages.locales import available
from tests.e2e.conftest import CHROMIUM, QUIET
from tests.pages.browsing import PSEUDO, serve, show
from tests.pages.page_samples import PAGES

pytestmark = pytest.mark.e2e

AXE = Path("frontend/node_modules/axe-core/axe.min.js")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

_RUN_AXE = """async (tags) => {
    const found = await axe.run(document, { runOnly: tags, resultTypes: ["violations"] });
    return found.violations.flatMap((violation) =>
        violation.nodes.map((node) => `${violation.id}: ${node.html} ${node.failureSummary}`));
}"""
# WCAG 2.2 section 2.5.8 leaves out links inside a sentence; there are none in the pages.
_SMALL_TARGETS = """() => [...document.querySelectorAll("a, button, input:not([type=hidden])")]
    .filter((element) => element.checkVisibility())
    .map((element) => [element.outerHTML.slice(0, 90), element.getBoundingClientRect()])
    .filter(([, box]) => box.width < 24 || box.height < 24)
    .map(([html, box]) => `${html}: ${box.width} x ${box.height}`)"""
_OUTLINE = """() => {
    const element = document.activeElement;
    if (!element || element === document.body) return null;
    const style = getComputedStyle(element);
    return [element.outerHTML.slice(0, 90), style.outlineStyle, parseFloat(style.outlineWidth)];
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of the size and colors that the test asks for, in which nothing may be complained."""
    options: dict[str, Any] = getattr(request, "param", {})
    context = browser.new_context(reduced_motion="reduce", **options)
    serve(context)
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda message: complaints.append(message.text))
    yield opened
    context.close()
    assert complaints == []


@pytest.mark.parametrize("locale", available())
def test_axe_finds_nothing_in_light_or_dark(page: Page, locale: str):
    script = AXE.read_text(encoding="utf-8")
    found = {}
    for name in PAGES:
        page.emulate_media(color_scheme="light")
        show(page, name, locale)
        page.evaluate(f"() => {{ {script} }}")
        light = page.evaluate(_RUN_AXE, TAGS)
        page.emulate_media(color_scheme="dark")
        if violations := [*light, *page.evaluate(_RUN_AXE, TAGS)]:
            found[name] = violations
    assert found == {}


@pytest.mark.parametrize("locale", [*available(), PSEUDO])
@pytest.mark.parametrize("page", [{"viewport": {"width": 320, "height": 640}}], indirect=True)
def test_everything_fits_the_smallest_screen_and_can_be_hit(page: Page, locale: str):
    """WCAG sections 1.4.10 and 2.5.8: no scrolling in two directions, targets of 24 px or more."""
    found = {}
    for name in PAGES:
        show(page, name, locale)
        width = page.evaluate("document.scrollingElement.scrollWidth")
        small = page.evaluate(_SMALL_TARGETS)
        if width > 320 or small:
            found[name] = (width, small)
    assert found == {}


def test_where_the_focus_is_can_be_seen(page: Page):
    unseen = []
    for name in {shown.template: name for name, shown in PAGES.items()}.values():
        show(page, name, "en")
        # What takes the focus by itself does so before the next frame.
        page.evaluate("new Promise(requestAnimationFrame)")
        for _ in range(20):
            page.keyboard.press("Tab")
            focused = page.evaluate(_OUTLINE)
            if focused is None:
                break
            html, style, width = focused
            if style == "none" or width < 2:
                unseen.append((name, html))
    assert unseen == []
