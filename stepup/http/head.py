"""HEAD for pages and assets: what GET would answer, without the body (RFC 9110 section 9.3.2).

Only where a GET changes nothing: a preview that asks for an authorization URL must not use it up.
"""

import re

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

# The list of authenticators, a challenge, the built files.
_SAFE = re.compile(r"/assets/[^/]+|/c/[^/]+|/account(/signed-out)?")


class HeadRoutes:
    """Serves HEAD with the answer of GET."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if (
            scope["type"] != ScopeType.HTTP
            or scope["method"] != "HEAD"
            or not _SAFE.fullmatch(scope["path"])
        ):
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        asked = scope["method"]
        # In place, since the log line is written from what the route leaves in the scope.
        scope["method"] = "GET"
        try:
            await self._app(scope, receive, without_body)
        finally:
            scope["method"] = asked
