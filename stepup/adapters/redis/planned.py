"""Tell the instances that the primary is about to be left without losing anything.

A primary that changes unannounced may have lost what was written last, so instances raise a floor
and for a minute no code of an authenticator app counts. Who moves the primary with care announces
it before he pauses the writes.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from stepup.adapters.redis import keys, scripts
from stepup.adapters.redis.history import history_of
from stepup.adapters.redis.scripts import Command
from stepup.adapters.redis.times import epoch_ms

# Its file is all that there is, and it comes back when somebody starts it again.
_FOR_EVER = epoch_ms(datetime.max.replace(tzinfo=UTC))

Ask = Callable[..., Awaitable[Any]]
"""Sends one command to the primary and returns its reply."""


async def announce_move(ask: Ask, until: datetime) -> None:
    """Announce that nothing is lost if the primary changes before `until`."""
    await _plan(ask, epoch_ms(until))


async def take_back(ask: Ask) -> None:
    """Take the announcement back: the primary stays where it is."""
    await _plan(ask, 0)


async def _plan(ask: Ask, until_ms: int) -> None:
    history = history_of(await ask("INFO", "replication"))
    await ask(*leaving(history, until_ms))


def leaving(history: str, until_ms: int = _FOR_EVER) -> Command:
    """Return the command that announces it; without a moment for a server that is shut down."""
    return scripts.PLAN_MOVE.by_source([keys.generation()], [history, until_ms])
