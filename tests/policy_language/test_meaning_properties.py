"""What holds for the meaning of every change: nothing is left out, nothing is told as harmless."""

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from hypothesis import assume, given
from hypothesis import strategies as st

from stepup.domain.decision import Allow, Deny, StepUp, decide
from stepup.domain.errors import PolicyInvalidError
from stepup.domain.policy import Effect, Policy
from stepup.domain.requirement import DEFAULT_TOKEN_LIFETIME, OnUnenrolled
from stepup.policy_language import document
from stepup.policy_language.meaning.order import Outcome, direction_of_outcome
from stepup.policy_language.meaning.policies import differences
from stepup.policy_language.meaning.statement import Direction
from tests.support.builders import a_decision_request
from tests.support.determinism import NOON

ATTRIBUTES = {
    "amount": {"type": "int", "required": True},
    "currency": {"type": "string", "required": True},
    "known": {"type": "bool", "in": "resource", "required": True},
}
CONDITIONS = [
    "action.amount > 100",
    "action.amount > 500",
    "action.amount >= 500",
    "action.amount <= 100",
    "100 >= action.amount",
    "action.amount > 100 && action.amount <= 500",
    "action.amount >= 300 && action.currency == 'EUR'",
    "action.currency == 'USD'",
    "action.currency != 'USD'",
    "action.amount == 7 || resource.known",
    "resource.known",
    "!resource.known",
    "!(resource.known && action.amount > 100)",
]
REQUESTS = [
    a_decision_request(
        action="pay",
        action_properties={"amount": amount, "currency": currency},
        resource={"known": known},
    )
    for amount in (0, 7, 100, 101, 300, 500, 501)
    for currency in ("EUR", "USD")
    for known in (True, False)
]

requirements = st.fixed_dictionaries(
    {"level": st.sampled_from(["urn:stepup:acr:1", "urn:stepup:acr:2", "phr", "phrh"])},
    optional={
        "max_age": st.sampled_from(["0s", "5m", "1h"]),
        "methods": st.sampled_from([["webauthn"], ["webauthn", "totp"]]),
        "once": st.booleans(),
        "bind": st.sampled_from([["amount"], ["amount", "currency"]]),
        "token_ttl": st.sampled_from(["60s", "300s"]),
        "on_unenrolled": st.sampled_from(["deny", "enroll"]),
        "min_credential_age": st.sampled_from(["1d", "2d"]),
        "on_degraded": st.sampled_from(["refuse", "raise", "serve"]),
    },
)
outcomes = st.one_of(
    st.just({"allow": True}),
    st.just({"deny": True}),
    requirements.map(lambda asked: {"require": asked}),
)
conditions = st.one_of(st.just({}), st.sampled_from(CONDITIONS).map(lambda text: {"when": text}))


@st.composite
def rules(draw: st.DrawFn) -> list[dict]:
    names = draw(st.permutations(["r1", "r2", "r3"]))[: draw(st.integers(0, 3))]
    return [{"id": name} | draw(conditions) | draw(outcomes) for name in names]


actions = st.fixed_dictionaries(
    {
        "attributes": st.just(ATTRIBUTES),
        "rules": rules(),
        "default": st.one_of(st.sampled_from(["allow", "deny"]), requirements),
    },
    optional={
        "tags": st.sampled_from([["a"], ["b"], ["a", "b"]]),
        "critical": st.booleans(),
        "mode": st.sampled_from(["report", "enforce"]),
        "title": st.sampled_from([{"en": "pay"}, {"en": "pay", "de": "zahlen"}]),
        "on_unenrolled": st.sampled_from(["deny", "enroll"]),
        "token": st.sampled_from([{"once": True}, {"ttl": "60s"}, {"audience": "bank"}]),
        "bind": st.sampled_from([["amount"], ["amount", "currency"]]),
    },
)
guardrails = st.fixed_dictionaries(
    {
        "match": st.sampled_from(
            [{"tags": ["a"]}, {"tags": ["b"]}, {"actions": ["p*"]}, {"actions": ["stepup.*"]}]
        ),
        "require": requirements.map(lambda asked: {k: v for k, v in asked.items() if k != "bind"}),
    },
    optional={"mode": st.sampled_from(["off", "report", "enforce"])},
)


