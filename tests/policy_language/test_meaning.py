"""What a change of a document means, in words, and whether it is weaker or stricter."""

import pytest

from stepup.policy_language import document
from stepup.policy_language.meaning.policies import differences
from stepup.policy_language.meaning.statement import Direction

WEAKER, STRICTER, DIFFERENT = Direction.WEAKER, Direction.STRICTER, Direction.DIFFERENT

BANK = """\
apiVersion: stepup/v1
guardrails:
  - {id: money, match: {tags: [money]}, require: {level: urn:stepup:acr:2, max_age: 1h}}
actions:
  payments.transfer:
    tags: [money]
    attributes:
      amount: {type: decimal, required: true}
      count: {type: int}
      ratio: {type: double}
      currency: {type: string, enum: [EUR, USD]}
      known: {type: bool, in: resource}
    bind: [amount]
    token: {ttl: 120s, once: true, audience: bank}
    rules:
      - {id: small, when: action.amount <= 10000, require: {level: urn:stepup:acr:1, max_age: 1h}}
      - {id: large, when: action.amount > 100000, require: {level: urn:stepup:acr:2, max_age: 15m}}
    default: {level: urn:stepup:acr:1, max_age: 15m}
  balance.read: {default: allow}
"""


def told(before: str, after: str) -> list[tuple[Direction, str]]:
    policies = (document.parse(text, version=n) for n, text in enumerate((before, after)))
    return [(s.direction, s.text) for s in differences(*policies)]


def changed(*replacements: tuple[str, str]) -> str:
    text = BANK
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    return text


LARGE = "      - {id: large, when: action.amount > 100000, require: {level: urn:stepup:acr:2, max_age: 15m}}\n"
SMALL = "      - {id: small, when: action.amount <= 10000, require: {level: urn:stepup:acr:1, max_age: 1h}}\n"
DEFAULT = "    default: {level: urn:stepup:acr:1, max_age: 15m}\n"

