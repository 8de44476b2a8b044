"""Trials in a row, and what they say together."""

import asyncio
import random
import shutil
from collections import Counter
from pathlib import Path

import msgspec
import structlog

from tests.fault.instances import Protection
from tests.fault.table import FAULTS
from tests.fault.trial import Trial, TrialResult
from tests.support.redis_cluster import RedisCluster

_log = structlog.get_logger()
_LONGEST_TRIAL = 120


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a fault under one protection; `bound_95` is 3/n when nothing was seen."""

    fault: str
    protection: Protection
    seed: int
    trials: int
    operations: int
    granted: int
    unknown: int
    violations: dict[str, int]
    examples: dict[str, list[str]]
    bound_95: float | None
    recovered_s: list[float]
    notes: list[dict[str, float]]


async def run(
    cluster: RedisCluster,
    name: str,
    protection: Protection,
    trials: int,
    seed: int,
    keep: Path | None = None,
) -> Report:
    """Run a fault so often; the seed decides everything that chance decides."""
    _log.info("fault", name=name, protection=protection.value, trials=trials, seed=seed)
    results = [await _run_one(cluster, name, protection, seed + n, keep) for n in range(trials)]
    violations = Counter[str]()
    examples: dict[str, list[str]] = {}
    for result in results:
        for rule, found in result.violations.items():
            violations[rule] += len(found)
            examples.setdefault(rule, found[:3])
    return Report(
        fault=name,
        protection=protection,
        seed=seed,
        trials=trials,
        operations=sum(result.operations for result in results),
        granted=sum(result.granted for result in results),
        unknown=sum(result.unknown for result in results),
        violations=dict(violations),
        examples=examples,
        bound_95=None if violations else min(1.0, 3 / trials),
        recovered_s=[round(r.recovered_s, 2) for r in results if r.recovered_s is not None],
        notes=[result.notes for result in results],
    )


async def _run_one(
    cluster: RedisCluster, name: str, protection: Protection, seed: int, keep: Path | None
) -> TrialResult:
    row = FAULTS[name]
    trial = Trial(cluster, protection, random.Random(seed))  # noqa: S311  it must be repeatable
    await cluster.healthy()
    try:
        async with asyncio.timeout(_LONGEST_TRIAL):
            await row.fault(trial)
        if protection is not Protection.LOOK_AND_WRITE:
            await trial.sweep()
    finally:
        await cluster.mend()
        await cluster.restore()
    result = trial.result(nothing_lost=row.nothing_lost)
    if keep is not None and result.violations:
        folder = keep / f"{name}-{protection.value}-{seed}"
        shutil.copytree(cluster.folder, folder, dirs_exist_ok=True)
        (folder / "history.txt").write_text("\n".join(trial.history.lines()))
    return result
