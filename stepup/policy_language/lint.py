"""Checks that need the whole document: what can never be reached, met, seen or used."""

from collections.abc import Iterable, Iterator, Sequence

from stepup.domain.assurance import Ladder, Level
from stepup.domain.decision_request import AttributeType
from stepup.domain.policy import Guardrail, Policy
from stepup.domain.requirement import Requirement
from stepup.policy_language.actions import WrittenAction, WrittenRule
from stepup.policy_language.conditions import Compiled
from stepup.policy_language.enrollable import warn_of_requirement
from stepup.policy_language.findings import Code, Findings, Place, did_you_mean
from stepup.policy_language.guardrails import WrittenGuardrail
from stepup.policy_language.leniency import lint_unenrolled

# Attributes whose sent form is not the one canonical form that a digest needs.
_UNBINDABLE = frozenset({AttributeType.DOUBLE})
_BOUND_OPTIONAL = "`{}` is bound but not required: a request without it is denied"


def lint_ladder(ladder: Ladder, findings: Findings, at: Place) -> None:
    """Find levels that nothing can reach."""
    for level in ladder.levels:
        if not level.any_of:
            message = f"nothing reaches the level `{level.acr}`"
            findings.error(Code.UNREACHABLE_LEVEL, message, at)


def lint_action(written: WrittenAction, policy: Policy, findings: Findings) -> None:
    """Find what is wrong with one action, with the guardrails above it."""
    action = written.action
    _find_unreachable_rules(written.rules, findings)
    guardrails = policy.plans[action.name].told.guardrails
    demands = tuple(_demands(written))
    _check_shared(written, findings, is_asked=bool(demands))
    for requirement, at in demands:
        _check_names(requirement, written, at, findings)
        lint_unenrolled(requirement, policy.ladder, findings, at)
        _check_seen(requirement, guardrails, at, findings)
        _check_reach(requirement, guardrails, policy.ladder, at, findings)
        warn_of_requirement(requirement, policy.ladder.get(requirement.acr), findings, at)
    _find_unguarded(written, findings)
    _find_unused(written, guardrails, findings)


def lint_guardrail(written: WrittenGuardrail, policy: Policy, findings: Findings) -> None:
    """Find what is wrong with one guardrail, with the actions below it."""
    guardrail = written.guardrail
    matched = [action for action in policy.actions.values() if guardrail.matches(action)]
    if not matched and (guardrail.tags or guardrail.actions):
        message = f"the guardrail `{guardrail.id}` matches no action"
        findings.warn(Code.DEAD_GUARDRAIL, message, written.at)
    level = policy.ladder.get(guardrail.require.acr)
    if not _can_reach(level, guardrail.require):
        _report_unreachable(level, "the guardrail's methods", written.require_at, findings)
    warn_of_requirement(guardrail.require, level, findings, written.require_at)
    for name in sorted(guardrail.require.bind | set(guardrail.require.display)):
        without = [action.name for action in matched if action.attribute(name) is None]
        if without:
            message = f"`{without[0]}`, which this guardrail matches, declares no `{name}`"
            findings.error(Code.UNKNOWN_ATTRIBUTE, message, written.require_at)


def lint_own(
    policy: Policy, guardrails: Sequence[WrittenGuardrail], findings: Findings, levels: Place
) -> None:
    """Find out that nobody could administer any more, or look after his own account."""
    for action in policy.actions.values():
        demand = action.default
        if not action.own or not isinstance(demand, Requirement):
            continue
        if not _can_reach(policy.ladder.get(demand.acr), demand):
            message = f"no level takes a passkey at every turn, so nobody does `{action.name}`"
            findings.warn(Code.UNREACHABLE_LEVEL, message, levels)
            return
        raised = policy.plans[action.name].told.raise_demand(demand, policy.ladder)
        level = policy.ladder.get(raised.acr)
        if not _can_reach(level, raised):
            last = next(each for each in reversed(guardrails) if each.guardrail.matches(action))
            what = f"what the guardrails leave of `{action.name}`"
            _report_unreachable(level, what, last.require_at, findings)
            return


def _demands(written: WrittenAction) -> Iterator[tuple[Requirement, Place]]:
    for line in written.rules:
        if isinstance(line.rule.then, Requirement):
            yield line.rule.then, line.require_at
    if isinstance(written.action.default, Requirement):
        yield written.action.default, written.default_at


def _find_unreachable_rules(rules: Iterable[WrittenRule], findings: Findings) -> None:
    earlier: dict[str, str] = {}
    always: str | None = None
    for line in rules:
        rule = line.rule
        source = rule.when.source if isinstance(rule.when, Compiled) else None
        hidden_by = always or (earlier.get(source) if source else None)
        if hidden_by:
            message = f"the rule `{rule.id}` is never reached: `{hidden_by}` always comes first"
            findings.warn(Code.UNREACHABLE_RULE, message, line.at)
        if source is None or source.strip() == "true":
            always = always or rule.id
        else:
            earlier.setdefault(source, rule.id)


def _check_shared(written: WrittenAction, findings: Findings, *, is_asked: bool) -> None:
    """Look at what an action says for all its demands, where it says it."""
    action = written.action
    if action.shared is None:
        return
    # Where nothing is asked a document of an earlier release may say what it likes.
    report = findings.error if is_asked else findings.warn
    for name in sorted(action.shared.bind | set(action.shared.display)):
        is_bound = name in action.shared.bind
        at = written.bind_at if is_bound else written.display_at
        for code, message in _mistakes(name, written, is_bound=is_bound):
            report(code, message, at)
        attribute = action.attribute(name)
        if is_bound and attribute is not None and not attribute.required:
            findings.warn(Code.BOUND_UNSEEN, _BOUND_OPTIONAL.format(name), at)


