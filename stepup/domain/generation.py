"""Whether the state still remembers all that was ever spent, and what counts if it does not.

A state that has lost data is dangerous where it remembers what must not happen again: a missing
mark reads as "never used". So the state carries a mark of its own, its generation. Where the mark
is gone, or the server has another history than the one it was last seen with, a floor is raised:
nothing counts that can have been used before it (RELIABILITY section 6).
"""

from datetime import datetime
from enum import StrEnum

import msgspec

from stepup.domain.ids import GenerationId

NOBODY_KNOWS = GenerationId("")
"""What is known of earlier generations while whoever could tell is away."""


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """What the state says of itself.

    `histories` name the data for which the floor was settled; every promotion and restart of a
    server begins another one. `leaving` is the history that an operator is about to leave without
    losing anything, if he does so before `leaving_until`.
    """

    id: GenerationId
    begun_at: datetime
    histories: frozenset[str]
    floor_at: datetime | None = None
    leaving: str | None = None
    leaving_until: datetime | None = None


class Finding(StrEnum):
    """What became of the state since somebody last looked."""

    SAME = "same"
    FIRST = "first"  # there never was anything to lose
    MOVED = "moved"  # another server, as planned
    CUT = "cut"  # another server, a restart or an older state: what was last may be missing
    LOST = "lost"  # everything is missing
    REPLACED = "replaced"  # everything was missing, and somebody has raised the floor


def judge(
    seen: Generation | None,
    histories: frozenset[str],
    known: GenerationId | None,
    now: datetime,
    settled: frozenset[str] = frozenset(),
) -> Finding:
    """Say what became of the state, from its mark, its servers and what is known of an earlier one.

    None means for `seen` that there is no mark, for `known` that there certainly never was one.
    `settled` are the histories that the mark was last seen with: one that lacks any of them is
    older than that, and so is all that lies beside it.
    """
    if seen is None:
        return Finding.FIRST if known is None else Finding.LOST
    is_another = known not in {None, NOBODY_KNOWS, seen.id}
    if is_another:
        is_covered = histories <= seen.histories and seen.floor_at is not None
        return Finding.REPLACED if is_covered else Finding.CUT
    if not settled <= seen.histories:
        return Finding.CUT
    if histories <= seen.histories:
        return Finding.SAME
    return Finding.MOVED if _is_planned(seen, now) else Finding.CUT


def is_below(floor_at: datetime | None, possible_since: datetime | None) -> bool:
    """Say whether something can have been used before the floor, so that it must not count.

    `possible_since` is the first moment at which anybody could have accepted it, by any clock.
    """
    return floor_at is not None and possible_since is not None and possible_since <= floor_at


def _is_planned(seen: Generation, now: datetime) -> bool:
    until = seen.leaving_until
    return seen.leaving in seen.histories and until is not None and now < until
