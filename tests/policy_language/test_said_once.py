"""A mistake is told once, where it was made, and not by what follows from it."""

from stepup.policy_language import document
from tests.policy_language.documents import a_document, codes


def test_an_attribute_that_is_bound_and_not_declared_is_told_at_bind():
    text = a_document(
        "attributes: {amount: {type: int, required: true}}\nbind: [amont]\n"
        "rules: [{id: a, when: action.amount > 1, require: {level: phr}}]\ndefault: {level: phr}"
    )

    assert [(f.code.value, f.path, f.is_error) for f in document.check(text)] == [
        ("SU022", "actions.pay.bind", True)
    ]


def test_what_is_bound_is_looked_at_where_only_a_guardrail_asks():
    text = a_document("attributes: {d: {type: double}}\nbind: [d, nope]\ndefault: allow")

    assert [(f.code.value, f.is_error) for f in document.check(text)] == [
        ("SU014", False),
        ("SU029", False),
        ("SU022", False),
    ]


def test_an_attribute_of_an_unknown_type_is_one_error():
    text = a_document(
        "attributes: {amount: {type: integer}}\nbind: amount\n"
        "rules: [{id: a, when: action.amount > 1, allow: true}]\ndefault: {level: phr}"
    )

    assert [f.message for f in document.check(text)] == [
        "unknown word `integer`; did you mean `int`?"
    ]


def test_an_attribute_in_a_condition_with_a_mistake_is_not_called_unused():
    text = a_document(
        "attributes: {d: {type: double}}\ndefault: allow\n"
        "rules: [{id: a, when: action.d > 3, allow: true}]"
    )

    assert codes(text) == ["SU030"]


def test_a_pattern_that_is_none_is_a_warning():
    text = a_document(
        "default: {level: phr}\nrules: [{id: a, when: 'subject.id.matches(\"(a\")', allow: true}]"
    )

    found = document.check(text)

    assert codes(text) == ["SU030"]
    assert "no regular expression" in found[0].message
    assert not found[0].is_error
