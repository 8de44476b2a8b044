"""One worker process: the application, served on sockets that its parent opened.

Started as `python -m stepup.cli.worker ORDER`; ORDER is the number of a file descriptor with the
worker's order as JSON, so that secrets appear neither in arguments nor in the environment.
"""

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import msgspec
import uvicorn
from typing_extensions import override
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from stepup import log
from stepup.cli.protocol import BoundedProtocol
from stepup.config import Secret, Settings

# Longer than a load balancer keeps an idle connection (60 s), so that it is the one to close.
_KEEP_ALIVE_SECONDS = 75


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is told; `ready` is a file descriptor to write to once it serves."""

    settings: Settings
    sockets: tuple[int, ...]
    ready: int


@runtime_checkable
class Draining(Protocol):
    """An application that can be told that its server is about to stop."""

    def drain(self) -> None:
        """Ask load balancers for no more requests."""
        ...

    def close_connections(self) -> None:
        """End kept-alive connections with their next answer."""
        ...


def encode_order(order: Order) -> bytes:
    """Write an order, secrets in clear: it goes through a pipe."""
    return msgspec.json.encode(order, enc_hook=_reveal)


def main(order_fd: int) -> None:
    """Wait for the order, then serve until told to stop."""
    # Slow, and needed in any case: done while our parent prepares what we shall work on.
    from stepup import wiring  # noqa: PLC0415

    wiring.import_application()
    with open(order_fd, "rb") as pipe:
        text = pipe.read()
    if not text:  # our parent gave up, and has said why
        return
    order = msgspec.json.decode(text, type=Order, dec_hook=_conceal)
    settings = order.settings
    log.configure_logging(settings.log_level, settings.log_format)
    application: Any = wiring.create_application(settings)
    config = uvicorn.Config(
        _behind_proxies(application, settings),
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,  # one line per request is the application's business
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(settings.stop_timeout.total_seconds())),
    )
    server = _Server(config, order, application)
    server.run([socket.socket(fileno=fd) for fd in order.sockets])


def _behind_proxies(application: Any, settings: Settings) -> Any:
    """Believe proxies what they say of a caller; uvicorn's own way hides from us who it was."""
    from stepup.http.client_certificate import CertificatesFromProxies  # noqa: PLC0415  as above

    proxies = list(settings.trusted_proxies)
    if not proxies:
        return application
    forwarded: Any = ProxyHeadersMiddleware(application, trusted_hosts=proxies)
    header = settings.client_certificate_header
    return CertificatesFromProxies(forwarded, header, proxies) if header else forwarded


class _Server(uvicorn.Server):
    """uvicorn, which stops accepting at once, taught to drain first."""

    def __init__(self, config: uvicorn.Config, order: Order, application: object) -> None:
        super().__init__(config)
        self._order = order
        self._draining = application if isinstance(application, Draining) else None
        self._stopping = False

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What is alive now stays; collecting it again and again costs time in every request.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 50, 1_000)
        os.write(self._order.ready, b"1")
        os.close(self._order.ready)

    @override
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, self._stop)
        yield

    def _stop(self) -> None:
        if self._stopping:
            self.should_exit = self.force_exit = True
            return
        self._stopping = True
        if self._draining is not None:
            self._draining.drain()
        delay = self._order.settings.drain_delay.total_seconds()
        asyncio.get_running_loop().call_later(delay, self._finish)

    def _finish(self) -> None:
        if self._draining is not None:
            self._draining.close_connections()
        self.should_exit = True


def _reveal(value: object) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError(type(value))


def _conceal(wanted: type, value: Any) -> Any:
    if wanted is Secret:
        return Secret(value)
    raise NotImplementedError(wanted)


if __name__ == "__main__":
    main(int(sys.argv[1]))
