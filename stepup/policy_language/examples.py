"""The `tests` of an action: requests with the decision that they must get."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from stepup.domain.assurance import Acr, Amr, Approval, AuthnContext, Method
from stepup.domain.binding import Value, bound_digest
from stepup.domain.decision import Allow, Decision, Deny, StepUp, decide
from stepup.domain.decision_request import DecisionRequest, Entity
from stepup.domain.policy import Action, Policy
from stepup.policy_language.fields import Fields
from stepup.policy_language.findings import Code, Place, did_you_mean
from stepup.policy_language.reader import plain
from stepup.policy_language.shape.examples import Auth, Expected, Party, Properties, Request
from stepup.policy_language.spans import format_span
from stepup.policy_language.values import parse_timestamp

# A working day at noon; a test that depends on the time says its own.
DEFAULT_NOW = datetime(2026, 1, 14, 12, tzinfo=UTC)


class Authentication(msgspec.Struct, frozen=True, kw_only=True):
    """What the subject proved before, as a test tells it."""

    acr: Acr
    age: timedelta = timedelta(0)
    amr: tuple[Amr, ...] = ()
    credential_age: timedelta = timedelta(0)
    for_this: bool = False


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One test, with the place it was read from."""

    name: str
    at: Place
    request: DecisionRequest
    authentication: Authentication | None
    now: datetime
    expect: Expected
    acr: str | None
    max_age: timedelta | None
    methods: frozenset[Method] | None
    rule: str | None


def read_example(fields: Fields, action: Action) -> Example | None:
    """Read one test of an action."""
    for name in ("name", "expect"):
        if name not in fields:
            fields.missing(name)
    expect = fields.choice("expect", Expected)
    methods = fields.choices("methods", Method)
    example = Example(
        name=fields.text("name") or "",
        at=fields.at,
        request=_request(fields, action),
        authentication=_authentication(fields),
        now=_now(fields),
        expect=expect or Expected.DENY,
        acr=fields.text("acr"),
        max_age=fields.span("max_age"),
        methods=None if methods is None else frozenset(methods),
        rule=fields.text("rule"),
    )
    fields.finish()
    return example if expect else None


class Outcome(msgspec.Struct, frozen=True):
    """How a test came out; `failures` is what turned out differently."""

    example: Example
    decision: Decision
    failures: tuple[str, ...]


def run(example: Example, policy: Policy) -> Outcome:
    """Run a test."""
    request = policy.directory.completed(example.request)
    example = msgspec.structs.replace(example, request=request)
    decision = decide(policy, request, _approval(example, policy), example.now)
    return Outcome(example, decision, tuple(_failures(example, decision)))


def _failures(example: Example, decision: Decision) -> list[str]:
    got = _kind(decision)
    if got is not example.expect:
        return [f"expected {example.expect.value}, got {got.value}{_because(decision)}"]
    failures = []
    if example.rule is not None and example.rule != (decision.basis.rule or "default"):
        failures.append(f"expected the rule {example.rule}, got {decision.basis.rule or 'default'}")
    if isinstance(decision, Allow | Deny):
        return failures
    requirement = decision.requirement
    if example.acr not in {None, requirement.acr}:
        failures.append(f"expected acr {example.acr}, got {requirement.acr}")
    if example.max_age not in {None, requirement.max_age}:
        failures.append(
            f"expected max_age {_age(example.max_age)}, got {_age(requirement.max_age)}"
        )
    if example.methods not in {None, requirement.methods}:
        failures.append(
            f"expected methods {_names(example.methods)}, got {_names(requirement.methods)}"
        )
    return failures


