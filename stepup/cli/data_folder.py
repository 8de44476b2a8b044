"""This user's data folder: where `stepup dev` keeps its engines, and says what runs from there."""

import json
import os
from pathlib import Path

READY_NAME = "ready.json"
SETTINGS_NAME = "settings.toml"


def default_data_dir() -> Path:
    """Return this user's data folder."""
    given = os.environ.get("XDG_DATA_HOME")
    return (Path(given) if given else Path.home() / ".local" / "share") / "stepup"


def default_cluster_dir() -> Path:
    """Return this user's folder of `stepup cluster`."""
    return default_data_dir().with_name("stepup-cluster")


def find_ready_file(issuer: str) -> Path | None:
    """Return the ready file of a service that runs from one of this user's data folders."""
    for folder in (default_data_dir(), default_cluster_dir()):
        path = folder / READY_NAME
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if document.get("issuer") == issuer.rstrip("/"):
            return path
    return None