@st.composite
def documents(draw: st.DrawFn) -> dict:
    written: dict[str, Any] = {"apiVersion": "stepup/v1", "actions": {"pay": draw(actions)}}
    if draw(st.booleans()):
        written["actions"]["look"] = {"default": draw(st.sampled_from(["allow", "deny"]))}
    written["guardrails"] = [
        {"id": f"g{n}"} | draw(guardrails) for n in range(draw(st.integers(0, 2)))
    ]
    if draw(st.booleans()):
        written["mode"] = draw(st.sampled_from(["report", "enforce"]))
    if draw(st.booleans()):
        written["unknown_action"] = draw(st.sampled_from(["allow", "deny"]))
    return written


@st.composite
def changed_documents(draw: st.DrawFn) -> tuple[dict, dict]:
    """Two documents of which the second differs in one thing."""
    before = draw(documents())
    after = copy.deepcopy(before)
    pay = after["actions"]["pay"]
    match draw(st.sampled_from(["rule", "add", "remove", "move", "part", "guardrail"])):
        case "rule" if pay["rules"]:
            place = draw(st.integers(0, len(pay["rules"]) - 1))
            name = pay["rules"][place]["id"]
            pay["rules"][place] = {"id": name} | draw(conditions) | draw(outcomes)
        case "add":
            rule = {"id": "new"} | draw(conditions) | draw(outcomes)
            pay["rules"].insert(draw(st.integers(0, len(pay["rules"]))), rule)
        case "remove" if pay["rules"]:
            pay["rules"].pop(draw(st.integers(0, len(pay["rules"]) - 1)))
        case "move":
            pay["rules"] = draw(st.permutations(pay["rules"]))
        case "guardrail":
            after["guardrails"].append({"id": "new"} | draw(guardrails))
        case _:
            after["actions"]["pay"] = pay | {"default": draw(actions)["default"]}
    return before, after


def parsed(written: dict) -> Policy:
    try:
        return document.parse(json.dumps(written), version=1)
    except PolicyInvalidError:
        assume(False)
        raise


def canonical(value: object) -> object:
    """Everything that a policy says, as values that can be compared."""
    if isinstance(value, msgspec.Struct):
        skipped = {"version", "schema", "description", "plans"}
        names = [name for name in value.__struct_fields__ if name not in skipped]
        return {name: canonical(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {key: canonical(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(each) for each in value]
    return getattr(value, "source", value)


def answers(policy: Policy) -> Iterator[Outcome]:
    for request in REQUESTS:
        match decide(policy, request, None, NOON):
            case Allow():
                yield Effect.ALLOW
            case Deny():
                yield Effect.DENY
            case StepUp() as asked:
                yield asked.requirement


def proof(outcome: Outcome) -> Outcome:
    """What must be shown. What a guardrail asks where a rule asks nothing ends otherwise."""
    if isinstance(outcome, Effect):
        return outcome
    alike = {"on_unenrolled": OnUnenrolled.DENY, "token_lifetime": DEFAULT_TOKEN_LIFETIME}
    return msgspec.structs.replace(outcome, **alike)


@given(documents())
def test_a_document_means_the_same_as_itself(written: dict):
    assert differences(parsed(written), parsed(written)) == ()


@given(documents(), documents())
def test_whatever_is_another_is_told(first: dict, second: dict):
    before, after = parsed(first), parsed(second)

    is_another = canonical(before) != canonical(after)
    assert bool(differences(before, after)) is is_another


@given(changed_documents())
def test_one_change_is_told(pair: tuple[dict, dict]):
    before, after = parsed(pair[0]), parsed(pair[1])

    assert bool(differences(before, after)) is (canonical(before) != canonical(after))


@given(documents(), guardrails)
def test_a_new_guardrail_is_never_weaker(written: dict, guardrail: dict):
    more = written | {"guardrails": [*written["guardrails"], {"id": "new"} | guardrail]}

    told = differences(parsed(written), parsed(more))

    assert told
    assert all(statement.direction is not Direction.WEAKER for statement in told)


@given(changed_documents())
def test_what_is_told_as_stricter_alone_lets_nobody_through_more_easily(pair: tuple[dict, dict]):
    before, after = parsed(pair[0]), parsed(pair[1])
    told = {statement.direction for statement in differences(before, after)}
    if told != {Direction.STRICTER}:
        return

    for was, is_now in zip(answers(before), answers(after), strict=True):
        assert direction_of_outcome(proof(was), proof(is_now), after.ladder) is not Direction.WEAKER


@given(documents(), documents())
def test_weaker_comes_first(first: dict, second: dict):
    order = list(Direction)
    told = [order.index(s.direction) for s in differences(parsed(first), parsed(second))]

    assert told == sorted(told)
