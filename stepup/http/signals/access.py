"""Who manages streams: a receiver with an access token of its own (SSF 1.0 section 7.1.1)."""

from litestar import Request
from litestar.handlers.base import BaseRouteHandler

from stepup.domain.client import Client
from stepup.http.proofs import provide_shown_token
from stepup.http.request_log import AnyConnection, request_log
from stepup.ports import Ports
from stepup.usecases import machine_tokens
from stepup.usecases.machine_tokens import MANAGE, READ

_OPTION = "signal_scopes"
_RECEIVER = "signal_receiver"


def manages() -> dict[str, object]:
    """Return the `opt` of a route that changes something."""
    return {_OPTION: frozenset({MANAGE})}


def reads() -> dict[str, object]:
    """Return the `opt` of a route that a receiver needs no more than `ssf.read` for."""
    return {_OPTION: frozenset({MANAGE, READ})}


async def receivers_only(connection: AnyConnection, handler: BaseRouteHandler) -> None:
    """Let a receiver pass whose token has the scope of the route; for `Router(guards=...)`.

    Raises:
        NotAuthorizedError: If there is no token, or it does not hold.
        InsufficientScopeError: If it is one for something else.
    """
    ports: Ports = connection.app.state["ports"]
    shown = await provide_shown_token(Request(connection.scope), ports)
    receiver = await machine_tokens.authenticate(
        ports, shown.text, shown.possession, scopes=handler.opt[_OPTION]
    )
    connection.scope["state"][_RECEIVER] = receiver
    request_log(connection).client = receiver.client_id


def receiver_of(connection: AnyConnection) -> Client:
    """Return whom the guard has let in."""
    receiver: Client = connection.scope["state"][_RECEIVER]
    return receiver
