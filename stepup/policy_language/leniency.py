"""Checks of what makes a policy milder than it looks: modes, fallbacks, ages of authenticators."""

from collections.abc import Iterable

from stepup.domain.assurance import Ladder
from stepup.domain.policy import Mode, Policy
from stepup.domain.requirement import OnUnenrolled, Requirement
from stepup.policy_language.actions import WrittenAction
from stepup.policy_language.findings import Code, Findings, Place
from stepup.policy_language.guardrails import WrittenGuardrail


def lint_modes(
    policy: Policy,
    actions: Iterable[WrittenAction],
    guardrails: Iterable[WrittenGuardrail],
    findings: Findings,
    at: Place,
) -> None:
    """Tell of everything that is switched off; a trial that nobody ends is no policy."""
    if policy.mode is Mode.OFF:
        message = "everything that says no mode of its own is switched off"
        findings.warn(Code.SWITCHED_OFF, message, at)
    for action in actions:
        if action.action.mode is Mode.OFF:
            message = f"the action `{action.action.name}` is switched off"
            findings.warn(Code.SWITCHED_OFF, message, action.at)
    for guardrail in guardrails:
        if guardrail.guardrail.mode is Mode.OFF:
            message = f"the guardrail `{guardrail.guardrail.id}` is switched off"
            findings.warn(Code.SWITCHED_OFF, message, guardrail.at)


def lint_unenrolled(
    requirement: Requirement, ladder: Ladder, findings: Findings, at: Place
) -> None:
    """Find a fallback that is none, and an enrollment that would not help."""
    if requirement.on_unenrolled is OnUnenrolled.ENROLL and requirement.min_credential_age:
        message = "who enrolls now has nothing that is old enough for `min_credential_age`"
        findings.warn(Code.TOO_YOUNG, message, at)
    fallen = requirement.fallen_back()
    if fallen is None:
        return
    if ladder.rank(fallen.acr) > ladder.rank(requirement.acr):
        message = f"the fallback asks for more (`{fallen.acr}`) than `{requirement.acr}`"
        findings.error(Code.CONTRADICTION, message, at)
    level = ladder.get(fallen.acr)
    if level.any_of and not fallen.is_reachable(level):
        message = f"nobody can reach `{fallen.acr}` with the fallback's methods"
        findings.error(Code.UNREACHABLE_LEVEL, message, at)
