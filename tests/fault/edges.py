"""What lies between one instance and the servers: links that can be slow, cut or broken.

Each instance has links of its own, so a cut parts it from the servers and nobody else. It goes on
knowing the servers by the addresses that Sentinels name.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

import msgspec
from redis.asyncio.connection import AbstractConnection
from typing_extensions import override

from stepup.adapters.redis.endpoint import Address, Endpoint
from stepup.adapters.redis.failover import SentinelResolver
from stepup.adapters.redis.sentinel_url import SentinelUrl

_CHUNK = 1 << 16


class Edge:
    """A link to one server: bytes pass at once, later, or not at all, and never out of order."""

    def __init__(self, target: Address, chance: random.Random) -> None:
        self.via: Address = ("127.0.0.1", 0)
        self.slow_share = 0.0
        self.delays = (0.0, 0.0)
        self.up = asyncio.Event()  # what the instance sends gets through
        self.down = asyncio.Event()  # what the server answers gets through
        self.join()
        self._target = target
        self._chance = chance
        self._tasks: set[asyncio.Task[None]] = set()

    def join(self) -> None:
        """Let everything through."""
        self.up.set()
        self.down.set()

    def cut(self, *, up: bool = True, down: bool = True) -> None:
        """Swallow what is sent, in one direction or in both; nobody is told."""
        for passes, is_cut in ((self.up, up), (self.down, down)):
            if is_cut:
                passes.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on."""
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        for work in (
            self._pass_on(reader, far_writer, self.up, is_reply=False),
            self._pass_on(far_reader, writer, self.down, is_reply=True),
        ):
            task = asyncio.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        passes: asyncio.Event,
        *,
        is_reply: bool,
    ) -> None:
        try:
            while data := await reader.read(_CHUNK):
                if is_reply and self._chance.random() < self.slow_share:
                    await asyncio.sleep(self._chance.uniform(*self.delays))
                await passes.wait()
                writer.write(data)
        except OSError:
            pass
        finally:
            writer.transport.abort()

    async def close(self) -> None:
        """Break every connection."""
        for task in tuple(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


class Edges(msgspec.Struct, frozen=True):
    """The links of one instance, by the address of the server."""

    by_address: Mapping[Address, Edge]

    def all(self) -> Iterable[Edge]:
        """Return every link."""
        return self.by_address.values()

    def resolver(self, url: str, name: str) -> "DetouredResolver":
        """Return a resolver whose connections go over these links."""
        parsed = SentinelUrl.parse(url)
        sentinels = tuple(self.around(endpoint) for endpoint in parsed.sentinels)
        return DetouredResolver(msgspec.structs.replace(parsed, sentinels=sentinels), name, self)

    def around(self, endpoint: Endpoint) -> Endpoint:
        """Return the same server, reached over its link."""
        via = self.by_address[endpoint.address].via
        return _Detour(endpoint.url, endpoint.is_witness, via=via)


class _Detour(Endpoint, frozen=True):
    via: Address = ("127.0.0.1", 0)

    @override
    def new_connection(self, client_name: str) -> AbstractConnection:
        connection = super().new_connection(client_name)
        connection.host, connection.port = self.via
        return connection


class DetouredResolver(SentinelResolver):
    """Knows the primary by its own address, and reaches it over a link."""

    def __init__(self, url: SentinelUrl, client_name: str, edges: Edges) -> None:
        super().__init__(url, client_name)
        self._edges = edges

    @override
    async def primary(self) -> Endpoint:
        return self._edges.around(await super().primary())


@asynccontextmanager
async def edges_to(addresses: Iterable[Address], chance: random.Random) -> AsyncIterator[Edges]:
    """Make a link to each of the servers."""
    edges = {address: Edge(address, chance) for address in addresses}
    async with contextlib.AsyncExitStack() as stack:
        for edge in edges.values():
            server = await asyncio.start_server(edge.serve, "127.0.0.1", 0)
            edge.via = server.sockets[0].getsockname()[:2]
            stack.callback(server.close)
            stack.push_async_callback(edge.close)
        yield Edges(edges)
