"""An explanation as JSON, in the words of the policy document; nothing sensitive is in it."""

from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from stepup.domain.assurance import Approval
from stepup.domain.binding import Value
from stepup.domain.comparison import Compared
from stepup.domain.condition import Part, Reading
from stepup.domain.decision import Allow, Decision, Deny
from stepup.domain.demand import Demand, GuardrailTold
from stepup.domain.explanation import Explanation, RuleTold
from stepup.domain.fitness import Fitness
from stepup.domain.policy import Effect
from stepup.domain.recorded_decision import outcome_of
from stepup.domain.requirement import Requirement
from stepup.domain.words import combination_in_words
from stepup.http.admin.requirement_document import (
    RequirementDocument,
    requirement_document,
    seconds_of,
)
from stepup.usecases.explain import Explained

# A requirement's parts that the policy document names otherwise.
_WORDS = {"acr": "level", "token_lifetime": "token_ttl"}


class AttributeDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One attribute as conditions see it.

    `source` is sent, default, absent, or given (by the request's frame, the authentication or the
    clock). `sent` is what `value` was made of. Neither is told when it is sensitive.
    """

    name: str
    type: str
    source: str
    value: Value
    sent: Value
    sensitive: bool
    error: str | None


class PartDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a condition; its value is null when it has an error instead."""

    condition: str
    value: bool | None
    error: str | None


class RuleDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A rule; the last one, without an id, is the default.

    `verdict` is matched, not_matched, failed or not_reached; `outcome` is require, allow or deny.
    """

    id: str | None
    verdict: str
    condition: str | None
    error: str | None
    parts: list[PartDocument]
    reads: list[str]
    outcome: str
    require: RequirementDocument | None


class GuardrailDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A guardrail: by what it matches the action, what it raises, and what of that is in force.

    One that is not `enforced` is only reported, if it matches at all.
    """

    id: str
    enforced: bool
    matched_by: list[str]
    raises: list[str]
    in_force: list[str]
    require: RequirementDocument


class AtHandDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The authentication that was at hand."""

    acr: str
    amr: list[str]
    auth_time: datetime
    action: str | None


class ComparedDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One point of the comparison; ages are seconds."""

    point: str
    met: bool
    wanted: str | int | None
    found: str | int | None


class WayDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A combination that would satisfy the requirement, in words and method by method."""

    text: str
    methods: list[str]


class FitnessDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One of the subject's authenticators, and what speaks against it."""

    id: str
    type: str
    name: str
    usable: bool
    why_not: list[str]


class DemandDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of the subject.

    `asked` is what the rules ask for, `required` what the guardrails make of it; the authentication
    at hand is `compared` with that.
    """

    asked: RequirementDocument
    required: RequirementDocument
    compared: list[ComparedDocument]
    satisfied_by: list[WayDocument]


class ReportedDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What would be decided if everything that is only reported were enforced."""

    decision: str
    reason: str | None
    demand: DemandDocument | None


class ExplanationDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A decision and how it came about, in that order.

    `error` says why the strongest requirement holds instead of the rules' outcome, `degraded` what
    is done while a dependency is away, `fallback` which level was accepted in place of the one that
    is asked for. `demand` is null when nothing is asked, or nothing would help.
    """

    decision: str
    reason: str | None
    reason_text: str | None
    rule: str | None
    error: str | None
    mode: str
    degraded: str | None
    fallback: str | None
    action: str
    named: bool
    exempt: bool
    policy_version: int | None
    at: datetime
    attributes: list[AttributeDocument]
    rules: list[RuleDocument]
    guardrails: list[GuardrailDocument]
    authentication: AtHandDocument | None
    demand: DemandDocument | None
    reported: ReportedDocument | None
    authenticators: list[FitnessDocument] | None


def explanation_document(explained: Explained, now: datetime) -> ExplanationDocument:
    """Write an explanation that was made for a certain time."""
    told = explained.explanation
    decision, fitness = told.decision, explained.authenticators
    basis = decision.basis
    return ExplanationDocument(
        decision=outcome_of(decision).value,
        reason=_reason(decision),
        reason_text=decision.text if isinstance(decision, Deny) else None,
        rule=basis.rule,
        error=told.doubt,
        mode=told.mode.value,
        degraded=basis.degraded.value if basis.degraded else None,
        fallback=basis.fallback,
        action=told.action,
        named=told.is_named,
        exempt=told.exempt,
        policy_version=explained.version,
        at=now,
        attributes=[_attribute(reading) for reading in told.readings],
        rules=[_rule(rule) for rule in told.rules],
        guardrails=[_guardrail(guardrail) for guardrail in told.guardrails],
        authentication=_authentication(told.approval),
        demand=_demand(told.demand),
        reported=_reported(told),
        authenticators=None if fitness is None else [_fitness(each) for each in fitness],
    )


def _reported(told: Explanation) -> ReportedDocument | None:
    reported = told.decision.basis.reported
    if reported is None:
        return None
    return ReportedDocument(
        decision=outcome_of(reported).value, reason=_reason(reported), demand=_demand(told.reported)
    )


def _reason(decision: Decision) -> str | None:
    return decision.reason.value if isinstance(decision, Allow | Deny) else None


def _demand(demand: Demand | None) -> DemandDocument | None:
    if demand is None:
        return None
    return DemandDocument(
        asked=requirement_document(demand.asked),
        required=requirement_document(demand.required),
        compared=[_compared(compared) for compared in demand.compared],
        satisfied_by=[
            WayDocument(text=combination_in_words(way), methods=[f.method.value for f in way])
            for way in demand.ways
        ],
    )


def _attribute(reading: Reading) -> AttributeDocument:
    return AttributeDocument(
        name=reading.path,
        type=reading.type.value,
        source=reading.source.value,
        value=reading.value,
        sent=reading.sent,
        sensitive=reading.sensitive,
        error=reading.error,
    )


def _rule(rule: RuleTold) -> RuleDocument:
    return RuleDocument(
        id=rule.id,
        verdict=rule.verdict.value,
        condition=rule.condition,
        error=rule.error,
        parts=[_part(part) for part in rule.parts],
        reads=list(rule.reads),
        outcome=rule.then.value if isinstance(rule.then, Effect) else "require",
        require=requirement_document(rule.then) if isinstance(rule.then, Requirement) else None,
    )


def _part(part: Part) -> PartDocument:
    value = part.value
    if isinstance(value, bool):
        return PartDocument(condition=part.source, value=value, error=None)
    return PartDocument(condition=part.source, value=None, error=value.reason)


def _guardrail(guardrail: GuardrailTold) -> GuardrailDocument:
    return GuardrailDocument(
        id=guardrail.id,
        enforced=guardrail.enforced,
        matched_by=list(guardrail.matched_by),
        raises=_in_document_words(guardrail.raises),
        in_force=_in_document_words(guardrail.in_force),
        require=requirement_document(guardrail.demands),
    )


def _authentication(approval: Approval | None) -> AtHandDocument | None:
    if approval is None:
        return None
    context = approval.context
    return AtHandDocument(
        acr=context.acr,
        amr=list(context.amr),
        auth_time=context.auth_time,
        action=approval.action,
    )


def _compared(compared: Compared) -> ComparedDocument:
    return ComparedDocument(
        point=compared.point.value,
        met=compared.met,
        wanted=_plain(compared.wanted),
        found=_plain(compared.found),
    )


def _fitness(fitness: Fitness) -> FitnessDocument:
    authenticator = fitness.authenticator
    return FitnessDocument(
        id=authenticator.id,
        type=authenticator.method.value,
        name=authenticator.name,
        usable=fitness.usable,
        why_not=[misfit.value for misfit in fitness.why_not],
    )


def _in_document_words(parts: Iterable[str]) -> list[str]:
    return [_WORDS.get(part, part) for part in parts]


def _plain(value: str | timedelta | None) -> str | int | None:
    return seconds_of(value) if isinstance(value, timedelta) else value
