"""The ledger over PostgreSQL and in memory; and PostgreSQL frozen, killed or gone under it."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from stepup.adapters.embedded.postgres import EmbeddedPostgres
from stepup.adapters.postgres import group_commit, migrate
from stepup.adapters.postgres.database import PostgresDatabase
from stepup.adapters.postgres.group_commit import PATIENCE
from stepup.adapters.postgres.ledger import PostgresLedgerStore
from stepup.domain.errors import DependencyUnavailableError
from tests.contracts.ledger import (
    LedgerContract,
    LedgerStoreContract,
    a_consumption,
    a_redemption,
    by_another,
)
from tests.support.engines import FAST_POSTGRES, temporary_directory
from tests.support.memory import memory_database
from tests.support.stopping import frozen, killed

# What a machine with two busy cores adds to a wait.
SLACK = 0.15


class TestMemoryStore(LedgerStoreContract):
    @pytest.fixture
    def database(self):
        return memory_database()


@pytest.mark.postgres
class TestPostgresStore(LedgerStoreContract):
    @pytest.fixture
    def database(self, postgres):
        return postgres


class TestMemoryLedger(LedgerContract):
    @pytest.fixture
    def ledgers(self):
        ledger = memory_database().ledger
        return ledger, ledger


@pytest.mark.postgres
class TestPostgresLedger(LedgerContract):
    @pytest.fixture
    async def ledgers(self, postgres, schema_url, sealer, monkeypatch):
        # What is promised to callers who can wait; how long they do is tested below.
        monkeypatch.setattr(group_commit, "PATIENCE", 10.0)
        other = PostgresDatabase(schema_url, sealer)
        yield postgres.ledger, other.ledger
        await other.close()

    async def test_rows_that_arrive_during_an_insert_are_the_next_one(self, ledgers, monkeypatch):
        sizes: list[int] = []
        record_all = PostgresLedgerStore.record_all

        async def watched(self, rows):
            sizes.append(len(rows))
            return await record_all(self, rows)

        monkeypatch.setattr(PostgresLedgerStore, "record_all", watched)
        await ledgers[0].record(a_redemption())
        await asyncio.gather(*(ledgers[0].record(a_redemption()) for _ in range(600)))
        assert sizes == [1, 256, 256, 88]

    async def test_a_row_that_postgres_refuses_stops_nobody_for_long(self, ledgers):
        refused = a_redemption(attempt="\0")
        with pytest.raises(DependencyUnavailableError):
            await ledgers[0].record(refused)
        row = a_redemption()
        assert await ledgers[0].record(row) == row


@pytest.fixture
def own_server() -> Iterator[EmbeddedPostgres]:
    with temporary_directory() as directory:
        server = EmbeddedPostgres(directory, FAST_POSTGRES)
        migrate.upgrade(server.url)
        yield server
        server.stop()


@pytest.fixture
async def ledger(own_server, sealer):
    database = PostgresDatabase(own_server.url, sealer)
    await database.ledger.record(a_redemption())
    yield database.ledger
    await database.close()


async def refused_after(ledger) -> float:
    begun = time.monotonic()
    with pytest.raises(DependencyUnavailableError):
        await ledger.record(a_redemption())
    return time.monotonic() - begun


@pytest.mark.postgres
class TestSilence:
    async def test_a_frozen_server_is_waited_for_three_times_150_ms_and_then_not_at_all(
        self, ledger, own_server
    ):
        with frozen(own_server):
            waited = [await refused_after(ledger) for _ in range(20)]
        assert all(PATIENCE - 0.01 <= each < PATIENCE + SLACK for each in waited[:3])
        # The breaker is open: whoever asks next, and the one whom the probe would meet, go on.
        assert all(each < 0.02 for each in waited[4:]), waited

    async def test_many_at_once_wait_no_longer_than_one(self, ledger, own_server):
        with frozen(own_server):
            waited = await asyncio.gather(*(refused_after(ledger) for _ in range(300)))
        assert max(waited) < PATIENCE + 2 * SLACK

    async def test_while_it_is_given_up_no_request_waits_for_a_probe(self, ledger, own_server):
        with frozen(own_server):
            while await refused_after(ledger) > 0.02:
                pass
            end, waited = time.monotonic() + 3.0, []
            while time.monotonic() < end:
                waited.append(await refused_after(ledger))
                await asyncio.sleep(0.02)
        assert max(waited) < 0.1, "somebody was the probe"

    async def test_a_server_that_is_back_is_used_again(self, ledger, own_server):
        row = a_redemption()
        with frozen(own_server):
            for _ in range(4):
                await refused_after(ledger)
        async with asyncio.timeout(10):
            while True:
                try:
                    assert await ledger.record(row) == row
                    break
                except DependencyUnavailableError:
                    await asyncio.sleep(0.05)
        assert await ledger.record(by_another(row)) == row

    async def test_a_killed_server_is_refused_at_once(self, ledger, own_server):
        killed(own_server)
        waited = [await refused_after(ledger) for _ in range(10)]
        assert max(waited) < PATIENCE + SLACK
        with pytest.raises(DependencyUnavailableError):
            await ledger.find_consumption(a_consumption().token_id)

    async def test_a_row_whose_caller_gave_up_is_written_once_or_not(
        self, ledger, own_server, sealer
    ):
        row = a_redemption()
        with frozen(own_server), pytest.raises(DependencyUnavailableError):
            await ledger.record(row)
        await asyncio.sleep(1.5)
        other = PostgresDatabase(own_server.url, sealer)
        again = by_another(row)
        assert await other.ledger.record(again) in {row, again}
        await other.close()


@pytest.mark.postgres
async def test_probes_do_not_pile_up(ledger, own_server):
    with frozen(own_server):
        for _ in range(4):
            await refused_after(ledger)
        left: list[int] = []
        for _ in range(30):
            await refused_after(ledger)
            await asyncio.sleep(0.1)
            left.append(len(ledger._line._calls._behind))
    assert max(left) <= 5, left
