"""What must hold over a whole history, whatever was killed meanwhile (RELIABILITY section 12).

S1  at most one attempt is granted anything
S2  what was acknowledged when it was made can be redeemed
S3  no token is accepted 5 s after its revocation was acknowledged
S4  as many tries are counted as were allowed
S5  what is valid is never refused for good because of a fault
S6  the same attempt gets the same answer
S7  a challenge has one token identity
S8  each grant has one row in the audit log, in the end
S9  a policy is in force everywhere 2 s after it was activated
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping

from tests.fault.history import History, Outcome, Try

CREATE, REDEEM = "create", "redeem"
GUESS, TRIED = "guess", "tried"
REVOKE, INTROSPECT = "revoke", "introspect"
ACTIVATE, DECIDE = "activate", "decide"
AUDITED = "audited"

REVOKED_WITHIN = 5.0
IN_FORCE_WITHIN = 2.0
_SPENDS = {REDEEM, "consume", "step"}


def _grants(history: History) -> Mapping[tuple[str, str], list[Try]]:
    found: dict[tuple[str, str], list[Try]] = defaultdict(list)
    for one in history.tries:
        if one.outcome is Outcome.GRANTED and one.operation in _SPENDS:
            found[one.operation, one.target].append(one)
    return found


def granted_twice(history: History) -> Iterator[str]:
    """S1: two attempts, one code."""
    for (operation, target), grants in _grants(history).items():
        attempts = {(one.attempt, one.instance) for one in grants}
        if len({attempt for attempt, _ in attempts}) > 1:
            by = ", ".join(sorted({instance for _, instance in attempts}))
            yield f"{operation} of {target} by {by}"


def lost(history: History) -> Iterator[str]:
    """S2: acknowledged, never granted to anybody, and gone at the end or at the next step."""
    yield from (f"{one.target} half made" for one in history.of(CREATE, Outcome.REFUSED))
    spent = {
        one.target
        for one in history.of(REDEEM)
        if one.outcome in {Outcome.GRANTED, Outcome.TAKEN, Outcome.UNKNOWN, Outcome.LEFT}
    }
    gone = {one.target for one in history.of(REDEEM, Outcome.REFUSED)}
    for one in history.of(CREATE, Outcome.GRANTED):
        if one.target in gone - spent:
            yield one.target


def accepted_after_revocation(history: History) -> Iterator[str]:
    """S3: active for somebody who asked when everybody should have known."""
    revoked = {one.target: one.ended for one in history.of(REVOKE, Outcome.GRANTED)}
    for one in history.of(INTROSPECT, Outcome.GRANTED):
        if one.begun > revoked.get(one.target, math.inf) + REVOKED_WITHIN:
            late = one.begun - revoked[one.target]
            yield f"{one.target} by {one.instance} after {late:.1f} s"


def tried_uncounted(history: History) -> Iterator[str]:
    """S4: more tries were allowed than the state has counted."""
    allowed: dict[str, set[str]] = defaultdict(set)
    for one in history.of(GUESS, Outcome.GRANTED):
        allowed[one.target].add(one.attempt)
    for one in history.of(TRIED):
        if len(allowed[one.target]) > int(one.answer):
            yield f"{len(allowed[one.target])} tries at {one.target}, {one.answer} counted"


def refused_wrongly(history: History, safe: Collection[str]) -> Iterator[str]:
    """S5: a code that every node held was called invalid."""
    for one in history.of(REDEEM, Outcome.REFUSED):
        if one.target in safe:
            yield f"{one.target} to {one.instance}"


def answered_differently(history: History) -> Iterator[str]:
    """S6: one attempt, two answers."""
    for (operation, target), grants in _grants(history).items():
        answers: dict[str, set[str]] = defaultdict(set)
        for one in grants:
            answers[one.attempt].add(one.answer)
        yield from (f"{operation} of {target}" for said in answers.values() if len(said) > 1)


def named_twice(history: History) -> Iterator[str]:
    """S7: one challenge, two token identities."""
    for (operation, target), grants in _grants(history).items():
        if operation == REDEEM and len({one.answer.partition(" ")[0] for one in grants}) > 1:
            yield target


def audited_otherwise(history: History) -> Iterator[str]:
    """S8: a grant without its row, or with two; looked at where somebody has read the log."""
    rows = Counter(one.target for one in history.of(AUDITED))
    for target in sorted({one.target for one in history.of(REDEEM, Outcome.GRANTED)}):
        if rows and rows[target] != 1:
            yield f"{target} has {rows[target]} rows"


def outdated(history: History) -> Iterator[str]:
    """S9: somebody decided by an older policy than the one everybody should have had."""
    for one in history.of(DECIDE, Outcome.GRANTED):
        for activation in history.of(ACTIVATE, Outcome.GRANTED):
            late = one.begun - activation.ended
            if late > IN_FORCE_WITHIN and int(one.answer) < int(activation.answer):
                yield f"{one.instance} has {one.answer} {late:.1f} s after {activation.answer}"


def check(history: History, safe: Collection[str], *, nothing_lost: bool) -> dict[str, list[str]]:
    """Return every violation by its name; `nothing_lost` when S2 is promised for this fault."""
    rules: dict[str, Callable[[], Iterator[str]]] = {
        "S1": lambda: granted_twice(history),
        "S3": lambda: accepted_after_revocation(history),
        "S4": lambda: tried_uncounted(history),
        "S5": lambda: refused_wrongly(history, safe),
        "S6": lambda: answered_differently(history),
        "S7": lambda: named_twice(history),
        "S8": lambda: audited_otherwise(history),
        "S9": lambda: outdated(history),
    }
    if nothing_lost:
        rules["S2"] = lambda: lost(history)
    found = {name: list(rule()) for name, rule in rules.items()}
    return {name: violations for name, violations in found.items() if violations}
