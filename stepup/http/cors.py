"""Routes that scripts of any origin may call: they bring a token, never a cookie."""

from typing import Any

from litestar.middleware.base import DefineMiddleware
from litestar.types import ASGIApp, Message, Receive, Send

_ALLOWED = (
    (b"access-control-allow-origin", b"*"),
    # What a client must read of a refusal (RFC 9449 section 9).
    (b"access-control-expose-headers", b"WWW-Authenticate, DPoP-Nonce"),
)
# What a browser asks before it sends a header that no form could.
_PREFLIGHT = (
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-allow-headers", b"Authorization, DPoP, Content-Type"),
    (b"access-control-max-age", b"600"),
)


class AnyOrigin:
    """Let every origin read the answers, refusals too; credentials are in no cookie."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve one request."""
        added = (*_ALLOWED, *_PREFLIGHT) if scope["method"] == "OPTIONS" else _ALLOWED

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await self._app(scope, receive, answer)


ANY_ORIGIN: Any = DefineMiddleware(AnyOrigin)
"""For `Router(middleware=...)`."""
