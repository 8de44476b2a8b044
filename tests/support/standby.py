"""A PostgreSQL primary and a standby that streams from it, as processes."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from stepup.adapters.embedded.directory import DataDirectory
from stepup.adapters.embedded.postgres import EmbeddedPostgres, find_binaries, server_user
from stepup.adapters.embedded.processes import ChildProcess
from tests.support.service import children_of

_IN_STEP_WITHIN = 15.0


class Pair:
    """Two servers; the second one follows the first until it is promoted."""

    def __init__(self, primary: EmbeddedPostgres, standby: EmbeddedPostgres) -> None:
        self.primary = primary
        self.standby = standby

    @property
    def url(self) -> str:
        """Both hosts, in this order."""
        return f"{self.primary.url}&{self.standby.url.partition('?')[2]}"

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
        """Make the standby the primary, and wait until it is."""
        with connected(self.standby) as connection:
            assert connection.execute("SELECT pg_promote(true, 30)").fetchone() == (True,)

    def signal_primary(self, number: signal.Signals) -> None:
        """Send a signal to its whole tree: a lone postmaster's backends would go on."""
        for pid in [self.primary.pid, *children_of(self.primary.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


@contextmanager
def running_pair(folder: Path) -> Iterator[Pair]:
    """Run a primary and a standby below a folder until the block ends."""
    # A commit is written out when it is acknowledged, or nobody could say what the standby lacks.
    options = {"fsync": "off"}
    first, second = DataDirectory(folder / "one"), DataDirectory(folder / "two")
    primary = EmbeddedPostgres(first, options)
    try:
        _copy(primary, second)
        standby = EmbeddedPostgres(second, options)
        try:
            yield Pair(primary, standby)
        finally:
            standby.stop()
    finally:
        primary.stop()
        first.close()
        second.close()


@contextmanager
def connected(server: EmbeddedPostgres) -> Iterator[psycopg.Connection]:
    """Open a connection of our own, which may write whatever the server's default is."""
    url = server.url.replace("postgresql+psycopg://", "postgresql://", 1)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        yield connection


def _copy(primary: EmbeddedPostgres, into: DataDirectory) -> None:
    data, user = into.path / "postgres", server_user()
    data.mkdir(mode=0o700)
    if user is not None:
        os.chown(data, user, user)
    sockets = primary.url.partition("host=")[2].replace("%2F", "/")
    command = [str(find_binaries() / "pg_basebackup"), "-h", sockets, "-U", "stepup"]
    command += ["-D", str(data), "-R", "-X", "stream", "--checkpoint=fast", "--no-sync"]
    log = into.folder("logs") / "basebackup.log"
    ChildProcess(command, log=log, death_signal=signal.SIGKILL, user=user).finish()
