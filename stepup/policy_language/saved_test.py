"""A recorded decision as a test of a document, so that what was once decided stays decided."""

from typing import Any

from stepup.domain.binding import Properties
from stepup.domain.decision_request import Entity
from stepup.domain.policy import Policy
from stepup.domain.recorded_decision import Outcome, RecordedDecision
from stepup.policy_language.spans import format_span


def written_as_test(recorded: RecordedDecision, policy: Policy) -> dict[str, Any]:
    """Write a recorded decision as a document's `tests` have it, without what it does not know.

    Who it was and what it was about are only told where a rule looks at it: a document is read by
    many, and kept for long.
    """
    looked_at = _looked_at(recorded, policy)
    test: dict[str, Any] = {
        "name": f"as decided at {recorded.at:%Y-%m-%d %H:%M:%S} UTC",
        "request": _request(recorded, looked_at),
        **_auth(recorded),
        "now": recorded.at.isoformat().replace("+00:00", "Z"),
        "expect": recorded.outcome.value,
    }
    if recorded.error is None:
        test["rule"] = recorded.rule or "default"
    if recorded.outcome is Outcome.STEP_UP:
        test["acr"] = recorded.acr
        if recorded.max_age is not None:
            test["max_age"] = format_span(recorded.max_age)
    return test


def _looked_at(recorded: RecordedDecision, policy: Policy) -> frozenset[str]:
    action = policy.find(recorded.request.action)
    conditions = [rule.when for rule in action.rules if rule.when] if action else []
    return frozenset().union(*(condition.reads for condition in conditions))


def _request(recorded: RecordedDecision, looked_at: frozenset[str]) -> dict[str, Any]:
    asked = recorded.request
    parts: dict[str, Any] = {
        "subject": {"type": asked.subject_type, "id": asked.subject_id},
        "resource": {"type": asked.resource_type, "id": asked.resource_id},
        "action": {},
    }
    for entity in ("subject", "resource"):
        if f"{entity}.id" not in looked_at:
            del parts[entity]["id"]
    for name, part in parts.items():
        known = _known(recorded, Entity(name))
        if known:
            part["properties"] = known
    parts["context"] = _known(recorded, Entity.CONTEXT)
    return {name: part for name, part in parts.items() if part}


def _known(recorded: RecordedDecision, entity: Entity) -> dict[str, Any]:
    properties: Properties = recorded.request.properties_of(entity)
    return {n: v for n, v in properties.items() if f"{entity}.{n}" not in recorded.digested}


def _auth(recorded: RecordedDecision) -> dict[str, Any]:
    approval = recorded.approval
    if approval is None:
        return {}
    context = approval.context
    auth: dict[str, Any] = {"acr": context.acr, "age": format_span(recorded.at - context.auth_time)}
    if context.amr:
        auth["amr"] = list(context.amr)
    if approval.action == recorded.request.action and recorded.reason == "already_satisfied":
        auth["for_this"] = True
    return {"auth": auth}
