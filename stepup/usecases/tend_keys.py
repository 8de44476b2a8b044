"""Tend the signing keys: announce, promote, retire and remove what is due, without an operator.

No step-up waits for any of this, and while PostgreSQL is away every key stays as it is.
"""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta

from stepup.crypto.sealing import Sealer, UnsealError
from stepup.domain.errors import DependencyUnavailableError, StepUpError
from stepup.domain.key_life import KeyRules, KeyStep, next_steps
from stepup.domain.keyring import Keyring
from stepup.ports import Ports
from stepup.usecases.key_turns import try_turn

# Steps are due by the hour; what an operator asked for should not look forgotten.
LOOK_INTERVAL = timedelta(seconds=15)

Observer = Callable[[Keyring, datetime], object]


async def tend(ports: Ports, sealer: Sealer, rules: KeyRules) -> tuple[KeyStep, ...]:
    """Take every step that is due; returns them, none while another instance has its turn."""
    async with try_turn(ports) as turn:
        # Before the first start has made a key there is nothing to tend.
        if turn is None or not turn.keys:
            return ()
        steps = next_steps(turn.keys, turn.now, rules, ports.site.key_plan)
        for step in steps:
            await turn.take(step, sealer)
    if steps:
        await ports.state.changes.announce()
    return steps


async def keep_keys(
    ports: Ports,
    sealer: Sealer,
    rules: KeyRules,
    observe: Observer = lambda _keyring, _now: None,
) -> None:
    """Tend the keys for ever."""
    while True:
        # Keys of a newer release, or under a key-encryption key that is not here, are tended by
        # an instance that can read them.
        with contextlib.suppress(StepUpError, UnsealError):
            await tend(ports, sealer, rules)
        with contextlib.suppress(DependencyUnavailableError):
            observe(ports.snapshot.keyring, ports.clock.now())
        await asyncio.sleep(LOOK_INTERVAL.total_seconds())
