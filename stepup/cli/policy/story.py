"""An explanation as an administrator reads it at a terminal: what happened, in its order."""

from collections.abc import Iterable, Iterator

import rich_click as click

from stepup.cli.policy.requirement_text import parts_in_words, requirement_in_words
from stepup.domain.binding import Value
from stepup.http.admin.explanation import (
    AttributeDocument,
    ComparedDocument,
    DemandDocument,
    ExplanationDocument,
    FitnessDocument,
    GuardrailDocument,
    PartDocument,
    RuleDocument,
)
from stepup.policy_language.findings import escaped
from stepup.policy_language.spans import format_seconds

_MARKS = {True: click.style("✓", fg="green"), False: click.style("✗", fg="red"), None: "-"}
_BROKEN = click.style("!", fg="yellow")
_VERDICTS = {
    "matched": _MARKS[True],
    "not_matched": _MARKS[False],
    "failed": _BROKEN,
    "not_reached": _MARKS[None],
}
_GIVEN = "given"

_REASONS = {
    "not_required": "nothing is asked",
    "already_satisfied": "the authentication at hand will do",
    "not_enforced": "the rules are not enforced",
    "unknown_action": "the policy names no such action",
    "rule": "a rule denies it",
    "missing_bound_attribute": "a bound attribute was not sent",
    "invalid_attribute": "a bound or displayed attribute is not of its type",
    "degraded": "a dependency is away",
}
_MODES = {"report": "only reported", "off": "not even looked at"}
_DEGRADED = {
    "serve": "that changes nothing here",
    "raise": "the strongest requirement holds",
    "refuse": "everything is refused",
}
_POINTS = {
    "level": "level",
    "methods": "by allowed methods",
    "credential_age": "age of the authenticator",
    "own_ceremony": "made for this action",
    "bound_values": "made for these values",
    "once": "good for one use",
    "auth_time": "time of the authentication",
    "max_age": "age",
}
_MISFITS = {
    "not_confirmed": "the codes were never confirmed",
    "used_up": "no code is left",
    "method_not_allowed": "the method is not allowed here",
    "method_not_in_level": "the method does not reach the level",
    "not_user_verifying": "it does not verify its user",
    "not_device_bound": "it is not bound to its device",
    "not_attested": "no manufacturer vouched for it",
    "wrong_model": "it is of another model",
    "too_young": "it was enrolled too recently",
    "needs_another": "it takes another one besides, which is not there",
    "not_needed": "another one reaches the level alone",
}


def story(told: ExplanationDocument, subject: str, policy: str) -> str:
    """Write an explanation; `policy` says where the policy comes from."""
    sections = [
        [_headline(told, subject), *_circumstances(told, policy)],
        _section("Attributes", _attributes(told)),
        _section("Rules, the first that matches wins", _rules(told)),
        _section("Guardrails", _guardrails(told)),
        *_demand(told.demand, told),
        *_reported(told),
        _section(
            f"Authenticators of {escaped(subject)}", map(_authenticator, told.authenticators or ())
        ),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines)


def _headline(told: ExplanationDocument, subject: str) -> str:
    if told.decision == "step_up" and told.demand is not None:
        said = f"STEP UP to {told.demand.required.level}"
    else:
        reason = told.reason_text or _REASONS.get(told.reason or "", told.reason or "")
        said = f"{told.decision.upper()}, {escaped(reason)}"
    by = f" (rule {told.rule})" if told.rule else ""
    if _doubted(told):
        by = f" ({told.error})"
    return click.style(f"{escaped(told.action)} by {escaped(subject)}: {said}{by}", bold=True)


def _doubted(told: ExplanationDocument) -> bool:
    """Say whether the strongest requirement is asked because of an error."""
    return told.error is not None and told.mode == "enforce"


def _circumstances(told: ExplanationDocument, policy: str) -> Iterator[str]:
    authentication = told.authentication
    known = "without an authentication"
    if authentication is not None:
        known = f"authenticated with {escaped(authentication.acr)} at {authentication.auth_time:%H:%M:%S}"
    yield f"{policy}, {told.at:%Y-%m-%d %H:%M:%S} UTC, {known}"
    if told.mode != "enforce":
        yield f"mode {told.mode}: what the rules ask is {_MODES[told.mode]}"
    if told.degraded is not None:
        yield f"a dependency is away: {_DEGRADED[told.degraded]}"
    if told.fallback is not None:
        yield f"accepted by the fallback: {told.fallback}"


# --- attributes -------------------------------------------------------------------------------


def _attributes(told: ExplanationDocument) -> Iterator[str]:
    read = {path for rule in told.rules for path in rule.reads}
    shown = [a for a in told.attributes if a.source != _GIVEN or a.name in read]
    shown = [a for a in shown if not (a.name.startswith("auth.") and a.name not in read)]
    width = max((len(a.name) for a in shown), default=0)
    for attribute in shown:
        yield f"{attribute.name:{width}}  {_reading(attribute)}"


def _reading(attribute: AttributeDocument) -> str:
    if attribute.error is not None:
        sent = "" if attribute.sent is None else f" (sent as {_written(attribute.sent)})"
        return f"{_BROKEN} {attribute.error}{sent}"
    if attribute.source == "absent":
        return "not sent"
    if attribute.sensitive:
        return "sensitive, not shown"
    default = " (default)" if attribute.source == "default" else ""
    return f"= {_value(attribute)}{default}"


def _value(attribute: AttributeDocument) -> str:
    sent = attribute.sent
    same = sent is None or sent == attribute.value or isinstance(sent, bool)
    return _written(attribute.value) + ("" if same else f" ({_written(sent)})")


