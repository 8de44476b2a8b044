"""Key-encryption keys as they are, from the settings or from a file of their own."""

import base64
import binascii
import os
import stat
from pathlib import Path

from typing_extensions import override

from stepup.ports.key_wrapping import KeyWrapError, KeyWrapping

_KEY_BYTES = 32
_LONGEST_FILE = 65_536
# Nothing for others, and no writing for the group: a secret store mounts 0400 or 0440.
_FORBIDDEN = stat.S_IRWXO | stat.S_IWGRP | stat.S_IXGRP


class PlainKeys(KeyWrapping):
    """An entry is the key in base64; who reads it has it."""

    hides = False

    def __init__(self, name: str) -> None:
        self.name = name

    @override
    def wrap(self, number: int, key: bytes) -> str:
        return base64.b64encode(key).decode()

    @override
    def unwrap(self, number: int, entry: str) -> bytes:
        try:
            key = base64.b64decode(entry, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != _KEY_BYTES:
            raise KeyWrapError(f"key {number} from the {self.name} is not {_KEY_BYTES} bytes")
        return key


def read_private_file(path: Path) -> str:
    """Read a file that nobody else can read or change.

    Raises:
        KeyWrapError: If somebody else can, or if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            # Of what was opened: the name may be another file's a moment later.
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(_LONGEST_FILE)
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise KeyWrapError(f"{path}: {reason}") from error
    if mode & _FORBIDDEN:
        raise KeyWrapError(f"{path}: others may read or change it ({mode:04o}); chmod 400 {path}")
    try:
        return ",".join(text.decode().split())
    except ValueError as error:
        raise KeyWrapError(f"{path}: not text") from error
