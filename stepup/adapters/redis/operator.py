"""What an operator says to one server: a command on a connection of its own, bounded in time."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from redis.exceptions import RedisError

from stepup.adapters.redis.endpoint import Endpoint, connect

# Sees the end of an election soon, and does not keep a server busy.
_LOOK_EVERY = 0.02


class NotInTimeError(Exception):
    """What was waited for did not come; the message says what that was."""


async def tell(endpoint: Endpoint, *command: str | int, seconds: float = 1.0) -> Any:
    """Send one command and return the reply.

    Raises:
        RedisError: If it refuses.
        OSError: If it cannot be reached, or does not answer in time.
    """
    connection = endpoint.new_connection("stepup-operator")
    try:
        async with asyncio.timeout(seconds):
            await connect(connection)
            await connection.send_command(*command)
            return await connection.read_response()
    finally:
        await connection.disconnect(nowait=True)


async def until(holds: Callable[[], Awaitable[bool]], seconds: float, what: str) -> None:
    """Wait until something holds; trouble on the way counts as no.

    Raises:
        NotInTimeError: If it does not within so many seconds.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        with contextlib.suppress(RedisError, OSError):
            if await holds():
                return
        if loop.time() > deadline:
            raise NotInTimeError(f"{what}: not within {seconds:g} s")
        await asyncio.sleep(_LOOK_EVERY)
