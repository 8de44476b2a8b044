"""A primary whose commits would wait for nobody is found out."""

import os
import time
from collections.abc import Iterator

import pytest

from stepup.adapters.postgres.database import PostgresDatabase
from stepup.adapters.postgres.standbys import Standbys
from stepup.crypto.sealing import Sealer
from tests.support.standby import Pair, connected, running_pair


@pytest.mark.parametrize(
    ("names", "needed"),
    [
        ("", 0),
        ("standby1", 1),
        ("*", 1),
        ("2 (a, b, c)", 2),
        ("FIRST 2 (a, b)", 2),
        ("any 1 (standby1)", 1),
    ],
)
def test_reads_how_many_must_acknowledge(names: str, needed: int):
    assert Standbys(names, 0, 0).needed == needed


@pytest.mark.parametrize(
    ("seen", "are_missing"),
    [
        (Standbys("", 0, 0), False),
        (Standbys("*", 0, 0), True),
        (Standbys("*", 1, 0), False),
        (Standbys("*", 0, 1), False),
        (Standbys("ANY 2 (*)", 1, 0), True),
    ],
    ids=["nobody is waited for", "nobody is there", "there", "cannot be seen", "one of two"],
)
def test_counts_who_acknowledges(seen: Standbys, are_missing: bool):
    assert seen.are_missing is are_missing


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with running_pair() as running:
        deadline = time.monotonic() + 20
        while not running.primary.is_followed():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield running


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("names", "are_missing"),
    [("", False), ("ANY 1 (*)", False), ("ANY 1 (misspelt)", True), ("ANY 2 (*)", True)],
)
async def test_a_real_primary_says_whom_it_waits_for(pair: Pair, names: str, are_missing: bool):
    await_standbys(pair, names)
    database = PostgresDatabase(pair.url, Sealer({1: bytes(32)}, os.urandom))
    try:
        seen = await database.standbys()
    finally:
        await database.close()
        await_standbys(pair, "")
    assert (seen.names, seen.hidden, seen.are_missing) == (names, 0, are_missing)


def await_standbys(pair: Pair, names: str) -> None:
    with connected(pair.primary) as connection:
        connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        connection.execute("SELECT pg_reload_conf()")
        time.sleep(0.3)
