"""Text to values that know their place; and the text that is not read at all."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepup.policy_language.findings import Findings, Place
from stepup.policy_language.reader import Fieldset, Scalar, plain, read
from tests.policy_language.documents import a_document, codes, findings


def value_of(text: str) -> object:
    found = Findings()
    node = read(text, found)
    assert node is not None, found.all()
    assert not found.has_errors
    return plain(node)


def scalar(text: str) -> Scalar:
    node = read(text, Findings())
    assert isinstance(node, Fieldset)
    inner = node.entries["when"].node
    assert isinstance(inner, Scalar)
    return inner


# What nobody sees is refused.
texts = st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"]), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | texts,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(texts, children, max_size=4),
    max_leaves=15,
)


class TestValues:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("true", True),
            ("false", False),
            ("null", None),
            ("~", None),
            ("", None),
            ("15", 15),
            ("-3", -3),
            ("0", 0),
            ("1.50", 1.5),
            ("1e3", 1000.0),
            ("15m", "15m"),
            ("'15'", "15"),
            ('"true"', "true"),
            ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
            ("stepup/v1", "stepup/v1"),
        ],
    )
    def test_reads_what_json_and_yaml_agree_on(self, text, value):
        assert value_of(f"x: {text}") == {"x": value}

    @pytest.mark.parametrize(
        "word", ["no", "on", "Yes", "OFF", "y", "True", "NULL", "010", "0x1F", "1:30", "1_000"]
    )
    def test_reads_the_surprises_of_yaml_1_1_as_text_and_says_so(self, word):
        found = Findings()

        node = read(f"x: {word}", found)

        assert node is not None
        assert plain(node) == {"x": word}
        assert [finding.code.value for finding in found.all()] == ["SU005"]

    def test_a_language_may_be_called_no(self):
        text = a_document("title: {no: 'betale', en: pay}\ndefault: allow")

        assert findings(text) == []

    @given(st.dictionaries(texts, json_values, max_size=4))
    def test_reads_json_as_json_does(self, value):
        assert value_of(json.dumps(value)) == value
        assert value_of(json.dumps(value, indent="\t")) == value


class TestPlaces:
    def test_counts_lines_and_columns_from_one(self):
        node = read("a: 1\nb:\n  - c: x\n", Findings())

        assert node is not None
        inner = node.entries["b"].node
        assert inner.items[0].entries["c"].node.at == Place(3, 8, "b[0].c")
        assert node.entries["a"].at == Place(1, 1, "a")

    def test_quotes_names_with_dots_in_paths(self):
        node = read("actions:\n  pay.now: 1\n", Findings())

        assert node is not None
        inner = node.entries["actions"].node
        assert inner.entries["pay.now"].at.path == 'actions["pay.now"]'

    @pytest.mark.parametrize(
        ("text", "inside", "place"),
        [
            pytest.param("when: a > b\n", (1, 5), (1, 11), id="plain"),
            pytest.param("when: 'a > b'\n", (1, 5), (1, 12), id="quoted"),
            pytest.param("when: |\n    a &&\n    b > c\n", (2, 3), (3, 7), id="block"),
            pytest.param("when: >\n    a &&\n    b > c\n", (1, 8), (1, 7), id="folded"),
            pytest.param("when: a &&\n  b > c\n", (1, 8), (1, 7), id="plain over two lines"),
            pytest.param("when: |\n\n    a\n", (2, 1), (3, 5), id="block that begins empty"),
            pytest.param("when: |\n\n", (1, 1), (1, 7), id="empty block"),
        ],
    )
    def test_translates_places_inside_a_text(self, text, inside, place):
        found = scalar(text).place_of(*inside)

        assert (found.line, found.column) == place


class TestHostileText:
    """None of these is used, and none of them costs more than a moment."""

    @pytest.fixture(autouse=True)
    def _quick(self):
        started = time.process_time()
        yield
        assert time.process_time() - started < 5

    def test_refuses_a_document_of_more_than_one_mebibyte(self):
        assert codes("# " + "x" * 1024 * 1024) == ["SU002"]

    def test_counts_bytes_not_characters(self):
        assert codes("# " + "ü" * 600 * 1024) == ["SU002"]

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param("a: " + "[" * 100_000, id="lists"),
            pytest.param("{a: " * 50_000, id="mappings"),
            pytest.param("- " * 100_000, id="dashes"),
            pytest.param("a: " + "[" * 33 + "]" * 33, id="one level too many"),
        ],
    )
    def test_refuses_deep_nesting(self, text):
        assert codes(text) == ["SU002"]

    def test_refuses_an_anchors_bomb(self):
        bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
            f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}, *a{i - 1}, *a{i - 1}, *a{i - 1}, *a{i - 1}]\n"
            for i in range(1, 30)
        )

        assert codes(bomb) == ["SU003"]

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param("a: *b\n", id="alias"),
            pytest.param("a: &b 1\n", id="anchor"),
            pytest.param("<<: *b\n", id="merge"),
            pytest.param("a: !!python/object/apply:os.system [ls]\n", id="tag"),
            pytest.param("a: !!binary aGk=\n", id="binary"),
            pytest.param("? [a, b]\n: c\n", id="a list as a name"),
            pytest.param("a: 1\n---\nb: 2\n", id="two documents"),
        ],
    )
    def test_refuses_what_json_does_not_have(self, text):
        assert codes(text) == ["SU003"]

    def test_refuses_a_name_that_is_there_twice(self):
        text = a_document("default: allow\ndefault: deny")

        assert findings(text) == ["SU004 `default` was said before, in line 4"]

    def test_refuses_a_duplicate_in_json_too(self):
        assert "SU004" in codes('{"apiVersion": "stepup/v1", "apiVersion": "stepup/v1"}')

    @pytest.mark.parametrize(
        ("text", "line", "column"),
        [
            pytest.param("a: [1, 2\nb: 3\n", 2, 2, id="unclosed list"),
            pytest.param("a: 'x\n", 2, 1, id="unclosed quote"),
            pytest.param("a:\n\tb: 1\n", 2, 1, id="tab"),
            pytest.param("a: \x00\n", 1, 4, id="nul"),
            pytest.param("a: 1\nb: \ud800\n", 2, 4, id="half a character"),
            pytest.param("", 1, 1, id="nothing"),
            pytest.param("- a\n", 1, 1, id="a list"),
            pytest.param("just words\n", 1, 1, id="words"),
        ],
    )
    def test_points_at_what_is_no_yaml(self, text, line, column):
        found = Findings()

        assert read(text, found) is None
        assert [(f.code.value, f.line, f.column) for f in found.all()] == [("SU001", line, column)]

    @given(st.text(max_size=200))
    def test_never_fails_on_any_text(self, text):
        codes(text)