CASES: dict[str, tuple[list[tuple[str, str]], list[tuple[Direction, str]]]] = {
    "the level of a rule": (
        [("urn:stepup:acr:2, max_age: 15m", "phr, max_age: 15m")],
        [(STRICTER, "payments.transfer: amount above 1,000.00 now phr instead of level 2")],
    ),
    "the age of a rule": (
        [("urn:stepup:acr:2, max_age: 15m", "urn:stepup:acr:2, max_age: 20m")],
        [
            (
                WEAKER,
                "payments.transfer: amount above 1,000.00 now at most 20m old instead of at most 15m old",
            )
        ],
    ),
    "an age of nothing": (
        [("urn:stepup:acr:2, max_age: 15m", "urn:stepup:acr:2, max_age: 0s")],
        [
            (
                STRICTER,
                "payments.transfer: amount above 1,000.00 now made for this alone instead of at most 15m old",
            )
        ],
    ),
    "methods": (
        [(DEFAULT, "    default: {level: urn:stepup:acr:1, max_age: 15m, methods: [totp]}\n")],
        [(STRICTER, "payments.transfer: otherwise now by totp instead of by any method")],
    ),
    "one part weaker, one stricter": (
        [("urn:stepup:acr:2, max_age: 15m", "phr, max_age: 30m")],
        [
            (
                WEAKER,
                "payments.transfer: amount above 1,000.00 now at most 30m old instead of at most 15m old",
            ),
            (STRICTER, "payments.transfer: amount above 1,000.00 now phr instead of level 2"),
        ],
    ),
    "a threshold raised": (
        [("> 100000", "> 250000")],
        [
            (
                WEAKER,
                "payments.transfer: level 2 for amount above 2,500.00 instead of amount above 1,000.00",
            )
        ],
    ),
    "a threshold lowered": (
        [("> 100000", ">= 100000")],
        [
            (
                STRICTER,
                "payments.transfer: level 2 for amount at least 1,000.00 instead of amount above 1,000.00",
            )
        ],
    ),
    "a condition made narrower": (
        [("> 100000", "> 100000 && !resource.known")],
        [
            (
                WEAKER,
                (
                    "payments.transfer: level 2 for amount above 1,000.00 and resource.known is false "
                    "instead of amount above 1,000.00"
                ),
            )
        ],
    ),
    "a condition that cannot be said in words": (
        [("> 100000", "> 100000 || action.count > 3")],
        [
            (
                STRICTER,
                (
                    "payments.transfer: level 2 for when `action.amount > 100000 || action.count > 3` "
                    "instead of amount above 1,000.00"
                ),
            )
        ],
    ),
    "a rule removed": (
        [(LARGE, "")],
        [
            (
                WEAKER,
                (
                    "payments.transfer: amount above 1,000.00 has no rule any more: level 2, at most 15m old, "
                    "for one use, bound to amount"
                ),
            )
        ],
    ),
    "a rule added": (
        [(SMALL, SMALL + "      - {id: usd, when: 'action.currency == \"USD\"', deny: true}\n")],
        [(STRICTER, "payments.transfer: currency is USD is a new rule: denied")],
    ),
    "a rule that lets through what another one denied nothing of": (
        [(SMALL, "      - {id: free, when: action.count == 0, allow: true}\n" + SMALL)],
        [(WEAKER, "payments.transfer: count is 0 is a new rule: allowed")],
    ),
    "rules that cannot meet change places": (
        [(SMALL + LARGE, LARGE + SMALL)],
        [(DIFFERENT, "payments.transfer: the rule large moved, now before small")],
    ),
    "the default": (
        [(DEFAULT, "    default: deny\n")],
        [
            (
                STRICTER,
                (
                    "payments.transfer: otherwise now denied instead of level 1, at most 15m old, "
                    "for one use, bound to amount"
                ),
            )
        ],
    ),
    "what all demands have in common is told once": (
        [("bind: [amount]", "bind: [amount, currency]"), ("once: true, ", "")],
        [
            (WEAKER, "payments.transfer: a token is no longer good for one use only"),
            (DIFFERENT, "payments.transfer: also shows currency"),
            (STRICTER, "payments.transfer: also bound to currency"),
        ],
    ),
    "the life and the audience of a token": (
        [("ttl: 120s", "ttl: 60s"), ("audience: bank", "audience: other")],
        [
            (DIFFERENT, "payments.transfer: a token is for other instead of bank"),
            (STRICTER, "payments.transfer: a token lives 1m instead of 2m"),
        ],
    ),
    "who has nothing enrolled": (
        [("    rules:\n", "    on_unenrolled: enroll\n    rules:\n")],
        [
            (
                WEAKER,
                "payments.transfer: for who has nothing that reaches it: enroll instead of deny",
            )
        ],
    ),
    "a critical action": (
        [("    rules:\n", "    critical: true\n    rules:\n")],
        [(STRICTER, "payments.transfer: `critical` is yes instead of no")],
    ),
    "an attribute": (
        [("amount: {type: decimal, required: true}", "amount: {type: decimal}")],
        [(WEAKER, "payments.transfer: attribute amount: `required` is no instead of yes")],
    ),
    "a new action": (
        [
            (
                "  balance.read",
                "  account.close: {default: {level: phr, max_age: 0s}}\n  balance.read",
            )
        ],
        [(DIFFERENT, "account.close: new action: otherwise phr, made for this alone")],
    ),
    "a new action that is switched off": (
        [
            (
                "  balance.read:",
                "  account.close: {mode: off, default: {level: phr}}\n  balance.read:",
            )
        ],
        [
            (
                WEAKER,
                "account.close: new action: otherwise phr, at most 10m old; in mode off",
            )
        ],
    ),
    "a new action for everybody": (
        [("  balance.read", "  account.close: {default: allow}\n  balance.read")],
        [(WEAKER, "account.close: new action: otherwise allowed")],
    ),
    "an action removed": (
        [("  balance.read: {default: allow}\n", "")],
        [(STRICTER, "balance.read: no longer there, and so denied")],
    ),
    "an action removed where unknown ones are allowed": (
        [
            ("  balance.read: {default: allow}\n", ""),
            ("actions:\n", "unknown_action: allow\nactions:\n"),
        ],
        [
            (WEAKER, "an action that no document names is allowed instead of denied"),
            (WEAKER, "balance.read: no longer there, and so allowed"),
        ],
    ),
    "a guardrail raised": (
        [("urn:stepup:acr:2, max_age: 1h", "phr, max_age: 1h")],
        [(STRICTER, "guardrail money: now phr instead of level 2, for payments.transfer")],
    ),
    "a guardrail lowered": (
        [("urn:stepup:acr:2, max_age: 1h", "urn:stepup:acr:2, max_age: 2h")],
        [
            (
                WEAKER,
                "guardrail money: now at most 2h old instead of at most 1h old, for payments.transfer",
            )
        ],
    ),
    "a guardrail removed": (
        [
            (
                "  - {id: money, match: {tags: [money]}, require: {level: urn:stepup:acr:2, max_age: 1h}}\n",
                "  []\n",
            )
        ],
        [
            (
                WEAKER,
                (
                    "guardrail money: no longer there: payments.transfer no longer at least level 2, "
                    "at most 1h old"
                ),
            )
        ],
    ),
    "a guardrail added": (
        [
            (
                "actions:\n",
                "  - {id: all, match: {actions: ['b*']}, require: {level: phr, max_age: 5m}}\nactions:\n",
            )
        ],
        [(STRICTER, "guardrail all: new guardrail for balance.read: at least phr, at most 5m old")],
    ),
    "a tag that a guardrail matched by": (
        [("    tags: [money]\n", "")],
        [
            (WEAKER, "guardrail money: no longer speaks about payments.transfer"),
            (DIFFERENT, "payments.transfer: `tags` is nothing instead of money"),
        ],
    ),
    "what a guardrail matches": (
        [("match: {tags: [money]}", "match: {tags: [money], actions: [balance.*]}")],
        [
            (DIFFERENT, "guardrail money: `actions` is balance.* instead of nothing"),
            (STRICTER, "guardrail money: speaks about balance.read too"),
        ],
    ),
    "a title": (
        [("    tags: [money]\n", "    tags: [money]\n    title: {en: pay}\n")],
        [(DIFFERENT, "payments.transfer: `title` is en: pay instead of nothing")],
    ),
    "a guardrail that is only reported": (
        [
            (
                "actions:\n",
                "  - {id: all, mode: report, match: {actions: ['b*']}, require: {level: phr}}\nactions:\n",
            )
        ],
        [
            (
                DIFFERENT,
                "guardrail all: new guardrail for balance.read: at least phr, at most 10m old, in mode report",
            )
        ],
    ),
    "the mode of a guardrail": (
        [("- {id: money, ", "- {id: money, mode: report, ")],
        [(WEAKER, "guardrail money: `mode` is report instead of nothing")],
    ),
    "the mode of an action": (
        [("    tags: [money]\n", "    tags: [money]\n    mode: report\n")],
        [(WEAKER, "payments.transfer: the mode is report instead of the document's")],
    ),
    "the mode of the document": (
        [("apiVersion: stepup/v1\n", "apiVersion: stepup/v1\nmode: report\n")],
        [(WEAKER, "the document's `mode` is report instead of enforce")],
    ),
    "the age of an authenticator": (
        [(DEFAULT, DEFAULT.replace("15m}", "15m, min_credential_age: 1d}"))],
        [
            (
                STRICTER,
                "payments.transfer: otherwise an authenticator is at least as old as 1d instead of 0s",
            )
        ],
    ),
    "who is known": (
        [("actions:\n", "entities: {subjects: [{type: user, id: eve}]}\nactions:\n")],
        [(DIFFERENT, "subject user eve: known now")],
    ),
    "tests and metadata": (
        [("actions:\n", "metadata: {name: bank}\nactions:\n")],
        [],
    ),
}


