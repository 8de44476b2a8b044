"""The `actions` of a document: their attributes, rules and default."""

import re

import msgspec

from stepup.domain.assurance import Ladder
from stepup.domain.ids import ActionName
from stepup.domain.policy import Action, Effect, Mode, Rule
from stepup.domain.requirement import Requirement
from stepup.policy_language.attributes import Declared, read_attributes
from stepup.policy_language.conditions import Compiled, Environment
from stepup.policy_language.fields import Fields
from stepup.policy_language.findings import Code, Place
from stepup.policy_language.reader import Fieldset, Scalar
from stepup.policy_language.requirements import (
    NOT_SUPPORTED_YET,
    Shared,
    read_requirement,
    read_shared,
)
from stepup.policy_language.schema import RequestSchema
from stepup.policy_language.shape import actions as shape
from stepup.policy_language.shape.actions import ACTION_NAME, MAX_RULES
from stepup.policy_language.shape.document import MAX_ACTIONS
from stepup.policy_language.shape.examples import MAX_TESTS, Test
from stepup.policy_language.shape.parts import LANGUAGE
from stepup.policy_language.shape.requirements import Requirement as RequirementShape

_NAME = re.compile(ACTION_NAME, re.ASCII)
_LANGUAGE = re.compile(LANGUAGE, re.ASCII)
_OUTCOMES = ("require", "allow", "deny")


class WrittenRule(msgspec.Struct, frozen=True):
    """A rule with the place it was read from."""

    rule: Rule
    at: Place
    require_at: Place


class WrittenAction(msgspec.Struct, frozen=True, kw_only=True):
    """An action with the places it was read from, for the checks that look at all of it."""

    action: Action
    at: Place
    rules: tuple[WrittenRule, ...]
    declared: Declared
    bind_at: Place
    display_at: Place
    default_at: Place
    tests: tuple[Fields, ...] = ()


class Scope(msgspec.Struct, frozen=True):
    """What the rules of one action share."""

    ladder: Ladder
    shared: Shared
    schema: RequestSchema


def read_actions(document: Fields, ladder: Ladder) -> tuple[WrittenAction, ...]:
    """Read every action."""
    actions: dict[str, WrittenAction] = {}
    for name, at, fields in document.named("actions", "name", shape.Action, most=MAX_ACTIONS):
        if name in actions:
            document.findings.error(Code.DUPLICATE_ID, f"the action `{name}` is there twice", at)
        elif not _NAME.fullmatch(name):
            message = f"`{name}` is no name for an action; use letters, digits and . _ : / -"
            document.findings.error(Code.WRONG_VALUE, message, at)
        else:
            actions[name] = _action(name, at, fields, ladder)
    return tuple(actions.values())


def _action(name: str, at: Place, fields: Fields, ladder: Ladder) -> WrittenAction:
    fields.refuse_unsupported("shadow", *NOT_SUPPORTED_YET)
    declared = read_attributes(fields)
    schema = RequestSchema(declared.attributes, ladder)
    scope = Scope(ladder, read_shared(fields, ladder), schema)
    rules = _rules(fields, scope, Environment(schema, declared.refused))
    action = Action(
        name=ActionName(name),
        title=_texts(fields, "title"),
        description=_texts(fields, "description"),
        tags=frozenset(fields.texts("tags")),
        attributes=declared.attributes,
        schema=scope.schema,
        rules=tuple(written.rule for written in rules),
        default=_default(fields, scope),
        shared=scope.shared.alone(ladder),
        critical=fields.flag("critical") or False,
        mode=fields.choice("mode", Mode),
    )
    written = WrittenAction(
        action=action,
        at=at,
        rules=rules,
        declared=declared,
        bind_at=fields.place("bind"),
        display_at=fields.place("display"),
        default_at=fields.place("default"),
        tests=fields.listing("tests", Test, most=MAX_TESTS),
    )
    fields.finish()
    return written


