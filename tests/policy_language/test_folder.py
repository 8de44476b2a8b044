"""A folder of files is one document: what it says, what is wrong with it, and its one text."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from stepup.policy_language import document
from stepup.policy_language.findings import Findings
from stepup.policy_language.folder import read_folder
from stepup.policy_language.formatting import format_document
from stepup.policy_language.merging import merge
from stepup.policy_language.reader import plain, read
from tests.policy_language.documents import HEAD

WHOLE = """\
# Everybody's.
apiVersion: stepup/v1
metadata: {name: shop}
guardrails:
  # Money is never old.
  money: {match: {tags: [money]}, require: {max_age: 5m}}
"""
PAY = """\
# The payments team's.
apiVersion: stepup/v1
actions:
  # Sends money.
  pay:  # here
    tags: [money]
    default: {level: phr}
    tests:
      - {name: nobody pays without, expect: step_up}
"""
SEE = """\
{"apiVersion": "stepup/v1", "actions": [{"name": "see", "default": "allow"}]}
"""
SUITE = """\
# What must hold.
apiVersion: stepup/v1
tests:
  pay:
    - name: a passkey pays
      auth: {acr: phr, age: 1m}
      expect: allow
  see:
    - {name: everybody sees, expect: allow}
"""
BANK = (
    Path(__file__).parents[2] / "docs" / "examples" / "policies" / "bank-transfer.yaml"
).read_text("utf-8")
FOLDER = {"all.yaml": WHOLE, "pay.yaml": PAY, "see.json": SEE, "pay_test.yaml": SUITE}


def found(files: dict[str, str]) -> list[str]:
    return [str(finding) for finding in document.read_files(files).findings.all()]


def test_is_read_as_one_document():
    reading = document.read_files(FOLDER)

    assert found(FOLDER) == []
    assert reading.policy is not None
    assert {"pay", "see"} <= set(reading.policy.actions)
    assert [outcome.example.name for outcome in reading.outcomes] == [
        "nobody pays without",
        "a passkey pays",
        "everybody sees",
    ]


def test_is_written_as_one_text_with_every_comment():
    assert (
        merge(FOLDER)
        == """\
# Everybody's.
apiVersion: stepup/v1
metadata: {name: shop}
actions:
  # The payments team's.

  # Sends money.
  pay:  # here
    tags: [money]
    default: {level: phr}
    tests:
      - {name: nobody pays without, expect: step_up}
      # What must hold.
      - name: a passkey pays
        auth: {acr: phr, age: 1m}
        expect: allow
  see:
    default: "allow"
    tests:
      - {name: everybody sees, expect: allow}
guardrails:
  # Money is never old.
  money: {match: {tags: [money]}, require: {max_age: 5m}}
