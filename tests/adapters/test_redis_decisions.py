"""Records on their way through Redis: held while it is away, bounded while PostgreSQL is."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from stepup import telemetry
from stepup.adapters.redis import keys
from stepup.adapters.redis.decisions import RedisDecisionLog
from stepup.adapters.redis.state import RedisState
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.recorded_decision import Outcome
from tests.contracts.decisions import a_record

pytestmark = pytest.mark.redis


@pytest.fixture
async def client(redis_url, sealer, clock) -> AsyncIterator:
    async with RedisState(redis_url, sealer, clock) as state:
        await state.client.call("DEL", keys.decisions())
        yield state.client
        await state.client.call("DEL", keys.decisions())


def dropped(reason: str) -> float:
    return telemetry.decision_records_dropped_total.labels(reason)._value.get()


async def away(*_args: object) -> None:
    raise DependencyUnavailableError


async def test_while_redis_is_away_records_are_held_and_arrive_once(client, monkeypatch):
    log, records = RedisDecisionLog(client, 1000), [a_record() for _ in range(450)]
    with monkeypatch.context() as broken:
        broken.setattr(client, "run", away)
        for record in records:
            log.add(record)
        with pytest.raises(DependencyUnavailableError):
            await log.flush()
    await log.flush()
    assert [record for _, record in await log.read(1000)] == records


async def test_a_flush_that_is_cancelled_loses_nothing(client, monkeypatch):
    async def hang(*_args: object) -> None:
        await asyncio.sleep(60)

    log, record = RedisDecisionLog(client, 1000), a_record()
    log.add(record)
    with monkeypatch.context() as slow:
        slow.setattr(client, "run", hang)
        flushing = asyncio.create_task(log.flush())
        await asyncio.sleep(0.01)
        flushing.cancel()
        await asyncio.gather(flushing, return_exceptions=True)
    await log.flush()
    assert [found for _, found in await log.read(9)] == [record]


async def test_a_full_stream_takes_refusals_for_longer_than_allowances(client):
    before = dropped("stream_full")
    log = RedisDecisionLog(client, 10)
    for _ in range(8):
        log.add(a_record(outcome=Outcome.ALLOW))
    await log.flush()
    for _ in range(8):
        log.add(a_record(outcome=Outcome.STEP_UP))
        log.add(a_record(outcome=Outcome.ALLOW))
    await log.flush()

    outcomes = [record.outcome for _, record in await log.read(99)]
    assert outcomes == [Outcome.ALLOW] * 5 + [Outcome.STEP_UP] * 5
    assert dropped("stream_full") - before == 14


async def test_the_worker_s_memory_is_bounded_and_what_goes_is_counted(client, monkeypatch):
    monkeypatch.setattr("stepup.adapters.redis.decisions.MOST_HELD_BYTES", 4000)
    before = dropped("held_too_long")
    log = RedisDecisionLog(client, 1000)
    for _ in range(20):
        log.add(a_record())
    await log.flush()
    kept = len(await log.read(99))
    assert 0 < kept < 20
    assert dropped("held_too_long") - before == 20 - kept


async def test_what_cannot_be_written_is_counted_and_hurts_nobody(client):
    before = dropped("unwritable")
    log = RedisDecisionLog(client, 1000)
    log.add(a_record(rule="\ud800"))
    log.add(a_record())
    await log.flush()
    assert len(await log.read(9)) == 1
    assert dropped("unwritable") - before == 1


async def test_what_a_newer_release_wrote_stays_and_stops_nobody(client):
    await client.call("XADD", keys.decisions(), "*", "v", "2", "entry", b"{}")
    await client.call("XADD", keys.decisions(), "*", "v", "1", "entry", b"{}")
    log, record = RedisDecisionLog(client, 1000), a_record()
    log.add(record)
    await log.flush()
    assert [found for _, found in await log.read(9)] == [record]
    assert (await log.backlog()).entries == 3
