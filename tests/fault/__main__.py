"""Run faults from the shell: `python -m tests.fault --only F5 --trials 10 --seed 7 --json out.json`.

Every fault with a control arm runs both: the protected one must show nothing, the other must show
violations, or the test is blind.
"""

import argparse
import asyncio
import secrets
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from tests.fault.campaign import Report, run
from tests.fault.instances import Protection
from tests.fault.netns.network import running_net_cluster, why_not
from tests.fault.table import FAULTS, Row
from tests.support.redis_cluster import RedisCluster, engines, running_cluster

ON_A_SITE_MS = 2000


def main() -> int:
    """Run what was asked for, and return 1 when a promise was broken or a control arm is blind."""
    options = _options()
    seed = secrets.randbelow(1 << 31) if options.seed is None else options.seed
    reports: list[Report] = []
    for name in options.only or FAULTS:
        row = FAULTS[name]
        trials = options.trials or (row.long if options.long else row.short)
        arms = [Protection.FULL] + ([row.control] if row.control and not options.no_control else [])
        if row.namespaces and (reason := why_not()):
            print(f"{name}: {reason}", file=sys.stderr)  # noqa: T201
            continue
        with _cluster(row, options) as cluster:
            for arm in arms:
                count = trials if arm is Protection.FULL else min(trials, options.control_trials)
                reports.append(asyncio.run(run(cluster, name, arm, count, seed, options.keep)))
                print(msgspec.json.encode(reports[-1]).decode(), flush=True)  # noqa: T201
    if options.json:
        document = {"engine": options.engine, "reports": reports}
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(document)))
    return int(any(_is_wrong(report) for report in reports))


def _cluster(row: Row, options: argparse.Namespace) -> AbstractContextManager[RedisCluster]:
    binary = engines()[options.engine]
    if row.namespaces:
        return running_net_cluster(options.down_after, binary)
    return running_cluster(binary, down_after_ms=options.down_after)


def _is_wrong(report: Report) -> bool:
    return bool(report.violations) == (report.protection is Protection.FULL)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fault")
    parser.add_argument("--only", action="append", choices=list(FAULTS))
    parser.add_argument("--trials", type=int)
    parser.add_argument("--control-trials", type=int, default=3)
    parser.add_argument("--no-control", action="store_true")
    parser.add_argument("--long", action="store_true", help="as often as a nightly run")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--engine", choices=list(engines()), default="valkey")
    parser.add_argument("--down-after", type=int, default=ON_A_SITE_MS, metavar="MS")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keep", type=Path, help="folder for logs and history of a violation")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
