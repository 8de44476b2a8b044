"""Documents by which somebody wants to do harm, each with the codes that refuse it.

`ANYTHING` is a document that is right as it stands and only has to be quick.
"""

import json

from tests.policy_language.documents import HEAD, a_document, a_document_when

ANYTHING = None
MEBIBYTE = 1024 * 1024


def of_one_mebibyte() -> str:
    """As many rules as fit, all of them right."""
    lines = [HEAD, "actions:\n"]
    size = sum(map(len, lines))
    for number in range(5000):
        action = (
            f"  team{number % 50}.action{number}:\n"
            "    attributes: {amount: {type: decimal, required: true}}\n"
            f"    rules:\n      - id: large\n        when: action.amount > {number}\n"
            "        require: {level: phr}\n    default: {level: urn:stepup:acr:2}\n"
        )
        if size + len(action) > MEBIBYTE:
            break
        size += len(action)
        lines.append(action)
    return "".join(lines).ljust(MEBIBYTE, "\n")


def _billion_laughs() -> str:
    laughs = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 10))
    return "l0: &l0 lol\n" + laughs


TERMS = " || ".join(["action.amount == 1"] * 20_000)
AMOUNT = "{amount: {type: int, required: true}}"

HOSTILE: dict[str, tuple[str, str | None]] = {
    "one byte more than a mebibyte": (HEAD.ljust(MEBIBYTE + 1, "\n"), "SU002"),
    "lists in lists": (HEAD + "metadata: " + "[" * 100_000, "SU002"),
    "mappings in mappings": (HEAD + "metadata: " + "{a: " * 100_000, "SU002"),
    "json in json": ('{"a": ' * 100_000, "SU002"),
    "an anchors bomb": (HEAD + "a: &a [1]\nb: *a\n", "SU003"),
    "billion laughs": (_billion_laughs(), "SU003"),
    "a merge key": (HEAD + "actions: {a: &a {default: allow}, b: {<<: *a}}\n", "SU003"),
    "a tag that makes objects": (
        HEAD + "metadata: !!python/object/apply:os.system [id]\n",
        "SU003",
    ),
    "a second document": (HEAD + "---\n" + HEAD + "unknown_action: allow\n", "SU003"),
    "a name twice": (a_document("default: deny\ndefault: allow"), "SU004"),
    "a name twice in json": ('{"apiVersion": "stepup/v1", "apiVersion": "stepup/v1"}', "SU004"),
    "a name twice by an escape": (
        HEAD + 'unknown_action: deny\n"unknown\\x5faction": allow\n',
        "SU004",
    ),
    "twenty thousand terms": (a_document_when(TERMS, AMOUNT), "SU032"),
    "a thousand parentheses": (a_document_when("(" * 900 + "true" + ")" * 900), "SU032"),
    "a catastrophic regular expression": (
        a_document_when("subject.id.matches('^(a+)+$') && subject.id.matches('(.*)*x')"),
        ANYTHING,
    ),
    "a regular expression that grows": (
        a_document_when("subject.id.matches('((a{0,1000}){0,1000}){0,1000}')"),
        ANYTHING,
    ),
    "an unknown field": (a_document("defualt: allow"), "SU010"),
    "a field of a thousand characters": (a_document("d" * 1000 + ": allow"), "SU010"),
    "five thousand unknown fields": (
        HEAD + "".join(f"field{n}: 1\n" for n in range(5000)),
        "SU010",
    ),
    "an empty condition": (a_document("rules: [{id: a, when: , allow: true}]"), "SU012"),
    "a number beyond all numbers": (HEAD + "metadata: {a: 1e999}\n", "SU012"),
    "a number of a thousand digits": (HEAD + f"metadata: {{a: {'9' * 1000}}}\n", "SU012"),
    "an age beyond all ages": (a_document("default: {level: phr, max_age: 99999999999d}"), "SU012"),
    "nul": (HEAD + "metadata: \0\n", "SU001"),
    "nul by an escape": (HEAD + 'metadata: "a\\0b"\n', "SU006"),
    "a terminal's escape": (HEAD + 'metadata: "\\e[2J"\n', "SU006"),
    "half a character": (HEAD + "metadata: \ud800\n", "SU001"),
    "half a character by an escape": (
        '{"apiVersion": "stepup/v1", "metadata": "\\ud800"}',
        "SU001",
    ),
    "text turned around in a name": (a_document('"pay\u202eteg": 1'), "SU006"),
    "text turned around by an escape": (a_document('title: "pay \\u202Eteg"'), "SU006"),
    "text turned around in a comment": (
        a_document("default: allow  # no\u2066 one \u2069is allowed"),
        "SU006",
    ),
    "a rule's name that hides a letter": (
        a_document('rules: [{id: "deny\u200d", allow: true}]\ndefault: deny'),
        "SU012",
    ),
    "a letter of no width": (a_document("tags: [mon\u200bey]\ndefault: allow"), "SU006"),
    "a line that is none": (a_document("title: pay\u2028  default: deny\ndefault: allow"), "SU006"),
    "a list for a name": (HEAD + "actions: {[a, b]: {default: allow}}\n", "SU003"),
    "a mapping for a name": (HEAD + "? {a: b}\n: c\n", "SU003"),
    "true for a name": (HEAD + "true: 1\n", "SU010"),
    "null for a name": (HEAD + "null: 1\n", "SU010"),
    "a date for a name": (HEAD + "actions: {2026-01-31: {default: allow}}\n", ANYTHING),
    "a time for a name": (HEAD + "actions: {2026-01-31T12:00:00Z: {default: allow}}\n", ANYTHING),
    "a list for a document": ("[1, 2]\n", "SU001"),
    "nothing": ("", "SU001"),
    "json that ends early": ('{"apiVersion": "stepup/v1", ', "SU001"),
    "a web page": ("<!DOCTYPE html><html>&x;</html>", "SU001"),
    "xml with entities": ('<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "SU001"),
    "a pattern of ten thousand stars": (
        json.dumps(
            {
                "apiVersion": "stepup/v1",
                "actions": {"a" * 120: {"default": "allow"}},
                "guardrails": {
                    "g": {"match": {"actions": "*a" * 5000 + "b"}, "require": {"max_age": "5m"}}
                },
            }
        ),
        "SU002",
    ),
}
