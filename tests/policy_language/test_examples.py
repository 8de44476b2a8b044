"""The tests inside a document: they pass, or the document is not used."""

from textwrap import indent

import pytest

from tests.policy_language.documents import a_document, codes, findings

ACTION = """
attributes:
  amount: {type: decimal, required: true}
  vip: {type: bool, in: subject, default: false}
bind: [amount]
rules:
  - {id: night, when: 'timeOfDay(now, "Europe/Berlin") < duration("6h")', deny: at night}
  - {id: vip, when: subject.vip, allow: true}
  - {id: large, when: action.amount > 100000, require: {level: phr, methods: [webauthn], max_age: 0}}
default: {level: urn:stepup:acr:2, max_age: 5m}
tests:
"""


def findings_with(test: str) -> list[str]:
    return findings(a_document(ACTION + indent(f"- {{name: t, {test}}}\n", "  ")))


AMOUNT = "request: {attributes: {amount: 5}}"


@pytest.mark.parametrize(
    "test",
    [
        f"{AMOUNT}, expect: step_up, rule: default, acr: urn:stepup:acr:2, max_age: 300",
        "request: {action: {properties: {amount: '1000.01'}}}, expect: step_up, rule: large, methods: [webauthn], max_age: 0s",
        "request: {attributes: {amount: 5, vip: true}}, expect: allow, rule: vip",
        "request: {attributes: {amount: 5}, subject: {id: bob, properties: {vip: true}}}, expect: allow",
        f"{AMOUNT}, now: 2026-01-14T03:00:00+01:00, expect: deny, rule: night",
        f"{AMOUNT}, auth: {{acr: urn:stepup:acr:2, age: 5m, for_this: true}}, expect: allow",
        f"{AMOUNT}, auth: {{acr: urn:stepup:acr:2, age: 301, for_this: true}}, expect: step_up",
        f"{AMOUNT}, auth: {{acr: phrh}}, expect: step_up",
        "expect: deny",
        "request: {attributes: {amount: many}}, expect: deny",
        "request: {attributes: {amount: 5, vip: 1}}, expect: step_up, acr: phr",
        "request: {resource: {type: account, id: a-1}, context: {other: [1, {a: b}]}, attributes: {amount: 5}}, expect: step_up",
    ],
)  # fmt: skip
def test_that_passes_is_silent(test):
    assert findings_with(test) == []


@pytest.mark.parametrize(
    ("test", "failure"),
    [
        (f"{AMOUNT}, expect: allow", "expected allow, got step_up by default"),
        (f"{AMOUNT}, expect: deny", "expected deny, got step_up by default"),
        ("expect: allow", "expected allow, got deny (missing_bound_attribute) by default, because action.amount is missing"),
        (f"{AMOUNT}, expect: step_up, rule: large", "expected the rule large, got default"),
        (f"{AMOUNT}, expect: step_up, acr: phr", "expected acr phr, got urn:stepup:acr:2"),
        (f"{AMOUNT}, expect: step_up, max_age: 1m", "expected max_age 1m, got 5m"),
        (f"{AMOUNT}, expect: step_up, methods: [totp]", "expected methods totp, got any"),
    ],
)  # fmt: skip
def test_that_fails_is_an_error(test, failure):
    assert findings_with(test) == [f"SU040 the test `t` failed: {failure}"]


@pytest.mark.parametrize(
    ("test", "finding"),
    [
        (AMOUNT, "SU011 `expect` is missing"),
        (f"{AMOUNT}, expect: alow", "SU012 unknown word `alow`; did you mean `allow`?"),
        ("request: {attributes: {amont: 5}}, expect: deny", "SU022 the action declares no `amont`; did you mean `amount`?"),
        ("request: {atributes: {}}, expect: deny", "SU010 unknown field `atributes`; did you mean `attributes`?"),
        ("request: {subject: {name: x}}, expect: deny", "SU010 unknown field `name`; known here: id, properties, type"),
        ("auth: {age: 5m}, expect: deny", "SU011 `acr` is missing"),
        ("now: yesterday, expect: deny", "SU012 `now` must be a timestamp with an offset, like 2026-01-31T12:00:00Z"),
    ],
)  # fmt: skip
def test_that_is_written_wrongly_is_an_error(test, finding):
    assert findings_with(test) == [finding]


def test_are_run_only_when_the_document_hangs_together():
    text = a_document("default: {level: pfr}\ntests: [{name: t, expect: allow}]")

    assert codes(text) == ["SU020"]
