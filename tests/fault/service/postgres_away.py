"""F14: PostgreSQL is killed, frozen or read-only while callers go on."""

import asyncio
import contextlib
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

import psycopg

from stepup.adapters.redis import keys
from stepup.adapters.redis.endpoint import Endpoint
from stepup.adapters.redis.operator import tell
from stepup.domain.audit import AuditKind
from tests.e2e.cluster import Cluster
from tests.fault.checker import AUDITED, INTROSPECT, REDEEM
from tests.fault.history import History, Outcome
from tests.fault.service.callers import Caller
from tests.support.builders import an_attempt
from tests.support.redis_cluster import until

_CODES = 24
_SUBJECTS = 4
_WRITTEN_WITHIN = 40.0


def f14(
    cluster: Cluster, fault: str, seconds: float, *, forget: bool = False
) -> tuple[History, set[str], dict[str, float]]:
    """Redeem, introspect and step up while PostgreSQL is away; then read the audit log.

    With `forget`, the control arm, what waits for PostgreSQL is thrown away.
    """
    history = History()
    cluster.wait_until_well()
    callers = [Caller(n, s, history) for n, s in zip("ab", cluster.services, strict=True)]
    with contextlib.ExitStack() as stack:
        for caller in callers:
            stack.callback(caller.close)
        maker = callers[0].api
        codes = [maker.passed() for _ in range(_CODES)]
        subjects = [maker.enroll() for _ in range(_SUBJECTS)]
        tokens = [maker.elevated()]
        third = _CODES // 3
        usual = _use(callers, codes[:third], tokens, 0.0)
        with FAULTS[fault](cluster), _forgetting(cluster) if forget else contextlib.nullcontext():
            history.event(fault)
            during = _use(callers, codes[third : 2 * third], tokens, seconds)
            for caller, subject in zip(callers * 2, subjects, strict=True):
                caller.step_up(subject)
        history.event("over")
        _use(callers, codes[2 * third :], tokens, 0.0)
    cluster.wait_until_well()
    asyncio.run(_read_audit_log(cluster, history))
    safe = {code.rpartition(".")[0] for code in codes}
    return history, safe, _figures(history, usual, during)


def _use(
    callers: Sequence[Caller], codes: Sequence[str], tokens: Sequence[str], seconds: float
) -> tuple[float, float]:
    """Redeem codes, spread over some seconds, and introspect meanwhile; return when it was."""
    begun = time.monotonic()
    pause = seconds / max(1, len(codes))

    def redeem(n: int) -> None:
        time.sleep(n * pause)
        callers[n % 2].redeem(codes[n], an_attempt())

    def introspect(caller: Caller) -> None:
        while time.monotonic() < begun + seconds:
            caller.introspect(tokens[0])
            time.sleep(0.05)

    with ThreadPoolExecutor(8) as pool:
        work = [pool.submit(redeem, n) for n in range(len(codes))]
        work += [pool.submit(introspect, caller) for caller in callers]
        for each in work:
            each.result()
    return begun, time.monotonic()


def _figures(
    history: History, usual: tuple[float, float], during: tuple[float, float]
) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, (begun, ended) in {"usual": usual, "during": during}.items():
        for operation in (REDEEM, INTROSPECT):
            tries = [one for one in history.of(operation) if begun <= one.begun <= ended]
            if not tries:
                continue
            took = [one.ended - one.begun for one in tries]
            granted = sum(one.outcome is Outcome.GRANTED for one in tries)
            found[f"{operation}_{name}_granted"] = granted / len(tries)
            found[f"{operation}_{name}_p50_s"] = round(statistics.median(took), 3)
            found[f"{operation}_{name}_max_s"] = round(max(took), 3)
    return found


async def _read_audit_log(cluster: Cluster, history: History) -> None:
    """Wait until nothing waits any more, and write each grant's row down."""

    async def drained() -> bool:
        return await _redis(cluster, "XLEN", keys.outbox()) == 0

    await until(drained, _WRITTEN_WITHIN, "an outbox that was written")
    query = "SELECT challenge_id FROM audit_event WHERE kind = %s"
    async with await psycopg.AsyncConnection.connect(_dsn(cluster)) as connection:
        rows = await (await connection.execute(query, [AuditKind.TOKEN_ISSUED.value])).fetchall()
    assert rows, "the log says nothing of tokens"
    for (challenge,) in rows:
        with history.trying("reader", AUDITED, challenge, an_attempt()) as one:
            one.outcome = Outcome.GRANTED


@contextmanager
def _forgetting(cluster: Cluster) -> Iterator[None]:
    """Throw away whatever waits for PostgreSQL, before anybody has read it."""
    over = threading.Event()

    async def forget() -> None:
        while not over.is_set():
            await _redis(cluster, "DEL", keys.outbox())

    with ThreadPoolExecutor(1) as pool:
        forgetting = pool.submit(lambda: asyncio.run(forget()))
        try:
            yield
        finally:
            over.set()
            forgetting.result()


def _dsn(cluster: Cluster) -> str:
    return cluster.postgres.url.replace("+psycopg", "", 1)


async def _redis(cluster: Cluster, *command: str) -> int:
    return int(await tell(Endpoint.parse(cluster.redis.url), *command))


@contextmanager
def _read_only(cluster: Cluster) -> Iterator[None]:
    """Let every new transaction be refused as on a demoted primary: SQLSTATE 25006."""

    def turn(word: str) -> None:
        with psycopg.connect(_dsn(cluster), autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {word}")
            connection.execute("SELECT pg_reload_conf()")

    turn("on")
    try:
        yield
    finally:
        turn("off")


FAULTS: Mapping[str, Callable[[Cluster], AbstractContextManager[None]]] = {
    "killed": lambda cluster: cluster.postgres.killed(),
    "frozen": lambda cluster: cluster.postgres.frozen(),
    "read_only": _read_only,
}
