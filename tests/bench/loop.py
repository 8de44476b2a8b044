"""The bare loop: the least an ASGI application can do, served with our worker's own settings.

Everything over HTTP is compared with it, so that a figure means the same on any machine.
"""

import gc
import socket
import sys

import uvicorn

_BODY = b'{"decision":true}'
_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(_BODY)).encode()),
    ],
}


async def application(scope, receive, send):
    """Read the body, answer with one line of JSON."""
    while (await receive()).get("more_body", False):
        pass
    await send(_START)
    await send({"type": "http.response.body", "body": _BODY})


def main(fd: int) -> None:
    """Serve on a socket that the parent opened."""
    config = uvicorn.Config(
        application,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
    )
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 1_000)
    uvicorn.Server(config).run([socket.socket(fileno=fd)])


if __name__ == "__main__":
    main(int(sys.argv[1]))
