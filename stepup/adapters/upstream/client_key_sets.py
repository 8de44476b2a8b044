"""JWK sets that clients publish at URLs of their own (RFC 7591's `jwks_uri`).

Each URL has a cache of its own, as an identity provider's keys have: whoever asks while it is being
fetched waits with it, and nobody else does.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import msgspec

from stepup.adapters.upstream.cached import Cached
from stepup.adapters.upstream.fetching import Fetcher
from stepup.adapters.upstream.provider import is_confidential
from stepup.crypto.client_keys import read_keys
from stepup.domain.errors import DependencyUnavailableError
from stepup.ports import Clock

Members = Sequence[Mapping[str, Any]]


class _KeySet(msgspec.Struct, frozen=True):
    keys: list[dict[str, Any]]


class ClientKeySets:
    """Sets by their URL; `close` it in the event loop that used it.

    In development a URL may lead to this machine, as everything else is on it.
    """

    def __init__(self, clock: Clock, *, development: bool) -> None:
        self._clock = clock
        self._development = development
        self._fetcher = Fetcher(public_only=not development)
        self._sets: dict[str, Cached[Members]] = {}

    async def get(self, url: str, kid: str | None) -> Members:
        """Return the members of the set at a registered URL.

        Raises:
            DependencyUnavailableError: If there is none that can be used.
        """
        cached = self._sets.get(url)
        if cached is None:
            cached = self._sets[url] = Cached(partial(self._fetch, url), self._clock)
        return await cached.get(
            lambda members: kid is None or any(each.get("kid") == kid for each in members)
        )

    async def close(self) -> None:
        """End what is being fetched, and close every connection."""
        for each in self._sets.values():
            await each.close()
        await self._fetcher.close()

    async def _fetch(self, url: str) -> Members:
        is_https = urlsplit(url).scheme == "https"
        if not is_confidential(url) or not (is_https or self._development):
            raise DependencyUnavailableError(f"{url} is not fetched")
        body = await self._fetcher.get(url)
        try:
            members = msgspec.json.decode(body, type=_KeySet).keys
            # What is not in order is not kept: an older set that is may still serve.
            read_keys(members)
        except (ValueError, RecursionError) as error:
            raise DependencyUnavailableError(f"{url} answered no JWK set") from error
        return members
