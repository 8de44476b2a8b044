"""S3 on real engines: no token counts more than R after its revocation was acknowledged.

Instances ask about revoked tokens all the time while something is stopped, emptied or torn; each
time one says `active` too late is a violation. Where a protection is what is tested, a control arm
shows the violation without it.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from stepup.adapters.embedded.directory import DataDirectory
from stepup.adapters.embedded.postgres import EmbeddedPostgres
from stepup.adapters.embedded.redis import EmbeddedRedis
from stepup.adapters.postgres import migrate
from stepup.adapters.postgres.database import PostgresDatabase
from stepup.adapters.redis import keys
from stepup.crypto.keys import seal_root
from stepup.crypto.sealing import Sealer
from stepup.domain.errors import StepUpError
from stepup.domain.revocation import BOUND, Revoked
from stepup.domain.token import ElevatedToken
from stepup.ports import Ports
from stepup.usecases import revoke
from stepup.usecases.drain import drain_once
from stepup.usecases.revocation_feed import LiveRevocations, look
from tests.support.determinism import NOON
from tests.support.engines import FAST_REDIS, temporary_directory
from tests.support.introspector import KEY, Introspector, a_token, opened, say
from tests.support.stopping import frozen, killed

pytestmark = [pytest.mark.postgres, pytest.mark.redis]

# What was committed is written, if not yet on the disk: a server that is killed has lost nothing.
WRITTEN = {"fsync": "off"}
R = BOUND.total_seconds()
Instance = tuple[Ports, LiveRevocations]


class Engines:
    """Both engines, to be killed, frozen, emptied and started again."""

    def __init__(self, directory: DataDirectory) -> None:
        self._directory = directory
        self.postgres = EmbeddedPostgres(directory, WRITTEN)
        migrate.upgrade(self.postgres.url)
        self.redis = EmbeddedRedis(directory, FAST_REDIS)

    @property
    def urls(self) -> dict[str, str]:
        return {"postgres": self.postgres.url, "redis": self.redis.url}

    def start_postgres(self) -> None:
        self.postgres.stop()
        self.postgres = EmbeddedPostgres(self._directory, WRITTEN)

    def start_redis(self, *, empty: bool = False) -> None:
        self.redis.stop()
        if empty:
            for path in self._directory.folder("redis").rglob("*.*"):
                if path.is_file():
                    path.unlink()
        self.redis = EmbeddedRedis(self._directory, FAST_REDIS)

    def stop(self) -> None:
        self.redis.stop()
        self.postgres.stop()


@pytest.fixture
def engines() -> Iterator[Engines]:
    with temporary_directory() as directory:
        engines = Engines(directory)
        try:
            yield engines
        finally:
            engines.stop()


@pytest.fixture
async def pair(engines: Engines, sealer: Sealer) -> AsyncIterator[tuple[Instance, Instance]]:
    """Two instances whose feeds are fresh."""
    async with AsyncExitStack() as stack:
        database = PostgresDatabase(engines.postgres.url, sealer)
        async with database.transaction() as stores:
            await stores.keys.add(seal_root(bytes(32), sealer, NOON))
        await database.close()
        one = await stack.enter_async_context(opened(**engines.urls))
        other = await stack.enter_async_context(opened(**engines.urls))
        await until(lambda: all(live.age is not None for _, live in (one, other)))
        yield one, other


def a_name() -> str:
    return f"r1.{secrets.token_hex(8)}.jti"


async def until(holds: Callable[[], bool], seconds: float = 10.0) -> float:
    """Wait until something holds; return how long that took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, "it never came to hold"
        await asyncio.sleep(0.01)
    return time.monotonic() - began


async def seconds_until_over(ports: Ports, token: ElevatedToken, seconds: float = R + 1) -> float:
    """Ask until the token is over; return how long after now it last counted."""
    began = last_active = time.monotonic()
    while (said := await say(ports, token)) != "over":
        if said == "active":
            last_active = time.monotonic()
        assert time.monotonic() - began < seconds, "it counts for ever"
        await asyncio.sleep(0.01)
    return last_active - began


