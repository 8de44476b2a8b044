"""What a running cluster writes down under its data folder, for commands and for people."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import rich_click as click

from stepup.adapters.embedded.family import ProcessId
from stepup.cli.data_folder import READY_NAME
from stepup.cli.dev_ready import write_ready_file

_STATE_NAME = "cluster.json"


class StateFile:
    """The ready file's document, and who runs the cluster where; it holds secrets: mode 0600."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.expanduser().absolute()
        self._path = self.data_dir / _STATE_NAME
        self._ready = self.data_dir / READY_NAME

    def write(self, ready: dict[str, Any], control: Path, members: Sequence[Any]) -> None:
        """Say that the cluster is there."""
        us = ProcessId.of(ready["pid"])
        own = {"started": us.started, "control": str(control), "members": members}
        write_ready_file(self._ready, ready)
        write_ready_file(self._path, ready | own)

    def remove(self) -> None:
        """Say that it is not there any more."""
        for path in (self._path, self._ready):
            path.unlink(missing_ok=True)

    def read(self) -> Mapping[str, Any]:
        """Return what a running cluster wrote, or end the command with one line."""
        found = self.find()
        if found is None:
            raise click.ClickException(f"no cluster runs from {self.data_dir}")
        return found

    def find(self) -> Mapping[str, Any] | None:
        """Return what a running cluster wrote; None when there is none, or it has ended."""
        try:
            document: Mapping[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return document if supervisor_of(document).state != "gone" else None


def supervisor_of(document: Mapping[str, Any]) -> ProcessId:
    """Return the process that runs a cluster."""
    return ProcessId(document["pid"], document["started"])


def member_table(members: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each member."""
    rows = [
        (each["name"], each["role"], each["address"], str(each["pid"] or "-"), each["state"])
        for each in members
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
