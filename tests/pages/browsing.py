"""The sample pages as a browser meets them: with their files, headers and languages."""

from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Page, Route

from stepup.http.headers import page_policy
from stepup.pages import assets, qr, rendering
from tests.pages.page_samples import PAGES
from tests.pages.pseudo import PseudoTranslations

# Never asked for over the network: every request is answered here.
ORIGIN = "https://pages.example"
PSEUDO = "pseudo"

_LOGO = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 36 36">'
    '<rect width="36" height="36" rx="10" fill="#31478f"/>'
    '<path d="M10 24 18 10l8 14z" fill="#fff"/></svg>'
)
_pseudo_environment = rendering.environment("en", PseudoTranslations())


def html_of(name: str, locale: str) -> str:
    """Render a sample page; the pseudo-locale is one more language."""
    page = PAGES[name]
    if locale == PSEUDO:
        return _pseudo_environment.get_template(page.template).render(page=page)
    return rendering.render(page, locale)


def serve(context: BrowserContext) -> None:
    """Answer all requests of a browser's context."""
    context.route("**/*", _answer)


def show(page: Page, name: str, locale: str) -> None:
    """Open a sample page."""
    page.goto(f"{ORIGIN}/{locale}/{name}")


def _answer(route: Route) -> None:
    url = urlsplit(route.request.url)
    asset = assets.find(url.path.rpartition("/")[2])
    if asset is not None:
        headers = {"content-type": asset.content_type, "access-control-allow-origin": "*"}
        route.fulfill(body=asset.content, headers=headers)
        return
    if url.path.endswith("qr.svg"):
        route.fulfill(body=qr.svg("otpauth://totp/x"), content_type="image/svg+xml")
        return
    if url.path.endswith(".svg"):
        route.fulfill(body=_LOGO, content_type="image/svg+xml")
        return
    locale, _, name = url.path.strip("/").partition("/")
    headers = {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": page_policy("https://bank.example/callback"),
    }
    # Or the browser would be led on before anybody has seen the page.
    body = html_of(name, locale).replace(" data-su-continue", "")
    route.fulfill(body=body, headers=headers)
