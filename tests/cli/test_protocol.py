"""What is sent before the application is asked has an end, in size and in time; real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import uvicorn
from uvicorn.server import ServerState

from stepup.cli.protocol import BoundedProtocol

HEAD = b"GET / HTTP/1.1\r\nhost: x\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"


class Hasty(BoundedProtocol):
    head_seconds = 0.2
    body_seconds = 0.3


async def application(scope, receive, send) -> None:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        more = message.get("more_body", False)
    await asyncio.sleep(0.4 if scope["path"] == "/slow" else 0)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    config = uvicorn.Config(application, http=Hasty, lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Hasty(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    async with server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*state.tasks)


async def said(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """Send the parts and return everything that comes until the other side ends it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = bytearray()

    async def listen() -> None:
        with suppress(ConnectionError):
            while received := await reader.read(65536):
                answer.extend(received)

    listening = asyncio.create_task(listen())
    with suppress(ConnectionError):
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
    async with asyncio.timeout(5):
        await listening
    writer.close()
    return bytes(answer)


CLOSE = b"connection: close\r\n"


async def test_an_ordinary_request_is_answered(port: int):
    assert b" 200 " in await said(port, HEAD + CLOSE + b"\r\n")
    assert b" 200 " in await said(port, HEAD, b"x-a: " + b"a" * 60_000 + b"\r\n", CLOSE + b"\r\n")


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([HEAD + b"x-a: " + b"a" * 70_000 + b"\r\n\r\n"], id="one header"),
        pytest.param([HEAD + b"x-a: a\r\n" * 10_000 + b"\r\n"], id="many headers"),
        pytest.param([b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n"], id="a request line"),
        pytest.param([HEAD + b"x-a: "] + [b"a" * 1000] * 100, id="a header without an end"),
        pytest.param([HEAD] + [b"x-a: a\r\n" * 100] * 100, id="headers without an end"),
        pytest.param([HEAD] + [b"a" * 1000] * 100, id="a name without an end"),
    ],
)
async def test_attack_a_head_that_fills_the_memory(port: int, parts: list[bytes]):
    assert (await said(port, *parts)).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(b"x-a: a\r\n" * 125, id="many"),
        pytest.param(b"a" * 1000, id="a name without an end"),
    ],
)
async def test_attack_trailers_that_fill_the_memory(port: int, part: bytes):
    answer = await said(port, CHUNKED + b"1\r\na\r\n0\r\n", *[part] * 200)

    assert b" 200 " not in answer


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([HEAD] + [b"x-a: a\r\n"] * 20, id="a header now and then"),
        pytest.param([HEAD], id="nothing more"),
        pytest.param([b"G"], id="one letter"),
    ],
)
async def test_attack_a_head_that_takes_for_ever(port: int, parts: list[bytes]):
    assert (await said(port, *parts, pause=0.05)).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("parts", [[], [b"\r\n"] * 20], ids=["silence", "empty lines"])
async def test_attack_a_connection_that_asks_nothing_is_closed(port: int, parts: list[bytes]):
    assert await said(port, *parts, pause=0.05) == b""


async def test_attack_empty_lines_keep_a_used_connection_open(port: int):
    answer = await said(port, HEAD + b"\r\n", *[b"\r\n"] * 20, pause=0.05)

    assert answer.count(b" 200 ") == 1


async def test_attack_a_body_that_takes_for_ever(port: int):
    head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n"

    assert await said(port, head, *[b"a"] * 20, pause=0.05) == b""


async def test_a_slow_answer_is_waited_for_however_late_the_next_request_is(port: int):
    answer = await said(port, b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n", HEAD, pause=0.05)

    assert answer.endswith(
        b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    )
    assert b"/slow" in answer


async def test_a_kept_connection_is_good_for_the_next_request(port: int):
    answer = await said(port, HEAD + b"\r\n", HEAD + CLOSE + b"\r\n", pause=0.3)

    assert answer.count(b" 200 ") == 2


async def test_requests_that_come_together_are_answered_in_turn(port: int):
    first = HEAD.replace(b"/ ", b"/1 ", 1)

    answer = await said(port, first + b"\r\n" + HEAD, CLOSE + b"\r\n", pause=0.05)

    assert answer.count(b" 200 ") == 2
