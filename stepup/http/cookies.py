"""The cookies of our pages: opaque secrets, one for challenges and one for the account pages."""

from typing import Any, Literal

from litestar import Request
from litestar.datastructures import Cookie

from stepup.domain.site import Site
from stepup.usecases.holder import Browser

CookieUse = Literal["browser", "account", "login"]

_NAMES: dict[CookieUse, str] = {
    "browser": "stepup",
    "account": "stepup-account",
    "login": "stepup-login",
}


def cookie_name(site: Site, use: CookieUse) -> str:
    """Return a cookie's name; over TLS it is tied to this host (RFC 6265bis, `__Host-`)."""
    return f"__Host-{_NAMES[use]}" if site.secure else _NAMES[use]


def cookie(site: Site, use: CookieUse, secret: str) -> Cookie:
    """Make a cookie for this browser session.

    Lax and not strict: the subject comes to us by a link from another site.
    """
    return Cookie(
        key=cookie_name(site, use),
        value=secret,
        path="/",
        httponly=True,
        secure=site.secure,
        samesite="lax",
    )


def expired_cookie(site: Site, use: CookieUse) -> Cookie:
    """Make a browser forget a cookie."""
    return Cookie(
        key=cookie_name(site, use),
        value="",
        path="/",
        max_age=0,
        httponly=True,
        secure=site.secure,
        samesite="lax",
    )


def secret_in(request: Request[Any, Any, Any], site: Site, use: CookieUse) -> str | None:
    """Return the secret that the browser sent."""
    return request.cookies.get(cookie_name(site, use)) or None


def browser_of(request: Request[Any, Any, Any], site: Site) -> Browser:
    """Return who holds challenges in this browser; without a cookie, somebody who holds none."""
    return Browser(secret_in(request, site, "browser") or "")
