"""A load balancer of a few lines: connections go to the instances that are ready, in turn.

For development. It knows TCP and not HTTP, so a connection stays with its instance; a connection
that could not be made is tried at the next instance, and nothing else is ever repeated.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

Address = tuple[str, int]

_PROBE_EVERY = 0.25
_PROBE_WITHIN = 1.0
_CONNECT_WITHIN = 0.25
_CHUNK = 1 << 16
_PROBE = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_NOBODY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
    b"Connection: close\r\n\r\n"
)


class Backend:
    """One instance: where it is, whether it is ready, and what runs through it."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.is_ready = False
        self._through: set[asyncio.StreamWriter] = set()

    async def watch(self) -> None:
        """Ask for its readiness, for ever."""
        while True:
            answer = await self._probe()
            self.is_ready = answer is not None and answer.split(b" ")[1:2] == [b"200"]
            if answer is None:
                # What hangs there would hang for as long as the caller has patience.
                self._break_off()
            await asyncio.sleep(_PROBE_EVERY)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Carry a caller's connection until its end; False if the instance cannot be reached."""
        try:
            async with asyncio.timeout(_CONNECT_WITHIN):
                inner_reader, inner = await asyncio.open_connection(*self.address)
        except OSError:
            self.is_ready = False
            return False
        self._through |= {writer, inner}
        try:
            await asyncio.gather(_pump(reader, inner), _pump(inner_reader, writer))
        finally:
            self._through -= {writer, inner}
            await _close(inner)
        return True

    def _break_off(self) -> None:
        for writer in list(self._through):
            writer.transport.abort()

    async def _probe(self) -> bytes | None:
        writer = None
        try:
            async with asyncio.timeout(_PROBE_WITHIN):
                reader, writer = await asyncio.open_connection(*self.address)
                writer.write(_PROBE)
                return await reader.readline() or None
        except OSError:
            return None
        finally:
            if writer is not None:
                writer.transport.abort()


class Balancer:
    """Takes connections on sockets and hands them to backends in turn."""

    def __init__(self, backends: Sequence[Backend]) -> None:
        self._backends = list(backends)
        self._open: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def serving(self, sockets: Sequence[socket.socket]) -> AsyncIterator[None]:
        """Serve inside the block."""
        watchers = [asyncio.create_task(backend.watch()) for backend in self._backends]
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._stop, watchers)
            for each in sockets:
                server = await asyncio.start_server(self._take, sock=each)
                stack.callback(server.close)
            yield

    async def _stop(self, watchers: Sequence[asyncio.Task[None]]) -> None:
        tasks = (*watchers, *self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  asyncio runs us in one
        self._open.add(task)
        try:
            await self._hand_over(reader, writer)
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._open.discard(task)
            await _close(writer)

    async def _hand_over(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(len(self._backends)):
            # In turn: whoever was looked at last comes last the next time.
            backend = self._backends.pop(0)
            self._backends.append(backend)
            if backend.is_ready and await backend.carry(reader, writer):
                return
        with suppress(TimeoutError):
            # What is not read would make a reset of the answer's end.
            async with asyncio.timeout(_CONNECT_WITHIN):
                await reader.read(_CHUNK)
        writer.write(_NOBODY)
        await writer.drain()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    # The end of one direction is the end of both: no client of HTTP closes half.
    await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        writer.close()
        await writer.wait_closed()
