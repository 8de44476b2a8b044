"""One live connection with many commands in flight; what breaks it breaks everything in it.

redis-py's own connection does TLS, authentication and parsing. On top of it: what is written
together leaves together, one task hands the replies out in order, and the age of the oldest
unanswered command is watched. A wire that timed out or fell out of step is never used again.
"""

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ReadOnlyError, RedisError, ResponseError

from stepup.adapters.redis import scripts
from stepup.adapters.redis.calls import Call
from stepup.adapters.redis.endpoint import Endpoint, connect
from stepup.adapters.redis.history import history_of
from stepup.adapters.redis.replies import (
    CommandTrouble,
    LostReplyError,
    NotExecutedError,
    UnsentError,
    is_reply,
    trouble_of,
)
from stepup.adapters.redis.scripts import Command

# A loop that was itself asleep sees its timers before the replies that are waiting for it.
SECOND_LOOK = 0.02
OPEN_TIMEOUT = 1.0


class Wire:
    """A connection that is open; make one with `open`."""

    def __init__(
        self, endpoint: Endpoint, connection: AbstractConnection, generation: int, history: str = ""
    ) -> None:
        self.endpoint = endpoint
        self.history = history
        self.generation = generation
        self._timeout = endpoint.patience.command
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._in_flight: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._broken = asyncio.Event()
        # Whose reply nobody waits for.
        self._unwanted: asyncio.Future[Any] = self._loop.create_future()
        self._unwanted.cancel()
        self._retired = False
        self._suspect: float | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._reader = asyncio.create_task(self._read())
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, endpoint: Endpoint, client_name: str, generation: int) -> "Wire":
        """Connect; a server must be a primary, and gets every script in one write."""
        connection, history = endpoint.new_connection(client_name), ""
        try:
            async with asyncio.timeout(OPEN_TIMEOUT):
                await connect(connection)
                if not endpoint.is_witness:
                    history = await _prepare(connection)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        # From here on our own watch is the time-out; redis-py's would make a task per write.
        connection.socket_timeout = None
        return cls(endpoint, connection, generation, history)

    @property
    def usable(self) -> bool:
        """Say whether more may be written to it."""
        return not (self._retired or self._broken.is_set())

    async def until_broken(self) -> None:
        """Wait for the end."""
        await self._broken.wait()

    async def write(self, calls: Sequence[Call]) -> None:
        """Write all commands at once; their futures learn the rest, failure included."""
        if not self.usable:
            fail((call.reply for call in calls), NotExecutedError("the connection was lost"))
            return
        deadline = self._loop.time() + self._timeout
        commands: list[Command] = []
        replies: list[asyncio.Future[Any]] = []
        for call in calls:
            if call.asking:
                commands.append(("ASKING",))
                replies.append(self._unwanted)
            commands.append(call.command)
            replies.append(call.reply)
        try:
            packed = self._connection.pack_commands(commands)
        except (RedisError, TypeError, ValueError) as error:
            # Nothing was written: the replies stay in step, and whoever comes next is served.
            fail(replies, UnsentError(f"cannot be encoded: {type(error).__name__}"))
            return
        self._in_flight.extend((reply, deadline) for reply in replies)
        if self._watch is None:
            self._watch = self._loop.call_at(deadline, self._look)
        try:
            await self._connection.send_packed_command(packed, check_health=False)
        except (RedisError, OSError) as error:
            self.drop(str(error))

    def drop(self, why: str, *, timed_out: bool = False) -> None:
        """Close at once; whoever waits for a reply learns that it is lost."""
        if self._broken.is_set():
            return
        self._broken.set()
        if self._watch is not None:
            self._watch.cancel()
        lost = LostReplyError(why, timed_out=timed_out)
        fail((reply for reply, _ in self._in_flight), lost)
        self._in_flight.clear()
        self._reader.cancel()
        self._closing = self._loop.create_task(self._connection.disconnect(nowait=True))

    async def close(self) -> None:
        """Close and wait until it is closed."""
        self.drop("closed")
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader
        if self._closing is not None:
            await self._closing

    async def _read(self) -> None:
        """Hand out replies in order; nobody else touches the socket."""
        while True:
            try:
                reply = await self._read_one()
            except (RedisError, OSError) as error:
                return self.drop(str(error))
            if not self._in_flight:
                return self.drop("a reply that nobody asked for")
            _settle(self._in_flight.popleft()[0], reply)
            # Somebody else is the primary: what is in flight ends here, nothing more is written.
            self._retired = self._retired or isinstance(reply, ReadOnlyError)
            if self._retired and not self._in_flight:
                return self.drop("this server is not the primary")

    async def _read_one(self) -> object:
        try:
            return await self._connection.read_response(timeout=math.inf, disconnect_on_error=False)
        except RedisError as error:
            if is_reply(error):
                return error
            raise

    def _look(self) -> None:
        """Break the wire when its oldest command is too old, at the second look."""
        self._watch = None
        if not self._in_flight:
            return
        oldest, now = self._in_flight[0][1], self._loop.time()
        if oldest > now:
            self._suspect = None
            self._watch = self._loop.call_at(oldest, self._look)
        elif self._suspect == oldest:
            self.drop(f"no reply within {self._timeout} s", timed_out=True)
        else:
            self._suspect = oldest
            self._watch = self._loop.call_at(now + SECOND_LOOK, self._look)


async def _prepare(connection: AbstractConnection) -> str:
    """Ask for its role, as the guideline for Sentinel clients demands, and load the scripts.

    Returns the history of its data.
    """
    loading = [("SCRIPT", "LOAD", script.source) for script in scripts.ALL]
    commands = [("INFO", "replication"), ("ROLE",), *loading]
    await connection.send_packed_command(connection.pack_commands(commands))
    try:
        info = await connection.read_response(disconnect_on_error=False)
    except ResponseError:
        info = None
    role, *_ = [await connection.read_response() for _ in commands[1:]]
    if role[0] != b"master":
        raise ReadOnlyError("this server is not the primary")
    return history_of(info)


def _settle(waiting: asyncio.Future[Any], reply: object) -> None:
    # A caller who left is done already; his reply is read all the same and thrown away, so that
    # the stream cannot get out of step.
    if waiting.done():
        return
    if isinstance(reply, RedisError):
        waiting.set_exception(trouble_of(reply))
    else:
        waiting.set_result(reply)


def fail(replies: Iterable[asyncio.Future[Any]], trouble: CommandTrouble) -> None:
    """Tell every caller who still waits."""
    for reply in replies:
        if not reply.done():
            reply.set_exception(trouble)
