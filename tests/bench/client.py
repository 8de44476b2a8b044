"""The load client: raw HTTP/1.1 over kept-alive connections, in the bench's own process.

Its cost is not the servers' CPU time; it only keeps them busy.
"""

import asyncio
import re
import time
from base64 import b64encode
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


class BenchError(Exception):
    """The server answered otherwise than it should, so no figure means anything."""


class Load(NamedTuple):
    """What came of keeping a server busy; times in seconds."""

    count: int
    seconds: float
    latencies: list[float]


class Answer(NamedTuple):
    """One response."""

    status: int
    headers: dict[str, str]
    body: bytes


class Credentials(NamedTuple):
    """A client of the service."""

    client_id: str
    secret: str

    @property
    def header(self) -> dict[str, str]:
        return {"authorization": "Basic " + b64encode(":".join(self).encode()).decode()}


def form(fields: Mapping[str, str]) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of a form post."""
    kind = {"content-type": "application/x-www-form-urlencoded"}
    return kind, urlencode(fields).encode()


def compose(method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """Write a request."""
    lines = [f"{method} {target} HTTP/1.1", "host: localhost"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if method != "GET":
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def hammer(
    port: int, request: bytes, *, connections: int, seconds: float, holds: bytes = b""
) -> Load:
    """Repeat one request for a while; every answer is a 200, and the first one holds `holds`."""
    loop = asyncio.get_running_loop()
    stop_at = [float("inf")]
    senders = []
    for _ in range(connections):
        _, sender = await loop.create_connection(
            lambda: _Sender(request, holds, stop_at), "127.0.0.1", port
        )
        senders.append(sender)
    started = time.perf_counter()
    stop_at[0] = started + seconds
    for sender in senders:
        sender.send()
    await asyncio.gather(*(sender.done for sender in senders))
    took = time.perf_counter() - started
    latencies = [latency for sender in senders for latency in sender.latencies]
    return Load(len(latencies), took, latencies)


class _Sender(asyncio.Protocol):
    """One connection with one request under way."""

    def __init__(self, request: bytes, holds: bytes, stop_at: list[float]) -> None:
        self.latencies: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = request
        self._holds = holds
        self._stop_at = stop_at
        self._received = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received = received = self._received + data if self._received else data
        end = received.find(b"\r\n\r\n")
        length = _LENGTH.search(received, 0, end + 2) if end >= 0 else None
        if length is None or len(received) < end + 4 + int(length[1]):
            return
        now = time.perf_counter()
        if received[9:12] != b"200" or (not self.latencies and self._holds not in received):
            self._end(BenchError(received.decode(errors="replace")))
            return
        self._received = b""
        self.latencies.append(now - self._sent_at)
        if now < self._stop_at[0]:
            self.send()
        else:
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(BenchError(f"the connection was lost: {exc}"))

    def _end(self, error: BenchError | None = None) -> None:
        if not self.done.done():
            self.done.set_exception(error) if error else self.done.set_result(None)
            self._transport.close()


class Connection:
    """One kept-alive connection on which requests follow each other, as a browser's or a bank's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> "Connection":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        self._writer.write(compose(method, target, headers or {}, body))
        status, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        received = {}
        for line in filter(None, lines):
            name, _, value = line.partition(":")
            received[name.lower()] = value.strip()
        length = int(received.get("content-length", 0))
        return Answer(int(status[9:12]), received, await self._reader.readexactly(length))

    async def expect(self, status: int, method: str, target: str, *rest: object) -> Answer:
        answer = await self.ask(method, target, *rest)
        if answer.status != status:
            raise BenchError(f"{method} {target}: {answer.status} {answer.body[:500]!r}")
        return answer

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()
