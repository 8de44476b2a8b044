"""The bench runs and prints every line; what it finds out is nobody's promise here."""

import json
from collections.abc import Iterator

import pytest

from stepup import telemetry
from stepup.adapters.postgres import migrate
from stepup.adapters.postgres.ledger import PostgresLedgerStore
from tests.bench import protocol
from tests.bench.__main__ import main
from tests.support.engines import fresh_database, running_postgres
from tests.support.redis_cluster import running_cluster

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis]

OVER_HTTP = (
    "bare loop, POST",
    "decision, allow",
    "decision, step-up",
    "introspection, JWT",
    "JWKS",
    "full step-up, authenticator app",
    "full step-up, passkey",
)
IN_TURNS = (
    "full step-up, authenticator app",
    "full step-up, passkey",
    "SDK, a token's first verification",
    "SDK, a token seen before",
    "policy, one of 100 actions",
    "Redis spend, client, 1 in flight",
    "Redis spend, client, 32 in flight",
    "Redis spend, server, 32 in flight",
)


def test_prints_and_writes_every_line(tmp_path, capsys):
    figures = tmp_path / "figures.json"
    main(["--quick", "--json", str(figures)])

    begins = [line[:34].strip() for line in capsys.readouterr().out.splitlines()]
    assert [begin for begin in begins if begin in OVER_HTTP + IN_TURNS] == [*OVER_HTTP, *IN_TURNS]
    written = json.loads(figures.read_text())
    assert [line["name"] for line in written["over_http"]] == list(OVER_HTTP)
    assert [line["name"] for line in written["in_process"]] == list(IN_TURNS)
    assert all(line["per_second"] > 0 for line in written["over_http"])


@pytest.fixture(scope="module")
def urls() -> Iterator[protocol.Urls]:
    with running_postgres() as server, fresh_database(server) as url, running_cluster() as cluster:
        migrate.upgrade(url)
        yield protocol.Urls(cluster.url, url)


def test_the_cost_of_the_protocol_can_be_measured(urls):
    costs = list(protocol.measure(urls, rounds=1, seconds=0.1))
    assert [cost.kind for cost in costs[: len(protocol.KINDS)]] == list(protocol.KINDS)
    assert all(cost.per_second > 0 for cost in costs)


@pytest.mark.parametrize("making", [protocol.deciding, protocol.introspecting])
async def test_decisions_and_introspection_pay_nothing_for_the_protocol(urls, making, monkeypatch):
    rows: list[int] = []
    record_all = PostgresLedgerStore.record_all

    async def watched(self, given):
        rows.append(len(given))
        return await record_all(self, given)

    monkeypatch.setattr(PostgresLedgerStore, "record_all", watched)
    async with protocol.opened(urls, protocol.EVERYTHING) as tools:
        work = await making(protocol.EVERYTHING, tools)
        rows.clear()
        before = paid_to_redis()
        for _ in range(20):
            assert await work()
        assert (paid_to_redis(), rows) == (before, [])
        await (await protocol.spending(protocol.EVERYTHING, tools))()
        assert all(now > then for now, then in zip(paid_to_redis(), before, strict=True))
        assert rows == [1]


def paid_to_redis() -> list[float]:
    """Count what a spend pays for there: rounds, and questions to the Sentinels."""
    checks = telemetry.redis_fence_checks_total.labels(result="ok")
    return [
        sum(s.value for s in each.collect()[0].samples if s.name.endswith(("_count", "_total")))
        for each in (telemetry.redis_round_duration_seconds, checks)
    ]
