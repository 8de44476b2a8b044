"""What the drain rests on: uvicorn finishes what runs when it is told to end (P14)."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx2
import pytest

pytestmark = pytest.mark.pin

APPLICATION = """
import asyncio, sys, uvicorn

async def slow(scope, receive, send):
    if scope["type"] == "http":
        await asyncio.sleep(1.0)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"whole"})

config = uvicorn.Config(slow, port=int(sys.argv[1]), http="httptools", lifespan="off",
                        log_level="error", timeout_graceful_shutdown=5)
uvicorn.Server(config).run()
"""


@pytest.fixture
def server() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen([sys.executable, "-c", APPLICATION, str(port)]) as process:
        try:
            until_it_listens(port)
            yield process, f"http://127.0.0.1:{port}"
        finally:
            process.kill()


async def test_p14_what_runs_is_finished_after_sigterm(server):
    process, url = server
    async with httpx2.AsyncClient(trust_env=False, timeout=10) as client:
        asked = [asyncio.create_task(client.get(url)) for _ in range(10)]
        await asyncio.sleep(0.5)
        os.kill(process.pid, signal.SIGTERM)
        answers = await asyncio.gather(*asked)
    assert {(answer.status_code, answer.content) for answer in answers} == {(200, b"whole")}
    # It ends by the signal that it was sent, when the last one is answered.
    assert process.wait(5) in {0, -signal.SIGTERM}


async def test_p14_but_it_takes_no_more_at_once_so_a_drain_comes_first(server):
    process, url = server
    async with httpx2.AsyncClient(trust_env=False, timeout=10) as client:
        running = asyncio.create_task(client.get(url))
        await asyncio.sleep(0.3)
        os.kill(process.pid, signal.SIGTERM)
        await asyncio.sleep(0.3)
        async with httpx2.AsyncClient(trust_env=False) as other:
            with pytest.raises(httpx2.TransportError):
                await other.get(url)
        assert (await running).content == b"whole"


def until_it_listens(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return
