"""Two services on the same engines, and engines that can be frozen, killed and started again."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stepup.adapters.embedded.directory import DataDirectory
from stepup.adapters.embedded.postgres import EmbeddedPostgres
from stepup.adapters.embedded.redis import EmbeddedRedis
from tests.support.engines import FAST_REDIS
from tests.support.service import RunningService, children_of, running_service, wait_until_gone

RECOVERS_WITHIN = 15.0


class StoppableEngine:
    """A real engine whose whole family of processes is frozen or killed at one moment."""

    def __init__(self, start: Callable[[], EmbeddedPostgres | EmbeddedRedis]) -> None:
        self._start = start
        self._server = start()
        self.url = self._server.url

    def kill(self) -> None:
        """End it as a lost machine does: no goodbye to anybody."""
        family = self._family()
        self._signal(signal.SIGKILL)
        self._server.stop()
        assert wait_until_gone(family) == []

    def start(self) -> None:
        """Start it again on what it had written."""
        self._server = self._start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Keep every process of it from running, with its connections open, until the block ends."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    @contextmanager
    def killed(self) -> Iterator[None]:
        """Kill it, and start it again when the block ends."""
        self.kill()
        try:
            yield
        finally:
            self.start()

    def stop(self) -> None:
        """End it in order."""
        self._server.stop()

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._family():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _family(self) -> list[int]:
        return [self._server.pid, *children_of(self._server.pid)]


class Cluster:
    """Two services that are one: every request may go to either."""

    def __init__(
        self,
        one: RunningService,
        other: RunningService,
        postgres: StoppableEngine,
        redis: StoppableEngine,
    ) -> None:
        self.one = one
        self.other = other
        self.postgres = postgres
        self.redis = redis

    def wait_until_well(self) -> None:
        """Return when every component of both services answers again."""
        deadline = time.monotonic() + RECOVERS_WITHIN
        while any(each.get("/readyz").json()["status"] != "ready" for each in self.services):
            assert time.monotonic() < deadline, [each.get("/readyz").text for each in self.services]
            time.sleep(0.05)

    @property
    def services(self) -> tuple[RunningService, RunningService]:
        return self.one, self.other


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """Run two services on engines of their own until the block ends."""
    directory = DataDirectory(folder / "engines")
    # What was acknowledged is written, if not yet on the disk: a killed server has lost nothing.
    postgres = StoppableEngine(lambda: EmbeddedPostgres(directory, {"fsync": "off"}))
    redis = StoppableEngine(lambda: EmbeddedRedis(directory, FAST_REDIS))
    arguments = ["--postgres", postgres.url, "--redis", redis.url, "--set", "drain_delay=0s"]
    try:
        one_folder, other_folder = folder / "one", folder / "other"
        one_folder.mkdir()
        other_folder.mkdir()
        with running_service(one_folder, *arguments, "--workers", "2") as one:
            second = [*arguments, "--no-demo", *_same_deployment(one)]
            with running_service(other_folder, *second) as other:
                other.origin = f"http://127.0.0.1:{_port_of(other)}"
                yield Cluster(one, other, postgres, redis)
    finally:
        redis.stop()
        postgres.stop()
        directory.close()


def _same_deployment(one: RunningService) -> list[str]:
    identity_provider = one.ready["upstreams"][0]["issuer"]
    upstreams = [{"issuer": identity_provider, "audiences": ["bank", "stepup", "bank-api"]}]
    settings = {
        "issuer": one.issuer,
        "subject_issuer": identity_provider,
        "upstreams": json.dumps(upstreams),
    }
    return [part for key, text in settings.items() for part in ("--set", f"{key}={text}")]


def _port_of(service: RunningService) -> int:
    """Return where it listens: its issuer is the other's."""
    listening = Path(f"/proc/{service.process.pid}/net/tcp").read_text().splitlines()[1:]
    own = {str(fd.readlink()) for fd in Path(f"/proc/{service.process.pid}/fd").iterdir()}
    for line in listening:
        fields = line.split()
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in own:
            return int(fields[1].rpartition(":")[2], 16)
    raise AssertionError("it listens nowhere")
