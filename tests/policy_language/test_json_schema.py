"""The types, the reader and the published schema speak about the same fields."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from stepup.policy_language import document
from stepup.policy_language.fields import Fields
from stepup.policy_language.findings import Findings
from stepup.policy_language.json_schema import json_schema
from stepup.policy_language.reader import plain, read
from stepup.policy_language.shape.document import Document
from stepup.policy_language.shape.examples import Suite
from stepup.policy_language.shape.parts import Shape, names_of
from tests.policy_language.conftest import complaints
from tests.policy_language.documents import HEAD, a_document

EVERYTHING = """
apiVersion: stepup/v1
metadata: {name: everything}
levels:
  - acr: low
    any_of: [totp, {method: webauthn, user_verified: false}]
    max_age: 1h
  - acr: high
    any_of:
      - [totp, {method: webauthn, user_verified: true, device_bound: false, attested: false}]
      - {method: webauthn, aaguids: cb69481e-8ff7-4039-93ec-0a2729a154a8}
    max_age: 300
actions:
  - name: pay
    title: {en: send a payment, de-AT: eine Zahlung senden}
    description: for customers
    tags: [money]
    attributes:
      amount: {type: decimal, in: action, required: true, scale: 2, sensitive: true}
      country: {type: string, in: context, enum: [AT, DE], default: AT}
    bind: amount
    display: [amount]
    token: {ttl: 120s, once: true, audience: bank}
    on_unenrolled: fallback
    fallback:
      {level: low, max_age: 0s, preset: always, methods: totp, min_credential_age: 1h}
    on_degraded: raise
    mode: report
    critical: true
    rules:
      - id: abroad
        when: context.country != "AT"
        deny: not from there
      - id: small
        when: action.amount < 1000
        allow: true
      - id: large
        require:
          level: high
          max_age: 0s
          preset: always
          methods: [webauthn]
          once: true
          bind: amount
          display: amount
          token_ttl: 60
          audience: bank
          on_unenrolled: fallback
          fallback: {level: low}
          min_credential_age: 24h
          on_degraded: refuse
    default: deny
    tests:
      - name: a small amount is free
        request:
          attributes: {country: AT}
          subject: {type: user, id: carol, properties: {}}
          resource: {type: account, id: "1", properties: {}}
          action: {properties: {amount: "5.00"}}
          context: {}
        auth: {acr: low, age: 10m, amr: otp, credential_age: 1d, for_this: false}
        now: "2026-01-14T12:00:00Z"
        expect: step_up
        rule: small
        acr: low
        max_age: 5m
        methods: webauthn
guardrails:
  - id: floor
    match: {tags: money, actions: ["pay*"]}
    require: {max_age: 5m, methods: webauthn, on_unenrolled: enroll, on_degraded: serve}
    mode: enforce
unknown_action: deny
mode: enforce
entities:
  subjects:
    - {type: user, id: carol, properties: {department: sales}}
  resources:
    - {type: account, id: "1", properties: {}}
"""


def shapes() -> Iterator[type[Shape]]:
    waiting: list[type[Shape]] = [Shape]
    while waiting:
        found = waiting.pop().__subclasses__()
        waiting += found
        yield from found


def tree() -> Any:
    node = read(EVERYTHING, Findings())
    assert node is not None
    return plain(node)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(each, (*path, key))


def changed(path: tuple[Any, ...], value: Any) -> str:
    whole = tree()
    at = whole
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = copy.deepcopy(value)
    return json.dumps(whole)


def test_is_a_schema():
    jsonschema_rs.meta.validate(json_schema())
    assert json_schema()["$id"]


def test_the_document_with_everything_holds():
    assert [finding for finding in document.check(EVERYTHING) if finding.is_error] == []
    assert complaints(EVERYTHING) == []


def test_the_reader_takes_every_field_of_the_types_and_no_other(monkeypatch):
    taken: set[tuple[type[Shape], str]] = set()
    peek = Fields.peek

    def watched(self, name):
        taken.add((self.shape, name))
        return peek(self, name)

    monkeypatch.setattr(Fields, "peek", watched)
    document.check(EVERYTHING)
    every = {(shape, name) for shape in shapes() for name in names_of(shape)}
    # Names of what stands in a mapping are its keys.
    keys = {"name", "acr", "id"}
    assert {each for each in every - taken if each[1] not in keys and each[0] is not Suite} == set()
    assert taken - every == set()


def test_the_types_and_the_schema_have_the_same_fields():
    parts = json_schema()["$defs"]
    for shape in shapes():
        assert set(parts[shape.__name__]["properties"]) == names_of(shape)
        assert parts[shape.__name__]["additionalProperties"] is False


def test_every_field_is_described():
    for name, part in json_schema()["$defs"].items():
        assert part["description"], name
        for field, schema in part.get("properties", {}).items():
            assert schema.get("description"), (name, field)


def test_a_field_that_no_type_has_cannot_be_read():
    node = read(HEAD, Findings())
    assert node is not None
    with pytest.raises(KeyError, match="nonsense"):
        Fields(node, Document, Findings()).peek("nonsense")


@pytest.mark.parametrize("value", [None, 7, "word", [{}]])
def test_what_the_reader_accepts_the_schema_accepts_whatever_is_changed(value):
    for path in places(tree()):
        text = changed(path, value)
        if not any(finding.is_error for finding in document.check(text)):
            assert complaints(text) == [], path


WRONG = {
    "an unknown field": a_document("defualt: allow\ndefault: allow"),
    "a missing version": "actions: {}\n",
    "another version": "apiVersion: stepup/v2\n",
    "an empty condition": a_document("rules: [{id: a, when: , allow: true}]\ndefault: allow"),
    "an empty field": a_document("tags:\ndefault: allow"),
    "text for a list": a_document("rules: none\ndefault: allow"),
    "a rule with two outcomes": a_document("rules: [{id: a, allow: true, deny: x}]\ndefault: deny"),
    "a rule with no outcome": a_document("rules: [{id: a}]\ndefault: deny"),
    "a rule that allows not": a_document("rules: [{id: a, allow: false}]\ndefault: deny"),
    "a requirement without level": a_document("default: {max_age: 5m}"),
    "an age that is none": a_document("default: {level: phr, max_age: soon}"),
    "an unknown preset": a_document("default: {level: phr, preset: lax}"),
    "an unknown type": a_document("attributes: {a: {type: money}}\ndefault: allow"),
    "a scale of ten": a_document("attributes: {a: {type: decimal, scale: 10}}\ndefault: allow"),
    "no levels": HEAD + "levels: []\n",
    "a level that nothing reaches": HEAD + "levels: [{acr: a, any_of: [], max_age: 1h}]\n",
    "a guardrail that matches nothing": HEAD
    + "guardrails: [{id: a, match: {}, require: {max_age: 1h}}]\n",
    "a test without outcome": a_document("default: allow\ntests: [{name: a}]"),
    "a name with a blank": HEAD + "actions: {a b: {default: allow}}\n",
    "a language that is none": a_document("title: {'e n': pay}\ndefault: allow"),
    "two hundred and one rules": a_document(
        "rules:\n" + "".join(f"- {{id: r{n}, allow: true}}\n" for n in range(201)) + "default: deny"
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_refused_by_the_reader_and_by_the_schema(what):
    assert any(finding.is_error for finding in document.check(WRONG[what]))
    assert complaints(WRONG[what]) != []
