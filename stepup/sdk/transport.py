"""HTTP by the standard library, kept small: time-outs, a size limit, no redirects.

Another transport, such as one with a connection pool, is any function of the same form.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from typing import NoReturn
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from stepup.sdk.errors import UnavailableError

TIMEOUT = 5.0
_MAX_BODY = 1 << 20


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request to the service."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back, whatever its status. The names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)

    def document(self) -> dict[str, object]:
        """Return the body as a JSON object; an empty one when it is not."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


Transport = Callable[[HttpRequest], HttpAnswer]
"""Sends one request; raises `UnavailableError` when there is no answer. It may block."""


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        # A redirect could carry the client's secret to another host.
        return None


_opener = build_opener(_NoRedirect)


def send(request: HttpRequest) -> HttpAnswer:
    """Send a request with urllib.

    Raises:
        UnavailableError: If there is no answer.
    """
    outgoing = Request(  # noqa: S310  the URL is the configured issuer's, checked there
        request.url, request.body, dict(request.headers), method=request.method
    )
    try:
        with _opener.open(outgoing, timeout=TIMEOUT) as response:
            return _answer(response)
    except HTTPError as error:
        with error:
            return _answer(error)
    except (URLError, HTTPException, OSError) as error:
        _unavailable(request.url, error)


def fetch(url: str) -> bytes:
    """Get a public document.

    Raises:
        UnavailableError: If it cannot be had.
    """
    answer = send(HttpRequest("GET", url, {"Accept": "application/json"}))
    if answer.status != 200:
        raise UnavailableError(f"{url} answers {answer.status}")
    return answer.body


def _answer(response: HTTPResponse | HTTPError) -> HttpAnswer:
    try:
        body = response.read(_MAX_BODY + 1)
    except (HTTPException, OSError) as error:
        _unavailable("the service", error)
    if len(body) > _MAX_BODY:
        raise UnavailableError("the answer is too large")
    headers = {name.lower(): value for name, value in response.headers.items()}
    return HttpAnswer(response.status or 0, headers, body)


def _unavailable(url: str, error: Exception) -> NoReturn:
    raise UnavailableError(f"{url} does not answer: {error}") from error
