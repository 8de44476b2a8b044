"""This user's data folder: where `stepup dev` keeps its engines, and says what runs from there."""

import json
import os
from pathlib import Path

READY_NAME = "ready.json"


def default_data_dir() -> Path:
    """Return this user's data folder."""
    given = os.environ.get("XDG_DATA_HOME")
    return (Path(given) if given else Path.home() / ".local" / "share") / "stepup"


def find_ready_file(issuer: str) -> Path | None:
    """Return the ready file of a service that runs from this user's data folder."""
    path = default_data_dir() / READY_NAME
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return path if document.get("issuer") == issuer.rstrip("/") else None
