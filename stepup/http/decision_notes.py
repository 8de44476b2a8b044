"""What a decision says of how it came about: nothing that changes an answer is silent."""

from typing import Any

from stepup.domain.decision import Allow, Basis, Decision, Deny, StepUp
from stepup.domain.policy import Mode
from stepup.domain.recorded_decision import outcome_of
from stepup.domain.requirement import Fallback


def notes_of(decision: Decision) -> dict[str, Any]:
    """Return the members to add to an answer; most decisions need none."""
    basis = decision.basis
    notes = _notes(basis)
    if isinstance(decision, StepUp) and decision.requirement.fallback is not None:
        notes["fallback"] = _fallback(decision.requirement.fallback)
    if isinstance(decision, StepUp) and decision.requirement.min_credential_age:
        age = decision.requirement.min_credential_age
        notes["min_credential_age"] = int(age.total_seconds())
    return notes


def mode_of(basis: Basis) -> Mode:
    """Return `report` whenever anything is only reported, an action or a guardrail above it."""
    return basis.mode if basis.reported is None else Mode.REPORT


def _notes(basis: Basis) -> dict[str, Any]:
    notes: dict[str, Any] = {}
    if basis.error is not None:
        notes["evaluation_error"] = basis.error
    if basis.degraded is not None:
        notes["degraded"] = basis.degraded.value
    if basis.fallback is not None:
        notes["fallback"] = {"acr_values": basis.fallback}
    mode = mode_of(basis)
    if mode is not Mode.ENFORCE:
        notes["mode"] = mode.value
    if basis.reported is not None:
        notes["would_be"] = _would_be(basis.reported)
    return notes


def _would_be(decision: Decision) -> dict[str, Any]:
    told: dict[str, Any] = {"outcome": outcome_of(decision).value}
    match decision:
        case StepUp():
            told["acr_values"] = decision.requirement.acr
            if decision.requirement.max_age is not None:
                told["max_age"] = int(decision.requirement.max_age.total_seconds())
        case Allow() | Deny():
            told["reason"] = decision.reason.value
    if decision.basis.rule is not None:
        told["rule"] = decision.basis.rule
    if decision.basis.guardrails:
        told["guardrails"] = list(decision.basis.guardrails)
    if decision.basis.error is not None:
        told["evaluation_error"] = decision.basis.error
    return told


def _fallback(fallback: Fallback) -> dict[str, Any]:
    told: dict[str, Any] = {"acr_values": fallback.acr}
    if fallback.max_age is not None:
        told["max_age"] = int(fallback.max_age.total_seconds())
    if fallback.methods is not None:
        told["methods"] = sorted(method.value for method in fallback.methods)
    return told
