"""What an error looks like: a problem document, an OAuth error, or a page.

The form belongs to the path, because a request for nothing has no route: OAuth endpoints answer in
RFC 6749's words, pages answer browsers with a page, everything else answers with RFC 9457; AuthZEN
with its plain string (section 10.1.2) to who asks for text.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import msgspec
import structlog
from litestar import Request, Response
from litestar.types import Scope

from stepup.http.headers import header
from stepup.http.problems import Problem, problem_of
from stepup.http.request_log import log_of
from stepup.http.token_challenge import shows_dpop_token

_logger: structlog.stdlib.BoundLogger = structlog.get_logger("stepup.http")

AnyRequest = Request[Any, Any, Any]
AnyResponse = Response[Any]

PageErrors = Callable[[AnyRequest, Problem], AnyResponse]
"""Draws the page for an error; the request identifier is in the request's log record."""

PROBLEM_TYPE = "application/problem+json"

_OAUTH = "/oauth2/"
_AUTHZEN = "/access/"
_TEXT = b"text/plain"
# Our own invention, and a resource (RFC 6750 section 3): what RFC 6749 says of errors is not about
# them.
_OTHERS = frozenset({"/oauth2/consume", "/oauth2/userinfo"})
_AUTHORIZE = "/oauth2/authorize"
_PAGES = ("/c/", "/account/", "/oauth2/authorize/")
_PAGE_ROOTS = frozenset({"/", "/account", "/c", _AUTHORIZE})

# RFC 6749 section 5.2: %x20-21 / %x23-5B / %x5D-7E.
_NOT_IN_DESCRIPTION = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")


class ErrorForms:
    """Turns every exception into an answer; the application's only exception handler."""

    def __init__(self, page_errors: PageErrors | None = None) -> None:
        self._page_errors = page_errors

    def __call__(self, request: AnyRequest, error: Exception) -> AnyResponse:
        """Answer an error in the form that its path speaks."""
        problem = problem_of(error, dpop=shows_dpop_token(request.scope))
        log = log_of(request.scope)
        log.error = problem.code
        if problem.status == 500:
            _logger.error("unhandled_error", exc_info=error, request_id=log.request_id)
        if self._page_errors is not None and wants_page(request.scope):
            try:
                return self._page_errors(request, problem)
            except Exception:
                # A page about an error that fails itself must not end in a blank screen.
                _logger.exception("error_page_failed", request_id=log.request_id)
        if speaks_oauth(request.scope["path"]):
            return oauth_response(problem)
        if wants_text(request.scope):
            return text_response(problem)
        return problem_response(problem, log.request_id)


def wants_page(scope: Scope) -> bool:
    """Say whether a browser asked for one of our pages."""
    path = scope["path"]
    if not (path in _PAGE_ROOTS or path.startswith(_PAGES)):
        return False
    return b"text/html" in (header(scope, b"accept") or b"")


def speaks_oauth(path: str) -> bool:
    """Say whether errors at this path read as RFC 6749 section 5.2 says."""
    return path.startswith(_OAUTH) and path not in _OTHERS


def wants_text(scope: Scope) -> bool:
    """Say whether an AuthZEN caller would rather have the string that the standard names."""
    if not scope["path"].startswith(_AUTHZEN):
        return False
    first = (header(scope, b"accept") or b"").partition(b",")[0].partition(b";")[0]
    return first.strip().lower() == _TEXT


def text_response(problem: Problem) -> AnyResponse:
    """Write an error as AuthZEN 1.0 section 10.1.2 says."""
    return Response(
        problem.detail,
        status_code=problem.status,
        headers=dict(problem.headers),
        media_type="text/plain",
    )


def problem_response(problem: Problem, request_id: str) -> AnyResponse:
    """Write an error as RFC 9457 problem details."""
    document = {
        "type": f"urn:stepup:error:{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": f"urn:stepup:request:{quote(request_id, safe='')}",
        "code": problem.code,
        "request_id": request_id,
        **problem.extensions,
    }
    return _response(document, problem.status, problem.headers, PROBLEM_TYPE)


def description_of(problem: Problem) -> str:
    """Say in the characters of RFC 6749 section 5.2 what is wrong."""
    return _NOT_IN_DESCRIPTION.sub("?", problem.detail)


def oauth_response(problem: Problem) -> AnyResponse:
    """Write an error as RFC 6749 section 5.2 says."""
    document = {
        "error": problem.oauth_code,
        "error_description": description_of(problem),
    }
    return _response(document, problem.oauth_status, problem.headers, "application/json")


def _response(
    document: Mapping[str, object], status: int, headers: Mapping[str, str], media_type: str
) -> AnyResponse:
    body = msgspec.json.encode(document)
    return Response(body, status_code=status, headers=dict(headers), media_type=media_type)
