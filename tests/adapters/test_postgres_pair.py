"""A primary and its standby: what was committed survives, and there are never two primaries."""

import signal
import time
from collections.abc import Iterator

import psycopg
import pytest

from stepup.adapters.embedded.family import send_to_family
from stepup.adapters.embedded.postgres_pair import PostgresPair, PostgresServer
from stepup.adapters.embedded.processes import EngineError
from stepup.adapters.embedded.redis_hosts import HOSTS, free_ports
from tests.support.engines import temporary_directory

pytestmark = [pytest.mark.postgres, pytest.mark.fault]

PASSWORD = "the test's own"


@pytest.fixture(scope="module")
def pair() -> Iterator[PostgresPair]:
    with temporary_directory() as directory:
        (port,) = free_ports(1)
        pair = PostgresPair(directory, [(host, port) for host in HOSTS[:2]], PASSWORD)
        try:
            pair.start()
            yield pair
        finally:
            pair.stop()


def count(server: PostgresServer) -> int:
    with server.connect() as connection:
        row = connection.execute("SELECT count(*) FROM kept").fetchone()
        return row[0]


def wait_until_followed(pair: PostgresPair) -> None:
    deadline = time.monotonic() + 20
    while not pair.primary.is_followed():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    pair.look_after()


def test_what_was_committed_survives_a_killed_primary_and_its_way_back(pair: PostgresPair):
    one, two = pair.servers
    wait_until_followed(pair)
    with one.connect() as connection:
        connection.execute("CREATE TABLE kept (number int)")
        connection.execute("INSERT INTO kept VALUES (1)")
    assert (one.is_standby(), two.is_standby()) == (False, True)

    one.kill()
    assert pair.promote() is two
    assert count(two) == 1
    with two.connect() as connection:  # nobody has to acknowledge it now
        connection.execute("INSERT INTO kept VALUES (2)")

    pair.start_again(one)
    assert (one.is_standby(), two.is_standby()) == (True, False)
    wait_until_followed(pair)
    with two.connect() as connection:
        connection.execute("INSERT INTO kept VALUES (3)")
        waits = connection.execute("SHOW synchronous_standby_names").fetchone()
    assert waits == ("ANY 1 (*)",)
    deadline = time.monotonic() + 5
    while count(one) < 3:
        assert time.monotonic() < deadline


def test_a_promotion_ends_a_primary_that_is_only_frozen(pair: PostgresPair):
    wait_until_followed(pair)
    old = pair.primary
    send_to_family(old.process.pid, signal.SIGSTOP)
    new = pair.promote()
    assert new is not old
    assert not old.process.alive
    with pytest.raises(psycopg.OperationalError):
        old.connect()
    with pytest.raises(EngineError, match="does not run"):
        pair.promote()
    pair.start_again(old)


def test_a_commit_does_not_wait_for_a_standby_that_is_frozen(pair: PostgresPair):
    wait_until_followed(pair)
    send_to_family(pair.standby.process.pid, signal.SIGSTOP)
    deadline = time.monotonic() + 5
    while pair.standby.is_running:  # the kernel does it a moment later
        assert time.monotonic() < deadline
    pair.look_after()
    begun = time.monotonic()
    with pair.primary.connect() as connection:
        connection.execute("CREATE TABLE quick ()")
    assert time.monotonic() - begun < 2
    send_to_family(pair.standby.process.pid, signal.SIGCONT)


def test_nobody_enters_without_the_password(pair: PostgresPair):
    host, port = pair.primary.address
    with pytest.raises(psycopg.OperationalError, match=r"no password|authentication"):
        psycopg.connect(host=host, port=port, user="stepup", dbname="stepup")
    assert PASSWORD in pair.url