async def end(ports: Ports, token: ElevatedToken, what: Revoked) -> None:
    match what:
        case Revoked.TOKEN:
            await revoke.revoke_token(ports, token.id, token.expires_at)
        case Revoked.SUBJECT:
            await revoke.revoke_subject(ports, token.subject.id)
        case Revoked.KEY:
            await revoke.revoke_key(ports, KEY, token.issued_at.replace(year=2999))
        case Revoked.CLIENT:
            await revoke.revoke_client(ports, token.client_id)
        case Revoked.AUTHENTICATOR:
            [authenticator_id] = token.authenticators
            await revoke.revoke_authenticator(ports, token.subject.id, authenticator_id)
        case Revoked.GRANT:
            await revoke.revoke_grant(ports, token.challenge_id, token.expires_at)


@pytest.mark.parametrize("what", list(Revoked))
async def test_revoked_at_one_and_over_at_the_other_at_once(pair, what: Revoked):
    (one, _), (other, _) = pair
    token = a_token(a_name(), critical=False)
    assert await say(other, token) == "active"
    await end(one, token, what)
    assert await say(one, token) == "over"
    assert await say(other, token) == "over"


@pytest.mark.parametrize("fault", ["killed", "frozen"])
async def test_while_postgres_is_away(pair, engines: Engines, fault: str):
    (one, live), (other, other_live) = pair
    tokens = [a_token(a_name()), a_token(a_name(), a_name())]
    async with away(engines.postgres, fault):
        began = time.monotonic()
        await end(one, tokens[0], Revoked.TOKEN)
        await end(one, tokens[1], Revoked.SUBJECT)
        assert time.monotonic() - began < 2 * 0.15 + 0.5
        for token in tokens:
            assert await seconds_until_over(other, token) < 1.0
        await asyncio.sleep(R + 0.5)
        assert max(live.age, other_live.age) < BOUND, "Redis alone keeps it fresh"
        assert await say(other, a_token(a_name(), a_name())) == "active"
        assert (await one.state.outbox.backlog()).entries == 2
    if fault == "killed":
        engines.start_postgres()
    # Once the drain runs again, the rows are there: once each, whoever wrote them.
    await drained(one)
    async with one.database.transaction() as stores:
        rows = await stores.revocations.live(one.clock.now())
    assert sorted(row.revocation.what for row in rows) == ["subject", "token"]


@pytest.mark.parametrize("fault", ["killed", "frozen"])
async def test_while_redis_is_away(pair, engines: Engines, fault: str):
    (one, _), (other, live) = pair
    by_row, ordinary = (
        a_token(a_name(), critical=False),
        a_token(a_name(), a_name(), critical=False),
    )
    async with away(engines.redis, fault):
        await end(one, by_row, Revoked.TOKEN)
        assert await seconds_until_over(other, by_row) < R
        await asyncio.sleep(R + 0.5)
        assert live.age < BOUND, "PostgreSQL alone keeps it fresh"
        assert await say(other, ordinary) == "active"
    if fault == "killed":
        engines.start_redis()
    # It had no mark while Redis was away, and gets it.
    await until_marked(one, by_row)
    assert await say(other, by_row) == "over"


async def test_with_both_away_critical_answers_end_within_the_bound(pair, engines: Engines):
    (one, _), (other, _) = pair
    critical, ordinary = a_token(a_name()), a_token(a_name(), critical=False)
    assert await say(other, critical) == "active"
    killed(engines.redis)
    killed(engines.postgres)
    began = time.monotonic()
    with pytest.raises(StepUpError):
        await end(one, critical, Revoked.TOKEN)
    while await say(other, critical) == "active":
        assert time.monotonic() - began < R + 1
        await asyncio.sleep(0.05)
    assert await say(other, critical) == "unknown"
    assert await say(other, ordinary) == "active", "marked, and for thirty seconds"
    engines.start_redis()
    engines.start_postgres()
    await until_active(other, critical)