"""
    )


def test_the_text_says_what_the_files_say_and_is_in_form():
    text = merge(FOLDER)
    files, one = read_folder(FOLDER, Findings()), read(text, Findings())
    assert files is not None
    assert one is not None
    written = plain(files)
    assert isinstance(written, dict)
    assert isinstance(written["actions"], dict)
    see = written["actions"]["see"]
    assert isinstance(see, dict)
    del see["name"]
    assert plain(one) == written
    assert document.check(text) == []
    assert format_document(text) == text


def test_the_order_of_the_files_changes_nothing():
    assert merge(dict(reversed(FOLDER.items()))) == merge(FOLDER)


def test_a_single_file_is_activated_as_it_stands():
    untidy = "apiVersion:   stepup/v1\n"
    assert merge({"a.yaml": untidy}) == untidy


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"a.yaml": PAY, "b.yaml": HEAD + "actions: {pay: {default: allow}}\n"},
            "b.yaml:2:11: SU023 error: `pay` is there already, in a.yaml, line 5",
        ),
        (
            {"a.yaml": WHOLE, "b.yaml": HEAD + "metadata: {name: other}\n"},
            "b.yaml:2:1: SU023 error: `metadata` is there already, in a.yaml, line 3",
        ),
        (
            {"a.yaml": HEAD + "unknown_action: deny\n", "b.yaml": HEAD + "unknown_action: deny\n"},
            "b.yaml:2:1: SU023 error: `unknown_action` is there already, in a.yaml, line 2",
        ),
        (
            {"a.yaml": WHOLE, "b.yaml": WHOLE.replace("metadata", "# metadata")},
            "b.yaml:6:3: SU023 error: `money` is there already, in a.yaml, line 6",
        ),
        (
            {"a.yaml": HEAD, "b.yaml": "actions: {pay: {default: allow}}\n"},
            "b.yaml:1:1: SU011 error: `apiVersion` is missing",
        ),
        (
            {"a.yaml": HEAD, "b.yaml": HEAD + "actions: {pay: {defualt: allow}}\n"},
            "b.yaml:2:17: SU010 error: unknown field `defualt`",
        ),
        (
            {"a.yaml": HEAD, "b.yaml": HEAD + "actions: [{default: allow}]\n"},
            "b.yaml:2:11: SU011 error: `name` is missing",
        ),
        ({"a.yaml": HEAD, "b.yaml": "a: b: c\n"}, "b.yaml:1:5: SU001 error"),
        ({"a.yaml": HEAD, "b.yaml": "- a\n"}, "b.yaml:1:1: SU001 error"),
        (
            {"a.yaml": HEAD, "b.yaml": 'a: {when: inCidr(context.ip, "10.0.0.0/8")}\n'},
            "in braces and brackets quote what has commas or quotes: '...'",
        ),
        (
            {"a.yaml": PAY, "a_test.yaml": SUITE},
            "a_test.yaml:8:3: SU012 error: there is no action `see`",
        ),
        (
            {"a.yaml": PAY, "a_test.yaml": HEAD + "tests: {pay: [{name: no, expect: deny}]}\n"},
            "a_test.yaml:2:15: SU040 error: the test `no` failed",
        ),
        (
            {"a.yaml": PAY, "a_test.yaml": HEAD + "actions: {}\n"},
            "a_test.yaml:2:1: SU010 error: unknown field `actions`",
        ),
        ({"a_test.yaml": HEAD}, "SU011 error: there is no policy, only tests"),
    ],
)
def test_a_finding_names_the_file(files, said):
    assert any(said in line for line in found(files)), found(files)


def test_a_condition_is_found_where_it_stands():
    bad = HEAD + "actions:\n  buy:\n    rules:\n      - id: a\n        when: |\n          1 +\n"
    bad += "            nothing\n        allow: true\n    default: deny\n"
    assert any("b.yaml:8:13: SU030" in line for line in found({"a.yaml": PAY, "b.yaml": bad}))


@settings(max_examples=settings.default.max_examples // 2)
@given(st.data())
def test_it_does_not_matter_who_says_what_in_which_form(data):
    """However the actions of a policy are shared out, it is the same policy."""
    whole = plain_of(BANK)
    shares: dict[str, dict[str, Any]] = {}
    for name, action in whole["actions"].items():
        file = data.draw(st.sampled_from(["a.yaml", "b.json", "c/d.yml"]))
        shares.setdefault(file, {})[name] = action
    files = {"main.yaml": json.dumps({**whole, "actions": {}})}
    for file, actions in shares.items():
        listed = [{"name": name, **action} for name, action in actions.items()]
        said = listed if data.draw(st.booleans()) else actions
        share = {"apiVersion": "stepup/v1", "actions": said}
        files[file] = json.dumps(share) if file == "b.json" else yaml.safe_dump(share)
    text = merge(files)
    floors = {each.pop("id"): each for each in whole["guardrails"]}
    assert plain_of(text) == {**whole, "guardrails": floors}
    assert format_document(text) == text
    reading = document.read_files(files)
    assert reading.policy is not None
    assert len(reading.outcomes) == len(document.read_files({"a": BANK}).outcomes)


def plain_of(text: str) -> dict[str, Any]:
    node = read(text, Findings())
    assert node is not None
    value = plain(node)
    assert isinstance(value, dict)
    return value


def test_every_file_may_be_one_that_stood_alone():
    text = (Path(__file__).parents[1] / "fixtures" / "authzen-certification.yaml").read_text()
    files = {"a.yaml": HEAD, "b.yaml": text}
    assert document.read_files(files).policy is not None
    assert document.check(merge(files)) == []
