"""Where a document comes from: a file, a folder of files, or standard input."""

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import rich_click as click

from stepup.policy_language.findings import printable
from stepup.policy_language.folder import SUFFIXES
from stepup.policy_language.merging import merge
from stepup.policy_language.reader import MAX_BYTES

# One file for each action and one for its tests, at most; and no more text than a document with
# all its comments may have, several times.
MAX_FILES = 10_000
MAX_FOLDER_BYTES = 8 * MAX_BYTES
_STDIN = Path("-")

source_argument = click.argument(
    "source",
    metavar="FILE|FOLDER|-",
    type=click.Path(exists=True, allow_dash=True, path_type=Path),
)


class Source(NamedTuple):
    """A document as it was handed over: its files by name."""

    name: str
    files: Mapping[str, str]

    @property
    def text(self) -> str:
        """Return the one text that is activated; the files have no errors."""
        return merge(self.files)


def read_source(path: Path) -> Source:
    """Read a document, or end the command with one line."""
    if path == _STDIN:
        raw = sys.stdin.buffer.read(MAX_BYTES + 1)
        return Source("-", {"-": _decoded("standard input", raw)})
    if not path.is_dir():
        return Source(str(path), {str(path): read_file(path)})
    files: dict[str, str] = {}
    size = 0
    for file in files_in(path):
        files[str(file)] = read_file(file)
        size += len(files[str(file)])
        if len(files) > MAX_FILES or size > MAX_FOLDER_BYTES:
            limits = f"{MAX_FILES:,} files or {MAX_FOLDER_BYTES // MAX_BYTES} MiB"
            raise click.ClickException(f"{path}: more than {limits}")
    if not files:
        raise click.ClickException(f"{path}: no *.yaml, *.yml or *.json in there")
    return Source(str(path), files)


def files_in(folder: Path) -> Iterator[Path]:
    """List a folder's documents in a stable order; what is hidden is none of them."""
    root = folder.resolve()
    for at, names, files in os.walk(folder):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(files):
            file = Path(at, name)
            if name.startswith(".") or file.suffix not in SUFFIXES:
                continue
            # Who may write into the folder must not read the rest of the disk through us.
            if not file.resolve().is_relative_to(root):
                raise click.ClickException(f"{printable(str(file))}: leads out of the folder")
            yield file


def read_file(path: Path) -> str:
    """Read one file, and not much more of it than a document may have."""
    # Whoever chose the name of a file in a folder is not who reads it on a terminal.
    name = printable(str(path))
    try:
        if not path.is_file() and not path.is_char_device() and not path.is_fifo():
            raise click.ClickException(f"{name}: no file")
        with path.open("rb") as file:
            return _decoded(name, file.read(MAX_BYTES + 1))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise click.ClickException(f"{name}: {reason}") from error


def _decoded(name: str, raw: bytes) -> str:
    # A character that the limit cut in two is no fault of the document, only its size is.
    errors = "ignore" if len(raw) > MAX_BYTES else "strict"
    try:
        return raw.decode("utf-8", errors)
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{name}: not UTF-8") from error