def _check_names(
    requirement: Requirement, written: WrittenAction, at: Place, findings: Findings
) -> None:
    action = written.action
    shared = action.shared.bind if action.shared else frozenset()
    shown = set(action.shared.display) if action.shared else set()
    for name in sorted((requirement.bind | set(requirement.display)) - shared - shown):
        is_bound = name in requirement.bind
        for code, message in _mistakes(name, written, is_bound=is_bound):
            findings.error(code, message, at)
        attribute = action.attribute(name)
        if is_bound and attribute is not None and not attribute.required:
            findings.warn(Code.BOUND_UNSEEN, _BOUND_OPTIONAL.format(name), at)
    for name in sorted(requirement.bind - set(requirement.display)):
        if action.attribute(name) is not None:
            message = (
                f"`{name}` is bound but not displayed: the subject approves what it cannot see"
            )
            findings.warn(Code.BOUND_UNSEEN, message, at)


def _mistakes(name: str, written: WrittenAction, *, is_bound: bool) -> Iterator[tuple[Code, str]]:
    action = written.action
    attribute = action.attribute(name)
    if attribute is None:
        # Of one that is declared wrongly it was said already.
        if name not in written.declared.refused:
            known = [attribute.name for attribute in action.attributes]
            hint = did_you_mean(name, known)
            yield Code.UNKNOWN_ATTRIBUTE, f"`{action.name}` declares no attribute `{name}`{hint}"
    elif is_bound and attribute.type in _UNBINDABLE:
        kind = attribute.type.value
        message = f"`{name}` is a {kind} and cannot be bound; declare it a decimal"
        yield Code.CONTRADICTION, message


def _check_seen(
    requirement: Requirement, guardrails: Iterable[Guardrail], at: Place, findings: Findings
) -> None:
    bound = requirement.bind.union(*(guardrail.require.bind for guardrail in guardrails))
    for name in requirement.display:
        # Where nothing is bound, whoever wrote it knows that the page is only information.
        if bound and name not in bound:
            message = f"`{name}` is displayed but not bound: it can be changed after the approval"
            findings.warn(Code.SEEN_UNBOUND, message, at)


def _check_reach(
    requirement: Requirement,
    guardrails: Iterable[Guardrail],
    ladder: Ladder,
    at: Place,
    findings: Findings,
) -> None:
    if not _can_reach(ladder.get(requirement.acr), requirement):
        _report_unreachable(ladder.get(requirement.acr), "these methods", at, findings)
        return
    raised = requirement
    for guardrail in guardrails:
        raised = raised.raised_by(guardrail.require, ladder)
        if not _can_reach(ladder.get(raised.acr), raised):
            what = f"the methods that the guardrail `{guardrail.id}` leaves"
            _report_unreachable(ladder.get(raised.acr), what, at, findings)
            return


def _can_reach(level: Level, requirement: Requirement) -> bool:
    # A level without any combination is reported once, where it is written.
    return not level.any_of or requirement.is_reachable(level)


def _report_unreachable(level: Level, what: str, at: Place, findings: Findings) -> None:
    message = f"nobody can reach `{level.acr}` with {what}"
    findings.error(Code.UNREACHABLE_LEVEL, message, at)


def _find_unguarded(written: WrittenAction, findings: Findings) -> None:
    optional = {
        f"{attribute.entity}.{attribute.name}"
        for attribute in written.action.attributes
        if not attribute.required and attribute.default is None
    }
    for line in written.rules:
        if isinstance(line.rule.when, Compiled):
            for path in sorted(line.rule.when.unguarded & optional):
                message = (
                    f"`{path}` is optional: ask `has({path})` first, give it a default, or require "
                    "it; without it the strongest requirement of this action applies"
                )
                findings.warn(Code.UNGUARDED_OPTIONAL, message, line.at)
            for pattern in line.rule.when.wrong_patterns():
                message = (
                    f"`{pattern}` is no regular expression (RE2): "
                    "the strongest requirement of this action applies"
                )
                findings.warn(Code.CONDITION, message, line.at)


def _find_unused(
    written: WrittenAction, guardrails: Iterable[Guardrail], findings: Findings
) -> None:
    if findings.has_errors:
        # A rule that could not be read may well use it.
        return
    used: set[str] = set()
    for line in written.rules:
        if isinstance(line.rule.when, Compiled):
            references = line.rule.when.references
            used |= {path.partition(".")[2] for path in references.read | references.asked}
    # What it says for all its demands is asked for by a guardrail too, where it asks nothing itself.
    shared = (written.action.shared,) if written.action.shared else ()
    above = (guardrail.require for guardrail in guardrails)
    demands = (*written.action.demands, *shared, *above)
    for demand in demands:
        used |= demand.bind | set(demand.display)
    for attribute in written.action.attributes:
        # A required one is used by being there.
        if attribute.name not in used and not attribute.required:
            message = f"nothing uses the attribute `{attribute.name}`"
            findings.warn(Code.DEAD_ATTRIBUTE, message, written.declared.places[attribute.name])
