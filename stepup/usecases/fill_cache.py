"""Fill the cache of authenticators for every subject, seen lately or not.

One instance at a time reads a page of PostgreSQL, and all of them together no more than one in each
`PAGE_PAUSE`: it is a burden of the same size whether there are two instances or two hundred. Where
it got to is kept in Redis, so whoever comes next goes on there, and begins anew when that is lost.
"""

import asyncio
import contextlib
from datetime import timedelta

from stepup.domain.errors import StepUpError
from stepup.ports import FillPlace, Lease, Ports

# A thousand subjects a second: ten million in less than three hours.
PAGE = 100
PAGE_PAUSE = timedelta(milliseconds=100)
# Between two passes, so that no list grows older than the day that it is kept.
PASS_PAUSE = timedelta(hours=6)
# A Redis that was emptied is filled again soon.
IDLE_PAUSE = timedelta(seconds=5)


async def fill_cache(ports: Ports) -> None:
    """Fill the cache again and again, for ever."""
    while True:
        filled = 0
        with contextlib.suppress(StepUpError):
            filled = await fill_page(ports)
        pause = PAGE_PAUSE if filled else IDLE_PAUSE
        await asyncio.sleep(pause.total_seconds())


async def fill_page(ports: Ports) -> int:
    """Cache the next page, if it is time for one; returns how many subjects it had."""
    cache = ports.state.credentials
    async with ports.database.transaction() as stores:
        if not await stores.leases.take(Lease.CREDENTIALS):
            return 0
        # Under the lease: what was read before it may have been done meanwhile.
        place, now = await cache.place(), ports.clock.now()
        if now < place.not_before:
            return 0
        page = await stores.authenticators.page(after=place.after, count=PAGE)
        for subject, authenticators in page:
            # Who comes without any has some that do not open here, and may be known already.
            if authenticators:
                await cache.put(subject, authenticators, now)
        await cache.keep_place(
            FillPlace(page[-1][0].id, now + PAGE_PAUSE) if page else FillPlace("", now + PASS_PAUSE)
        )
    return len(page)
