"""What changed in the levels: which there are, in which order, and what reaches each."""

from collections.abc import Iterator
from itertools import permutations

from stepup.domain.assurance import Factor, Ladder, Level
from stepup.domain.ids import ActionName
from stepup.domain.policy import Policy
from stepup.domain.words import combination_in_words
from stepup.policy_language.meaning.order import direction_of_part
from stepup.policy_language.meaning.statement import About, Direction, Statement
from stepup.policy_language.meaning.words import age_in_words, level_in_words, value_in_words

Combination = tuple[Factor, ...]


def statements_of_levels(before: Policy, after: Policy) -> Iterator[Statement]:
    """Tell what changed in the ladder, from its lowest rung up."""
    old = {level.acr: level for level in before.ladder.levels}
    new = {level.acr: level for level in after.ladder.levels}
    for acr, level in new.items():
        if acr not in old:
            text = f"{level_in_words(acr)}: new level: {_ways(level)}"
            yield _told(after, acr, Direction.DIFFERENT, "level", text)
        else:
            yield from _changed(old[acr], level, after)
    for acr in old:
        if acr not in new:
            text = f"{level_in_words(acr)}: no longer a level"
            yield _told(before, acr, Direction.DIFFERENT, "level", text)
    yield from _order(before.ladder, after.ladder)


def _changed(was: Level, level: Level, after: Policy) -> Iterator[Statement]:
    name = level_in_words(level.acr)
    if was.any_of != level.any_of:
        text = f"{name}: reached by {_ways(level)}, instead of {_ways(was)}"
        direction = _of_ways(was.any_of, level.any_of)
        yield _told(after, level.acr, direction, "any_of", text, _ways(was), _ways(level))
    for field in Level.__struct_fields__:
        old, new = getattr(was, field), getattr(level, field)
        direction = direction_of_part(field, old, new, after.ladder) or Direction.DIFFERENT
        if field in {"acr", "any_of"} or old == new:
            continue
        say = age_in_words if field == "max_age" else value_in_words
        text = f"{name}: {say(new)} instead of {say(old)}, where nothing else is said"
        yield _told(after, level.acr, direction, field, text, say(old), say(new))


def _order(before: Ladder, after: Ladder) -> Iterator[Statement]:
    old = [acr for acr in before.acrs if acr in after]
    new = [acr for acr in after.acrs if acr in before]
    if old != new:
        said = [" < ".join(level_in_words(acr) for acr in acrs) for acrs in (old, new)]
        yield Statement(
            direction=Direction.DIFFERENT,
            about=About.LEVEL,
            part="order",
            text=f"the levels are in another order: {said[1]} instead of {said[0]}",
            before=said[0],
            after=said[1],
        )


def _of_ways(before: tuple[Combination, ...], after: tuple[Combination, ...]) -> Direction:
    """Compare what reaches a level: fewer ways, or harder ones, are stricter."""
    is_within = all(any(_implies(new, old) for old in before) for new in after)
    contains = all(any(_implies(old, new) for new in after) for old in before)
    if is_within == contains:
        return Direction.DIFFERENT
    return Direction.STRICTER if is_within else Direction.WEAKER


def _implies(hard: Combination, easy: Combination) -> bool:
    """Say whether whoever shows the first has shown the second."""
    return any(
        all(_is_also(mine, theirs) for mine, theirs in zip(chosen, easy, strict=True))
        for chosen in permutations(hard, len(easy))
    )


def _is_also(hard: Factor, easy: Factor) -> bool:
    attested = hard.attested or bool(hard.aaguids)
    return (
        hard.method is easy.method
        and hard.user_verified >= easy.user_verified
        and hard.device_bound >= easy.device_bound
        and attested >= (easy.attested or bool(easy.aaguids))
        and (not easy.aaguids or (bool(hard.aaguids) and set(hard.aaguids) <= set(easy.aaguids)))
    )


def _ways(level: Level) -> str:
    return ", or ".join(combination_in_words(combination) for combination in level.any_of)


def _told(
    policy: Policy,
    acr: str,
    direction: Direction,
    part: str,
    text: str,
    *said: str,
) -> Statement:
    before, after = said or (None, None)
    return Statement(
        direction=direction,
        about=About.LEVEL,
        name=acr,
        part=part,
        text=text,
        before=before,
        after=after,
        touches=_asking_for(policy, acr),
    )


def _asking_for(policy: Policy, acr: str) -> tuple[ActionName, ...]:
    return tuple(
        name
        for name, action in policy.actions.items()
        if any(demand.acr == acr for demand in action.demands)
    )
