"""F16: revocations and activations while what carries them is away."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

import httpx2

from stepup.adapters.redis import keys
from stepup.adapters.redis.endpoint import Endpoint
from stepup.adapters.redis.operator import tell
from stepup.domain.revocation import Revoked
from tests.e2e.cluster import Cluster
from tests.fault.checker import IN_FORCE_WITHIN, REVOKED_WITHIN
from tests.fault.history import History, Outcome
from tests.fault.service.callers import Caller, claims_of
from tests.support.service import children_of

_MARGIN = 1.5
_ACKNOWLEDGED_WITHIN = 20.0


def f16_revocation(cluster: Cluster, fault: str, token: str, *, forget: bool = False) -> History:
    """Revoke a token at one service and ask both, until nobody may say yes any more.

    With `forget`, the control arm, the revocation is taken out of Redis as soon as it is there.
    """
    history = History()
    cluster.wait_until_well()
    with _callers(cluster, history) as (a, b), FAULTS[fault](cluster):
        history.event(fault)
        _until_acknowledged(lambda: a.revoke(token))
        if forget:
            asyncio.run(_forget(cluster, claims_of(token)["jti"]))
        _ask(history, (a, b), token)
    return history


def f16_activation(cluster: Cluster, fault: str, version: int) -> History:
    """Activate a policy at one service and ask both until nobody may have the old one."""
    history = History()
    cluster.wait_until_well()
    with _callers(cluster, history) as (a, b):
        document = _document(cluster)
        action = f"actions:\n  probe.v{version}: {{default: allow}}\n"
        with FAULTS[fault](cluster):
            history.event(fault)
            a.activate(document.replace("actions:\n", action, 1), version)
            ends = time.monotonic() + IN_FORCE_WITHIN + _MARGIN
            while time.monotonic() < ends:
                a.sees(version)
                b.sees(version)
    return history


def _ask(history: History, callers: tuple[Caller, Caller], token: str) -> None:
    ends = time.monotonic() + REVOKED_WITHIN + _MARGIN

    def ask(caller: Caller) -> None:
        while time.monotonic() < ends:
            caller.introspect(token)
            time.sleep(0.1)

    with ThreadPoolExecutor(2) as pool:
        for each in [pool.submit(ask, caller) for caller in callers]:
            each.result()


def _until_acknowledged(revoke: Callable[[], Outcome]) -> None:
    ends = time.monotonic() + _ACKNOWLEDGED_WITHIN
    while revoke() is not Outcome.GRANTED:
        assert time.monotonic() < ends, "nobody acknowledges the revocation"
        time.sleep(0.1)


async def _forget(cluster: Cluster, token: str) -> None:
    mark = keys.revoked(Revoked.TOKEN, token)
    forgotten = (mark, keys.live_revocations(), keys.revocations())
    for key in forgotten:
        await tell(Endpoint.parse(cluster.redis.url), "DEL", key)


@contextmanager
def _callers(cluster: Cluster, history: History) -> Iterator[tuple[Caller, Caller]]:
    a, b = (Caller(n, s, history) for n, s in zip("ab", cluster.services, strict=True))
    with contextlib.closing(a), contextlib.closing(b):
        yield a, b


def _document(cluster: Cluster) -> str:
    url = f"{cluster.one.origin}/v1/admin/policy"
    answer = httpx2.get(url, headers=cluster.one.admin, trust_env=False, timeout=15)
    return str(answer.json()["document"])


@contextmanager
def _redis_restarted(cluster: Cluster) -> Iterator[None]:
    """Redis is away for a second, in which nobody hears anything."""
    with cluster.redis.killed():
        time.sleep(1.0)
    yield


@contextmanager
def _gap(cluster: Cluster) -> Iterator[None]:
    """The streams lose what nobody has read yet, again and again."""
    for key in (keys.revocations(), keys.changes()):
        asyncio.run(tell(Endpoint.parse(cluster.redis.url), "XTRIM", key, "MAXLEN", 0))
    yield


@contextmanager
def _reader_paused(cluster: Cluster) -> Iterator[None]:
    """Every process of the second service sleeps for three seconds in the middle."""
    family = [cluster.other.process.pid, *children_of(cluster.other.process.pid)]

    def send(number: signal.Signals) -> None:
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    send(signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        later = pool.submit(lambda: (time.sleep(3.0), send(signal.SIGCONT)))
        try:
            yield
        finally:
            later.result()


FAULTS: Mapping[str, Callable[[Cluster], AbstractContextManager[None]]] = {
    "nothing": lambda _: contextlib.nullcontext(),
    "postgres killed": lambda cluster: cluster.postgres.killed(),
    "redis restarted": _redis_restarted,
    "gap in the feed": _gap,
    "reader paused": _reader_paused,
}
