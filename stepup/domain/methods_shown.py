"""Whether an authentication was made with the methods that a requirement allows.

A token names no method. It has the words of RFC 8176, and `otp` is the word of five methods; so
what is not proved counts as not allowed. Only of a ceremony that was made for this very action it
is enough that its words agree: what was asked of that one were the allowed methods.
"""

from collections.abc import Iterator

from stepup.domain.assurance import Acr, AuthnContext, Factor, Ladder, Method
from stepup.domain.requirement import Requirement

_Combination = tuple[Factor, ...]
_KEYS = frozenset({"hwk", "swk"})


def shows_allowed_methods(
    ladder: Ladder, requirement: Requirement, context: AuthnContext, *, is_own: bool
) -> bool:
    """Say whether allowed methods alone have reached the level that is asked for."""
    methods = requirement.methods
    if methods is None or _can_only_be(methods, ladder, context.acr):
        return True
    words = frozenset[str](context.amr)
    shows = _agree if is_own else _prove
    return any(
        all(factor.method in methods for factor in combination) and shows(words, combination)
        for combination in _combinations(ladder, requirement.acr)
    )


def _can_only_be(methods: frozenset[Method], ladder: Ladder, acr: Acr) -> bool:
    # Not of this level alone: whoever has shown a higher one must not be worse off.
    used = {f.method for combination in _combinations(ladder, acr) for f in combination}
    return bool(used) and used <= methods


def _combinations(ladder: Ladder, acr: Acr) -> Iterator[_Combination]:
    rank = ladder.rank(acr)
    if rank >= 0:
        for level in ladder.levels[rank:]:
            yield from level.any_of


def _prove(words: frozenset[str], combination: _Combination) -> bool:
    # The words are a set: two ceremonies of one method cannot be told from one.
    apart = len({factor.method for factor in combination}) == len(combination)
    return apart and all(_proves(words, factor) for factor in combination)


def _proves(words: frozenset[str], factor: Factor) -> bool:
    if factor.method is Method.SMS:
        return "sms" in words
    # Which of several keys was bound to its device, and which one verified the user, is not said.
    is_more = factor.device_bound or factor.attested or bool(factor.aaguids)
    return factor.method is Method.WEBAUTHN and not is_more and _agrees(words, factor)


def _agree(words: frozenset[str], combination: _Combination) -> bool:
    return all(_agrees(words, factor) for factor in combination)


def _agrees(words: frozenset[str], factor: Factor) -> bool:
    match factor.method:
        case Method.WEBAUTHN:
            keys = {"hwk"} if factor.device_bound else _KEYS
            return not keys.isdisjoint(words) and ("user" in words or not factor.user_verified)
        case Method.SMS:
            return "sms" in words
        case _:
            return "otp" in words
