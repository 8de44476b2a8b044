"""Our own actions, laid below every document; a document may raise them, nothing else."""

from functools import cache

import msgspec

from stepup.domain.assurance import DEFAULT_LADDER, Acr, Ladder, Level, Method
from stepup.domain.errors import PolicyInvalidError
from stepup.domain.ids import ActionName
from stepup.domain.policy import RESERVED_PREFIX, Action, Guardrail
from stepup.domain.requirement import Requirement
from stepup.policy_language import defaults
from stepup.policy_language.actions import read_actions
from stepup.policy_language.fields import Fields
from stepup.policy_language.findings import Findings
from stepup.policy_language.guardrails import read_guardrails
from stepup.policy_language.reader import read
from stepup.policy_language.shape.document import Document

# Whoever has no authenticator yet cannot step up: it is allowed or denied by base login alone.
FIRST_ENROLLMENT = ActionName("account.authenticator.add_first")
# What administrators do asks for it. Another ladder may write anything under this name.
_WITH_A_PASSKEY = Acr("phr")


def builtin_for(ladder: Ladder) -> tuple[tuple[Action, ...], tuple[Guardrail, ...]]:
    """Return our actions and guardrails on a document's ladder.

    They are written for the default ladder. On another one they ask for the rung of the same
    name; failing that for the rung at the same height, and for the top when it is not that high.
    What asks for a passkey goes up from there until every way to it has one.
    """
    actions, guardrails = _read()
    if ladder == DEFAULT_LADDER:
        return actions, guardrails
    return (
        tuple(_on(ladder, action) for action in actions),
        tuple(
            msgspec.structs.replace(guardrail, require=_placed(guardrail.require, ladder))
            for guardrail in guardrails
        ),
    )


def is_reserved(name: str) -> bool:
    """Say whether a document may not name an action like this."""
    return name != FIRST_ENROLLMENT and _is_ours(name)


def _is_ours(name: str) -> bool:
    return name.startswith(RESERVED_PREFIX) or any(action.name == name for action in _read()[0])


def _on(ladder: Ladder, action: Action) -> Action:
    # Built-in actions have no rules: what they ask must be readable at a glance.
    default, shared = action.default, action.shared
    return msgspec.structs.replace(
        action,
        default=_placed(default, ladder) if isinstance(default, Requirement) else default,
        shared=None if shared is None else _placed(shared, ladder),
    )


def _placed(requirement: Requirement, ladder: Ladder) -> Requirement:
    acr = _rung(requirement.acr, ladder)
    if requirement.acr != _WITH_A_PASSKEY:
        return msgspec.structs.replace(requirement, acr=acr)
    # A higher rung reaches the lower ones, so one that is weaker than its place counts, too.
    weak = [rank for rank, level in enumerate(ladder.levels) if not _takes_a_passkey(level)]
    place = max([ladder.rank(acr), *(rank + 1 for rank in weak)])
    if place < len(ladder.levels):
        return msgspec.structs.replace(requirement, acr=ladder.levels[place].acr)
    # Rather nobody than anybody: the host's operator is there for that.
    passkeys = frozenset({Method.WEBAUTHN})
    return msgspec.structs.replace(requirement, acr=ladder.top.acr, methods=passkeys)


def _takes_a_passkey(level: Level) -> bool:
    return all(
        any(
            factor.method is Method.WEBAUTHN and (factor.user_verified or len(combination) > 1)
            for factor in combination
        )
        for combination in level.any_of
    )


def _rung(acr: Acr, ladder: Ladder) -> Acr:
    if acr in ladder:
        return acr
    height = min(DEFAULT_LADDER.rank(acr), len(ladder.levels) - 1)
    return ladder.levels[height].acr


@cache
def _read() -> tuple[tuple[Action, ...], tuple[Guardrail, ...]]:
    findings = Findings()
    node = read(defaults.builtin(), findings)
    if node is None:
        raise PolicyInvalidError("Our own actions cannot be read.", tuple(findings.all()))
    document = Fields(node, Document, findings)
    actions = read_actions(document, DEFAULT_LADDER)
    guardrails = read_guardrails(document, DEFAULT_LADDER)
    if findings.all():
        raise PolicyInvalidError("Our own actions have findings.", tuple(findings.all()))
    return (
        tuple(msgspec.structs.replace(written.action, own=True) for written in actions),
        tuple(written.guardrail for written in guardrails),
    )
