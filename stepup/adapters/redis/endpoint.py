"""Where a Redis server is, and who knows which server is the primary.

One node is its own answer; behind Sentinels the answer changes. A line asks before each
connection, and gives up its connection when it is told of another primary.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol
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


class Patience(NamedTuple):
    """How long a server may take, in seconds."""

    connect: float
    handshake: float
    command: float


# A command may take as long as WAIT (243 ms measured for 150), and less than a caller waits.
OF_A_SERVER = Patience(connect=0.25, handshake=0.5, command=0.5)
OF_A_WITNESS = Patience(connect=0.2, handshake=0.2, command=0.25)

Address = tuple[str, int]

_SCHEMES = ("redis", "rediss", "unix", "redis+unix")


def authority(address: Address) -> str:
    """Return an address as it stands in a URL: IPv6 in brackets."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Endpoint(msgspec.Struct, frozen=True):
    """One server, by its URL; a witness is asked who the primary is, and holds no scripts.

    `epoch` is that of the configuration in which Sentinels named it, None when nobody counts them.
    Named again in a later one it is another primary, whose history may be another.
    """

    url: str
    is_witness: bool = False
    epoch: int | None = None

    @classmethod
    def parse(cls, url: str) -> "Endpoint":
        """Read `redis://`, `rediss://`, `unix://path` or `redis+unix://path`.

        Raises:
            ValueError: If it is no Redis URL.
            TypeError: If it has an option that redis-py does not know.
        """
        scheme = urlsplit(url).scheme
        if "," in urlsplit(url).netloc:
            raise ValueError("several hosts need redis+sentinel:// or redis+cluster://")
        if scheme not in _SCHEMES:
            raise ValueError(f"a Redis URL begins with one of {', '.join(_SCHEMES)}")
        endpoint = cls(url.removeprefix("redis+"))
        # A wrong option in the URL must stop the start, not every connection later.
        endpoint.new_connection("stepup")
        return endpoint

    @property
    def patience(self) -> Patience:
        """How long it may take to answer."""
        return OF_A_WITNESS if self.is_witness else OF_A_SERVER

    @property
    def address(self) -> Address:
        """Host and port, as Sentinels spell them; a socket's path and 0."""
        parts = urlsplit(self.url)
        return parts.hostname or unquote(parts.path), parts.port or 0

    def new_connection(self, client_name: str) -> AbstractConnection:
        """Return redis-py's own connection; `connect` opens it."""
        options: dict[str, Any] = dict(parse_url(self.url))
        kind: type[AbstractConnection] = options.pop("connection_class", Connection)
        # Repeats are ours: redis-py's own would execute again what was executed (RELIABILITY
        # section 3.2).
        options |= {
            "socket_connect_timeout": self.patience.connect,
            "socket_timeout": self.patience.handshake,
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

    @property
    def generation(self) -> int:
        """A number that grows whenever another server becomes the primary."""
        ...

    async def primary(self) -> Endpoint:
        """Return where the primary is now; a `RedisError` or `OSError` if nobody can say."""
        ...

    def on_change(self, tell: Callable[[], None]) -> None:
        """Call `tell` whenever another server becomes the primary."""
        ...

    def start(self) -> None:
        """Begin to watch, in the event loop that will ask."""
        ...

    async def close(self) -> None:
        """Stop watching."""
        ...


class OneNode(Resolver):
    """A server without replicas that could take its place."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    @property
    @override
    def generation(self) -> int:
        return 1

    @override
    async def primary(self) -> Endpoint:
        return self._endpoint

    @override
    def on_change(self, tell: Callable[[], None]) -> None:
        """Nothing ever changes."""

    @override
    def start(self) -> None:
        """Nothing to watch."""

    @override
    async def close(self) -> None:
        """Nothing to stop."""
