"""What both demo sites do for browsers: pages, headers, cookies, and no forms from elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import MediaType, Request, Response, Router
from litestar.datastructures import Cookie
from litestar.static_files import create_static_files_router

_pages = Environment(
    loader=PackageLoader("stepup.demo"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
Tone = Literal["good", "quiet", "bad"]


@dataclass(frozen=True, slots=True)
class Notice:
    """One message on top of a page."""

    tone: Tone
    title: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """One of the two sites: where it is, and where its forms may lead."""

    origin: str
    form_targets: tuple[str, ...] = ()

    @property
    def headers(self) -> dict[str, str]:
        """The security headers of every page."""
        # Chromium checks form-action along the redirects that follow a post, so the next sites
        # are listed too.
        targets = " ".join(["'self'", *self.form_targets])
        return {
            "Content-Security-Policy": (
                "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none';"
                f" form-action {targets}; frame-ancestors 'none'"
            ),
            "Cache-Control": "no-store",
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        }

    def page(
        self, template: str, status: int = 200, cookies: tuple[Cookie, ...] = (), **values: Any
    ) -> Response[str]:
        """Render a page."""
        text = _pages.get_template(template).render(values)
        return Response(
            text,
            status_code=status,
            media_type=MediaType.HTML,
            headers=self.headers,
            cookies=list(cookies),
        )

    def redirect(self, url: str, *cookies: Cookie) -> Response[None]:
        """Send the browser on with GET, whatever it came with."""
        return Response(
            None, status_code=303, headers=self.headers | {"Location": url}, cookies=list(cookies)
        )

    def cookie(self, name: str, value: str, max_age: int | None = None) -> Cookie:
        """Make a cookie that no script and no other site can use."""
        secure = self.origin.startswith("https://")
        return Cookie(
            f"__Host-{name}" if secure else name,
            value=value,
            max_age=max_age,
            path="/",
            secure=secure,
            httponly=True,
            samesite="lax",
        )

    def read_cookie(self, request: Request[Any, Any, Any], name: str) -> str | None:
        """Return the value of one of our cookies."""
        prefix = "__Host-" if self.origin.startswith("https://") else ""
        return request.cookies.get(prefix + name)

    def is_own_form(self, request: Request[Any, Any, Any]) -> bool:
        """Say whether a post comes from one of our own pages."""
        site = request.headers.get("sec-fetch-site", "same-origin")
        return request.headers.get("origin") in {self.origin, None} and site == "same-origin"


def static_files() -> Router:
    """Serve the style sheets."""
    folder = Path(str(resources.files("stepup.demo") / "static"))
    return create_static_files_router("/static", [folder], include_in_schema=False)


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def first_values(pairs: Any) -> Mapping[str, str]:
    """Return each parameter of a query or form once; one that comes twice is left out."""
    values: dict[str, str] = {}
    twice: set[str] = set()
    for name, value in pairs:
        if name in values:
            twice.add(name)
        values[name] = str(value)
    return {name: value for name, value in values.items() if name not in twice}
