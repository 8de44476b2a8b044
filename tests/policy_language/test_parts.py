"""A condition is cut where a reader would cut it, and the pieces say together what it says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepup.domain.condition import EvaluationError
from stepup.policy_language import document
from stepup.policy_language.parts import MAX_PARTS, parts_of
from tests.policy_language.documents import a_document_when
from tests.support.builders import a_decision_request
from tests.support.determinism import NOON


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("a", ()),
        ("a && b", ("a", "b")),
        ("a||b", ("a", "b")),
        ("a && b || c && d", ("a", "b", "c", "d")),
        ("(a || b) && c", ("a", "b", "c")),
        ("((a || b)) && (c)", ("a", "b", "(c)")),
        ("(a) && (b)", ("(a)", "(b)")),
        ("!(a && b) || c", ("!(a && b)", "c")),
        ("a && (b ? c : d)", ("a", "(b ? c : d)")),
        ("a && b ? c : d", ()),
        ("x == 'a && b' && c", ("x == 'a && b'", "c")),
        ('x == "a || \\" b" || c', ('x == "a || \\" b"', "c")),
        (r"x == r'\' && c", (r"x == r'\'", "c")),
        ("x == '''a && ' b''' && c", ("x == '''a && ' b'''", "c")),
        ("l.exists(i, i == 'a' || i == 'b') && c", ("l.exists(i, i == 'a' || i == 'b')", "c")),
        ("x in ['a', 'b'] && c", ("x in ['a', 'b']", "c")),
        ("a && // b || d\n c", ("a", "// b || d\n c")),
        ("xr'a && b' && c", ("xr'a && b'", "c")),
    ],
)
def test_cuts_at_the_outermost_operators(source: str, parts: tuple[str, ...]):
    assert parts_of(source) == parts


def test_what_nobody_would_read_is_left_whole():
    assert len(parts_of(" && ".join(["a"] * MAX_PARTS))) == MAX_PARTS
    assert parts_of(" && ".join(["a"] * (MAX_PARTS + 1))) == ()


@given(st.text(alphabet="ab&|?()[]'\"\\/\nr ", max_size=60))
def test_no_text_is_too_strange_to_be_left_alone(source: str):
    parts = parts_of(source)
    assert all(part in source for part in parts)


def inputs_and_condition(condition: str, **sent: object):
    attributes = "{amount: {type: int}, known: {type: bool, default: false}}"
    action = parsed_action(condition, attributes)
    request = a_decision_request(action="pay", action_properties=sent)
    return action.schema.read(request, None, NOON), action.rules[0].when


def parsed_action(condition: str, attributes: str):
    return document.parse(a_document_when(condition, attributes), version=1).actions["pay"]


def test_each_part_says_what_it_is():
    inputs, condition = inputs_and_condition(
        "has(action.amount) && action.amount / 0 == 1 || action.known", amount=1
    )
    assert [(part.source, part.value) for part in condition.parts(inputs)] == [
        ("has(action.amount)", True),
        ("action.amount / 0 == 1", EvaluationError("divide by zero")),
        ("action.known", False),
    ]
    assert condition.holds(inputs) == EvaluationError("divide by zero")


def test_a_part_that_was_guarded_elsewhere_says_what_it_missed():
    inputs, condition = inputs_and_condition("has(action.amount) && action.amount > 1")
    assert condition.holds(inputs) is False
    assert [part.value for part in condition.parts(inputs)] == [
        False,
        EvaluationError("action.amount was not sent"),
    ]


expressions = st.recursive(
    st.sampled_from(
        ["action.known", "action.known == false", "action.amount > 1", "action.amount > 10"]
    ),
    lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from(["&&", "||"]), inner),
    max_leaves=6,
)


@given(condition=expressions, amount=st.integers(0, 20), known=st.booleans())
def test_the_parts_are_what_the_whole_is_made_of(condition: str, amount: int, known: bool):
    inputs, compiled = inputs_and_condition(condition, amount=amount, known=known)
    spelled = condition
    for part in compiled.parts(inputs):
        spelled = spelled.replace(part.source, str(part.value), 1)
    if compiled.parts(inputs):
        spelled = spelled.replace("&&", "and").replace("||", "or")
        assert eval(spelled) is compiled.holds(inputs)  # noqa: S307  what was written above
