"""What is said beside a decision: why not, what would lift it, and what the caller must do first.

A denial that a step-up would lift says so in both known forms (AuthZEN section 5.5.2.3, and the
obligations profile) and with members of our own.
"""

from typing import Any

from litestar import Request

from stepup.domain.decision import Allow, Deny, DenyReason, StepUp
from stepup.domain.obligation import ObligationType
from stepup.domain.policy import Mode
from stepup.domain.recorded_decision import outcome_of
from stepup.http.decision_notes import mode_of, notes_of
from stepup.http.request_log import request_log
from stepup.ports import Ports
from stepup.telemetry import (
    decision_errors_total,
    decisions_by_fallback_total,
    decisions_degraded_total,
    decisions_reported_total,
    decisions_total,
)
from stepup.usecases.decide import Answer

_PAR = "/oauth2/par"
_CONSUME = "/oauth2/consume"


def context_of(ports: Ports, answer: Answer) -> dict[str, Any] | None:
    """Say why not, and what would help; nothing when there is nothing to say."""
    return {**_answered(ports, answer), **notes_of(answer.decision)} or None


def _answered(ports: Ports, answer: Answer) -> dict[str, Any]:
    match answer.decision:
        case StepUp() as decision:
            return _step_up_context(ports, answer, decision)
        case Deny(reason=DenyReason.RULE, text=None):
            # A plain no: some callers compare it with what they expect, word for word.
            return {}
        case Deny() as decision:
            reason = {"reason": decision.reason.value, "decision_id": answer.id}
            return reason if decision.text is None else {**reason, "reason_text": decision.text}
        case Allow() if answer.must_consume:
            return {"obligations": obligations_of(ports, answer)}
        case Allow():
            return {}


def obligations_of(ports: Ports, answer: Answer) -> list[dict[str, Any]]:
    """Say what the caller must do: raise the subject, or use the token up before it acts."""
    properties: dict[str, Any]
    if isinstance(answer.decision, StepUp):
        kind = ObligationType.STEP_UP
        properties = {"acr_value": answer.decision.requirement.acr}
        if answer.amr_values:
            properties["amr_values"] = list(answer.amr_values)
    elif answer.must_consume:
        # A decision spends nothing.
        kind, properties = ObligationType.CONSUME, {"endpoint": ports.site.url(_CONSUME)}
    else:
        return []
    return [{"id": kind.value, "type": kind.value, "properties": properties}]


def _step_up_context(ports: Ports, answer: Answer, decision: StepUp) -> dict[str, Any]:
    requirement = decision.requirement
    context: dict[str, Any] = {
        "acr_values": requirement.acr,
        "methods": [method.value for method in answer.methods],
        "obligations": obligations_of(ports, answer),
        "step_up_ticket": answer.ticket,
        "step_up_uri": ports.site.url(_PAR),
        "decision_id": answer.id,
        "policy_version": decision.basis.policy_version,
        "guardrails": list(decision.basis.guardrails),
    }
    if decision.basis.rule is not None:
        context["rule"] = decision.basis.rule
    if answer.amr_values:
        context["amr_values"] = " ".join(answer.amr_values)
    if requirement.max_age is not None:
        context["max_age"] = int(requirement.max_age.total_seconds())
    return context


def log_decision(request: Request[Any, Any, Any], action: str, answer: Answer) -> None:
    """Put the one decision of a request into the log line and the metrics."""
    log = request_log(request)
    log.subject, log.action = answer.subject.id, action
    log.decision, log.decision_id = count_decision(action, answer), answer.id
    basis = answer.decision.basis
    log.evaluation_error = basis.error
    log.degraded = None if basis.degraded is None else basis.degraded.value
    mode = mode_of(basis)
    log.mode = None if mode is Mode.ENFORCE else mode.value
    log.would_be = None if basis.reported is None else outcome_of(basis.reported).value


def count_decision(action: str, answer: Answer) -> str:
    """Count a decision, and return the word for it."""
    outcome = {Allow: "allow", StepUp: "step_up", Deny: "deny"}[type(answer.decision)]
    # Actions that the policy does not name share one series: anybody can invent names.
    label = action if answer.is_named else "unknown"
    decisions_total.labels(action=label, outcome=outcome).inc()
    basis = answer.decision.basis
    if basis.error is not None or (basis.reported and basis.reported.basis.error is not None):
        decision_errors_total.labels(action=label).inc()
    if basis.reported is not None:
        reported = outcome_of(basis.reported).value
        decisions_reported_total.labels(action=label, outcome=reported).inc()
    if basis.degraded is not None:
        decisions_degraded_total.labels(action=label, answer=basis.degraded.value).inc()
    if basis.fallback is not None:
        decisions_by_fallback_total.labels(action=label).inc()
    return outcome
