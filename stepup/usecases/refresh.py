"""Follow the configuration: from PostgreSQL, and while it is away from the sealed copy in Redis.

One way leads through both: what PostgreSQL says is opened like what Redis keeps. The copy is looked
after, and tried, in good times (`sealed_copy.py`).
"""

import asyncio
import contextlib
from datetime import datetime, timedelta

from stepup.crypto.sealing import Sealer, UnsealError
from stepup.domain.errors import (
    DependencyUnavailableError,
    PolicyNotFoundError,
    StepUpError,
)
from stepup.domain.freshness import is_ahead
from stepup.ports import Configuration, Ports
from stepup.usecases.snapshot import LiveSnapshot, open_configuration

# Activation must reach every instance within two seconds even when its announcement is lost.
POLL_INTERVAL = timedelta(seconds=1)
NOTHING_TO_START_WITH = (
    "The database does not answer, and Redis keeps no copy of the configuration."
)


async def refresh(ports: Ports, snapshot: LiveSnapshot, sealer: Sealer) -> bool:
    """Load everything anew if there is another version; says whether there was.

    PostgreSQL decides when it answers; otherwise the copy in Redis, and never for an older version
    than the one in memory.

    Raises:
        DependencyUnavailableError: If neither can be reached, or no copy is kept.
        PolicyNotFoundError: Before the first policy was activated.
        PolicyInvalidError: If the first one that is met cannot be read.
    """
    asked_at = ports.clock.now()
    try:
        version = await ports.database.configuration_version()
        if snapshot.loaded is not None and snapshot.loaded.version == version:
            snapshot.confirm(asked_at)
            return False
        configuration = await _read(ports, version)
    except DependencyUnavailableError as error:
        if await refresh_from_copy(ports, snapshot, sealer):
            return True
        if snapshot.loaded is None:
            raise DependencyUnavailableError(NOTHING_TO_START_WITH) from error
        return False
    await open_configuration(snapshot, configuration, sealer, asked_at, ports.site.key_plan)
    return True


async def refresh_from_copy(ports: Ports, snapshot: LiveSnapshot, sealer: Sealer) -> bool:
    """Load the copy in Redis if it is newer than what is in memory; says whether it was.

    Raises:
        DependencyUnavailableError: If Redis is away.
        PolicyInvalidError: If it is the first policy that is met, and cannot be read.
    """
    kept = await ports.state.snapshots.confirmation(ports.site.issuer)
    loaded = snapshot.loaded
    if kept is not None and loaded is not None and kept.version <= loaded.version:
        # A moment that is still to come would confirm it again and again, until it has come.
        if kept.version == loaded.version and not is_ahead(kept.at, ports.clock.now()):
            snapshot.confirm(_no_later_than_now(ports, kept.at))
        # Whoever can write to Redis could put an older one back, and a Redis that was restored
        # has one: what is in memory is never given up for it.
        return False
    found = None if kept is None else await ports.state.snapshots.find(ports.site.issuer)
    if found is None:
        return False
    configuration, confirmed_at = found
    at = _no_later_than_now(ports, confirmed_at)
    await open_configuration(snapshot, configuration, sealer, at, ports.site.key_plan)
    return True


async def follow(ports: Ports, snapshot: LiveSnapshot, sealer: Sealer) -> None:
    """Refresh on every announcement and every second, for ever."""
    announced = asyncio.Event()

    async def hear() -> None:
        async for _ in ports.state.changes.listen():
            announced.set()

    listening = asyncio.create_task(hear())
    try:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(announced.wait(), POLL_INTERVAL.total_seconds())
            announced.clear()
            # A database that is away, that holds no policy yet, or what only a newer release or
            # another key can read, changes nothing here: the last good configuration serves, and
            # we go on asking.
            with contextlib.suppress(StepUpError, UnsealError, LookupError):
                await refresh(ports, snapshot, sealer)
            snapshot.tell_age()
            if listening.done():
                # It bears a Redis that is away; whatever else ended it must not stay unseen.
                listening.result()
                listening = asyncio.create_task(hear())
    finally:
        listening.cancel()


async def _read(ports: Ports, version: int) -> Configuration:
    async with ports.database.transaction() as stores:
        # While a primary changes, the pool may hold a connection to the old one: what that has
        # must not get the number of what the new one has, and so be kept for good.
        if await stores.policies.configuration_version() < version:
            raise DependencyUnavailableError
        active = await stores.policies.find_active()
        shadow = await stores.policies.find_shadow()
        clients = await stores.clients.all()
        keys = await stores.keys.all()
    if active is None:
        raise PolicyNotFoundError
    return Configuration(
        issuer=ports.site.issuer,
        version=version,
        policy=active,
        clients=tuple(clients),
        keys=tuple(keys),
        shadow=shadow,
    )


def _no_later_than_now(ports: Ports, at: datetime) -> datetime:
    # The clock of another instance may be ahead, and must not lend us time.
    return min(at, ports.clock.now())
