"""The gate of the administrators' API: no route behind it is reached without the token."""

from litestar import Request
from litestar.handlers.base import BaseRouteHandler

from stepup.http.caller import require_admin
from stepup.http.request_log import AnyConnection


async def administrators_only(connection: AnyConnection, _handler: BaseRouteHandler) -> None:
    """Let an administrator pass; for `Router(guards=...)`.

    A guard and not a dependency: Litestar provides a dependency to the routes that name it, so one
    on a router protects nothing by itself.

    Raises:
        NotAuthorizedError: If the token is missing or wrong.
    """
    await require_admin(Request(connection.scope), connection.app.state["ports"])
