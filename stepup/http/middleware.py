"""The one middleware: what every request gets, whichever route serves it, and none does too.

It stands outside Litestar's router, so an unknown path has a request identifier, headers, metrics
and a log line like any other. It is raw ASGI because it runs in every request.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from time import perf_counter
from typing import Any, cast

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import Counter, Histogram

from stepup import telemetry
from stepup.domain.errors import BodyTooLargeError
from stepup.http import dpop_nonces
from stepup.http.headers import StandardHeaders, header
from stepup.http.request_log import RequestLog
from stepup.ports import Entropy

_logger: structlog.stdlib.BoundLogger = structlog.get_logger("stepup.http")

BODY_LIMIT = 64 * 1024
"""How much of a body is read where a route does not say otherwise; AuthZEN requests are small."""

_LIMIT_OPTION = "body_limit"
_NO_ROUTE = "unmatched"
# Requests by methods nobody serves must not grow the number of time series.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# What nginx writes for a request whose caller went away; no client ever sees it.
_ABANDONED = 499

# PostgreSQL has been away for a while, and what was served may not be the newest policy.
_DEGRADED = (b"stepup-degraded", b"policy-cache")
_stale_answers = telemetry.cache_served_stale_total.labels("configuration")

_VALID_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")


class ClientGoneError(Exception):
    """The caller went away before its request was complete."""


def reads_up_to(size: int) -> dict[str, Any]:
    """Return the `opt` of a route that reads bodies of up to `size` bytes."""
    return {_LIMIT_OPTION: size}


class Edge:
    """Request identifier, headers, body limit, metrics and the log line."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        entropy: Entropy,
        secure: bool,
        is_closing: Callable[[], bool],
        is_degraded: Callable[[], bool] = lambda: False,
    ) -> None:
        self._app = app
        self._entropy = entropy
        self._headers = StandardHeaders(secure=secure)
        self._is_closing = is_closing
        self._is_degraded = is_degraded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        log = RequestLog(request_id=self._request_id(scope))
        log.attach(scope)
        answer = _Answer(send, scope, log.request_id, self._headers, closing=self._is_closing())
        answer.degraded = self._is_degraded()
        try:
            await self._app(scope, _bounded(scope, receive), answer)
        except Exception:
            if answer.status is None:
                raise
            # The server closes the connection, since the answer stays incomplete.
            _logger.exception("answer_broken_off", request_id=log.request_id)
            log.error = log.error or "broken_off"
        finally:
            _record(scope, log, answer.status or _ABANDONED, perf_counter() - started)

    def _request_id(self, scope: Scope) -> str:
        sent = header(scope, b"x-request-id")
        if sent is not None and _VALID_REQUEST_ID.fullmatch(sent):
            return sent.decode("ascii")
        return self._entropy.token(12)


class _Answer:
    """Send the answer on, with our headers; remember its status."""

    __slots__ = ("_closing", "_headers", "_request_id", "_scope", "_send", "degraded", "status")

    def __init__(
        self,
        send: Send,
        scope: Scope,
        request_id: str,
        standard: StandardHeaders,
        *,
        closing: bool,
    ) -> None:
        self._send = send
        self._scope = scope
        self._request_id = request_id
        self._headers = standard
        self._closing = closing
        self.degraded = False
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            sent = self._headers.added_to(message["headers"])
            sent.append((b"x-request-id", self._request_id.encode("ascii")))
            nonce = dpop_nonces.offered_nonce(self._scope)
            if nonce is not None:
                sent.append((dpop_nonces.HEADER, nonce.encode("ascii")))
            if self.degraded:
                sent.append(_DEGRADED)
                _stale_answers.inc()
            # After an unread body the connection is of no use (RFC 9110 section 15.5.14); while
            # we drain, callers must find another instance (RELIABILITY section 10).
            if self._closing or self.status == 413:
                sent.append((b"connection", b"close"))
            message["headers"] = sent
        await self._send(message)


def _bounded(scope: Scope, receive: Receive) -> Receive:
    """Read a body only as far as the route allows.

    The limit is looked up when the body is asked for: by then the route is known, and a request
    whose body nobody reads costs nothing.
    """
    limit = -1
    read = 0
    complete = False

    async def bounded() -> Any:
        nonlocal limit, read, complete
        if limit < 0:
            limit = _limit_of(scope)
            if _announced(scope) > limit:
                raise BodyTooLargeError
        message = await receive()
        if message["type"] == "http.request":
            read += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if read > limit:
                raise BodyTooLargeError
        elif not complete:
            raise ClientGoneError
        return message

    return bounded


def _limit_of(scope: Scope) -> int:
    # Absent for a path that has no route.
    handler: Any = cast("dict[str, Any]", scope).get("route_handler")
    limit: int = BODY_LIMIT if handler is None else handler.opt.get(_LIMIT_OPTION, BODY_LIMIT)
    return limit


def _announced(scope: Scope) -> int:
    length = header(scope, b"content-length")
    return int(length) if length is not None and length.isdigit() else 0


def _record(scope: Scope, log: RequestLog, status: int, seconds: float) -> None:
    request = cast("dict[str, Any]", scope)
    method = request["method"] if request["method"] in _METHODS else "other"
    route: str = request.get("path_template") or _NO_ROUTE
    _requests(route, method, status).inc()
    _duration(route).observe(seconds)
    _logger.info(
        "request",
        method=method,
        route=route,
        status=status,
        duration_ms=round(seconds * 1000, 2),
        **log.facts(),
    )


# Finding a series by its labels costs more than counting in it. Routes, methods and statuses are
# few, so these stay small.
@lru_cache(maxsize=4096)
def _requests(route: str, method: str, status: int) -> Counter:
    return telemetry.http_requests_total.labels(route, method, str(status))


@lru_cache(maxsize=1024)
def _duration(route: str) -> Histogram:
    return telemetry.http_request_duration_seconds.labels(route)
