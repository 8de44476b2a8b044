"""What several Redis servers on one machine share: addresses as of three hosts, settings, files.

Linux accepts all of 127/8, so each host is an address of the loopback network. Settings are those
of docs/operations.md.
"""

import contextlib
import errno
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from stepup.adapters.embedded.processes import ChildProcess, EngineError
from stepup.adapters.redis.endpoint import Address, Endpoint

HOSTS = ("127.0.0.11", "127.0.0.12", "127.0.0.13")
READY_WITHIN = 30.0
SERVER_SETTINGS = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "maxmemory-policy": "noeviction",
    "min-replicas-to-write": "1",
    "min-replicas-max-lag": "3",
    "replica-serve-stale-data": "no",
    "repl-ping-replica-period": "1",
    "repl-diskless-sync-delay": "0",
    "protected-mode": "no",
}


def start_with_file(
    binary: Path, file: Path, lines: Mapping[str, str], *flags: str
) -> ChildProcess:
    """Start a server on its configuration file; one that is there already is kept as it is."""
    if not file.exists():
        text = "".join(f"{key} {value or chr(34) * 2}\n" for key, value in lines.items())
        file.touch(mode=0o600)  # there may be a password in it
        file.write_text(text)
    command = [str(binary), str(file), *flags]
    return ChildProcess(command, log=file.with_suffix(".log"), death_signal=signal.SIGKILL)


def reached_at(address: Address, password: str) -> Endpoint:
    """Return a server as an operator reaches it."""
    login = f":{password}@" if password else ""
    return Endpoint(f"redis://{login}{address[0]}:{address[1]}")


def free_ports(count: int, preferred: Sequence[int] = ()) -> list[int]:
    """Return ports that are free on every one of the hosts, of the preferred ones if they are.

    Raises:
        EngineError: If these addresses cannot be listened on.
    """
    found: list[int] = []
    wished = list(preferred)
    while len(found) < count:
        wish = wished.pop(0) if wished else 0
        port = _free_everywhere(wish)
        if port is not None and port not in found:
            found.append(port)
    return found


def _free_everywhere(wish: int) -> int | None:
    port = wish
    try:
        with contextlib.ExitStack() as stack:
            for host in HOSTS:
                listener = stack.enter_context(socket.socket())
                listener.bind((host, port))
                port = int(listener.getsockname()[1])
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise EngineError(f"{HOSTS[0]} to {HOSTS[-1]}: not on this machine") from error
        return None
    return port