def _rules(action: Fields, scope: Scope, environment: Environment) -> tuple[WrittenRule, ...]:
    rules: list[WrittenRule] = []
    for fields in action.listing("rules", shape.Rule, most=MAX_RULES):
        written = _rule(fields, scope, environment)
        if written is None:
            continue
        if any(written.rule.id == other.rule.id for other in rules):
            message = f"the rule `{written.rule.id}` is there twice"
            action.findings.error(Code.DUPLICATE_ID, message, written.at)
        rules.append(written)
    return tuple(rules)


def _rule(fields: Fields, scope: Scope, environment: Environment) -> WrittenRule | None:
    name = fields.identifier("id")
    if name is None and "id" not in fields:
        fields.missing("id")
    has_when = "when" in fields
    when = _condition(fields, environment)
    outcome = _outcome(fields, scope)
    fields.refuse_unsupported("mode", "shadow", "approvals")
    fields.finish()
    if name is None or outcome is None or (has_when and when is None):
        return None
    then, reason = outcome
    rule = Rule(id=name, when=when, then=then, reason=reason)
    return WrittenRule(rule, fields.at, fields.place("require"))


def _outcome(fields: Fields, scope: Scope) -> tuple[Requirement | Effect, str | None] | None:
    said = [name for name in _OUTCOMES if name in fields]
    if len(said) != 1:
        message = "a rule says exactly one of `require`, `allow: true` and `deny`"
        code = Code.CONTRADICTION if said else Code.MISSING_FIELD
        fields.findings.error(code, message, fields.at)
        for name in said:
            fields.peek(name)
        return None
    match said[0]:
        case "require":
            nested = fields.mapping("require", RequirementShape)
            requirement = nested and read_requirement(nested, scope.ladder, scope.shared)
            return (requirement, None) if requirement else None
        case "allow":
            if fields.flag("allow") is not True:
                fields.wrong("allow", "must be true")
            return Effect.ALLOW, None
        case _:
            return _denied(fields)


def _denied(fields: Fields) -> tuple[Effect, str | None] | None:
    node = fields.peek("deny")
    value = node.value if isinstance(node, Scalar) else None
    if value is True or (isinstance(value, str) and value):
        return Effect.DENY, value if isinstance(value, str) else None
    fields.wrong("deny", "must be true, or the reason as text")
    return None


def _default(fields: Fields, scope: Scope) -> Requirement | Effect:
    node = fields.peek("default")
    if node is None:
        message = "there is no `default`; what no rule matches is denied"
        fields.findings.warn(Code.MISSING_DEFAULT, message, fields.at)
        return Effect.DENY
    if isinstance(node, Fieldset):
        nested = Fields(node, RequirementShape, fields.findings)
        return read_requirement(nested, scope.ladder, scope.shared) or Effect.DENY
    return fields.choice("default", Effect) or Effect.DENY


def _condition(fields: Fields, environment: Environment) -> Compiled | None:
    node = fields.scalar("when")
    if node is None:
        if isinstance(written := fields.peek("when"), Scalar) and isinstance(written.value, bool):
            fields.findings.error(
                Code.WRONG_VALUE, "leave `when` out for a rule that always applies", written.at
            )
        return None
    compiled = environment.compile(str(node.value))
    if isinstance(compiled, Compiled):
        return compiled
    for finding in compiled:
        at = node.place_of(finding.line, finding.column)
        fields.findings.error(
            finding.code, finding.message, msgspec.structs.replace(at, path=node.at.path)
        )
    return None


def _texts(fields: Fields, name: str) -> dict[str, str]:
    """Read a text for people: one for all languages (it counts as English), or one for each."""
    if isinstance(fields.peek(name), Scalar):
        text = fields.text(name)
        return {"en": text} if text else {}
    languages = fields.fieldset(name)
    texts: dict[str, str] = {}
    for language, entry in languages.entries.items() if languages else ():
        said = entry.node.value if isinstance(entry.node, Scalar) else None
        if not isinstance(said, str):
            fields.findings.error(Code.WRONG_VALUE, f"`{language}` must be text", entry.node.at)
        elif not _LANGUAGE.fullmatch(language):
            message = f"`{language}` is no language tag, like en or de-AT"
            fields.findings.error(Code.WRONG_VALUE, message, entry.at)
        elif said:
            texts[language] = said
    return texts
