"""A key-encryption key is changed while everything goes on, and nothing is lost or left behind."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest

from stepup.adapters.postgres.database import PostgresDatabase
from stepup.adapters.redis import keys as redis_keys
from stepup.adapters.redis.seals import find_seals
from stepup.adapters.redis.state import RedisState
from stepup.adapters.system import SystemClock
from stepup.crypto.sealing import Sealer
from stepup.domain.authenticator import RecoveryCodes, TotpSecret
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.key_life import KeyRules
from stepup.ports import Configuration, PolicyVersion, Ports
from stepup.usecases import fill_cache, keys, recovery, rewrap, rotate
from stepup.usecases.credentials import authenticators_for_challenge
from stepup.usecases.tend_keys import tend
from tests.contracts.audit import ISSUED
from tests.contracts.authenticators import PASSKEY, add, find
from tests.support.application import memory_ports
from tests.support.builders import an_attempt, an_authenticator
from tests.support.determinism import NOON

pytestmark = [pytest.mark.postgres]

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
KINDS = (PASSKEY, TotpSecret(secret=b"12345678901234567890"), RecoveryCodes(digests=(b"a", b"b")))


def a_sealer(*numbers: int, current: int | None = None) -> Sealer:
    ring = {1: OLD, 2: NEW}
    return Sealer({number: ring[number] for number in numbers}, os.urandom, current=current)


@pytest.fixture
async def deployed(schema_url):
    """Makes the ports of an instance that has these key-encryption keys."""
    opened = []

    def deploy(sealer: Sealer) -> Ports:
        opened.append(PostgresDatabase(schema_url, sealer))
        return memory_ports()._replace(database=opened[-1])

    yield deploy
    for database in opened:
        await database.close()


Deploy = Callable[[Sealer], Ports]


async def populate(ports: Ports, count: int = 6) -> list:
    enrolled = [an_authenticator(KINDS[number % 3]) for number in range(count)]
    # Of one credential there can be one only.
    enrolled = [
        msgspec.structs.replace(
            each, credential=msgspec.structs.replace(PASSKEY, credential_id=b"%d" % number)
        )
        if each.credential is PASSKEY
        else each
        for number, each in enumerate(enrolled)
    ]
    await add(ports.database, *enrolled)
    return enrolled


async def test_everything_lies_under_the_new_key_and_opens_without_the_old(deployed: Deploy):
    before = a_sealer(1)
    old = deployed(before)
    await keys.ensure_keys(old, before)
    await tend(old, before, KeyRules())
    leaked = (await signing(old, before)).active.id
    await rotate.revoke(old, before, leaked, KeyRules())
    enrolled = await populate(old)
    both = a_sealer(1, 2)
    assert await rewrap.count_seals(deployed(both)) == {1: 21}

    done = await rewrap.rewrap(deployed(both), both)

    assert done[:2] == (15, 6)
    after = a_sealer(2)
    new = deployed(after)
    assert await rewrap.count_seals(new) == {2: 21}
    assert (await signing(new, after)).root == (await signing(deployed(both), both)).root
    assert [await find(new.database, each) for each in enrolled] == enrolled
    assert (await rewrap.rewrap(deployed(both), both))[:2] == (0, 0)


async def test_pages_are_walked_to_the_end(deployed: Deploy, monkeypatch: pytest.MonkeyPatch):
    old = deployed(a_sealer(1))
    await populate(old, 11)
    monkeypatch.setattr(rewrap, "PAGE", 5)
    both = a_sealer(1, 2)

    assert (await rewrap.rewrap(deployed(both), both)).authenticators == 11


async def test_two_at_once_seal_everything_once(deployed: Deploy):
    old = deployed(a_sealer(1))
    enrolled = await populate(old, 60)
    both = a_sealer(1, 2)
    done = await asyncio.gather(*(rewrap.rewrap(deployed(both), both) for _ in range(3)))

    assert sum(each.authenticators for each in done) == 60
    new = deployed(a_sealer(2))
    assert [await find(new.database, each) for each in enrolled] == enrolled


async def test_a_recovery_code_that_is_burned_meanwhile_is_burned_once(deployed: Deploy):
    old = deployed(a_sealer(1))
    held = RecoveryCodes(digests=tuple(b"code %d" % number for number in range(8)))
    codes = an_authenticator(held)
    await add(old.database, codes)
    sealers = (a_sealer(1, 2, current=1), a_sealer(1, 2))
    there_and_back = [(deployed(sealer), sealer) for sealer in sealers]
    stop = asyncio.Event()

    async def keep_sealing() -> None:
        while not stop.is_set():
            for ports, sealer in there_and_back:
                await rewrap.rewrap(ports, sealer)

    async def burn(code: bytes) -> int | None:
        ports, _ = there_and_back[0]
        async with ports.database.transaction() as stores:
            return await stores.authenticators.burn_code(codes.id, code, an_attempt())

    sealing = asyncio.create_task(keep_sealing())
    for left, code in enumerate(reversed(held.digests)):
        burned = await asyncio.gather(*(burn(code) for _ in range(4)))
        assert sorted(burned, key=str) == [7 - left] + [None] * 3
    stop.set()
    await sealing


async def test_a_row_that_somebody_works_on_is_left_for_the_next_round(deployed: Deploy, rows):
    old = deployed(a_sealer(1))
    [held, _free] = await populate(old, 2)
    both = a_sealer(1, 2)
    with rows.transaction():
        rows.execute("SELECT 1 FROM authenticator WHERE id = %s FOR UPDATE", [held.id])
        assert (await rewrap.rewrap(deployed(both), both)).authenticators == 1
    assert (await rewrap.rewrap(deployed(both), both)).authenticators == 1


async def test_what_lies_under_a_key_that_is_not_here_stays_and_stops_nothing(deployed: Deploy):
    old = deployed(a_sealer(1))
    await populate(old, 2)
    only_new = a_sealer(2)

    assert (await rewrap.rewrap(deployed(only_new), only_new))[:2] == (0, 0)
    assert await rewrap.count_seals(old) == {1: 2}


async def test_redis_says_under_which_keys_it_holds_what_and_how_long(redis_url: str):
    # Numbers that nobody else uses: other tests leave sealed things in this Redis.
    ring = {801: OLD, 802: NEW}
    async with RedisState(redis_url, Sealer(ring, os.urandom), SystemClock()) as state:
        call = state.client.call
        for minutes, number in enumerate(ring, start=1):
            sealed = Sealer(ring, os.urandom, current=number).seal(b"secret", context="x")
            session, challenge = redis_keys.session(f"s{number}"), f"su:{{c.{number}}}:h"
            await call("SET", session, sealed, "PX", 60_000 * minutes)
            await call("HSET", challenge, "v", 1, "sealed", sealed)
            await call("PEXPIRE", challenge, 1000)
        # Instances renew it all the time: when it would end is no answer.
        await call("HSET", redis_keys.snapshot(), "v", 1, "sealed", sealed)
        await call("PEXPIRE", redis_keys.snapshot(), 604_800_000)
        await call("SET", "su:{x}:plain", "no secret", "PX", 1000)
        found = await find_seals(state.client)

        await call("DEL", redis_keys.snapshot())

    assert (found[801].amount, found[802].amount) == (2, 3)
    assert 50 < found[801].forgotten_in.total_seconds() <= 60
    assert 110 < found[802].forgotten_in.total_seconds() <= 120


async def signing(ports: Ports, sealer: Sealer):
    async with ports.database.transaction() as stores:
        return await keys.read_keyring(stores, sealer)


@pytest.mark.redis
async def test_the_copy_in_redis_is_sealed_again_once_its_keys_are(
    deployed: Deploy, redis_url: str
):
    old, both = a_sealer(1), a_sealer(1, 2)
    async with RedisState(redis_url, old, SystemClock()) as state:
        # Other tests leave copies of their own.
        await state.client.call("DEL", redis_keys.snapshot())
    async with over_redis(redis_url, old, deployed) as ports:
        await keys.ensure_keys(ports, old)
        await keep_copy(ports)
    async with over_redis(redis_url, both, deployed) as ports:
        # The copy holds the keys as they were, so the instances replace it.
        assert await rewrap.rewrap(ports, both) == (8, 0, False)
        assert await rewrap.count_seals_in_copy(ports) == {1: 8}
    async with over_redis(redis_url, a_sealer(1, 2, current=1), deployed) as ports:
        await keep_copy(ports)
    async with over_redis(redis_url, both, deployed) as ports:
        assert await rewrap.rewrap(ports, both) == (0, 0, True)
    async with over_redis(redis_url, a_sealer(2), deployed) as ports:
        assert await rewrap.count_seals_in_copy(ports) == {2: 8}


@asynccontextmanager
async def over_redis(redis_url: str, sealer: Sealer, deployed: Deploy) -> AsyncIterator[Ports]:
    async with RedisState(redis_url, sealer, SystemClock()) as state:
        yield deployed(sealer)._replace(state=state.stores)


async def keep_copy(ports: Ports) -> None:
    """Keep the configuration as an instance does."""
    version = await ports.database.configuration_version()
    async with ports.database.transaction() as stores:
        held = tuple(await stores.keys.all())
    configuration = Configuration(
        issuer=ports.site.issuer,
        version=version,
        policy=PolicyVersion(version=1, document="", author="carol", activated_at=NOON),
        clients=(),
        keys=held,
    )
    assert await ports.state.snapshots.put(configuration, NOON)


async def test_an_instance_without_the_new_key_says_unavailable_or_asks_the_cache(deployed: Deploy):
    """Nobody is told that the service is broken, or that he has nothing, by who lacks a key."""
    [enrolled] = await populate(deployed(a_sealer(1, 2)), 1)
    behind = deployed(a_sealer(1))
    with pytest.raises(DependencyUnavailableError):
        await authenticators_for_challenge(behind, enrolled.subject)

    cache = behind.state.credentials
    await cache.put(enrolled.subject, [enrolled], behind.clock.now())
    known = await authenticators_for_challenge(behind, enrolled.subject)
    assert list(known.authenticators) == [enrolled]
    # And it does not take out of the cache what it cannot read.
    assert await fill_cache.fill_page(behind) == 1
    assert await cache.find(enrolled.subject) == (enrolled,)


async def test_a_recovery_code_at_an_instance_without_the_new_key_counts_at_the_next_one(
    deployed: Deploy, monkeypatch: pytest.MonkeyPatch
):
    whole = deployed(a_sealer(1, 2))
    await keys.ensure_keys(whole, a_sealer(1))
    enrolled = an_authenticator(RecoveryCodes(digests=(b"a", b"b")))
    await add(whole.database, enrolled)
    behind = deployed(a_sealer(1))._replace(state=whole.state)
    monkeypatch.setattr(recovery, "_matching_digest", lambda *_: b"a")
    attempt = an_attempt()

    with pytest.raises(DependencyUnavailableError):
        await recovery.burn(behind, enrolled, "code", ISSUED, attempt)
    assert await recovery.burn(whole, enrolled, "code", ISSUED, attempt)
