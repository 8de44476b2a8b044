"""`stepup audit` over a real database: what it prints, and with what it exits."""

import asyncio
import base64
import csv
import io
import json
from datetime import timedelta

import msgspec
import psycopg
import pytest
from click.testing import CliRunner

from stepup.adapters.postgres import migrate
from stepup.adapters.postgres.database import PostgresDatabase
from stepup.cli.audit_rows import COLUMNS
from stepup.cli.main import stepup
from stepup.crypto import keys
from stepup.crypto.sealing import Sealer
from stepup.domain.audit import AuditEvent
from stepup.domain.ids import ClientId
from tests.adapters.conftest import libpq_url, write_as_before_the_chain
from tests.contracts.audit import ACTIVATED, ISSUED
from tests.support.determinism import NOON, CountingEntropy
from tests.support.engines import fresh_database
from tests.test_config import ENOUGH

pytestmark = pytest.mark.postgres

KEK = bytes(range(32))
EVENTS = [
    ISSUED,
    msgspec.structs.replace(ACTIVATED, at=NOON + timedelta(days=1)),
    msgspec.structs.replace(ISSUED, client_id=ClientId("=cmd"), at=NOON + timedelta(days=2)),
]


@pytest.fixture
def url(postgres_url):
    with fresh_database(postgres_url) as url:
        migrate.upgrade(url)
        asyncio.run(fill(url, EVENTS))
        yield url


@pytest.fixture
def rows(url):
    with psycopg.connect(libpq_url(url), autocommit=True) as connection:
        connection.execute("ALTER TABLE audit_event DISABLE TRIGGER USER")
        yield connection


@pytest.fixture
def run(url, redis_url):
    environment = ENOUGH | {
        "STEPUP_POSTGRES_URL": url,
        "STEPUP_REDIS_URL": redis_url,
        "STEPUP_KEY_ENCRYPTION_KEYS": f"1:{base64.b64encode(KEK).decode()}",
    }
    return lambda *arguments, **changes: CliRunner().invoke(
        stepup, ["audit", *arguments], env=environment | changes, prog_name="stepup"
    )


async def fill(url: str, events: list[AuditEvent]) -> None:
    sealer = Sealer({1: KEK}, CountingEntropy().bytes)
    database = PostgresDatabase(url, sealer)
    async with database.transaction() as stores:
        await stores.keys.add(keys.seal_root(bytes(32), sealer, NOON))
        await stores.audit.append_all([(f"1-{n}", event) for n, event in enumerate(events)])
    await database.close()


def test_a_whole_log_verifies(run):
    result = run("verify")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.output.startswith("3 entries hold, up to 3:")


def test_a_changed_entry_is_named_and_the_exit_code_is_3(run, rows):
    rows.execute("UPDATE audit_event SET kind = 'token.revoked' WHERE position = 2")
    result = run("verify")
    assert result.exit_code == 3
    assert "1 entries hold" in result.output
    assert "changed at position 2 (entry 1-1): " in result.output
    found = json.loads(run("verify", "--json").output)
    assert (found["holds"], found["broken"]["fault"], found["unchained"]) == (False, "changed", 0)


def test_a_cut_off_end_is_found_with_the_anchor(run, rows):
    anchor = run("anchor").output.strip()
    assert run("verify", "--head", anchor).exit_code == 0
    rows.execute("DELETE FROM audit_event WHERE position = 3")
    assert run("verify").exit_code == 0
    result = run("verify", "--head", anchor)
    assert result.exit_code == 3
    assert "truncated at position 3: " in result.output


def test_entries_of_the_release_before_are_a_finding_until_they_are_adopted(run, rows):
    write_as_before_the_chain(rows, "0-0", ISSUED)
    result = run("verify")
    assert result.exit_code == 3
    assert "1 entries stand outside the chain" in result.output
    assert run("adopt").output == "1 entries chained\n"
    assert run("verify").exit_code == 0


def test_exports_json_lines(run):
    lines = [json.loads(line) for line in run("export").output.splitlines()]
    assert [line["position"] for line in lines] == [1, 2, 3]
    assert tuple(lines[0]) == COLUMNS
    assert lines[0]["details"] == ISSUED.details
    assert lines[0]["at"] == "2026-11-21T12:00:00Z"
    assert lines[1]["previous"] == lines[0]["hash"]


@pytest.mark.parametrize(
    ("span", "positions"),
    [
        (["--from", "2026-11-22"], ["2", "3"]),
        (["--to", "2026-11-22T13:00:00+01:00"], ["1"]),
        (["--from", "2026-11-22", "--to", "2026-11-23"], ["2"]),
    ],
)
def test_exports_a_time_span_as_a_table(run, span, positions):
    found = list(csv.DictReader(io.StringIO(run("export", "--format", "csv", *span).output)))
    assert [row["position"] for row in found] == positions


def test_no_cell_of_the_table_is_a_formula(run):
    found = list(csv.DictReader(io.StringIO(run("export", "--format", "csv").output)))
    assert found[2]["client_id"] == "'=cmd"
    assert json.loads(found[0]["details"]) == ISSUED.details


def test_says_in_one_line_that_the_key_encryption_key_is_another(run):
    other = f"2:{base64.b64encode(KEK).decode()}"
    result = run("verify", STEPUP_KEY_ENCRYPTION_KEYS=other)
    assert result.exit_code == 1
    assert "sealed under key 1" in result.output


@pytest.mark.parametrize(
    "arguments", [["verify", "--head", "3:xyz"], ["verify", "--head", "3"], ["export", "--to", "x"]]
)
def test_refuses_what_it_cannot_read(run, arguments):
    assert run(*arguments).exit_code == 2
