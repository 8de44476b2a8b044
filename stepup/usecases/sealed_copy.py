"""Look after the sealed copy of the configuration, so that instances can start with it.

Every instance does this all the time, and the first one saves the others the work. That PostgreSQL
is up or away makes no difference: what is in memory is what Redis should keep.
"""

import asyncio
import contextlib
from datetime import datetime, timedelta

from stepup.crypto.sealing import Sealer, UnsealError
from stepup.domain.errors import DependencyUnavailableError, StepUpError
from stepup.domain.freshness import is_ahead
from stepup.ports import Configuration, Confirmation, Ports
from stepup.ports.snapshots import ILLEGIBLE
from stepup.usecases.refresh import refresh_from_copy
from stepup.usecases.snapshot import LiveSnapshot

# A change is in the copy a second after it is in memory.
LOOK_INTERVAL = timedelta(seconds=1)
# A third of what is fresh: an instance that has lost PostgreSQL alone learns from the others that
# nothing changed, and stays fresh.
CONFIRM_INTERVAL = timedelta(seconds=10)
# What cannot be opened is found long before it is needed.
TRIAL_INTERVAL = timedelta(minutes=10)


async def look_after_copy(ports: Ports, snapshot: LiveSnapshot, sealer: Sealer) -> None:
    """Keep the copy up to date, and try it now and then, for ever."""
    try_at = ports.clock.now()
    while True:
        with contextlib.suppress(StepUpError):
            await keep_copy(ports, snapshot)
            if ports.clock.now() >= try_at and snapshot.loaded is not None:
                await mend_copy(ports, snapshot, sealer)
                try_at = ports.clock.now() + TRIAL_INTERVAL
        await asyncio.sleep(LOOK_INTERVAL.total_seconds())


async def keep_copy(ports: Ports, snapshot: LiveSnapshot) -> None:
    """See to it that Redis keeps what is in memory, and when PostgreSQL confirmed it last."""
    loaded, confirmed_at = snapshot.loaded, snapshot.confirmed_at
    if loaded is None or confirmed_at is None:
        return
    kept = await ports.state.snapshots.confirmation(ports.site.issuer)
    if kept is not None and kept.version == loaded.version:
        is_wrong = is_ahead(kept.at, ports.clock.now())
        if is_wrong or confirmed_at - kept.at >= CONFIRM_INTERVAL:
            confirmation = Confirmation(ports.site.issuer, loaded.version, confirmed_at)
            await ports.state.snapshots.confirm(confirmation)
    elif not await ports.state.snapshots.put(loaded.configuration, confirmed_at):
        await _put_after_restore(ports, loaded.configuration, confirmed_at)


async def mend_copy(ports: Ports, snapshot: LiveSnapshot, sealer: Sealer) -> None:
    """Start with the copy as an instance without PostgreSQL does; replace one that does not do."""
    loaded, confirmed_at = snapshot.loaded, snapshot.confirmed_at
    if loaded is None or confirmed_at is None or await can_start(ports, sealer):
        return
    await ports.state.snapshots.put(loaded.configuration, confirmed_at)


async def can_start(ports: Ports, sealer: Sealer) -> bool:
    """Say whether an instance could start now while PostgreSQL is away.

    Raises:
        DependencyUnavailableError: If Redis is away.
    """
    trial = LiveSnapshot(ports.clock)
    try:
        return await refresh_from_copy(ports, trial, sealer)
    except DependencyUnavailableError:
        raise
    except (StepUpError, UnsealError, LookupError):
        return False


async def _put_after_restore(
    ports: Ports, configuration: Configuration, confirmed_at: datetime
) -> None:
    """Replace a newer copy if PostgreSQL still has the older version: it was restored.

    Asked once more, because somebody may just have made the newer one, perhaps under a key that is
    not here.
    """
    kept = await ports.state.snapshots.confirmation(ports.site.issuer)
    if await ports.database.configuration_version() != configuration.version:
        return
    await ports.state.snapshots.put(
        configuration, confirmed_at, in_place_of=kept.version if kept else ILLEGIBLE
    )
