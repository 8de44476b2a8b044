"""The bench runs and prints every line; what it finds out is nobody's promise here."""

import asyncio
import json

import pytest
import uvloop

from stepup.adapters.postgres import migrate
from tests.bench import protocol, replay, shadow
from tests.bench.__main__ import main
from tests.bench.setting import everything
from tests.support.engines import fresh_database
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
    "policy, a typical action",
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


def test_the_cost_of_the_protocol_can_be_measured():
    with running_cluster() as cluster:
        costs = list(protocol.measure(cluster.url, rounds=1, seconds=0.1))
    assert [cost.kind for cost in costs[:3]] == list(protocol.KINDS)
    assert all(cost.per_second > 0 for cost in costs)


def test_a_replay_can_be_measured_over_real_engines_and_processes(postgres_url: str):
    with fresh_database(postgres_url) as url:
        migrate.upgrade(url)
        costs = asyncio.run(replay.measure(url, 5_000))

    assert [(cost.places, cost.recorded, cost.changed) for cost in costs] == [
        (2, 5_000, 1_250),
        (1, 5_000, 1_250),
    ]


@pytest.mark.long
def test_the_cost_of_a_shadow_can_be_measured():
    with everything() as setting:
        costs = uvloop.run(shadow.measure(setting, rounds=1, seconds=0.2))

    assert [cost.name for cost in costs] == list(shadow.AMOUNTS)
    assert costs[0].evaluated > 0
