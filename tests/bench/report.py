"""The figures as tables for people and as JSON for programs."""

import os
import platform
from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.bench.in_process import Cryptography
from tests.bench.over_http import BARE_LOOP, STEP_UP_CODE, STEP_UP_PASSKEY, Figures
from tests.bench.turns import Comparison


class Report(NamedTuple):
    """Everything that one run found out."""

    over_http: Sequence[Figures]
    in_process: Sequence[Comparison]
    cryptography: Cryptography

    @property
    def bare_loop_us(self) -> float:
        return next(each.server_us for each in self.over_http if each.name == BARE_LOOP)

    @property
    def step_ups(self) -> list[Comparison]:
        """Hold a full step-up against the cryptography that it cannot avoid.

        The subject token's signature is verified and ours is made; a passkey's is verified too.
        """
        sign, verify = self.cryptography
        needed = {STEP_UP_CODE: verify + sign, STEP_UP_PASSKEY: 2 * verify + sign}
        return [
            Comparison(each.name, each.server_us, "its cryptography", needed[each.name])
            for each in self.over_http
            if each.name in needed
        ]

    def as_json(self) -> dict[str, Any]:
        """Return everything, ratios included."""
        bare = self.bare_loop_us
        return {
            "machine": {"cpus": os.cpu_count(), "python": platform.python_version()},
            "over_http": [
                each._asdict() | {"ratio_to_bare_loop": each.server_us / bare}
                for each in self.over_http
            ],
            "in_process": [
                each._asdict() | {"ratio": each.ratio}
                for each in (*self.step_ups, *self.in_process)
            ],
            "cryptography_us": self.cryptography._asdict(),
        }

    def as_text(self) -> str:
        """Return the tables; a ratio is one of CPU time to CPU time, in this run."""
        machine = f"{os.cpu_count()} CPUs, Python {platform.python_version()}, one worker"
        columns = (
            ("per s", 9),
            ("server", 9),
            ("Redis", 8),
            ("Postgres", 10),
            ("p50 ms", 9),
            ("p99 ms", 9),
        )
        heads = "".join(f"{name:>{width}}" for name, width in columns)
        lines = [
            f"{machine}; medians of interleaved rounds, CPU µs per request",
            "",
            f"{'over HTTP':<34}{heads}{'x bare loop':>13}",
        ]
        lines += [
            f"{each.name:<34}{each.per_second:>9,.0f}{each.server_us:>9,.1f}{each.redis_us:>8,.1f}"
            f"{each.postgres_us:>10,.1f}{each.p50_ms:>9,.2f}{each.p99_ms:>9,.2f}"
            f"{each.server_us / self.bare_loop_us:>12,.1f}x"
            for each in self.over_http
        ]
        lines += ["", f"{'in turns with':<34}{'CPU µs':>9}  {'':<22}{'CPU µs':>9}{'ratio':>9}"]
        lines += [
            f"{each.name:<34}{each.us:>9,.1f}  {each.against:<22}{each.against_us:>9,.1f}"
            f"{each.ratio:>8.2f}x"
            for each in (*self.step_ups, *self.in_process)
        ]
        return "\n".join(lines)
