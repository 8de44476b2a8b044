"""The gate of the administrators' API: no route behind it is reached by anybody else.

Each route says what it does, and gets the administrator who may do it:

    @get("/", opt=performs(AdminAction.POLICY_READ), responses=admin_responses(), ...)
    async def show(administrator: NamedDependency[Administrator], ...) -> ...

    router = Router(path="/v1/admin/...", guards=[administrators_only], route_handlers=[show])
"""

from typing import Any, cast

from litestar import Request
from litestar.handlers.base import BaseRouteHandler

from stepup.domain.admin_errors import (
    InsufficientScopeError,
    InsufficientUserAuthenticationError,
    NotAuthorizedError,
)
from stepup.domain.administrator import AdminAction, Administrator
from stepup.domain.errors import ActionDeniedError
from stepup.http.proofs import ShownToken, provide_shown_token
from stepup.http.request_log import AnyConnection, request_log
from stepup.ports import Ports
from stepup.usecases import admin

_REFUSALS = (
    NotAuthorizedError,
    InsufficientScopeError,
    InsufficientUserAuthenticationError,
    ActionDeniedError,
)
_OPTION = "admin_action"
_ADMINISTRATOR = "administrator"
_SHOWN = "shown_token"


def performs(action: AdminAction) -> dict[str, Any]:
    """Return the `opt` of a route that does this; one that says nothing lets nobody in."""
    return {_OPTION: action}


async def administrators_only(connection: AnyConnection, handler: BaseRouteHandler) -> None:
    """Let an administrator pass who may do what the route does; for `Router(guards=...)`.

    A guard and not a dependency: Litestar provides a dependency to the routes that name it, so one
    on a router protects nothing by itself.

    Raises:
        NotAuthorizedError: If the token is missing or wrong.
        InsufficientScopeError: If it is somebody who may not do this.
        InsufficientUserAuthenticationError: If the token is too weak, too old, or for another act.
    """
    action: AdminAction = handler.opt[_OPTION]
    ports: Ports = connection.app.state["ports"]
    shown = await provide_shown_token(Request(connection.scope), ports)
    administrator = await admin.authenticate(ports, shown.text, action, shown.possession)
    connection.scope["state"][_ADMINISTRATOR] = administrator
    connection.scope["state"][_SHOWN] = shown
    request_log(connection).administrator = administrator.id


async def may_also(connection: AnyConnection, action: AdminAction) -> bool:
    """Say whether whom the gate let in for one action may do another one in the same request.

    The policy may ask for more there: the scope alone does not say.
    """
    ports: Ports = connection.app.state["ports"]
    try:
        shown: ShownToken = connection.scope["state"][_SHOWN]
        await admin.authenticate(ports, shown.text, action, shown.possession)
    except _REFUSALS:
        return False
    return True


async def provide_administrator(request: Request[Any, Any, Any]) -> Administrator:
    """Return whom the gate has let in; the dependency `administrator`."""
    return cast("Administrator", request.scope["state"][_ADMINISTRATOR])
