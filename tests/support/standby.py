"""A PostgreSQL pair of which the primary is demoted, killed or frozen, and not ended in order."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from stepup.adapters.embedded.family import send_to_family
from stepup.adapters.embedded.postgres import ROLE
from stepup.adapters.embedded.postgres_pair import PostgresPair, PostgresServer
from stepup.adapters.embedded.redis_hosts import HOSTS, free_ports
from tests.support.engines import temporary_directory

_IN_STEP_WITHIN = 15.0
_PASSWORD = "of-the-test"


class Pair:
    """Two servers; the second one follows the first until it is promoted, and nobody waits."""

    def __init__(self, servers: PostgresPair) -> None:
        self.primary, self.standby = servers.servers
        self.url = servers.url

    def demote_alive(self) -> None:
        """Make the primary refuse writes on connections that stay open, and promote the other."""
        with connected(self.primary) as connection:
            connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            connection.execute("SELECT pg_reload_conf()")
        # It follows asynchronously: what it had not heard of yet would be lost.
        self.wait_until_in_step()
        self.promote()

    def wait_until_in_step(self) -> None:
        """Return when the standby has replayed what the primary has written so far."""
        with connected(self.primary) as connection:
            position = connection.execute("SELECT pg_current_wal_lsn()").fetchone()
        replayed = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
        deadline = time.monotonic() + _IN_STEP_WITHIN
        with connected(self.standby) as connection:
            while connection.execute(replayed, position).fetchone() != (True,):
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def promote(self) -> None:
        """Make the standby a primary, whatever the other one does."""
        self.standby.promote()

    def signal_primary(self, number: signal.Signals) -> None:
        """Send a signal to its whole tree: a lone postmaster's backends would go on."""
        process = self.primary.process
        assert process is not None
        send_to_family(process.pid, number)


@contextmanager
def running_pair() -> Iterator[Pair]:
    """Run a primary and a standby until the block ends."""
    (port,) = free_ports(1)
    with temporary_directory() as directory:
        servers = PostgresPair(directory, [(host, port) for host in HOSTS[:2]], _PASSWORD)
        try:
            servers.start()
            yield Pair(servers)
        finally:
            servers.stop()


@contextmanager
def connected(server: PostgresServer) -> Iterator[psycopg.Connection]:
    """Open a connection of our own, which may write whatever the server's default is."""
    host, port = server.address
    with psycopg.connect(
        host=host, port=port, user=ROLE, password=_PASSWORD, dbname=ROLE, autocommit=True
    ) as connection:
        connection.execute("SET default_transaction_read_only = off")
        yield connection
