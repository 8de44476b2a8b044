"""One Sentinel: what it says about our primary, asked in one write over one connection."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from stepup.adapters.redis.endpoint import Address, Endpoint, OneNode, connect
from stepup.adapters.redis.plain import PlainConnection
from stepup.adapters.redis.replies import CommandTrouble

# Any run identifier but `*`: with epoch 0 it reads the last vote and casts none (pin P5).
_PROBE = "stepup"
_NOWHERE: Address = ("0.0.0.0", 0)  # noqa: S104  nothing listens there, which is the point
# A vote that led nowhere for so many failover time-outs belongs to an election that was given up.
_ABORTED_AFTER = 3
_LISTEN = 5.0
_PAUSE = 0.25


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """What one Sentinel said at one moment.

    `has_voted` when it gave its vote in an election that its configuration does not show the end
    of; `is_failing_over` when it stands in one itself, from before it asks for the first vote.
    """

    address: Address
    config_epoch: int
    is_down: bool
    has_voted: bool = False
    is_failing_over: bool = False


class Sentinel:
    """A Sentinel, asked about the primary called `name`."""

    def __init__(self, endpoint: Endpoint, name: str, client_name: str) -> None:
        self._endpoint = endpoint
        self._name = name
        self._client_name = client_name
        self._connection = PlainConnection(OneNode(endpoint), client_name)
        self._vote = (0, 0.0)

    def start(self) -> None:
        """Begin to connect."""
        self._connection.start()

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    async def ask(self, address: Address | None) -> Sighting | None:
        """Ask what it knows of its primary, and of the server at an address.

        None when it does not answer in time or knows no such primary. One that is known to be away
        is not waited for.
        """
        if self._connection.line.down_for() > 0:
            return None
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._endpoint.patience.command
        host, port = address or _NOWHERE
        commands = (
            ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._name),
            ("SENTINEL", "IS-MASTER-DOWN-BY-ADDR", host, port, 0, _PROBE),
            ("SENTINEL", "MASTER", self._name),
        )
        try:
            named, down, known = await asyncio.gather(
                *(self._connection.send(command, deadline) for command in commands)
            )
        except CommandTrouble:
            return None
        return self._read(named, down, known, loop.time()) if named else None

    def _read(self, named: Any, down: Any, known: Mapping[bytes, bytes], now: float) -> Sighting:
        flags = known[b"flags"].split(b",")
        config_epoch, vote = int(known[b"config-epoch"]), int(down[2])
        if vote != self._vote[0]:
            self._vote = (vote, now)
        patience = _ABORTED_AFTER * int(known[b"failover-timeout"]) / 1000
        has_voted = vote > config_epoch and now - self._vote[1] < patience
        return Sighting(
            address=(named[0].decode(), int(named[1])),
            config_epoch=config_epoch,
            is_down=bool(down[0]) or b"s_down" in flags or b"o_down" in flags,
            has_voted=has_voted,
            is_failing_over=b"failover_in_progress" in flags,
        )

    async def listen(self, tell: Callable[[], None]) -> None:
        """Call `tell` whenever it announces another primary; for ever, reconnecting by itself."""
        while True:
            connection = self._endpoint.new_connection(f"{self._client_name}-listener")
            try:
                await connect(connection)
                await connection.send_command("SUBSCRIBE", "+switch-master")
                await _hear(connection, tell)
            except (RedisError, OSError):
                await asyncio.sleep(_PAUSE)
            finally:
                await connection.disconnect(nowait=True)


async def _hear(connection: AbstractConnection, tell: Callable[[], None]) -> None:
    while True:
        if await _next(connection, _LISTEN) is not None:
            tell()
            continue
        # Silence is normal; a host that is gone is silent too.
        await connection.send_command("PING")
        if await _next(connection, _PAUSE) is None:
            return


def _next(connection: AbstractConnection, seconds: float) -> Awaitable[Any]:
    # With a time-out of ours None means that nothing came.
    return connection.read_response(timeout=seconds, push_request=True)
