"""The directory in which embedded engines keep their data: private, and used by one at a time."""

import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
import time
from pathlib import Path

from stepup.adapters.embedded.processes import EngineError

_LOCK = "stepup.lock"
# A Unix socket's address holds 108 bytes with its final zero; the longest name in it is
# PostgreSQL's lock file beside the socket, which must fit too.
_LONGEST_SOCKET_FOLDER = 107 - len("/.s.PGSQL.5432.lock")
_ENGINES_END_WITHIN = 10.0


class DataDirectory:
    """A locked data directory, mode 0700.

    The lock is a file descriptor that the engines inherit: it is held until the last of them has
    ended, so a new owner never meets the servers of one that was killed.
    """

    def __init__(self, path: Path, *, reset: bool = False) -> None:
        self.path = path.expanduser().absolute()
        _make_private(self.path)
        self.lock = _lock(self.path)
        if reset:
            self._clear()
        self.sockets = self._socket_folder()

    def folder(self, name: str) -> Path:
        """Return a private folder inside, made when missing."""
        folder = self.path / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def close(self) -> None:
        """Give the directory back once the engines have ended."""
        os.close(self.lock)

    def _clear(self) -> None:
        for entry in self.path.iterdir():
            if entry.name == _LOCK:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def _socket_folder(self) -> Path:
        inside = self.path / "run"
        if len(os.fsencode(inside)) <= _LONGEST_SOCKET_FOLDER:
            return self.folder("run")
        name = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]
        outside = Path(tempfile.gettempdir()) / f"stepup-{os.getuid()}-{name}"
        _make_private(outside)
        return outside


def _make_private(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Not following links: in a shared folder somebody else may have put one here first.
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise EngineError(f"{path} is not a directory of this user")
    if stat.S_IMODE(found.st_mode) != 0o700:
        if any(path.iterdir()) and not (path / _LOCK).exists():
            raise EngineError(f"{path} has other files in it: choose an empty directory")
        path.chmod(0o700)


def _lock(path: Path) -> int:
    if not (path / _LOCK).exists() and any(path.iterdir()):
        raise EngineError(f"{path} has other files in it: choose an empty directory")
    lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _ENGINES_END_WITHIN
    while not _taken(lock):
        holder = os.pread(lock, 20, 0).decode().strip()
        if _runs(holder) or time.monotonic() > deadline:
            os.close(lock)
            raise EngineError(f"{path} is in use by process {holder or '?'}")
        time.sleep(0.05)
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _runs(holder: str) -> bool:
    return holder.isdigit() and Path(f"/proc/{holder}").exists()
