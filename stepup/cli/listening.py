"""Listening sockets, opened once and shared by all workers."""

import errno
import socket
from collections.abc import Sequence

import rich_click as click

_BACKLOG = 2048
# A machine without IPv6 says one of these.
_NO_SUCH_FAMILY = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


def listen(host: str, port: int) -> list[socket.socket]:
    """Listen on an address; on both loopback addresses when it is one of them.

    Browsers resolve `localhost` to `::1` first; the pages must not be somebody else's there.
    Port 0 takes a free one.
    """
    if host not in {"localhost", "127.0.0.1"}:
        return [_open(host, port)]
    first = _open("127.0.0.1", port)
    try:
        return [first, _open("::1", port_of([first]))]
    except OSError as error:
        if error.errno in _NO_SUCH_FAMILY:
            return [first]
        first.close()
        raise


def listen_or_explain(host: str, port: int) -> list[socket.socket]:
    """Listen, or end the command with one line."""
    try:
        return listen(host, port)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise click.ClickException(f"cannot listen on {host} port {port}: {reason}") from error


def port_of(sockets: Sequence[socket.socket]) -> int:
    """Return the port that was bound."""
    return int(sockets[0].getsockname()[1])


def free_port(preferred: int) -> int:
    """Return `preferred` if nobody listens there on loopback, else one that is free."""
    for port in (preferred, 0):
        try:
            with _open("127.0.0.1", port) as probe:
                return port_of([probe])
        except OSError:
            continue
    raise click.ClickException("no free port on this machine")


def _open(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener
