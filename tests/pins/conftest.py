"""Every pin holds on every engine of this machine."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from redis.exceptions import ResponseError

from stepup.adapters.redis.endpoint import Address, Endpoint, connect
from tests.support.redis_cluster import RedisCluster, engines, running_replicas


class Wire:
    """One connection, one reply at a time, nothing done for us."""

    def __init__(self, address: Address) -> None:
        host, port = address
        self._connection = Endpoint(f"redis://{host}:{port}").new_connection("pin")
        self._connection.socket_timeout = 5.0

    async def open(self) -> "Wire":
        await connect(self._connection)
        return self

    async def write(self, *commands: tuple) -> None:
        """Write commands together, and read nothing."""
        await self._connection.send_packed_command(self._connection.pack_commands(commands))

    async def read(self) -> Any:
        """Read one reply; an error of the server is a reply."""
        try:
            return await self._connection.read_response(disconnect_on_error=False)
        except ResponseError as error:
            return error

    async def ask(self, *command: str | int) -> Any:
        await self.write(command)
        return await self.read()

    async def close(self) -> None:
        await self._connection.disconnect(nowait=True)


@pytest.fixture
async def wire() -> AsyncIterator[Callable[[Address], Awaitable[Wire]]]:
    """Open connections, and close them at the end."""
    async with AsyncExitStack() as stack:

        async def opened(address: Address) -> Wire:
            made = await Wire(address).open()
            stack.push_async_callback(made.close)
            return made

        yield opened


@pytest.fixture(scope="module", params=sorted(engines()))
def engine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def replicas_of_module(engine: str) -> Iterator[RedisCluster]:
    with running_replicas(engines()[engine]) as replicas:
        yield replicas
