"""The policy document as a whole: `parse` it into a policy, or `check` it for findings."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from stepup.domain.assurance import Ladder
from stepup.domain.decision_request import DecisionRequest
from stepup.domain.directory import Directory
from stepup.domain.errors import PolicyInvalidError
from stepup.domain.ids import ActionName
from stepup.domain.policy import RESERVED_PREFIX, Action, Effect, Mode, Policy
from stepup.policy_language.actions import WrittenAction, read_actions
from stepup.policy_language.builtin import (
    FIRST_ENROLLMENT,
    builtin_for,
    is_reserved,
)
from stepup.policy_language.entities import read_directory
from stepup.policy_language.examples import DEFAULT_NOW, Example, Outcome, read_example, run
from stepup.policy_language.fields import Fields
from stepup.policy_language.findings import Code, Finding, Findings
from stepup.policy_language.folder import check_version, read_folder
from stepup.policy_language.guardrails import WrittenGuardrail, read_guardrails
from stepup.policy_language.leniency import lint_modes
from stepup.policy_language.levels import read_ladder
from stepup.policy_language.lint import lint_action, lint_guardrail, lint_ladder, lint_own
from stepup.policy_language.reader import Fieldset, read
from stepup.policy_language.shape.document import Document
from stepup.policy_language.strength import lint_strength


class Reading(NamedTuple):
    """What became of a document: a policy when there are no errors, and how its tests came out.

    `tested` are the document's own actions, None when it was too wrong to be tested.
    """

    policy: Policy | None
    findings: Findings
    outcomes: tuple[Outcome, ...] = ()
    tested: tuple[Action, ...] | None = None


class _Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a document says beside its levels, actions and guardrails."""

    unknown_action: Effect
    mode: Mode
    directory: Directory


def parse(text: str, *, version: int, tests: bool = True, in_force: bool = False) -> Policy:
    """Read a document and lay it over our own account actions.

    Without `tests` its own tests are read and not run. One that is `in_force` is not refused for
    what earlier releases let pass.

    Raises:
        PolicyInvalidError: If there are errors; `findings` holds them, and the warnings too.
    """
    reading = _read(text, version, tests=tests, in_force=in_force)
    if reading.policy is None:
        found = tuple(reading.findings.all())
        first = next(str(finding) for finding in found if finding.is_error)
        raise PolicyInvalidError(f"The policy document has errors, the first at {first}", found)
    return reading.policy


def check(text: str) -> list[Finding]:
    """Say everything that is wrong or doubtful, in the order of the document."""
    return _read(text, version=0).findings.all()


def judge(text: str) -> Reading:
    """Say all of that, and how its tests came out."""
    return _read(text, version=0)


def read_files(files: Mapping[str, str], *, tests: bool = True) -> Reading:
    """Read a document that stands in files; findings name them."""
    findings = Findings()
    return _judged(read_folder(files, findings), findings, version=0, tests=tests)


def _read(text: str, version: int, *, tests: bool = True, in_force: bool = False) -> Reading:
    findings = Findings(in_force=in_force)
    return _judged(read(text, findings), findings, version, tests=tests)


def _judged(node: Fieldset | None, findings: Findings, version: int, *, tests: bool) -> Reading:
    if node is None:
        return Reading(None, findings)
    document = Fields(node, Document, findings)
    check_version(document)
    # Names and comments for people; nothing depends on them.
    document.peek("metadata")
    document.refuse_unsupported("shadow", "approvals", "on_degraded")
    ladder = read_ladder(document)
    actions = read_actions(document, ladder)
    guardrails = read_guardrails(document, ladder)
    said = _Said(
        unknown_action=document.choice("unknown_action", Effect) or Effect.DENY,
        mode=document.choice("mode", Mode) or Mode.ENFORCE,
        directory=read_directory(document, (written.action for written in actions)),
    )
    document.finish()
    _refuse_reserved(actions, guardrails, findings)
    policy = _merged(version, ladder, actions, guardrails, said)
    lint_ladder(ladder, findings, document.place("levels"))
    lint_modes(policy, actions, guardrails, findings, document.place("mode"))
    for action in actions:
        lint_action(action, policy, findings)
    for guardrail in guardrails:
        lint_guardrail(guardrail, policy, findings)
    lint_own(policy, guardrails, findings, document.place("levels"))
    examples = _read_tests(actions)
    if findings.has_errors:
        # What does not hang together cannot be tested; the tests come after the repair.
        return Reading(None, findings)
    # What is written must hold before it is enforced, too.
    outcomes = _tried(actions, examples, policy.enforced(), findings) if tests else ()
    tested = tuple(written.action for written in actions)
    failed = any(outcome.failures for outcome in outcomes)
    return Reading(None if failed else policy, findings, outcomes, tested)


def _read_tests(actions: tuple[WrittenAction, ...]) -> list[Example]:
    read_all = (read_example(test, action.action) for action in actions for test in action.tests)
    return [example for example in read_all if example is not None]


def _tried(
    actions: tuple[WrittenAction, ...],
    examples: list[Example],
    policy: Policy,
    findings: Findings,
) -> tuple[Outcome, ...]:
    outcomes = tuple(run(example, policy) for example in examples)
    for outcome in outcomes:
        for failure in outcome.failures:
            message = f"the test `{outcome.example.name}` failed: {failure}"
            findings.error(Code.TEST_FAILED, message, outcome.example.at)
    asked: dict[ActionName, list[DecisionRequest]] = {}
    for example in examples:
        asked.setdefault(example.request.action, []).append(example.request)
    for action in actions:
        name = action.action.name
        lint_strength(action, policy, asked.get(name, ()), DEFAULT_NOW, findings)
    return outcomes


def _refuse_reserved(
    actions: tuple[WrittenAction, ...], guardrails: tuple[WrittenGuardrail, ...], findings: Findings
) -> None:
    for action in actions:
        if is_reserved(action.action.name):
            message = f"`{action.action.name}` is our own action; a guardrail can raise it"
            findings.error(Code.RESERVED_NAME, message, action.at)
        if action.action.name == FIRST_ENROLLMENT and action.action.demands:
            message = "there is nothing to step up with yet: allow or deny by `context.base_acr`"
            findings.error(Code.CONTRADICTION, message, action.at)
        if action.action.name == FIRST_ENROLLMENT and action.action.mode is not None:
            message = "our own actions are always enforced; they have no `mode`"
            findings.error(Code.CONTRADICTION, message, action.at)
    for guardrail in guardrails:
        if guardrail.guardrail.id.startswith(RESERVED_PREFIX):
            message = f"names of guardrails do not begin with `{RESERVED_PREFIX}`"
            findings.error(Code.RESERVED_NAME, message, guardrail.at)


def _merged(
    version: int,
    ladder: Ladder,
    actions: tuple[WrittenAction, ...],
    guardrails: tuple[WrittenGuardrail, ...],
    said: _Said,
) -> Policy:
    own_actions, own_guardrails = builtin_for(ladder)
    merged = {action.name: action for action in own_actions}
    merged.update((written.action.name, written.action) for written in actions)
    first = merged[FIRST_ENROLLMENT]
    merged[FIRST_ENROLLMENT] = msgspec.structs.replace(first, exempt=True, own=True)
    return Policy(
        version=version,
        ladder=ladder,
        actions=merged,
        guardrails=(*own_guardrails, *(written.guardrail for written in guardrails)),
        unknown_action=said.unknown_action,
        mode=said.mode,
        directory=said.directory,
    )