async def test_a_redis_that_comes_back_empty_is_given_everything_back(pair, engines: Engines):
    (one, _), (other, _) = pair
    token, subjects = a_token(a_name()), a_token(a_name(), a_name())
    await end(one, token, Revoked.TOKEN)
    killed(engines.postgres)
    await end(one, subjects, Revoked.SUBJECT)
    await seconds_until_over(other, subjects)

    killed(engines.redis)
    engines.start_redis(empty=True)

    await until_marked(one, token)
    # PostgreSQL is still away, so somebody new knows what the others told Redis and nothing else.
    async with opened(**engines.urls) as (newcomer, live):
        await until(lambda: live.age is not None)
        assert await say(newcomer, token) == "over"
        assert await say(newcomer, subjects) == "over"
    engines.start_postgres()


@pytest.mark.parametrize("torn", ["deleted", "trimmed"])
async def test_a_gap_in_the_feed_is_found_at_the_next_look(pair, torn: str):
    (one, _), _ = pair
    reader = one._replace(revocations=(live := LiveRevocations(lambda: 0.0)))
    place = await look(reader, live, None)
    tokens = [a_token(a_name()) for _ in range(5)]
    for token in tokens:
        # Told to Redis alone: the rows must not be what closes the gap.
        await one.state.revocations.publish(
            revoke.Revocation.of_token(token.id, token.expires_at, one.clock.now())
        )
    client = one.state.revocations._client
    if torn == "deleted":
        rows = await client.call("XRANGE", keys.revocations(), "-", "+")
        await client.call("XDEL", keys.revocations(), *[row_id for row_id, _ in rows[-3:]])
    else:
        await client.call("XTRIM", keys.revocations(), "MAXLEN", 0)

    await look(reader, live, place)

    assert all(live.covers(token, None) for token in tokens)


@pytest.mark.parametrize("believing", [False, True], ids=["protected", "control"])
def test_a_reader_that_was_paused_does_not_believe_that_it_is_fresh(
    engines: Engines, tmp_path: Path, believing: bool
):
    """Its first answer after the pause comes before it has read anything."""
    answers = asyncio.run(_paused(engines, tmp_path, believing=believing))
    if believing:
        assert "active" in answers, "the control arm shows no violation: the test is blind"
    else:
        assert set(answers) <= {"unknown", "over"}


async def _paused(engines: Engines, folder: Path, *, believing: bool) -> list[str]:
    async with opened(**engines.urls) as (one, live):
        await until(lambda: live.age is not None)
        reader = Introspector(folder, **engines.urls, believing=believing)
        try:
            token = a_token(a_name(), a_name())
            began = time.monotonic()
            while reader.say(token) != "active":
                assert time.monotonic() - began < 20
            reader.stop()
            # Without Redis there is no mark: the answer rests on what the process knows.
            killed(engines.redis)
            await end(one, token, Revoked.SUBJECT)
            await asyncio.sleep(R + 1)
            for _ in range(20):
                reader.ask(token)
            reader.resume()
            return [reader.hear() for _ in range(20)]
        finally:
            reader.end()
            engines.start_redis()


@asynccontextmanager
async def away(server: EmbeddedPostgres | EmbeddedRedis, fault: str) -> AsyncIterator[None]:
    if fault == "killed":
        killed(server)
        yield
        return
    with frozen(server):
        yield


async def drained(ports: Ports) -> None:
    """Drain until nothing waits."""
    began = time.monotonic()
    while (await ports.state.outbox.backlog()).entries:
        assert time.monotonic() - began < 15
        try:
            await drain_once(ports)
        except StepUpError:
            await asyncio.sleep(0.05)


async def until_marked(ports: Ports, token: ElevatedToken) -> None:
    began = time.monotonic()
    while True:
        try:
            if await ports.state.tokens.is_revoked(token.id):
                return
        except StepUpError:
            pass
        assert time.monotonic() - began < 15
        await asyncio.sleep(0.05)


async def until_active(ports: Ports, token: ElevatedToken) -> None:
    began = time.monotonic()
    while await say(ports, token) != "active":
        assert time.monotonic() - began < 15
        await asyncio.sleep(0.05)
