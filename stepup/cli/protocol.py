"""uvicorn's HTTP protocol, with an end to what a sender may keep open or fill up before a request.

The application bounds bodies; what comes before it is asked (the request line, headers, trailers,
and connections that say nothing) is bounded here. httptools itself has no limits.
"""

import asyncio
from enum import StrEnum
from typing import Any, ClassVar

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_REFUSALS = {
    408: b"HTTP/1.1 408 Request Timeout",
    431: b"HTTP/1.1 431 Request Header Fields Too Large",
}


class _Phase(StrEnum):
    """What a connection is sending."""

    NOTHING = "nothing"
    HEAD = "head"
    BODY = "body"


class _HeadTooLargeError(Exception):
    """The request line and headers are longer than any of ours."""


class BoundedProtocol(HttpToolsProtocol):
    """Ends a connection whose request does not begin, arrive or stay small enough.

    A request that comes whole, as nearly all do, costs a few additions and no timer.
    """

    # Cookies and a query of 8 KB are the most that anybody sends; servers before us allow as much.
    head_limit: ClassVar[int] = 64 * 1024
    # Below what slow links need for a packet lost twice nobody is turned away.
    head_seconds: ClassVar[float] = 10.0
    # Bodies are small too (`BODY_LIMIT`).
    body_seconds: ClassVar[float] = 30.0

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._phase = _Phase.NOTHING
        self._messages = 0
        self._head_size = 0
        # Counts what the parser could make something of, and the bytes since it last could.
        self._progress = 0
        self._stalled = 0
        self._watched: tuple[_Phase, int] | None = None
        self._deadline: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        before = self._progress
        super().data_received(data)
        self._stalled = 0 if self._progress != before else self._stalled + len(data)
        if self._stalled > self.head_limit:
            self._refuse(431)
        self._watch()

    @override
    def on_message_begin(self) -> None:
        self._phase = _Phase.HEAD
        self._messages += 1
        self._head_size = 0
        super().on_message_begin()

    @override
    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        # Of a trailer too, which comes after the body.
        self._count(len(name) + len(value) + 4)
        super().on_header(name, value)

    @override
    def on_headers_complete(self) -> None:
        self._phase = _Phase.BODY
        super().on_headers_complete()
        self._progress += 1

    @override
    def on_body(self, body: bytes) -> None:
        self._progress += 1
        super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        self._phase = _Phase.NOTHING
        self._progress += 1
        super().on_message_complete()

    @override
    def send_400_response(self, msg: str) -> None:
        # What a callback raises reaches uvicorn as one more malformed request.
        if self._head_size > self.head_limit:
            self._refuse(431)
        else:
            super().send_400_response(msg)

    def _count(self, size: int) -> None:
        self._head_size += size
        if self._head_size > self.head_limit:
            raise _HeadTooLargeError

    def _is_answering(self) -> bool:
        # Before the first request is complete there is no cycle.
        return self._progress > 0 and not self.cycle.response_complete

    def _watch(self) -> None:
        """Set the deadline of what is being sent now; more of the same does not move it."""
        now_sending = (self._phase, self._messages)
        if now_sending == self._watched:
            return
        self._unwatch()
        # Between requests uvicorn's own deadline holds, until anything comes: even an empty line.
        waits_for_us = self._phase is _Phase.NOTHING and self._is_answering()
        if not waits_for_us and not self.transport.is_closing():
            self._watched = now_sending
            self._set_deadline()

    def _set_deadline(self) -> None:
        seconds = self.body_seconds if self._phase is _Phase.BODY else self.head_seconds
        self._deadline = self.loop.call_later(seconds, self._give_up)

    def _unwatch(self) -> None:
        self._watched = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        if self._phase is _Phase.BODY:
            # The application learns that its caller has gone.
            self.transport.abort()
        elif self._is_answering():
            # The next request is late, and the one before it is not answered yet.
            self._set_deadline()
        elif self._phase is _Phase.HEAD:
            self._refuse(408)
        else:
            self.transport.close()

    def _refuse(self, status: int) -> None:
        if not self.transport.is_closing():
            if not self._is_answering():
                head = _REFUSALS[status] + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
                self.transport.write(head)
            self.transport.close()
