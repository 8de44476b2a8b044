"""The page for an error that a browser ran into: what happened, and what to do next."""

from typing import Any

from litestar import Request, Response

from stepup.http.cookies import expired_cookie
from stepup.http.problems import Problem
from stepup.http.request_log import request_log
from stepup.pages.ends import (
    ErrorKind,
    ErrorPage,
    ExpiredPage,
    SignedOutPage,
    WrongBrowserPage,
)
from stepup.pages.locales import negotiate
from stepup.pages.rendering import Page, render
from stepup.ports import Ports

_KINDS: dict[int, ErrorKind] = {
    400: "invalid",
    403: "forbidden",
    404: "not_found",
    429: "too_many",
    503: "unavailable",
}


# A longer query is no page's; it would stand in the answer twice.
_LONGEST_RETRY = 2048


class PageErrorRenderer:
    """Draws problems as pages in the browser's language."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def __call__(self, request: Request[Any, Any, Any], problem: Problem) -> Response[str]:
        """Draw the page for a problem."""
        page = self._page(request, problem)
        locale = negotiate(None, request.headers.get("accept-language"))
        response = Response(
            render(page, locale),
            status_code=problem.status,
            media_type="text/html",
            headers=problem.headers,
        )
        if isinstance(page, SignedOutPage):
            response.cookies.append(expired_cookie(self._ports.site, "account"))
        return response

    def _page(self, request: Request[Any, Any, Any], problem: Problem) -> Page:
        match problem.code:
            case "challenge_not_found":
                return ExpiredPage()
            case "wrong_browser":
                return WrongBrowserPage()
            case "session_not_found":
                return SignedOutPage(sign_in_url="/account", expired=True)
            case _:
                retry = _own_address(request) if problem.status == 503 else None
                return ErrorPage(
                    kind=_KINDS.get(problem.status, "unexpected"),
                    error_id=request_log(request).request_id,
                    retry_url=retry if request.method == "GET" else None,
                )


def _own_address(request: Request[Any, Any, Any]) -> str | None:
    # Without the host, which is whatever the request says it is; one slash, since two begin a host.
    path = "/" + request.url.path.lstrip("/\\")
    address = f"{path}?{request.url.query}" if request.url.query else path
    return address if len(address) <= _LONGEST_RETRY else None
