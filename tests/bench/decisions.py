"""What a decision costs by itself, without HTTP: it may not depend on how much else a policy says."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from stepup.domain.assurance import Acr, Approval, AuthnContext
from stepup.domain.binding import Properties
from stepup.domain.condition import Condition
from stepup.domain.decision import decide
from stepup.domain.decision_request import DecisionRequest
from stepup.domain.ids import ActionName
from stepup.domain.policy import Policy
from stepup.policy_language import document
from tests.bench.turns import Comparison, Effort, in_turns

RULES = 20
_NOW = datetime(2026, 1, 14, 12, tzinfo=UTC)
_APPROVAL = Approval(
    context=AuthnContext(acr=Acr("urn:stepup:acr:1"), amr=(), auth_time=_NOW - timedelta(minutes=1))
)

# As a bank would write it: amounts, an address, values that are bound, two floors above.
TYPICAL = """
apiVersion: stepup/v1
actions:
  payments.transfer:
    tags: [money]
    attributes:
      amount: {type: decimal, required: true}
      payee: {type: string, required: true}
      currency: {type: string, enum: [EUR, USD], required: true}
      payee_known: {type: bool, default: false}
      ip: {type: ip, in: context}
    bind: [amount, currency, payee]
    token: {ttl: 120s, once: true, audience: bank-api}
    rules:
      - id: small
        when: action.amount > 0 && action.amount <= 10000 && action.payee_known
        allow: true
      - id: abroad
        when: has(context.ip) && !inCidr(context.ip, "10.0.0.0/8") && action.amount > 500000
        deny: not from there
      - {id: large, when: action.amount > 100000, require: {level: phr, max_age: 0s}}
    default: {level: urn:stepup:acr:2}
guardrails:
  - {id: money, match: {tags: [money]}, require: {max_age: 15m}}
  - {id: all, match: {actions: ["payments.*"]}, require: {level: urn:stepup:acr:2}}
"""


def measure_decisions(effort: Effort) -> list[Comparison]:
    """Measure a decision among one action and among many, and one that is typical."""
    one, many = (document.parse(crowded(n), version=1, tests=False) for n in (1, effort.actions))
    alone, among = in_turns(
        effort.rounds,
        effort.decisions,
        _asking(one, "p0", {"a": RULES}, effort),
        _asking(many, f"p{effort.actions - 1}", {"a": RULES}, effort),
    )
    typical = document.parse(TYPICAL, version=1)
    sent: Properties = {"amount": "5000.00", "payee": "ACME", "currency": "EUR"}
    whole, conditions = in_turns(
        effort.rounds,
        effort.decisions,
        _asking(typical, "payments.transfer", sent, effort),
        _evaluating(typical, "payments.transfer", sent, effort),
    )
    return [
        Comparison(f"policy, one of {effort.actions} actions", among, "policy, one action", alone),
        Comparison("policy, a typical action", whole, "its conditions alone", conditions),
    ]


def crowded(actions: int) -> str:
    """Write so many actions with twenty rules each, none of which matches."""
    rules = ", ".join(f"{{id: r{n}, when: action.a=={n}, deny: no}}" for n in range(RULES))
    return "apiVersion: stepup/v1\nactions:\n" + "".join(
        f"  p{n}:\n    attributes: {{a: {{type: int, required: true}}}}\n"
        f"    default: {{level: phr}}\n    rules: [{rules}]\n"
        for n in range(actions)
    )


def _request(action: str, sent: Properties) -> DecisionRequest:
    return DecisionRequest(
        subject_type="user",
        subject_id="alice",
        action=ActionName(action),
        resource_type="account",
        resource_id="1",
        action_properties=sent,
        context={"ip": "10.1.2.3"},
    )


def _asking(policy: Policy, action: str, sent: Properties, effort: Effort) -> Callable[[], None]:
    request = _request(action, sent)

    def decisions() -> None:
        for _ in range(effort.decisions):
            decide(policy, request, _APPROVAL, _NOW)

    return decisions


def _evaluating(
    policy: Policy, action: str, sent: Properties, effort: Effort
) -> Callable[[], None]:
    """Evaluate the conditions again and again on attributes that were read once."""
    found = policy.actions[ActionName(action)]
    inputs = found.schema.read(_request(action, sent), _APPROVAL.context, _NOW)
    conditions: list[Condition] = [rule.when for rule in found.rules if rule.when]

    def evaluations() -> None:
        for _ in range(effort.decisions):
            for condition in conditions:
                condition.holds(inputs)

    return evaluations
