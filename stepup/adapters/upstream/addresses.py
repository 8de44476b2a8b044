"""Where a host is, if it is a place that we go to on a stranger's word.

A client's URL must not make us ask what only we can reach: the machine itself, its neighbours, a
cloud's metadata. The address that was looked at is the one that is connected to, so that a name
which changes between two look-ups changes nothing.
"""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

from stepup.domain.addresses import is_public
from stepup.domain.errors import DependencyUnavailableError

# Threads of its own: names that nobody answers for must not keep the stores' names waiting.
_RESOLVERS = 4


class PublicAddresses:
    """Looks names up; `close` it in the event loop that used it."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_RESOLVERS, "client-keys")

    async def find(self, host: str, port: int) -> str:
        """Return an address of a host, all of whose addresses are public.

        Raises:
            DependencyUnavailableError: If it has none, or one that is not.
        """
        try:
            found = await asyncio.get_running_loop().run_in_executor(
                self._threads, _look_up, host, port
            )
        except (OSError, UnicodeError) as error:
            raise DependencyUnavailableError(f"{host} has no address") from error
        if not found or not all(map(is_public, found)):
            raise DependencyUnavailableError(f"{host} is not on the public network")
        # One is tried; where both kinds are published IPv4 is the one that leads out everywhere.
        return min(found, key=lambda address: ":" in address)

    def close(self) -> None:
        """Wait for nothing any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int) -> list[str]:
    rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(row[4][0]) for row in rows]
