"""A server that is away, silent, demoted or slow: bounded waits, a clear refusal, and recovery."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy import func, make_url, select, text

from stepup.adapters.embedded.postgres import EmbeddedPostgres
from stepup.adapters.postgres import migrate
from stepup.adapters.postgres.breaker import CircuitBreaker
from stepup.adapters.postgres.database import PostgresDatabase
from stepup.adapters.postgres.engine import make_engine
from stepup.adapters.postgres.line import Line
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.ids import Subject
from tests.adapters.conftest import libpq_url
from tests.support.builders import a_subject
from tests.support.determinism import NOON
from tests.support.engines import FAST_POSTGRES, temporary_directory
from tests.support.stopping import frozen

# One second, and what a busy machine with two cores adds to it.
BOUND = 1.3


@pytest.fixture
async def line(schema_url):
    line = Line(lambda: make_engine(schema_url), CircuitBreaker(time.monotonic))
    yield line
    await line.close()


@pytest.fixture(scope="module")
def own_server() -> Iterator[EmbeddedPostgres]:
    with temporary_directory() as directory:
        server = EmbeddedPostgres(directory, FAST_POSTGRES)
        migrate.upgrade(server.url)
        yield server
        server.stop()


@pytest.fixture
async def own_database(own_server, sealer):
    database = PostgresDatabase(own_server.url, sealer)
    yield database
    await database.close()


@contextmanager
def refused_within(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    with pytest.raises(DependencyUnavailableError):
        yield
    assert time.monotonic() - began < seconds


async def until_it_answers(database: PostgresDatabase, seconds: float) -> float:
    began = time.monotonic()
    while True:
        try:
            await database.check()
        except DependencyUnavailableError:
            if time.monotonic() - began > seconds:
                raise
            await asyncio.sleep(0.05)
        else:
            return time.monotonic() - began


@pytest.mark.postgres
class TestFrozenServer:
    async def test_a_warm_connection_is_waited_for_about_a_second(self, own_server, own_database):
        await own_database.check()
        with frozen(own_server), refused_within(BOUND):
            await own_database.check()
        await until_it_answers(own_database, 5)

    async def test_a_new_connection_is_waited_for_about_a_second(self, own_server, own_database):
        with frozen(own_server), refused_within(BOUND):
            await own_database.check()
        await until_it_answers(own_database, 5)

    async def test_a_transaction_that_is_caught_in_the_middle_ends_and_is_undone(
        self, own_server, own_database
    ):
        async def activate() -> None:
            async with own_database.transaction() as stores:
                await stores.policies.activate("before the frost", "alice", NOON)
                with frozen(own_server), refused_within(BOUND):
                    await stores.policies.find_active()
                with refused_within(0.1):
                    await stores.policies.find_active()

        # The block swallowed its error; it is not committed for that.
        with pytest.raises(DependencyUnavailableError):
            await activate()
        await until_it_answers(own_database, 5)
        async with own_database.transaction() as stores:
            assert await stores.policies.find_active() is None

    async def test_50_requests_end_in_about_a_second_and_then_nobody_waits(
        self, own_server, own_database
    ):
        await own_database.check()
        with frozen(own_server):
            began = time.monotonic()
            outcomes = await asyncio.gather(
                *(own_database.check() for _ in range(50)), return_exceptions=True
            )
            assert time.monotonic() - began < BOUND
            assert {type(outcome) for outcome in outcomes} == {DependencyUnavailableError}
            with refused_within(0.1):
                await own_database.check()
        assert await until_it_answers(own_database, 5) < 3.5

    async def test_a_long_frost_does_not_use_up_the_pool(self, own_server, own_database):
        with frozen(own_server):
            began = time.monotonic()
            while time.monotonic() - began < 4:
                with refused_within(BOUND):
                    await own_database.check()
                await asyncio.sleep(0.05)
        assert await until_it_answers(own_database, 5) < 3.5

    async def test_the_host_after_a_silent_one_is_reached(self, own_server, sealer, tmp_path):
        # Each connection takes two seconds this way, longer than any request waits for it.
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(str(tmp_path / ".s.PGSQL.5432"))
            silent.listen()
            alive = make_url(own_server.url)
            url = alive.update_query_dict({"host": [str(tmp_path), alive.query["host"]]})
            database = PostgresDatabase(url.render_as_string(hide_password=False), sealer)
            try:
                await until_it_answers(database, 10)
                began = time.monotonic()
                await database.check()
                assert time.monotonic() - began < 0.1
            finally:
                await database.close()

    async def test_a_request_that_is_cancelled_does_not_wait(self, own_server, own_database):
        await own_database.check()
        with frozen(own_server):
            request = asyncio.create_task(own_database.check())
            await asyncio.sleep(0.1)
            began = time.monotonic()
            request.cancel()
            await asyncio.wait({request})
            assert time.monotonic() - began < 0.1
        await until_it_answers(own_database, 5)


@pytest.mark.postgres
class TestHurry:
    async def test_a_frozen_server_costs_three_step_ups_150_ms_and_the_others_nothing(
        self, own_server, own_database
    ):
        subject = a_subject()
        await own_database.authenticators_of(subject)
        with frozen(own_server):
            waited = [await self.waited(own_database, subject) for _ in range(30)]
            for long in waited[:3]:
                assert 0.14 < long < 0.35
            assert max(waited[3:]) < 0.05
            # Whoever probes is somebody else: a step-up never pays for it.
            await asyncio.sleep(2.5)
            assert await self.waited(own_database, subject) < 0.05

        # What runs in the background finds out, and then step-ups ask again.
        await until_it_answers(own_database, 5)
        assert list(await own_database.authenticators_of(subject)) == []

    async def test_a_server_that_is_gone_is_refused_at_once(self, tmp_path, sealer):
        database = PostgresDatabase(f"postgresql://stepup@/stepup?host={tmp_path}", sealer)
        with refused_within(0.15):
            await database.authenticators_of(a_subject())
        await database.close()

    async def waited(self, database: PostgresDatabase, subject: Subject) -> float:
        began = time.monotonic()
        with pytest.raises(DependencyUnavailableError):
            await database.authenticators_of(subject)
        return time.monotonic() - began


@pytest.mark.postgres
class TestServerThatIsAway:
    async def test_a_server_that_is_not_there_is_unavailable(self, tmp_path, sealer):
        database = PostgresDatabase(f"postgresql://stepup@/stepup?host={tmp_path}", sealer)
        for call in (database.check, database.configuration_version):
            with refused_within(BOUND):
                await call()
        await database.close()

    async def test_connections_that_the_server_closed_are_replaced(self, postgres, rows):
        await asyncio.gather(*(postgres.check() for _ in range(5)))
        rows.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await asyncio.gather(*(postgres.check() for _ in range(5)))

    async def test_a_connection_that_is_closed_in_the_middle_is_unavailable(self, postgres, rows):
        async def activate() -> None:
            async with postgres.transaction() as stores:
                await stores.policies.find_active()
                rows.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                await stores.policies.activate("document", "alice", NOON)

        with pytest.raises(DependencyUnavailableError):
            await activate()
        await postgres.check()

    async def test_a_missing_database_is_unavailable(self, postgres_url, sealer):
        database = PostgresDatabase(f"{postgres_url}".replace("/stepup_test_", "/no_"), sealer)
        with pytest.raises(DependencyUnavailableError):
            await database.check()
        await database.close()


@pytest.mark.postgres
class TestDemotedServer:
    async def test_the_first_write_refused_as_read_only_empties_the_pool(self, line):
        async def demote() -> int:
            # As an old primary does: every connection that is open stays open and reads only.
            async with line.transaction() as transaction:
                await asyncio.sleep(0.05)
                await transaction.change(text("SET default_transaction_read_only = on"))
                return (await transaction.rows(text("SELECT pg_backend_pid()")))[0][0]

        async def write() -> int:
            async with line.transaction() as transaction:
                await transaction.change(text("UPDATE configuration_change SET version = 1"))
                return (await transaction.rows(text("SELECT pg_backend_pid()")))[0][0]

        demoted = set(await asyncio.gather(*(demote() for _ in range(3))))
        assert len(demoted) == 3

        with pytest.raises(DependencyUnavailableError):
            await write()

        # Not one of the two others is tried: a pool of them would fail as often as it is large.
        assert await write() not in demoted

    async def test_it_is_noticed_by_whoever_only_asks(self, line):
        backend = select(func.pg_backend_pid().label("pid"))
        async with line.transaction() as transaction:
            await transaction.change(text("SET default_transaction_read_only = on"))
        demoted = (await line_rows(line, "SELECT pg_backend_pid()"))[0][0]

        with pytest.raises(DependencyUnavailableError):
            await line.probe(backend)
        assert (await line.probe(backend))[0].pid != demoted


async def line_rows(line: Line, statement: str):
    async with line.transaction(autocommit=True) as transaction:
        return await transaction.rows(text(statement))


@pytest.mark.postgres
class TestSlowServer:
    async def test_a_slow_statement_is_ended_by_the_server(self, line):
        with refused_within(BOUND):
            async with line.transaction() as transaction:
                await transaction.rows(text("SELECT pg_sleep(5)"))

    async def test_a_lock_that_another_holds_is_waited_for_briefly(self, line, schema_url):
        with psycopg.connect(libpq_url(schema_url)) as other:
            other.execute("LOCK TABLE configuration_change")
            with refused_within(0.8):
                async with line.transaction() as transaction:
                    await transaction.rows(text("SELECT version FROM configuration_change"))

    async def test_a_pool_that_is_used_up_is_waited_for_briefly(self, line):
        async def hold(release: asyncio.Event) -> None:
            async with line.transaction() as transaction:
                await transaction.rows(text("SELECT 1"))
                await release.wait()

        release = asyncio.Event()
        holders = [asyncio.create_task(hold(release)) for _ in range(10)]
        await asyncio.sleep(0.5)
        with refused_within(0.8):
            await hold(release)
        release.set()
        await asyncio.gather(*holders)

    async def test_an_error_of_our_own_is_not_the_servers(self, line):
        with pytest.raises(Exception, match="no_such_table"):
            async with line.transaction() as transaction:
                await transaction.rows(text("SELECT 1 FROM no_such_table"))


class TestCircuitBreaker:
    def test_three_timeouts_in_a_row_open_it(self):
        breaker = CircuitBreaker(lambda: 0.0)
        for _ in range(2):
            breaker.timed_out()
        breaker.answered()
        for _ in range(2):
            breaker.timed_out()
            assert breaker.admit()
        breaker.timed_out()
        assert not breaker.admit()

    @pytest.mark.parametrize("start", [0.0, 17.0004, 1e6 + 0.0009])
    def test_while_open_one_probe_every_one_to_two_seconds_is_admitted(self, start):
        now = [start]
        breaker = CircuitBreaker(lambda: now[0])
        for _ in range(3):
            breaker.timed_out()
        probes = []
        for _ in range(1000):
            now[0] += 0.01
            if breaker.admit():
                probes.append(now[0])
        pauses = [after - before for before, after in zip([start, *probes], probes, strict=False)]
        assert len(probes) >= 5
        assert all(0.99 <= pause <= 2.02 for pause in pauses)

    def test_one_answer_closes_it(self):
        breaker = CircuitBreaker(lambda: 0.0)
        for _ in range(3):
            breaker.timed_out()
        breaker.answered()
        assert breaker.admit()
