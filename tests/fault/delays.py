"""F13: replies that come later than anybody waits for them."""

import asyncio
from collections.abc import Sequence

from stepup.domain.challenge import Challenge
from tests.fault.edges import edges_to
from tests.fault.instances import Instance, Protection
from tests.fault.trial import Trial, now
from tests.support.redis_cluster import RedisCluster

_CODES = 12
_GUESSED = 4
_GUESSES = 12
# A server may take 0.5 s and a Sentinel 0.25 s; some replies come before that, some after.
_LATE = (0.1, 0.8)
_SHARE_LATE = 0.15


async def f13_replies_delayed(trial: Trial) -> None:
    """Two instances spend and guess, each over links where every seventh reply is late."""
    redeemed = await trial.make_codes(_CODES)
    everywhere = _addresses(trial.cluster)
    async with (
        edges_to(everywhere, trial.chance) as of_a,
        edges_to(everywhere, trial.chance) as of_b,
        trial.instance("a", edges=of_a) as a,
        trial.instance("b", edges=of_b) as b,
        trial.instance("reader", protection=Protection.FULL) as reader,
    ):
        guessed = [await reader.open_pending() for _ in range(_GUESSED)]
        for edge in (*of_a.all(), *of_b.all()):
            edge.slow_share, edge.delays = _SHARE_LATE, _LATE
        await asyncio.gather(*(_spend(trial, each, redeemed, guessed) for each in (a, b)))
        for edge in (*of_a.all(), *of_b.all()):
            edge.slow_share = 0.0
        for challenge in guessed:
            await reader.count_tries(challenge)


async def _spend(
    trial: Trial, instance: Instance, redeemed: Sequence[Challenge], guessed: Sequence[Challenge]
) -> None:
    async with asyncio.TaskGroup() as group:
        for challenge in redeemed:
            if trial.protection is Protection.LOOK_AND_WRITE:
                group.create_task(instance.redeem_carelessly(challenge))
            else:
                group.create_task(instance.redeem(challenge, now() + 6.0))
        for challenge in guessed:
            for _ in range(_GUESSES):
                group.create_task(instance.guess(challenge))
                await asyncio.sleep(trial.chance.random() * 0.02)


def _addresses(cluster: RedisCluster) -> list[tuple[str, int]]:
    return [each for node in cluster.nodes for each in (node.address, node.sentinel_address)]
