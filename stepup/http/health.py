"""Liveness, readiness and metrics: what load balancers, orchestrators and Prometheus ask.

A background task asks each component in turn and the endpoints read the last answers, so a probe
never waits for a store that hangs.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from enum import StrEnum

import msgspec
from litestar import Litestar, Response, Router, get
from litestar.di import NamedDependency

from stepup import telemetry
from stepup.domain.errors import StepUpError
from stepup.domain.freshness import Freshness
from stepup.http.openapi import returns
from stepup.ports import Ports, Snapshot

Check = Callable[[], Awaitable[object]]

# Long enough for a busy store, short enough that three missed probes are one bad moment.
_CHECK_TIMEOUT = 0.25
_CHECK_INTERVAL = 1.0


class ComponentState(StrEnum):
    """How a component was when it was last asked."""

    UNKNOWN = "unknown"
    OK = "ok"
    DEGRADED = "degraded"
    FAILING = "failing"


class LoadedPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """By which version this process decides, and why not by the active one if that is another."""

    version: int | None
    refused: str | None


class ReadinessReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `/readyz` says."""

    status: str
    draining: bool
    components: dict[str, ComponentState]
    policy: LoadedPolicy


class Readiness:
    """Whether this instance wants requests.

    A store that was reached once and fails later makes the instance degraded, not unready: it
    fails for every instance, and taking all of them out turns a bad minute into an outage
    (RELIABILITY section 10). An instance that never reached its stores is misconfigured, and stays
    out, but for those that are `replaceable`: a configuration that was opened stands for them.
    """

    def __init__(
        self, checks: Mapping[str, Check], *, replaceable: frozenset[str] = frozenset()
    ) -> None:
        self._checks = dict(checks)
        self._needed = set(checks) - replaceable
        self._states = dict.fromkeys(self._checks, ComponentState.UNKNOWN)
        self._reached: set[str] = set()
        self._draining = False
        self._closing = False

    @property
    def is_draining(self) -> bool:
        """Whether load balancers should look elsewhere."""
        return self._draining

    @property
    def is_closing(self) -> bool:
        """Whether connections end with the answer that is on its way."""
        return self._closing

    def drain(self) -> None:
        """Ask load balancers for no more requests; those that come are still served."""
        self._draining = True

    def close_connections(self) -> None:
        """End kept-alive connections with their next answer; the second half of a drain."""
        self._closing = True

    def report(self, ports: Ports) -> ReadinessReport:
        """Say how things are, without waiting for anything."""
        loaded = {
            "keys": _loaded(ports.snapshot, lambda: ports.snapshot.keyring.active),
            "policy": _loaded(ports.snapshot, lambda: ports.snapshot.policy),
        }
        refused = ports.snapshot.refused_policy
        if refused is not None and loaded["policy"] is ComponentState.OK:
            loaded["policy"] = ComponentState.DEGRADED
        components = {**self._states, **loaded}
        can_serve = (
            not self._draining
            and ComponentState.FAILING not in loaded.values()
            and self._reached >= self._needed
        )
        if not can_serve:
            status = "unready"
        elif set(components.values()) == {ComponentState.OK}:
            status = "ready"
        else:
            status = "degraded"
        policy = LoadedPolicy(version=_version(ports.snapshot), refused=refused)
        return ReadinessReport(
            status=status, draining=self._draining, components=components, policy=policy
        )

    async def check(self) -> None:
        """Ask every component once, all at the same time."""
        await asyncio.gather(*(self._check_one(name) for name in self._checks))

    @asynccontextmanager
    async def watch(self, _app: Litestar) -> AsyncIterator[None]:
        """Keep asking while the application runs; the first answers are in before it serves."""
        await self.check()
        task = asyncio.create_task(self._keep_checking())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _keep_checking(self) -> None:
        while True:
            await asyncio.sleep(_CHECK_INTERVAL)
            await self.check()

    async def _check_one(self, name: str) -> None:
        try:
            async with asyncio.timeout(_CHECK_TIMEOUT):
                await self._checks[name]()
        except Exception:  # noqa: BLE001  whatever a driver raises, the component is not well
            self._states[name] = ComponentState.FAILING
            telemetry.dependency_up.labels(name).set(0)
        else:
            self._states[name] = ComponentState.OK
            telemetry.dependency_up.labels(name).set(1)
            self._reached.add(name)


def _loaded(snapshot: Snapshot, read: Callable[[], object]) -> ComponentState:
    try:
        read()
    except (StepUpError, LookupError):
        return ComponentState.FAILING
    is_stale = snapshot.freshness is Freshness.STALE
    return ComponentState.DEGRADED if is_stale else ComponentState.OK


def _version(snapshot: Snapshot) -> int | None:
    try:
        return snapshot.policy.version
    except StepUpError:
        return None


@get("/livez", sync_to_thread=False, tags=["health"])
def live() -> dict[str, str]:
    """Say that the event loop turns, nothing else."""
    return {"status": "live"}


@get(
    "/readyz",
    sync_to_thread=False,
    tags=["health"],
    responses=returns(ReadinessReport, "Send no requests to this instance.", status=503),
)
def ready(
    ports: NamedDependency[Ports], readiness: NamedDependency[Readiness]
) -> Response[ReadinessReport]:
    """Say whether this instance wants requests, and how each component is."""
    report = readiness.report(ports)
    return Response(report, status_code=503 if report.status == "unready" else 200)


@get("/metrics", sync_to_thread=False, include_in_schema=False)
def metrics() -> Response[bytes]:
    """Return every metric in Prometheus' text format."""
    return Response(
        telemetry.render_metrics(), headers={"content-type": telemetry.METRICS_CONTENT_TYPE}
    )


router = Router("/", route_handlers=[live, ready, metrics])
