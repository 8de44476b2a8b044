"""How one command speaks with the `stepup cluster up` that runs: a line of JSON each way.

Whoever runs the cluster is the parent of all of it, and the only one that sends signals: the
number of a process whose end its parent has not seen cannot belong to another one yet.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

SOCKET_NAME = "control.sock"
_LONGEST = 1 << 20

Handler = Callable[[str, str], Awaitable[Mapping[str, Any]]]
"""Does what a verb says with a name; a `ControlError` if it cannot be done."""


class ControlError(Exception):
    """It cannot be done; the message is for the operator, in one line."""


@asynccontextmanager
async def listening(path: Path, handle: Handler) -> AsyncIterator[None]:
    """Take commands inside the block."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = json.loads(await reader.readline())
            answer = await _answer(handle, request["verb"], request["name"])
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        except (OSError, ValueError):
            pass  # it has gone away, or is none of ours
        finally:
            writer.close()

    server = await asyncio.start_unix_server(take, path, limit=_LONGEST)
    try:
        yield
    finally:
        server.close()


def ask(path: Path, verb: str, name: str = "", seconds: float = 60.0) -> Mapping[str, Any]:
    """Let the cluster do something, and return what it says.

    Raises:
        ControlError: If it cannot be done, or nobody answers.
    """
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(seconds)
            connection.connect(str(path))
            connection.sendall(json.dumps({"verb": verb, "name": name}).encode() + b"\n")
            with connection.makefile("rb") as lines:
                text = lines.readline()
    except OSError as error:
        raise ControlError("the cluster does not answer") from error
    answer: Mapping[str, Any] = json.loads(text or b'{"error": "the cluster went away"}')
    if "error" in answer:
        raise ControlError(answer["error"])
    return answer


async def _answer(handle: Handler, verb: str, name: str) -> Mapping[str, Any]:
    try:
        return await handle(verb, name)
    except ControlError as error:
        return {"error": str(error)}
