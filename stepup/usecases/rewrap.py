"""Seal everything again that lies under another key-encryption key than the current one.

In pages, each a transaction of its own: it can be stopped and begun again at any time, several may
run at once, and nobody else waits. A row that somebody works on meanwhile is left for the next
round, and whoever works on it seals it under his own current key.
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import NamedTuple

from stepup.crypto import keys as key_sealing
from stepup.crypto.sealing import Sealer, UnsealError, number_of
from stepup.domain.errors import NewerFormatError
from stepup.domain.ids import AuthenticatorId
from stepup.domain.keyring import SealedKey
from stepup.ports import Configuration, Ports

PAGE = 200
_ROUNDS = 3

Seals = Mapping[int, int]
"""How many secrets lie under each key-encryption key, by its number."""


class Rewrapped(NamedTuple):
    """How many secrets were sealed again, and whether the copy of the configuration was."""

    keys: int
    authenticators: int
    copy: bool = False


async def count_seals(ports: Ports) -> Seals:
    """Count what lies sealed in the database."""
    found = Counter(number_of(key.sealed_private_key) for key in await _keys(ports))
    async for page in _pages(ports):
        found.update(page.values())
    return found


async def count_seals_in_copy(ports: Ports) -> Seals:
    """Count the keys inside the copy of the configuration that Redis keeps."""
    kept = await _copy(ports)
    return Counter(number_of(key.sealed_private_key) for key in (kept[0].keys if kept else ()))


async def rewrap(ports: Ports, sealer: Sealer) -> Rewrapped:
    """Seal everything again that is kept for good and lies under another key than the current one.

    Raises:
        DependencyUnavailableError: If a store is away; what was done until then is done.
    """
    done = Rewrapped(0, 0)
    for _ in range(_ROUNDS):
        keys, authenticators = await _rewrap_keys(ports, sealer), 0
        async for page in _pages(ports):
            authenticators += await _rewrap_page(ports, sealer, page)
        done = Rewrapped(done.keys + keys, done.authenticators + authenticators)
        if not keys and not authenticators:
            break
    if done.keys:
        # Every instance reads the keys again, and replaces the copy that Redis keeps of them.
        await ports.state.changes.announce()
    return done._replace(copy=await _rewrap_copy(ports))


async def _rewrap_copy(ports: Ports) -> bool:
    kept = await _copy(ports)
    # An older copy holds keys as they were sealed before: the instances replace it.
    if kept is None or kept[0].version != await ports.database.configuration_version():
        return False
    return await ports.state.snapshots.put(*kept)


async def _copy(ports: Ports) -> tuple[Configuration, datetime] | None:
    try:
        return await ports.state.snapshots.find(ports.site.issuer)
    except (UnsealError, NewerFormatError):  # instances replace what they cannot open
        return None


async def _rewrap_keys(ports: Ports, sealer: Sealer) -> int:
    done = 0
    for key in await _keys(ports):
        try:
            again = key_sealing.seal_again(key, sealer)
        except UnsealError:
            continue
        if again is not None:
            async with ports.database.transaction() as stores:
                done += await stores.keys.replace(again, expected=key)
    return done


async def _keys(ports: Ports) -> list[SealedKey]:
    async with ports.database.transaction() as stores:
        return [*await stores.keys.all(), *await stores.keys.gone()]


async def _rewrap_page(ports: Ports, sealer: Sealer, page: Mapping[AuthenticatorId, int]) -> int:
    others = [name for name, number in page.items() if number != sealer.current]
    if not others:
        return 0
    async with ports.database.transaction() as stores:
        return await stores.authenticators.seal_again(others)


async def _pages(ports: Ports) -> AsyncIterator[dict[AuthenticatorId, int]]:
    after = AuthenticatorId("")
    while True:
        async with ports.database.transaction() as stores:
            page = dict(await stores.authenticators.seals(after=after, count=PAGE))
        if page:
            yield page
        if len(page) < PAGE:
            return
        # In the database's order, which need not be ours.
        after = next(reversed(page))