# --- rules ------------------------------------------------------------------------------------


def _rules(told: ExplanationDocument) -> Iterator[str]:
    names = {id(rule): rule.id or "default" for rule in told.rules}
    width = max(len(name) for name in names.values()) if names else 0
    values = {a.name: a for a in told.attributes}
    for rule in told.rules:
        yield from _rule(rule, f"{escaped(names[id(rule)]):{width}}", values)


def _rule(rule: RuleDocument, name: str, values: dict[str, AttributeDocument]) -> Iterator[str]:
    mark, indent = _VERDICTS[rule.verdict], " " * (len(name) + 4)
    lines = (rule.condition or ("always" if rule.id else "what no rule decides")).splitlines()
    yield f"{mark} {name}  {escaped(lines[0]) if lines else ''}"
    yield from (f"{indent}{escaped(line.strip())}" for line in lines[1:])
    if rule.verdict == "not_reached":
        return
    yield from (f"{indent}{_part(part)}" for part in rule.parts)
    if rule.error is not None:
        yield f"{indent}cannot be evaluated: {rule.error}"
    for path in rule.reads:
        if path in values:
            yield f"{indent}{path} {_reading(values[path])}"
    if rule.verdict == "matched":
        yield f"{indent}→ {_outcome(rule)}"


def _part(part: PartDocument) -> str:
    condition = escaped(" ".join(part.condition.split()))
    if part.value is None:
        return f"{_BROKEN} {condition}: {part.error}"
    return f"{_MARKS[part.value]} {condition}"


def _outcome(rule: RuleDocument) -> str:
    return requirement_in_words(rule.require) if rule.require else rule.outcome


# --- guardrails and what is asked -------------------------------------------------------------


def _guardrails(told: ExplanationDocument) -> Iterator[str]:
    matching = [each for each in told.guardrails if each.matched_by]
    width = max((len(each.id) for each in matching), default=0)
    for guardrail in matching:
        yield f"{_MARKS[True]} {escaped(guardrail.id):{width}}  {_raised(guardrail)}"
    others = len(told.guardrails) - len(matching)
    if told.exempt:
        yield "none speaks about this action"
    elif others:
        yield f"{_MARKS[None]} {others} {'matches' if others == 1 else 'match'} not"


def _raised(guardrail: GuardrailDocument) -> str:
    by = f"by {escaped(', '.join(guardrail.matched_by))}"
    parts = parts_in_words(guardrail.require)
    raised = ", ".join(parts[part] for part in guardrail.in_force if parts[part])
    surpassed = [part for part in guardrail.raises if part not in guardrail.in_force]
    asides = [f"others are stricter about {', '.join(surpassed)}"] if surpassed else []
    asides += [] if guardrail.enforced else ["only reported"]
    aside = f" ({'; '.join(asides)})" if asides else ""
    return f"{by}{f' → {raised}' if raised else ', adds nothing'}{aside}"


def _demand(demand: DemandDocument | None, told: ExplanationDocument) -> Iterator[list[str]]:
    if demand is None:
        return
    title = "The strongest requirement, because of an error" if _doubted(told) else "Required"
    yield _section(title, [requirement_in_words(demand.required)])
    if told.decision == "deny":
        # No authentication would help.
        return
    yield _section("The authentication at hand", map(_compared, demand.compared))
    ways = [f"• {way.text}" for way in demand.satisfied_by] or [
        "nothing: no allowed method reaches it"
    ]
    if told.decision == "step_up":
        yield _section("What would satisfy it", ways)


def _reported(told: ExplanationDocument) -> Iterator[list[str]]:
    reported = told.reported
    if reported is None:
        return
    required = reported.demand.required if reported.demand else None
    asked = f": {requirement_in_words(required)}" if required else ""
    yield _section("If all that is only reported were enforced", [f"{reported.decision}{asked}"])


def _compared(compared: ComparedDocument) -> str:
    name = _POINTS[compared.point]
    said = f"{_MARKS[compared.met]} {name}"
    match compared.point:
        case "bound_values":
            return said if compared.met else f"{said}: it was made for others"
        case "once":
            return said if compared.met else f"{said}: it may be used again"
        case "auth_time":
            return f"{said}: it lies in the future"
        case "methods":
            shown = "nothing" if compared.found is None else escaped(str(compared.found))
            needed = "" if compared.met else f", which does not show {compared.wanted}"
            return f"{said}: {shown}{needed}"
        case "level" | "own_ceremony":
            found = "none" if compared.found is None else escaped(str(compared.found))
            needed = "" if compared.met else f", {compared.wanted} is needed"
            return f"{said}: {found}{needed}"
        case _:
            age, limit = int(compared.found or 0), int(compared.wanted or 0)
            than = "at least" if compared.point == "credential_age" else "at most"
            return f"{said}: {format_seconds(age)}, {than} {format_seconds(limit)}"


def _authenticator(fitness: FitnessDocument) -> str:
    why = "; ".join(_MISFITS.get(each, each) for each in fitness.why_not)
    return f"{_MARKS[fitness.usable]} {escaped(fitness.name)} ({fitness.type})" + (
        why and f": {why}"
    )


# --- words ------------------------------------------------------------------------------------


def _section(title: str, lines: Iterable[str]) -> list[str]:
    written = [f"  {line}" for line in lines]
    return [click.style(title, bold=True), *written] if written else []


def _written(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(_written(item) for item in value)}]"
    return escaped(str(value))
