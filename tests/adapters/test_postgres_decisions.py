"""Records over real engines: every one once, whatever stops, dies, comes twice or holds a lock."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, timedelta

import psycopg
import pytest
from sqlalchemy import make_url

from stepup.adapters.embedded.postgres import EmbeddedPostgres
from stepup.adapters.postgres import migrate
from stepup.adapters.postgres.database import PostgresDatabase
from stepup.adapters.postgres.decisions import PostgresDecisionStore
from stepup.adapters.redis import keys
from stepup.adapters.redis.state import RedisState
from stepup.domain.binding import bound_digest
from stepup.domain.recorded_decision import RecordedDecision
from stepup.ports import DecisionQuery, Ports
from stepup.usecases import carry, decide, record
from tests.adapters.conftest import libpq_url
from tests.contracts.decisions import a_record
from tests.support.application import HeldSnapshot, a_site, memory_ports
from tests.support.builders import a_decision_request
from tests.support.determinism import NOON
from tests.support.engines import FAST_POSTGRES, fresh_database, temporary_directory
from tests.support.world import World

pytestmark = [pytest.mark.postgres, pytest.mark.redis]

MONTH = timedelta(days=30)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


@pytest.fixture
async def state(redis_url, sealer, clock) -> AsyncIterator[RedisState]:
    async with RedisState(redis_url, sealer, clock) as state:
        await state.client.call("DEL", keys.decisions())
        yield state
        await state.client.call("DEL", keys.decisions())


@pytest.fixture
def url(postgres_url):
    """A database of one's own: partitions outlive a TRUNCATE."""
    with fresh_database(postgres_url) as url:
        migrate.upgrade(url)
        yield url


@pytest.fixture
def rows_of(url):
    def rows_of(statement: str) -> list:
        with psycopg.connect(libpq_url(url)) as connection:
            return connection.execute(statement).fetchall()

    return rows_of


@asynccontextmanager
async def instances(url: str, state: RedisState, sealer, count: int) -> AsyncIterator[list[Ports]]:
    """Several instances with a pool each, over the same engines."""
    ports = memory_ports(site=a_site(), snapshot=HeldSnapshot())._replace(state=state.stores)
    async with AsyncExitStack() as stack:
        databases = [PostgresDatabase(url, sealer) for _ in range(count)]
        for database in databases:
            stack.push_async_callback(database.close)
        yield [ports._replace(database=database) for database in databases]


@pytest.fixture
async def ports(url, state, sealer) -> AsyncIterator[Ports]:
    async with instances(url, state, sealer, 1) as [ports]:
        yield ports


async def keep(ports: Ports, count: int) -> list[RecordedDecision]:
    """Hand over that many records, one a second."""
    records = [a_record(NOON - n * SECOND) for n in range(count)]
    for each in records:
        ports.state.decisions.add(each)
    await ports.state.decisions.flush()
    return records


async def waiting(ports: Ports) -> int:
    return (await ports.state.decisions.backlog()).entries


async def until_nothing_waits(ports: Ports) -> None:
    async with asyncio.timeout(20):
        while await waiting(ports):  # noqa: ASYNC110  the stream tells nobody
            await asyncio.sleep(0.02)


