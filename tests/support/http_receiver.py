"""A receiver of security events as a real HTTP server, which answers as it is told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple


class Received(NamedTuple):
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: str


Answer = Callable[[Received], tuple[int, bytes]]


class HttpReceiver:
    """Listens on a port of this machine; `answer` says how it answers, `delay` how slowly."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answer: Answer = lambda _: (202, b"")
        self.delay = 0.0
        self.url = ""
        self.came = asyncio.Event()
        self.connections = 0
        self.keeps_open = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close, or as many as come."""
        self.connections += 1
        try:
            while await self._serve_one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        request = Received(head[0].split(" ")[1], headers, body.decode())
        self.received.append(request)
        self.came.set()
        status, content = self.answer(request)
        await asyncio.sleep(self.delay)
        extra = "location: http://127.0.0.1:9/\r\n" if 300 <= status < 400 else ""
        writer.write(
            f"HTTP/1.1 {status} X\r\ncontent-length: {len(content)}\r\n{extra}"
            f"connection: {'keep-alive' if self.keeps_open else 'close'}\r\n\r\n".encode()
            + content
        )
        await writer.drain()
        return self.keeps_open


@asynccontextmanager
async def listening() -> AsyncIterator[HttpReceiver]:
    """Run a receiver meanwhile."""
    receiver = HttpReceiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/events"
    async with server:
        yield receiver