@pytest.mark.parametrize(("replacements", "expected"), CASES.values(), ids=list(CASES))
def test_says(replacements: list[tuple[str, str]], expected: list[tuple[Direction, str]]):
    assert told(BANK, changed(*replacements)) == expected


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("action.amount > 100000", "amount above 1,000.00"),
        ("100000 < action.amount", "amount above 1,000.00"),
        ("(action.amount >= 5)", "amount at least 0.05"),
        ("action.amount == -100", "amount is -1.00"),
        ("action.amount > 0 && action.amount <= 10000", "amount above 0.00 and at most 100.00"),
        ("action.count > 1000", "count above 1,000"),
        ("action.ratio < 0.5", "ratio below 0.5"),
        ("action.currency != 'EUR'", "currency is not EUR"),
        ("resource.known", "resource.known is true"),
        ("!resource.known && action.count == 1", "resource.known is false and count is 1"),
        ("has(action.count) && action.count > 2", "when `has(action.count) && action.count > 2`"),
        ("action.count in [1, 2]", "when `action.count in [1, 2]`"),
        ("action.amount > 1 ? true : false", "when `action.amount > 1 ? true : false`"),
    ],
)
def test_says_simple_conditions_in_words(condition: str, words: str):
    statements = told(
        changed((LARGE, "")),
        changed((LARGE, f'      - {{id: large, when: "{condition}", deny: true}}\n')),
    )
    assert statements == [(STRICTER, f"payments.transfer: {words} is a new rule: denied")]
