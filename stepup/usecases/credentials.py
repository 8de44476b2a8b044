"""A subject's authenticators for a step-up: from PostgreSQL in a hurry, else from the sealed cache.

Only what opens a challenge reads them here. Who changes them works on PostgreSQL, and calls
`renew` afterwards.
"""

import contextlib
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from stepup.domain.authenticator import Authenticator
from stepup.domain.errors import DependencyUnavailableError, StepUpError
from stepup.domain.ids import Subject
from stepup.ports import Ports


class Known(NamedTuple):
    """What a subject has, and when PostgreSQL said so; None when the cache did."""

    authenticators: Sequence[Authenticator]
    read_at: datetime | None


async def authenticators_for_challenge(ports: Ports, subject: Subject) -> Known:
    """Return a subject's authenticators, oldest first.

    Raises:
        DependencyUnavailableError: If PostgreSQL is away and the cache does not know the subject:
            it may have authenticators, so nobody says that it has none.
    """
    read_at = ports.clock.now()
    try:
        return Known(await ports.database.authenticators_of(subject), read_at)
    except DependencyUnavailableError:
        cached = await ports.state.credentials.find(subject)
        if cached is None:
            raise
    # The list may be older than a removal; what was removed is not even offered.
    steps = ports.state.steps
    kept = [a for a in cached if not await steps.is_retired(subject.id, a.id)]
    return Known(kept, None)


async def remember(ports: Ports, subject: Subject, known: Known) -> None:
    """Keep what PostgreSQL said; what came from the cache is not kept for longer by being used."""
    if known.read_at is None:
        return
    # Nobody waits for an outage that has not begun: without it a later challenge may not open.
    with contextlib.suppress(StepUpError):
        await ports.state.credentials.put(subject, known.authenticators, known.read_at)


async def renew(ports: Ports, subject: Subject) -> None:
    """Keep what a subject has after a change that was committed; failing to is not an error.

    An old list that survives is harmless: what was removed is retired as well.
    """
    read_at = ports.clock.now()
    try:
        async with ports.database.transaction() as stores:
            enrolled = await stores.authenticators.of_subject(subject)
        await ports.state.credentials.put(subject, enrolled, read_at)
    except StepUpError:
        with contextlib.suppress(StepUpError):
            await ports.state.credentials.forget(subject)
