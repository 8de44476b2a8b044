"""HTTP towards an identity provider or a client: bounded in time and size, never redirected.

Whatever goes wrong on the way is `DependencyUnavailableError`: a provider that cannot be asked has
said nothing about anybody's token.
"""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

import httpx2

from stepup.adapters.upstream.addresses import PublicAddresses
from stepup.domain.errors import DependencyUnavailableError

_TIMEOUT = httpx2.Timeout(connect=2.0, read=3.0, write=3.0, pool=2.0)
# The time-outs above are per read: a provider that sends a byte a second would keep us for ever.
_TOTAL_SECONDS = 5.0
# A JWK set with certificates in it has some tens of kilobytes.
_MAX_BYTES = 256 * 1024
# What is on this machine is never reached through the proxy that the environment may name.
_DIRECT = ("all://localhost", "all://127.0.0.1", "all://[::1]")
# Connections go to addresses and not to names, so one that is kept could serve another name that
# lives there; its certificate would be the first one's.
_UNSHARED = httpx2.Limits(max_connections=64, max_keepalive_connections=0)


class Answer(NamedTuple):
    """A whole response."""

    status: int
    body: bytes


class Fetcher:
    """A small pool of connections; `close` it in the event loop that used it.

    With `public_only` it connects to public addresses alone, and past every proxy: a proxy would
    look names up by itself.
    """

    def __init__(self, *, public_only: bool = False) -> None:
        self._addresses = PublicAddresses() if public_only else None
        self._client = httpx2.AsyncClient(
            timeout=_TIMEOUT,
            follow_redirects=False,
            trust_env=not public_only,
            limits=_UNSHARED if public_only else httpx2.Limits(),
            mounts=dict.fromkeys(_DIRECT),
            # A compressed answer could be small on the way and large here.
            headers={"accept": "application/json", "accept-encoding": "identity"},
        )

    async def get(self, url: str) -> bytes:
        """Return the body of a successful answer.

        Raises:
            DependencyUnavailableError: If there is no such answer.
        """
        answer = await self._ask("GET", url)
        if answer.status != 200:
            # A redirect counts as one: it would lead to an address that nobody has checked.
            raise DependencyUnavailableError(f"{url} answered {answer.status}")
        return answer.body

    async def post(
        self, url: str, form: Mapping[str, str], authorization: str | None = None
    ) -> Answer:
        """Return the answer to a form, whatever its status.

        Raises:
            DependencyUnavailableError: If there is none.
        """
        headers = {} if authorization is None else {"authorization": authorization}
        return await self._ask("POST", url, form, headers)

    async def close(self) -> None:
        """Close every connection."""
        if self._addresses is not None:
            self._addresses.close()
        await self._client.aclose()

    async def _ask(
        self,
        method: str,
        url: str,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        try:
            request = self._client.build_request(method, url, data=form, headers=headers)
            async with asyncio.timeout(_TOTAL_SECONDS):
                await self._pin(request)
                return await self._read(request)
        except TimeoutError as error:
            raise DependencyUnavailableError(f"{url} does not answer in time") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise DependencyUnavailableError(f"{url} cannot be reached") from error

    async def _pin(self, request: httpx2.Request) -> None:
        """Connect to the address that was looked at; the name stays in `Host` and in TLS."""
        if self._addresses is None:
            return
        host = request.url.host
        address = await self._addresses.find(host, request.url.port or 443)
        request.url = request.url.copy_with(host=address)
        request.extensions = {**request.extensions, "sni_hostname": host}

    async def _read(self, request: httpx2.Request) -> Answer:
        response = await self._client.send(request, stream=True)
        try:
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > _MAX_BYTES:
                    raise DependencyUnavailableError(f"{request.url} answered too much")
            return Answer(response.status_code, bytes(body))
        finally:
            await response.aclose()