def _request(test: Fields, action: Action) -> DecisionRequest:
    fields = test.mapping("request", Request)
    if fields is None:
        return _request_of(action, {}, None, None)
    subject, resource = fields.mapping("subject", Party), fields.mapping("resource", Party)
    on_action = fields.mapping("action", Properties)
    properties: dict[Entity, dict[str, Value]] = {
        Entity.SUBJECT: _values(subject, "properties"),
        Entity.RESOURCE: _values(resource, "properties"),
        Entity.ACTION: _values(on_action, "properties"),
        Entity.CONTEXT: _values(fields, "context"),
    }
    for name, value in _values(fields, "attributes").items():
        attribute = action.attribute(name)
        if attribute is None:
            hint = did_you_mean(name, [a.name for a in action.attributes])
            message = f"the action declares no `{name}`{hint}"
            fields.findings.error(Code.UNKNOWN_ATTRIBUTE, message, fields.place("attributes"))
        else:
            properties[attribute.entity][name] = value
    request = _request_of(action, properties, subject, resource)
    for part in (subject, resource, on_action, fields):
        if part:
            part.finish()
    return request


def _request_of(
    action: Action,
    properties: Mapping[Entity, dict[str, Value]],
    subject: Fields | None,
    resource: Fields | None,
) -> DecisionRequest:
    def said(fields: Fields | None, name: str, otherwise: str) -> str:
        return (fields.text(name) if fields else None) or otherwise

    return DecisionRequest(
        subject_type=said(subject, "type", "user"),
        subject_id=said(subject, "id", "alice"),
        action=action.name,
        resource_type=said(resource, "type", "resource"),
        resource_id=said(resource, "id", "example"),
        subject=properties.get(Entity.SUBJECT, {}),
        resource=properties.get(Entity.RESOURCE, {}),
        action_properties=properties.get(Entity.ACTION, {}),
        context=properties.get(Entity.CONTEXT, {}),
    )


def _values(fields: Fields | None, name: str) -> dict[str, Value]:
    node = fields.fieldset(name) if fields else None
    return {k: plain(e.node) for k, e in node.entries.items()} if node else {}


def _authentication(test: Fields) -> Authentication | None:
    fields = test.mapping("auth", Auth)
    if fields is None:
        return None
    if "acr" not in fields:
        fields.missing("acr")
    authentication = Authentication(
        acr=Acr(fields.text("acr") or ""),
        age=fields.span("age") or timedelta(0),
        amr=tuple(Amr(value) for value in fields.texts("amr")),
        credential_age=fields.span("credential_age") or timedelta(0),
        for_this=fields.flag("for_this") or False,
    )
    fields.finish()
    return authentication


def _now(test: Fields) -> datetime:
    text = test.text("now")
    if text is None:
        return DEFAULT_NOW
    now = parse_timestamp(text)
    if now is None:
        test.wrong("now", "must be a timestamp with an offset, like 2026-01-31T12:00:00Z")
    return now or DEFAULT_NOW


def _approval(example: Example, policy: Policy) -> Approval | None:
    authentication = example.authentication
    if authentication is None:
        return None
    context = AuthnContext(
        acr=authentication.acr,
        auth_time=example.now - authentication.age,
        amr=authentication.amr,
        credential_age=authentication.credential_age,
    )
    if not authentication.for_this:
        return Approval(context=context)
    asked = decide(policy, example.request, None, example.now)
    action = example.request.action
    bound = {} if isinstance(asked, Allow | Deny) else asked.bound
    return Approval(
        context=context,
        action=action,
        bound_digest=bound_digest(action, bound),
        once=isinstance(asked, StepUp) and asked.requirement.once,
    )


def _kind(decision: Decision) -> Expected:
    if isinstance(decision, Allow):
        return Expected.ALLOW
    return Expected.DENY if isinstance(decision, Deny) else Expected.STEP_UP


def _because(decision: Decision) -> str:
    reason = f" ({decision.reason.value})" if isinstance(decision, Allow | Deny) else ""
    error = f", because {decision.basis.error}" if decision.basis.error else ""
    guardrails = ", ".join(decision.basis.guardrails)
    raised = f", raised by the guardrail {guardrails}" if guardrails else ""
    return f"{reason} by {decision.basis.rule or 'default'}{raised}{error}"


def _age(span: timedelta | None) -> str:
    return "any" if span is None else format_span(span)


def _names(methods: frozenset[Method] | None) -> str:
    return "any" if methods is None else ", ".join(sorted(methods))
