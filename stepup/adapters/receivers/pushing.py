"""HTTP towards receivers of our security events: to public addresses alone, bounded, unredirected.

A receiver names the address that we call, and could name one that only we can reach. So the name is
looked up here, every address that it leads to is checked, and the connection goes to the one that
was checked: a second look-up could give another answer.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

import httpx2
from typing_extensions import override

from stepup.domain.addresses import is_public
from stepup.domain.pushing import Again, Verdict, verdict
from stepup.domain.streams import is_loopback
from stepup.ports import Pusher

_TIMEOUT = httpx2.Timeout(connect=2.0, read=4.0, write=3.0, pool=2.0)
# The time-outs above are per read: a receiver that sends a byte a second would keep us for ever.
_TOTAL_SECONDS = 5.0
# An error is a small JSON object; nobody reads more.
_MAX_BYTES = 16 * 1024
# A connection is of the name that its certificate was checked for. The pool knows it by its address,
# which another receiver's name may lead to, or be made to lead to: so nobody gets it after that.
_UNSHARED = httpx2.Limits(max_connections=64, max_keepalive_connections=0)
# Threads of its own: names that nobody answers for must not keep the stores' names waiting.
_RESOLVERS = 8
_PORTS = {"https": 443, "http": 80}
_UNREACHABLE = Again(problem="unreachable", counts=False)
_NOT_PUBLIC = Again(problem="address_not_public", counts=False)

LookUp = Callable[[str, int], Sequence[str]]


def look_up(host: str, port: int) -> Sequence[str]:
    """Return the addresses that a name leads to."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class _Target(NamedTuple):
    url: str
    host: str
    name: str


class HttpPusher(Pusher):
    """One connection for each push; `close` it in the event loop that used it.

    In `development` this machine is a receiver like any other.
    """

    def __init__(self, *, development: bool = False, look_up: LookUp = look_up) -> None:
        self._development = development
        self._look_up = look_up
        # No proxy of the environment: it would look the name up again, behind what was checked.
        self._client = httpx2.AsyncClient(
            timeout=_TIMEOUT, follow_redirects=False, trust_env=False, limits=_UNSHARED
        )
        self._threads = ThreadPoolExecutor(_RESOLVERS, "receivers")

    @override
    async def push(self, url: str, text: str, authorization: str | None) -> Verdict:
        try:
            async with asyncio.timeout(_TOTAL_SECONDS):
                target = await self._find(url)
                if target is None:
                    return _NOT_PUBLIC
                return await self._post(target, text, authorization)
        except (TimeoutError, OSError, ValueError, httpx2.HTTPError, httpx2.InvalidURL):
            return _UNREACHABLE

    async def close(self) -> None:
        """Close every connection."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        await self._client.aclose()

    async def _find(self, url: str) -> _Target | None:
        """Look an address up; None when it leads, or could lead, to one that is not public."""
        parts = urlsplit(url)
        name = parts.hostname or ""
        port = parts.port or _PORTS.get(parts.scheme, 0)
        if not port or parts.scheme not in _PORTS:
            return None
        loop = asyncio.get_running_loop()
        addresses = await loop.run_in_executor(self._threads, self._look_up, name, port)
        if not addresses or not all(self._may_call(address) for address in addresses):
            return None
        address = addresses[0]
        literal = f"[{address}]" if ":" in address else address
        pinned = urlunsplit(parts._replace(netloc=f"{literal}:{port}"))
        return _Target(pinned, parts.netloc, name)

    def _may_call(self, address: str) -> bool:
        return is_public(address) or (self._development and is_loopback(address))

    async def _post(self, target: _Target, text: str, authorization: str | None) -> Verdict:
        # RFC 8935 section 2.1.
        headers = {
            "host": target.host,
            "content-type": "application/secevent+jwt",
            "accept": "application/json",
            "accept-encoding": "identity",
        }
        if authorization is not None:
            headers["authorization"] = authorization
        request = self._client.build_request(
            "POST",
            target.url,
            content=text.encode(),
            headers=headers,
            # The certificate must be that of the name, not of the address.
            extensions={"sni_hostname": target.name},
        )
        response = await self._client.send(request, stream=True)
        try:
            body = b""
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > _MAX_BYTES:
                    break
            return verdict(response.status_code, body[:_MAX_BYTES])
        finally:
            await response.aclose()
