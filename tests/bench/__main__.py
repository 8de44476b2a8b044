"""`make bench`: rates and costs as ratios to what was measured beside them in the same run."""

import argparse
import json
import sys
from pathlib import Path

import uvloop

from tests.bench import decisions, in_process, over_http
from tests.bench.report import Report
from tests.bench.setting import Setting, everything
from tests.bench.turns import FULL, QUICK


def main(arguments: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round: does it run at all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON too")
    options = parser.parse_args(arguments)
    report = run(quick=options.quick)
    sys.stdout.write(report.as_text() + "\n")
    if options.json is not None:
        options.json.write_text(json.dumps(report.as_json(), indent=2) + "\n")


def run(*, quick: bool) -> Report:
    """Measure everything; less than 90 s in all, less than 20 s when it is to be quick."""
    plan = over_http.QUICK if quick else over_http.FULL
    effort = QUICK if quick else FULL

    async def beside(setting: Setting) -> tuple[list, list]:
        requests = await over_http.measure(setting, plan)
        return requests, await in_process.measure_redis(effort, setting.redis_url, setting.service)

    with everything() as setting:
        requests, redis = uvloop.run(beside(setting))
    return Report(
        over_http=requests,
        in_process=[*in_process.measure_sdk(effort), *decisions.measure_decisions(effort), *redis],
        cryptography=in_process.measure_cryptography(effort),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
