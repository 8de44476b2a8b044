"""The embedded engines of `stepup dev`."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import rich_click as click

from stepup.adapters.embedded.directory import DataDirectory
from stepup.adapters.embedded.postgres import EmbeddedPostgres
from stepup.adapters.embedded.processes import EngineError
from stepup.adapters.embedded.redis import EmbeddedRedis

_Started = TypeVar("_Started")


class Engines:
    """What a development service stands on: engines started here, or given ones.

    The data directory is locked while an engine runs in it; with both engines given it holds
    nothing but the secrets, which several services may share.
    """

    def __init__(self, data_dir: Path, *, reset: bool, stack: ExitStack) -> None:
        self._stack = stack
        self._data_dir = data_dir
        self._reset = reset
        self._directory: DataDirectory | None = None

    def postgres(self) -> str:
        """Start PostgreSQL and return its URL."""
        server = _explained(lambda: EmbeddedPostgres(self._opened()))
        self._stack.callback(server.stop)
        return server.url

    def redis(self) -> str:
        """Start a Redis-protocol server and return its URL."""
        server = _explained(lambda: EmbeddedRedis(self._opened()))
        self._stack.callback(server.stop)
        return server.url

    def _opened(self) -> DataDirectory:
        if self._directory is None:
            self._directory = DataDirectory(self._data_dir, reset=self._reset)
            self._stack.callback(self._directory.close)
        return self._directory


def _explained(start: Callable[[], _Started]) -> _Started:
    try:
        return start()
    except EngineError as error:
        raise click.ClickException(str(error)) from error
