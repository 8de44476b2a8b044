"""Headers: those that every answer carries, and a quick look at those of a request.

Pages get the content security policy of a page, everything else the one that forbids all; a route
that knows better (a challenge page names its client's origin) sets its own and keeps it.
"""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from litestar.types import Scope

HeaderList = list[tuple[bytes, bytes]]

# A source expression that could end its directive, or the header, is not let in.
_SOURCE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:(//[A-Za-z0-9.\-\[\]:]+)?")

_API_POLICY = "default-src 'none'; frame-ancestors 'none'"
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; form-action {targets}; base-uri 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'"
)


def page_policy(*redirect_uris: str) -> str:
    """Return the content security policy of a page whose form may end at these URIs.

    Chromium applies `form-action` to the redirect after a form post as well, so a page that sends
    the browser back to a client must list the client's origin.
    """
    targets = ["'self'", *(_source_of(uri) for uri in redirect_uris)]
    return _PAGE_POLICY.format(targets=" ".join(dict.fromkeys(targets)))


def answer_policy(redirect_uri: str) -> str:
    """Return the content security policy of a page whose only form is the answer to a client."""
    return _PAGE_POLICY.format(targets=_source_of(redirect_uri))


def _source_of(uri: str) -> str:
    parts = urlsplit(uri)
    # A native app's private scheme has no origin; the scheme alone is what can be listed.
    web = parts.scheme in {"http", "https"}
    source = f"{parts.scheme}://{parts.netloc}" if web else f"{parts.scheme}:"
    if _SOURCE.fullmatch(source) is None:
        raise ValueError("the redirect URI has no origin")
    return source


def header(scope: Scope, name: bytes) -> bytes | None:
    """Return the first value of a request header; `name` is lower case."""
    for key, value in scope["headers"]:
        if key == name:
            return value
    return None


def headers(scope: Scope, name: bytes) -> list[bytes]:
    """Return every value of a request header; `name` is lower case."""
    return [value for key, value in scope["headers"] if key == name]


class StandardHeaders:
    """The headers every answer carries, encoded once."""

    def __init__(self, *, secure: bool) -> None:
        common: HeaderList = [
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (
                b"permissions-policy",
                b"publickey-credentials-get=(self), otp-credentials=(self)",
            ),
        ]
        if secure:
            # One year, this host only: what its subdomains serve is not ours to decide.
            common.append((b"strict-transport-security", b"max-age=31536000"))
        self._common = common
        self._api_policy = (b"content-security-policy", _API_POLICY.encode())
        self._page_policy = (b"content-security-policy", page_policy().encode())
        self._no_store = (b"cache-control", b"no-store")

    def added_to(self, present: Iterable[tuple[bytes, bytes]]) -> HeaderList:
        """Return the headers of an answer with the missing ones added."""
        result = list(present)
        is_page = has_policy = has_caching = False
        for name, value in result:
            if name == b"content-type":
                is_page = value.startswith(b"text/html")
            elif name == b"cache-control":
                has_caching = True
            elif name == b"content-security-policy":
                has_policy = True
        if not has_policy:
            result.append(self._page_policy if is_page else self._api_policy)
        if not has_caching:
            result.append(self._no_store)
        result += self._common
        return result
