"""Look for secrets where nobody may read them: in the engines' files and in the log."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg

from tests.support.service import RunningService


def readable_in_engines(service: RunningService, secrets: Mapping[str, bytes]) -> set[str]:
    """Return the secrets that stand in a file of an embedded engine, by their names."""
    with psycopg.connect(service.ready["engines"]["postgres"], autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    texts = (path.read_bytes() for path in engine_files(service))
    return {name for text in texts for name in readable_in(text, secrets)}


def readable_in_log(service: RunningService, secrets: Mapping[str, bytes]) -> set[str]:
    """Return the secrets that stand in the service's log, by their names."""
    return readable_in(service.log.read_bytes(), secrets)


def readable_in(text: bytes, secrets: Mapping[str, bytes]) -> set[str]:
    return {name for name, secret in secrets.items() if secret in text}


def engine_files(service: RunningService, *engines: str) -> Iterator[Path]:
    """Yield everything that the engines have written: data, logs, write-ahead logs."""
    for engine in engines or ("postgres", "redis", "logs"):
        folder = service.log.parent / "data" / engine
        yield from (path for path in folder.rglob("*") if path.is_file())
