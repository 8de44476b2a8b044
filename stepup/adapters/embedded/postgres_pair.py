"""A PostgreSQL primary with a streaming standby, as processes of this machine, to break and mend.

Each has an address of its own and a password: unlike the server of `stepup dev` they listen on
the network of this machine, where others work too.
"""

import os
import shutil
import signal
from collections.abc import Sequence

import psycopg

from stepup.adapters.embedded.directory import DataDirectory
from stepup.adapters.embedded.family import ProcessId, send_to_family
from stepup.adapters.embedded.postgres import ROLE, find_binaries, initialize, server_user
from stepup.adapters.embedded.processes import ChildProcess, EngineError

Address = tuple[str, int]

_PROMOTED_WITHIN = 30
_ANSWERS_WITHIN = 35
# A killed server loses nothing by `fsync` off; only a machine without power would.
_SETTINGS = {"fsync": "off", "max_connections": "200"}
_ACCESS = "".join(
    f"host {what} {ROLE} 127.0.0.0/8 scram-sha-256\n" for what in ("all", "replication")
)


class PostgresServer:
    """One of the two servers; which role it has, its data says."""

    def __init__(
        self, name: str, address: Address, directory: DataDirectory, password: str
    ) -> None:
        self.name = name
        self.address = address
        self.process: ChildProcess | None = None
        self._data = directory.path / name
        self._logs = directory.folder("logs")
        self._lock = directory.lock
        self._password = password
        self._binaries = find_binaries()
        if not os.access(self._binaries / "pg_basebackup", os.X_OK):
            raise EngineError(f"there is no pg_basebackup in {self._binaries}")

    def make_primary(self) -> None:
        """Make an empty database cluster."""
        secret = self._data.with_name(f"{self.name}.password")
        secret.touch(mode=0o600)
        secret.write_text(self._password)
        try:
            authentication = ("--auth=scram-sha-256", f"--pwfile={secret}")
            initialize(self._binaries, self._data, server_user(), self._logs, *authentication)
        finally:
            secret.unlink()
        (self._data / "pg_hba.conf").write_text(_ACCESS)

    def copy_from(self, primary: "PostgresServer") -> None:
        """Make a standby of another server, with nothing that was here before."""
        shutil.rmtree(self._data, ignore_errors=True)
        self._data.mkdir(mode=0o700)
        user = server_user()
        if user is not None:
            os.chown(self._data, user, user)
        host, port = primary.address
        source = f"host={host} port={port} user={ROLE} application_name={self.name}"
        command = [str(self._binaries / "pg_basebackup"), "-D", str(self._data), "-d", source]
        command += ["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]
        # In the environment, where no list of processes shows it.
        environment = {"PGPASSWORD": self._password, "LC_ALL": "C"}
        log = self._logs / "pg_basebackup.log"
        ChildProcess(
            command, log=log, death_signal=signal.SIGKILL, user=user, environment=environment
        ).finish()

    def start(self) -> None:
        """Start it and return when it answers."""
        # We hold the directory's lock, so whoever wrote this is gone.
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        host, port = self.address
        settings = _SETTINGS | {
            "listen_addresses": host,
            "port": str(port),
            "unix_socket_directories": "",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "cluster_name": self.name,
        }
        command = [str(self._binaries / "postgres"), "-D", str(self._data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        self.process = ChildProcess(
            command,
            log=self._logs / f"{self.name}.log",
            death_signal=signal.SIGINT,
            user=server_user(),
            inherit=(self._lock,),
        )
        self.process.wait_until(self._answers)

    @property
    def is_running(self) -> bool:
        """Say whether it runs, and is not frozen."""
        process = self.process
        if process is None or not process.alive:
            return False
        return ProcessId.of(process.pid).state == "running"

    def is_standby(self) -> bool:
        """Say whether it follows another server.

        Raises:
            psycopg.OperationalError: If it does not answer.
        """
        return bool(self._ask("SELECT pg_is_in_recovery()"))

    def is_followed(self) -> bool:
        """Say whether a standby streams from it."""
        return bool(self._ask("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"))

    def promote(self) -> None:
        """Let a standby accept writes; returns when it does."""
        if not self._ask(f"SELECT pg_promote(true, {_PROMOTED_WITHIN})"):
            raise EngineError(f"{self.name} was not promoted in {_PROMOTED_WITHIN} s")

    def wait_for_standby(self, is_awaited: bool) -> None:
        """Let a commit wait for the standby, or not."""
        names = "ANY 1 (*)" if is_awaited else ""
        with self.connect() as connection:
            connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
            connection.execute("SELECT pg_reload_conf()")

    def create_database(self) -> None:
        """Make the service's database."""
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {ROLE}")

    def stop(self) -> None:
        """Shut it down cleanly: a standby that follows has everything then."""
        if self.process is not None:
            send_to_family(self.process.pid, signal.SIGCONT)
            self.process.stop(signal.SIGINT)

    def kill(self) -> None:
        """End it with all of its backends, as when its host is lost."""
        if self.process is not None:
            send_to_family(self.process.pid, signal.SIGKILL)
            self.process.stop(signal.SIGKILL)

    def connect(self) -> psycopg.Connection:
        """Open a connection as the operator."""
        host, port = self.address
        return psycopg.connect(
            host=host,
            port=port,
            user=ROLE,
            password=self._password,
            dbname="postgres",
            connect_timeout=2,
            # A commit would wait for ever for a standby that hangs.
            options=f"-c statement_timeout={1000 * _ANSWERS_WITHIN}",
            autocommit=True,
        )

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _ask(self, question: str) -> object:
        with self.connect() as connection:
            row = connection.execute(question).fetchone()
            return row[0] if row else None


class PostgresPair:
    """A primary and its standby; commits wait for the standby while there is one."""

    def __init__(
        self, directory: DataDirectory, addresses: Sequence[Address], password: str
    ) -> None:
        self.servers = tuple(
            PostgresServer(f"postgres-{number}", address, directory, password)
            for number, address in enumerate(addresses, 1)
        )
        self._password = password
        self._primary, self._standby = self.servers
        self._is_awaited = False

    @property
    def primary(self) -> PostgresServer:
        """The server that accepts writes, if it runs."""
        return self._primary

    @property
    def standby(self) -> PostgresServer:
        """The other one."""
        return self._standby

    @property
    def url(self) -> str:
        """Both, as the service is told of them."""
        hosts = ",".join(f"{host}:{port}" for host, port in (one.address for one in self.servers))
        return f"postgresql+psycopg://{ROLE}:{self._password}@{hosts}/{ROLE}"

    def start(self) -> None:
        """Start both, empty."""
        self._primary.make_primary()
        self._primary.start()
        self._primary.create_database()
        self._follow()

    def start_again(self, server: PostgresServer) -> None:
        """Start one that was ended: the primary as it was, another as a standby of the primary."""
        if server is self._primary:
            server.start()
        else:
            self._follow()

    def promote(self) -> PostgresServer:
        """Make the standby the primary and return it; the old primary is ended first.

        PostgreSQL has no fence: two servers that accept writes would both be believed.
        """
        if not self._standby.is_running:
            raise EngineError(f"{self._standby.name} does not run, so it cannot be promoted")
        old, new = self._primary, self._standby
        if old.is_running:
            old.stop()
        else:
            old.kill()
        new.promote()
        self._primary, self._standby, self._is_awaited = new, old, False
        return new

    def look_after(self) -> None:
        """Let commits wait for the standby while it runs, and no longer."""
        wanted = self._standby.is_running
        if wanted != self._is_awaited and self._primary.is_running:
            if wanted and not self._primary.is_followed():
                return
            self._primary.wait_for_standby(wanted)
            self._is_awaited = wanted

    def stop(self) -> None:
        """End both in order."""
        for server in (self._primary, self._standby):
            server.stop()

    def _follow(self) -> None:
        self._standby.copy_from(self._primary)
        self._standby.start()
