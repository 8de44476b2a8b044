"""The cookies of our pages: opaque secrets, each for one use."""

from typing import Any, Literal

from litestar import Request
from litestar.datastructures import Cookie

from stepup.domain.site import Site
from stepup.usecases.account import BegunLogin
from stepup.usecases.holder import Browser
from stepup.usecases.sessions import SessionSecret

CookieUse = Literal["browser", "session", "account", "login"]

# One browser signs in for at most so many requests at once.
_LOGINS_AT_ONCE = 3

_NAMES: dict[CookieUse, str] = {
    "browser": "stepup",
    "session": "stepup-session",
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


def login_cookie(request: Request[Any, Any, Any], site: Site, begun: BegunLogin) -> Cookie:
    """Make the cookie of a login, which holds the states of those in other tabs as well."""
    others = (secret_in(request, site, "login") or "").split(".")
    states = [begun.state, *filter(None, others)][:_LOGINS_AT_ONCE]
    return cookie(site, "login", ".".join(states))


def cookie_after_login(site: Site, begun: str, state: str) -> Cookie:
    """Make the cookie of the logins that are left when one has come back."""
    others = [each for each in begun.split(".") if each != state]
    return cookie(site, "login", ".".join(others)) if others else expired_cookie(site, "login")


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


def session_cookies(site: Site, session: SessionSecret | None) -> list[Cookie]:
    """Return the cookie that keeps a session, where there is one."""
    return [] if session is None else [cookie(site, "session", session.text)]


def session_of(request: Request[Any, Any, Any], site: Site) -> SessionSecret | None:
    """Return what this browser is remembered by."""
    secret = secret_in(request, site, "session")
    return None if secret is None else SessionSecret(secret)


def browser_of(request: Request[Any, Any, Any], site: Site) -> Browser:
    """Return who holds challenges in this browser; without a cookie, somebody who holds none."""
    return Browser(secret_in(request, site, "browser") or "")
