"""F11: an instance is killed between the script and the signature, or between that and the answer."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import Mapping

from tests.fault.checker import REDEEM
from tests.fault.history import History, Outcome
from tests.fault.trial import Trial
from tests.support.builders import an_attempt

_CODES = 24
_ENDS_WITHIN = 20.0


async def f11_instance_killed(trial: Trial) -> None:
    """kill -9 of an instance that redeems; each caller comes again, with his attempt, to another."""
    codes = await trial.make_codes(_CODES)
    attempts = {code.id: an_attempt() for code in codes}
    await _redeem(trial, "killed", attempts, trial.chance.uniform(0.02, 0.35))
    await _redeem(trial, "second", attempts, None)
    answered = {one.target for one in trial.history.of(REDEEM) if one.instance == "second"}
    assert answered == set(attempts)
    seen = {one.target for one in trial.history.of(REDEEM) if one.instance == "killed"}
    trial.notes["signed_before_the_kill"] = len(seen)


async def _redeem(
    trial: Trial, name: str, attempts: Mapping[str, str], killed_after: float | None
) -> None:
    arguments = ("-m", "tests.fault.victim", trial.cluster.url, trial.protection.value)
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdin=PIPE, stdout=PIPE
    )
    assert process.stdin
    assert process.stdout
    try:
        async with asyncio.timeout(_ENDS_WITHIN):
            await process.stdout.readline()
            process.stdin.write("".join(f"{t} {a}\n" for t, a in attempts.items()).encode())
            process.stdin.close()
            if killed_after is not None:
                await asyncio.sleep(killed_after)
                process.kill()
            said = await process.stdout.read()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    for line in said.decode().splitlines():
        _write_down(trial.history, name, attempts, line)


def _write_down(history: History, name: str, attempts: Mapping[str, str], line: str) -> None:
    word, *rest = line.split()
    if len(rest) != 3 or word not in {"signed", "answered"}:
        return  # the kill came in the middle of a line
    target, token, at = rest
    # What was signed may have reached somebody, whatever its instance did next.
    with history.trying(name, REDEEM, target, attempts[target]) as one:
        one.outcome, one.answer = Outcome.GRANTED, f"{token} {at}"
