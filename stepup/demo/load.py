"""Many runs at once: how many in a second, and how long each step takes."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import httpx2

from stepup.demo.headless import Method, Run
from stepup.demo.headless_browser import forgetful_jar
from stepup.demo.target import Target
from stepup.sdk import StepUp


async def run_many(
    target: Target, methods: Sequence[Method], repeat: int, concurrency: int
) -> tuple[list[Run], float]:
    """Make `repeat` runs of each method; returns them, and the seconds that stepping up took.

    Everybody is enrolled beforehand, so that the figure is about stepping up.
    """
    su = StepUp(issuer=target.issuer, audience=target.audience)
    limits = httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    async with httpx2.AsyncClient(timeout=30, limits=limits, cookies=forgetful_jar()) as http:
        runs = [Run(target, http, su, method) for _ in range(repeat) for method in methods]
        await _in_parallel([run.prepare for run in runs], concurrency)
        began = time.perf_counter()
        await _in_parallel([run.step_up for run in runs], concurrency)
        return runs, time.perf_counter() - began


def report(runs: Sequence[Run], seconds: float) -> dict[str, Any]:
    """Sum up what many runs took."""
    good = [run for run in runs if run.failure is None]
    times: dict[str, list[float]] = {}
    for run in good:
        for step in run.steps:
            times.setdefault(step.name, []).append(step.ms)
    prepared = {"base login", "enroll"}
    totals = [sum(s.ms for s in run.steps if s.name not in prepared) for run in good]
    return {
        "ok": len(good) == len(runs),
        "runs": len(runs),
        "failed": len(runs) - len(good),
        "failures": dict(Counter(run.failure for run in runs if run.failure).most_common(5)),
        "seconds": round(seconds, 3),
        "step_ups_per_second": round(len(good) / seconds, 1) if seconds else 0.0,
        "step_up_ms": percentiles(totals),
        "steps_ms": {name: percentiles(values) for name, values in times.items()},
    }


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return the usual ones, in the unit of the values."""
    if not values:
        return {}
    ordered = sorted(values)
    return {
        name: round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)
        for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))
    }


async def _in_parallel(work: Sequence[Callable[[], Awaitable[None]]], concurrency: int) -> None:
    waiting = iter(work)

    async def worker() -> None:
        # Workers share the iterator: whoever is free takes the next.
        for task in waiting:
            await task()

    await asyncio.gather(*(worker() for _ in range(concurrency)))
