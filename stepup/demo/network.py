"""How the bank reaches others. A test puts them next to each other without sockets."""

from collections.abc import Callable
from dataclasses import dataclass

import httpx2

from stepup.sdk.keys import Fetcher
from stepup.sdk.transport import Transport, fetch, send

TIMEOUT = 15.0


def open_client() -> httpx2.AsyncClient:
    """Make an HTTP client for one conversation."""
    return httpx2.AsyncClient(timeout=TIMEOUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The ways out: the bank's own requests, and the SDK's."""

    client: Callable[[], httpx2.AsyncClient] = open_client
    fetch: Fetcher = fetch
    send: Transport = send
