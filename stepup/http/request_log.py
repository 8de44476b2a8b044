"""What the one log line of a request says, gathered while the request is served.

The middleware makes the record and writes it when the response leaves; whoever learns something on
the way puts it in. Never a query string, a code, a token or a secret.
"""

from typing import Any, cast

import msgspec
from litestar.connection import ASGIConnection
from litestar.types import Scope

from stepup.domain.ids import AdministratorId, ClientId, DecisionId, SubjectId

_KEY = "request_log"

AnyConnection = ASGIConnection[Any, Any, Any, Any]


class RequestLog(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One request's facts; `subject` is the digest that names a person without saying who."""

    request_id: str
    client: ClientId | None = None
    administrator: AdministratorId | None = None
    subject: SubjectId | None = None
    action: str | None = None
    decision: str | None = None
    decision_id: DecisionId | None = None
    evaluation_error: str | None = None
    degraded: str | None = None
    mode: str | None = None
    would_be: str | None = None
    error: str | None = None

    def attach(self, scope: Scope) -> None:
        """Keep the record with the request."""
        scope["state"][_KEY] = self

    def facts(self) -> dict[str, str]:
        """Return what is known, by name."""
        return cast("dict[str, str]", msgspec.to_builtins(self))


def log_of(scope: Scope) -> RequestLog:
    """Return the record of the request that is being served."""
    return cast("RequestLog", scope["state"][_KEY])


def request_log(connection: AnyConnection) -> RequestLog:
    """Return the record of this connection, for routes and dependencies to fill in."""
    return log_of(connection.scope)
