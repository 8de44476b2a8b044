"""What changed in the subjects and resources that a document knows.

What is known of them may decide, either way: none of it is harmless.
"""

from collections.abc import Iterator, Mapping

from stepup.domain.directory import EntityKey, KnownEntity
from stepup.domain.policy import Policy
from stepup.policy_language.meaning.statement import About, Direction, Statement
from stepup.policy_language.meaning.words import value_in_words


def statements_of_entities(before: Policy, after: Policy) -> Iterator[Statement]:
    """Tell who and what is known now, is not any more, or is known by other properties."""
    old, new = before.directory, after.directory
    yield from _of("subject", old.subjects, new.subjects)
    yield from _of("resource", old.resources, new.resources)


def _of(
    kind: str, old: Mapping[EntityKey, KnownEntity], new: Mapping[EntityKey, KnownEntity]
) -> Iterator[Statement]:
    for key in [*new, *(key for key in old if key not in new)]:
        was, is_now = old.get(key), new.get(key)
        if was == is_now:
            continue
        said = [None if each is None else value_in_words(each.properties) for each in (was, is_now)]
        told = f"{said[1]} instead of {said[0]}"
        if was is None:
            told = "known now"
        elif is_now is None:
            told = "not known any more"
        yield _statement(kind, " ".join(key), told, said[0], said[1])
    if old != new or [*old] == [*new]:
        return
    yield _statement(kind, None, "known in another order, for searches")


def _statement(
    kind: str, name: str | None, told: str, before: str | None = None, after: str | None = None
) -> Statement:
    return Statement(
        direction=Direction.DIFFERENT,
        about=About.ENTITY,
        name=name,
        part=kind,
        text=f"{kind} {name}: {told}" if name else f"{kind}s: {told}",
        before=before,
        after=after,
    )
