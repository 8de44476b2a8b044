"""Formatting keeps every comment and every meaning, and has nothing to do the second time."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, example, given
from hypothesis import strategies as st

from stepup.policy_language.findings import Findings
from stepup.policy_language.formatting import CannotFormatError, format_document
from stepup.policy_language.reader import plain, read
from tests.policy_language.documents import HEAD, a_document

UNTIDY = """\
# Payments

# of all kinds
apiVersion:   stepup/v1  # the version
actions:


    pay: # the one
        # what people read
        title: {en: 'send',   de: "senden" }
        tags: [money,  # big
          irreversible]   # both
        attributes:
        - name: amount
          type: decimal   # exact


        - # to whom
          name: payee
          type: string
        # no more attributes
        rules:
        # first
        - id: a
          when: >
              action.amount > 1000
                && more

              && x
          allow: true   # fine
          # end of the first
        - {id: b, when: 'action.amount < 5', allow: true}
        - id: c
          when: action.amount > 1000 && action.payee == "a" && action.payee == "a" && action.payee
             == "b" && action.amount < 3 && action.payee == "c"
          allow: true
        - id: d
          when: |   # by lines
            a
              b
          deny: no
        # no more rules
    # no more payments
    other:
        default: allow
# the end
"""
TIDY = """\
# Payments

# of all kinds
apiVersion: stepup/v1  # the version
actions:
  pay:  # the one
    # what people read
    title: {en: "send", de: "senden"}
    tags:  # both
      - money  # big
      - irreversible
    attributes:
      - name: amount
        type: decimal  # exact

      # to whom
      - name: payee
        type: string
    # no more attributes
    rules:
      # first
      - id: a
        when: >
          action.amount > 1000
            && more

          && x
        allow: true  # fine
        # end of the first
      - {id: b, when: "action.amount < 5", allow: true}
      - id: c
        when: >-
          action.amount > 1000 && action.payee == "a" && action.payee == "a" && action.payee == "b"
          && action.amount < 3 && action.payee == "c"
        allow: true
      - id: d
        when: |  # by lines
          a
            b
        deny: "no"
      # no more rules
  # no more payments
  other:
    default: allow
# the end
"""

words = st.text("ab #:-'\"{}[],|>&*!%?\\\n\tä", max_size=12) | st.sampled_from(
    ["no", "1:30", "010", "true", "null", "", "a\n\nb\n", " a\n  b", "x" * 120, "a b " * 40]
)
scalars = words | st.integers(-(10**9), 10**9) | st.booleans() | st.none() | st.just(1.5)
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(words.filter(len), inner, max_size=4)
    ),
    max_leaves=12,
)


class _Dumper(yaml.SafeDumper):
    """One that repeats instead of referring."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Documents in many hands' writing, with comments and blank lines between."""
    tree = draw(st.dictionaries(st.sampled_from("abcdef"), trees, min_size=1, max_size=4))
    text = yaml.dump(
        tree,
        Dumper=_Dumper,
        default_flow_style=draw(st.sampled_from([False, None, True])),
        indent=draw(st.sampled_from([2, 4])),
        width=draw(st.sampled_from([20, 1000])),
        allow_unicode=True,
        sort_keys=False,
    )
    lines = []
    for line in text.split("\n"):
        if draw(st.integers(0, 9)) == 0:
            lines.append(" " * draw(st.integers(0, 6)) + draw(st.sampled_from(["# above", ""])))
        lines.append(line + draw(st.sampled_from(["", "", "", "", "   # beside", " "])))
    return "\n".join(lines)


def is_readable(text: str) -> bool:
    findings = Findings()
    return read(text, findings) is not None and not findings.has_errors


def meaning(text: str) -> Any:
    node = read(text, Findings())
    assert node is not None
    return plain(node)


def formatted(text: str) -> str:
    result = format_document(text)
    assert isinstance(result, str), result
    return result


def test_writes_the_one_form():
    assert formatted(UNTIDY) == TIDY
    assert formatted(TIDY) == TIDY


@given(documents())
@example('a: "\\n"\n')
@example("a:\n- - # x\n    b\n")
@example("? a\n: - b\n")
def test_keeps_meaning_and_comments_and_is_done_after_once(text):
    assume(is_readable(text))
    before = meaning(text)
    once = formatted(text)
    assert meaning(once) == before
    assert once.count("# above") == text.count("# above") or "#" in json.dumps(before)
    assert formatted(once) == once


ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for folder in ("stepup", "docs", "tests/fixtures")
    for path in (ROOT / folder).rglob("*.yaml")
    if "apiVersion: stepup/" in path.read_text("utf-8")
)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_formats_every_document_of_ours(path):
    text = path.read_text("utf-8")
    once = formatted(text)
    assert meaning(once) == meaning(text)
    assert formatted(once) == once


@pytest.mark.parametrize("line", ["x{n}: [1]  # a\n# b\n", "x{n}:\n  - a\n  # b\n", "# {n}\n"])
def test_many_comments_take_as_long_as_many_lines(line):
    text = HEAD + "".join(line.format(n=n) for n in range(5_000))
    started = time.process_time()
    once = formatted(text)
    assert time.process_time() - started < 5
    assert once.count("#") == text.count("#")


def test_json_stays_json():
    text = json.dumps({"apiVersion": "stepup/v1", "metadata": {"ä": [1, 2.5, None]}})
    once = formatted(text)
    assert json.loads(once) == json.loads(text)
    assert once.startswith('{\n  "apiVersion"')
    assert formatted(once) == once


def test_what_cannot_be_read_is_not_formatted():
    found = format_document(HEAD + "a: &b c\n")
    assert not isinstance(found, str)
    assert [finding.code.value for finding in found] == ["SU003"]


def test_a_surprising_word_is_quoted():
    assert 'deny: "no"' in formatted(a_document("rules: [{id: a, deny: no}]\ndefault: deny"))


def test_another_meaning_is_never_written(monkeypatch):
    monkeypatch.setattr("stepup.policy_language.formatting.lay_out", lambda _root: HEAD)
    with pytest.raises(CannotFormatError):
        format_document(HEAD + "actions: {}\n")
