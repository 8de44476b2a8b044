"""Where a Redis server is, and who knows which server is the primary.

One node is its own answer. Sentinel and Cluster put a resolver of their own here: a line asks it
before each connection, and drops its connection when the answer changes.
"""

from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import msgspec
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    parse_url,
)
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from typing_extensions import override

from stepup.domain.errors import NotSupportedYetError

CONNECT_TIMEOUT = 0.25
HANDSHAKE_TIMEOUT = 0.5

_LATER = ("sentinel", "cluster")
_SCHEMES = ("redis", "rediss", "unix", "redis+unix")


class Endpoint(msgspec.Struct, frozen=True):
    """One server, by the URL it was configured with."""

    url: str

    @classmethod
    def parse(cls, url: str) -> "Endpoint":
        """Read `redis://`, `rediss://`, `unix://path` or `redis+unix://path`.

        Raises:
            NotSupportedYetError: If the URL means Sentinel or Cluster.
            ValueError: If it is no Redis URL.
            TypeError: If it has an option that redis-py does not know.
        """
        scheme = urlsplit(url).scheme
        if any(word in scheme for word in _LATER) or "," in urlsplit(url).netloc:
            raise NotSupportedYetError("Redis behind Sentinel or in a Cluster is not supported yet")
        if scheme not in _SCHEMES:
            raise ValueError(f"a Redis URL begins with one of {', '.join(_SCHEMES)}")
        endpoint = cls(url.removeprefix("redis+"))
        # A wrong option in the URL must stop the start, not every connection later.
        endpoint.new_connection("stepup")
        return endpoint

    def new_connection(self, client_name: str) -> AbstractConnection:
        """Return redis-py's own connection; `connect` opens it."""
        options: dict[str, Any] = dict(parse_url(self.url))
        kind: type[AbstractConnection] = options.pop("connection_class", Connection)
        # Repeats are ours: redis-py's own would execute again what was executed (RELIABILITY 3.2).
        options |= {
            "socket_connect_timeout": CONNECT_TIMEOUT,
            "socket_timeout": HANDSHAKE_TIMEOUT,
            "retry": Retry(NoBackoff(), 0),
            "health_check_interval": 0,
            "protocol": 3,
            "client_name": client_name,
        }
        return kind(**options)

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        return unquote(parts.path) if parts.scheme == "unix" else f"{parts.hostname}:{parts.port}"

    def __repr__(self) -> str:
        return f"Endpoint({self})"


async def connect(connection: AbstractConnection) -> None:
    """Open a connection: TLS, authentication, protocol, name."""
    await connection.connect()  # type: ignore[no-untyped-call]  # redis-py has no types here


class Resolver(Protocol):
    """Knows the primary."""

    async def primary(self) -> Endpoint:
        """Return where the primary is now; a `RedisError` or `OSError` if nobody can say."""
        ...


class OneNode(Resolver):
    """A server without replicas that could take its place."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    @override
    async def primary(self) -> Endpoint:
        return self._endpoint