async def stop(tasks: list[asyncio.Task]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def found(ports: Ports) -> list[RecordedDecision]:
    async with ports.database.transaction() as stores:
        return list(await stores.decisions.page(DecisionQuery(), count=100_000))


async def test_three_instances_at_once_write_each_record_once(url, state, sealer):
    async with instances(url, state, sealer, 3) as running:
        records = await keep(running[0], 2_000)
        while await waiting(running[0]):
            await asyncio.gather(*(record.carry_records_once(each, MONTH) for each in running))
        assert await found(running[0]) == records


async def test_who_dies_between_the_commit_and_the_removal_writes_nothing_twice(ports, monkeypatch):
    async def die(*_args: object) -> None:
        raise asyncio.CancelledError

    records = await keep(ports, 10)
    with monkeypatch.context() as patched:
        patched.setattr(ports.state.decisions, "remove", die)
        with pytest.raises(asyncio.CancelledError):
            await record.carry_records_once(ports, MONTH)
    assert await waiting(ports) == 10
    assert await record.carry_records_once(ports, MONTH) == 10
    assert await found(ports) == records
    assert await waiting(ports) == 0


async def test_a_record_that_was_sent_twice_is_one_row(ports):
    [once] = await keep(ports, 1)
    ports.state.decisions.add(once)
    await ports.state.decisions.flush()
    assert await record.carry_records_once(ports, MONTH) == 2
    assert await found(ports) == [once]


async def test_while_postgres_is_stopped_everything_waits_and_is_written_once_after(
    state, sealer, monkeypatch
):
    monkeypatch.setattr(carry, "IDLE_PAUSE", carry.IDLE_PAUSE / 10)
    with temporary_directory() as directory:
        server = EmbeddedPostgres(directory, FAST_POSTGRES)
        migrate.upgrade(server.url)
        async with instances(server.url, state, sealer, 2) as running:
            carrying = [asyncio.create_task(record.carry_records(p, MONTH)) for p in running]
            records = await keep(running[0], 300)
            await until_nothing_waits(running[0])
            server.stop()
            for n in range(300, 1_500):
                records.append(a_record(NOON - n * SECOND))
                running[0].state.decisions.add(records[-1])
            await running[0].state.decisions.flush()
            await asyncio.sleep(0.5)
            assert await waiting(running[0]) == 1_200
            server = EmbeddedPostgres(directory, FAST_POSTGRES)
            try:
                await until_nothing_waits(running[0])
                await stop(carrying)
                assert await found(running[0]) == records
            finally:
                await stop(carrying)
                server.stop()


async def test_a_record_that_the_database_refuses_stays_and_stops_nobody(ports, monkeypatch):
    add_all = PostgresDecisionStore.add_all
    poisoned = a_record(rule="poison")

    async def refuse(self, records):
        if poisoned in records:
            raise ValueError("no")
        await add_all(self, records)

    monkeypatch.setattr(PostgresDecisionStore, "add_all", refuse)
    ports.state.decisions.add(poisoned)
    records = await keep(ports, 5)
    assert await record.carry_records_once(ports, MONTH) == 5
    assert await found(ports) == records
    assert await waiting(ports) == 1


async def test_a_record_without_a_day_is_kept_and_goes_in_its_time(ports, clock):
    astray = a_record(NOON - 40 * DAY)
    ports.state.decisions.add(astray)
    await ports.state.decisions.flush()
    await record.carry_records_once(ports, MONTH)
    assert await found(ports) == [astray]
    await record.tend_days(ports, MONTH)
    assert await found(ports) == []


async def test_the_first_batch_finds_its_day(url, state, sealer, monkeypatch):
    monkeypatch.setattr(carry, "IDLE_PAUSE", carry.IDLE_PAUSE / 10)
    async with instances(url, state, sealer, 3) as running:
        await keep(running[0], 3)
        carrying = [asyncio.create_task(record.carry_records(p, MONTH)) for p in running]
        await until_nothing_waits(running[0])
        await stop(carrying)
        assert len(await found(running[0])) == 3
    with psycopg.connect(libpq_url(url)) as rows:
        assert rows.execute("SELECT count(*) FROM decision_other").fetchone() == (0,)


async def test_old_days_are_dropped_and_their_tables_with_them(ports, url):
    today = NOON.astimezone(UTC).date()
    async with ports.database.transaction() as stores:
        for back in (0, 10, 31, 32, 40):
            assert await stores.decisions.prepare(today - back * DAY)
    await record.tend_days(ports, MONTH)
    async with ports.database.transaction() as stores:
        left = await stores.decisions.days()
    assert left[0] == today - 10 * DAY
    with psycopg.connect(libpq_url(url)) as rows:
        tables = rows.execute("SELECT relname FROM pg_class WHERE relname ~ '^decision_\\d{8}$'")
        assert len(tables.fetchall()) == len(left)


async def test_a_day_that_somebody_reads_is_dropped_later_and_blocks_nobody(ports, url):
    today = NOON.astimezone(UTC).date()
    async with ports.database.transaction() as stores:
        assert await stores.decisions.prepare(today - 40 * DAY)
    # Somebody reads the whole table for an hour, as a backup does.
    with psycopg.connect(libpq_url(url)) as backup:
        backup.execute("SELECT FROM decision")
        began = asyncio.get_running_loop().time()
        with pytest.raises(Exception, match="does not answer"):
            await record.tend_days(ports, MONTH)
        assert asyncio.get_running_loop().time() - began < 2
        records = await keep(ports, 5)
        assert await record.carry_records_once(ports, MONTH) == 5
        assert await found(ports) == records
    await record.tend_days(ports, MONTH)
    async with ports.database.transaction() as stores:
        assert today - 40 * DAY not in await stores.decisions.days()


async def test_a_role_that_may_make_no_tables_records_nevertheless(url, state, sealer):
    role = "stepup_service_without_tables"
    with psycopg.connect(libpq_url(url), autocommit=True) as rows:
        rows.execute(f"CREATE ROLE {role} LOGIN")
        try:
            rows.execute(
                f"GRANT SELECT, INSERT, UPDATE, DELETE ON decision, decision_other TO {role}"
            )
            limited_url = make_url(url).set(username=role).render_as_string(hide_password=False)
            async with instances(limited_url, state, sealer, 1) as [limited]:
                records = await keep(limited, 5)
                astray = a_record(NOON - 40 * DAY)
                limited.state.decisions.add(astray)
                await limited.state.decisions.flush()
                await record.carry_records_once(limited, MONTH)
                with pytest.raises(Exception, match=r"permission denied|must be owner"):
                    await record.tend_days(limited, MONTH)
                assert await found(limited) == records
        finally:
            rows.execute(f"DROP OWNED BY {role}")
            rows.execute(f"DROP ROLE {role}")


SENSITIVE = """
apiVersion: stepup/v1
actions:
  payments.transfer:
    attributes:
      amount: {type: decimal}
      iban: {type: string, in: resource, sensitive: true}
      payees: {type: list, in: context, sensitive: true}
      elevated_token: {type: string, in: context}
    default: {level: "urn:stepup:acr:2", bind: [iban]}
"""


async def test_neither_engine_ever_holds_a_token_or_a_sensitive_value(ports, rows_of, state):
    world = World(document=SENSITIVE)
    here = world.ports._replace(database=ports.database, state=state.stores)
    secrets = {"token": "eyJhbGciOiJFUzI1NiJ9.e30.c2ln", "iban": "DE02120300000000202051"}
    others = {"payee": "GB33BUKB20201555555555", "password": "correct horse", "acr": "urn:bank:x"}
    request = a_decision_request(
        resource={"iban": secrets["iban"], "password": others["password"]},
        action_properties={"amount": "7.00"},
        context={
            "elevated_token": secrets["token"],
            "payees": [others["payee"]],
            "authentication": {"acr": others["acr"]},
        },
    )
    question = decide.Question(request=request, elevated_token=secrets["token"])
    answer = await decide.decide(here, world.bank, question)
    await here.state.decisions.flush()
    in_redis = str(await state.client.call("XRANGE", keys.decisions(), "-", "+"))
    await record.carry_records_once(here, MONTH)
    in_postgres = str(rows_of("SELECT * FROM decision"))

    assert answer.id is not None
    for text in (in_redis, in_postgres):
        assert answer.id in text
        assert [s for s in (secrets | others).values() if s in text] == []
    # Nor anything to find the account number with by trial.
    assert bound_digest("payments.transfer", {"iban": secrets["iban"]}) not in in_postgres
