"""Which replica Sentinel promotes: the one with the lowest `replica-priority`."""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from redis.exceptions import ResponseError

from stepup.adapters.redis.endpoint import Address
from stepup.adapters.redis.operator import NotInTimeError, tell, until
from stepup.adapters.redis.sentinel_url import SentinelUrl
from stepup.adapters.redis.survey import Survey, look, spell

_LOWEST = 1  # 0 means never
# A Sentinel reads the priorities of a healthy set every ten seconds.
_SEEN_WITHIN = 25.0
_RESTORED_WITHIN = 2.0


@asynccontextmanager
async def preferred(
    url: SentinelUrl, survey: Survey, to: Address | None, report: Callable[[str], None]
) -> AsyncIterator[None]:
    """Have every Sentinel prefer one replica until the block ends; nobody in particular if None."""
    if to is None:
        yield
        return
    before = survey.sentinels[0].priorities
    changed = changes(before, to)
    try:
        for address, priority in changed.items():
            await _set(url, address, priority)
        if changed:
            report(f"waiting until every Sentinel prefers {spell(to)}")
            await until(lambda: _all_see(url, changed), _SEEN_WITHIN, "Sentinels that prefer it")
        yield
    finally:
        for address in changed:
            await _restore(url, address, before[address], report)


def changes(priorities: Mapping[Address, int], to: Address) -> dict[Address, int]:
    """Return the priorities to set so that one replica has the lowest of all that may be promoted."""
    others = {each: value for each, value in priorities.items() if each != to and value > 0}
    own = priorities[to]
    if own > 0 and all(own < value for value in others.values()):
        return {}
    lifted = {each: _LOWEST + 1 for each, value in others.items() if value == _LOWEST}
    return lifted if own == _LOWEST else lifted | {to: _LOWEST}


async def _all_see(url: SentinelUrl, wanted: Mapping[Address, int]) -> bool:
    seen = await look(url)
    return all(
        view.priorities.get(address) == priority
        for view in seen.sentinels
        for address, priority in wanted.items()
    )


async def _set(url: SentinelUrl, address: Address, priority: int) -> None:
    await tell(url.server(address), "CONFIG", "SET", "replica-priority", priority)


async def _restore(
    url: SentinelUrl, address: Address, priority: int, report: Callable[[str], None]
) -> None:
    async def restored() -> bool:
        await _set(url, address, priority)
        # Sentinel may have had the other value written; without a file nothing was.
        with contextlib.suppress(ResponseError):
            await tell(url.server(address), "CONFIG", "REWRITE")
        return True

    try:
        await until(restored, _RESTORED_WITHIN, "a priority restored")
    except NotInTimeError:
        text = f"CONFIG SET replica-priority {priority}, then CONFIG REWRITE"
        report(f"by hand, on {spell(address)}: {text}")
