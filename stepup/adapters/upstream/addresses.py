"""Where a host is, if it is a place that we go to on a stranger's word.

A client's URL must not make us ask what only we can reach: the machine itself, its neighbours, a
cloud's metadata. The address that was looked at is the one that is connected to, so that a name
which changes between two look-ups changes nothing.
"""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from stepup.domain.errors import DependencyUnavailableError

# What carries an IPv4 address inside (RFC 6052, RFC 4291): a gateway would take us there.
_TRANSLATED = tuple(map(ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "::/96", "2002::/16")))
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


def is_public(text: str) -> bool:
    """Say whether everybody else could reach the address as well as we."""
    address: IPv4Address | IPv6Address = ip_address(text)
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
        if any(address in network for network in _TRANSLATED):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _look_up(host: str, port: int) -> list[str]:
    rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # An address with a zone is of this link, whatever follows.
    return [str(row[4][0]).partition("%")[0] for row in rows]
