"""A Unix-socket proxy before Redis that counts writes, and holds back or cuts the replies."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path


class Proxy:
    """Passes bytes on. `writes` is what the client sent, one item per read from its socket."""

    def __init__(self, target: str, path: Path) -> None:
        self.url = f"unix://{path}"
        self.writes: list[bytes] = []
        self.replies_flow = asyncio.Event()
        self.replies_flow.set()
        self._target = target
        self._path = path
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    def hold_replies(self) -> None:
        """Let commands through and keep the replies."""
        self.replies_flow.clear()

    def cut(self) -> None:
        """Break every connection; new ones are served."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def commands(self, name: bytes) -> int:
        """Count how often a command was written."""
        return b"".join(self.writes).count(b"\r\n" + name + b"\r\n")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            far_reader, far_writer = await asyncio.open_unix_connection(self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        for task in (
            asyncio.create_task(self._forward(reader, far_writer)),
            asyncio.create_task(self._return(far_reader, writer)),
        ):
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 20):
                self.writes.append(data)
                writer.write(data)
        writer.transport.abort()

    async def _return(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 20):
                await self.replies_flow.wait()
                writer.write(data)
        writer.transport.abort()

    async def close(self) -> None:
        """Break every connection for good."""
        self.replies_flow.set()
        self.cut()
        for task in tuple(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@asynccontextmanager
async def running_proxy(redis_url: str, directory: Path) -> AsyncIterator[Proxy]:
    """Run a proxy before a server on a Unix socket."""
    path = directory / "proxy.sock"
    proxy = Proxy(redis_url.removeprefix("unix://"), path)
    server = await asyncio.start_unix_server(proxy.serve, path)
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
        await server.wait_closed()
