"""Every script on a node of a Cluster: a key of another slot would be an error there."""

from collections.abc import AsyncIterator, Iterator

import pytest
from redis.crc import key_slot

from stepup.adapters.redis import keys, scripts
from stepup.adapters.redis.scripts import Script
from stepup.adapters.redis.state import RedisState
from stepup.crypto.sealing import Sealer
from stepup.domain.errors import DependencyUnavailableError, OutcomeUnknownError
from tests.adapters.test_redis_scripts import a_whole_life
from tests.support.builders import a_challenge
from tests.support.determinism import CountingEntropy, StillClock
from tests.support.redis_cluster import engines
from tests.support.valkey_cluster import ValkeyCluster, running_valkey_cluster

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module", params=sorted(engines()))
def cluster(request: pytest.FixtureRequest) -> Iterator[ValkeyCluster]:
    with running_valkey_cluster(engines()[request.param]) as cluster:
        yield cluster


@pytest.fixture
async def opened(cluster: ValkeyCluster, clock: StillClock) -> AsyncIterator[RedisState]:
    sealer = Sealer({1: bytes(32)}, CountingEntropy().bytes)
    async with RedisState(cluster.url, sealer, clock) as opened:
        await opened.client.known()
        for shard in opened.client.shards():
            await opened.client.call_at(shard, "FLUSHALL")
        yield opened


async def test_every_script_touches_one_slot(opened, clock, monkeypatch):
    """Pin P9: a script that reaches into another slot is an error, if only half way."""
    slots: dict[str, set[int]] = {}
    for name in ("spend", "run"):
        send = getattr(opened.client, name)

        async def watched(script: Script, on: list[str], *args, send=send, **options):
            slots.setdefault(script.name, set()).update(key_slot(key.encode()) for key in on)
            assert len({key_slot(key.encode()) for key in on}) == 1
            return await send(script, on, *args, **options)

        monkeypatch.setattr(opened.client, name, watched)

    for _ in range(3):
        await a_whole_life(opened, clock, repetitions=2)
        await opened.stores.changes.announce()
        _, place = await opened.stores.revocations.read_all()
        await opened.stores.revocations.read(place)

    # What is not run here has one key, or several marks of one tag: it cannot reach elsewhere.
    rest = {script for script in scripts.ALL if script.name not in slots} - {scripts.READ_MARKS}
    assert not [script.name for script in rest if "KEYS[2]" in script.source]
    assert len(rest) < len(slots) / 3
    shards = {await where(opened, keys.challenge(a_challenge().id)) for _ in range(50)}
    assert len(shards) == 3


async def where(opened: RedisState, key: str) -> object:
    return (await opened.client.resolver(key).primary()).address


async def test_keys_of_two_slots_are_refused_before_any_effect(opened):
    crossing = [keys.outbox(), keys.changes()]
    with pytest.raises((DependencyUnavailableError, OutcomeUnknownError)):
        await opened.client.spend(scripts.CLAIM_BROWSER, crossing, [0, "uri", "browser"])


async def test_an_undeclared_key_of_another_slot_is_an_error(opened):
    source = "#!lua\nreturn redis.call('SET', '{another}key', KEYS[1])"
    with pytest.raises(DependencyUnavailableError):
        await opened.client.call("EVAL", source, 1, keys.outbox())
    assert not await opened.client.call("EXISTS", "{another}key")
