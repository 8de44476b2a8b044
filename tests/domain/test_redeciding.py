"""What was recorded, decided again; and what the record cannot tell."""

import msgspec
import pytest

from stepup.domain.condition import EvaluationError
from stepup.domain.decision import Allow, AllowReason, Deny, DenyReason, StepUp
from stepup.domain.decision_request import AttributeType, Entity
from stepup.domain.policy import Effect
from stepup.domain.redeciding import Redecider, Undecidable
from stepup.domain.requirement import OnDegraded
from tests.support.builders import (
    Answers,
    a_decision_request,
    a_policy,
    a_recorded_decision,
    a_requirement,
    a_rule,
    an_action,
    an_approval,
    an_approval_of,
    an_attribute,
)

IBAN = an_attribute("iban", entity=Entity.RESOURCE, sensitive=True)
PATH = "resource.iban"
DIGESTED = a_decision_request(resource={"iban": "digest:abc"})


def reading(source: str, answer: bool = True, *, reads=(PATH,), then=Effect.ALLOW, **changes):
    when = Answers(answer, source=source, reads=reads)
    return a_rule(source, when=when, then=then, **changes)


def a_policy_of(*rules, attributes=(IBAN,), default=Effect.DENY, version=3):
    action = an_action(rules=rules, attributes=attributes, default=default)
    return a_policy(action, version=version)


def digested(**changes):
    return a_recorded_decision(
        **{"request": DIGESTED, "digested": frozenset({PATH}), "rule": None} | changes
    )


def redecided(policy, recorded, *past):
    versions = {each.version: each for each in (policy, *past)}
    return Redecider(policy, versions.get).decide(recorded)


def test_what_is_known_is_decided_as_it_was():
    recorded = a_recorded_decision(approval=an_approval())
    policy = a_policy()

    found = redecided(policy, recorded)

    assert isinstance(found, Allow)
    assert found.reason is AllowReason.ALREADY_SATISFIED


def test_what_was_away_then_is_away_again():
    asks = a_requirement(on_degraded=OnDegraded.REFUSE)
    policy = a_policy_of(default=asks, attributes=())

    assert isinstance(redecided(policy, a_recorded_decision()), StepUp)
    away = a_recorded_decision(degraded=True)
    assert redecided(policy, away).reason is DenyReason.DEGRADED


def test_an_action_that_nobody_names_any_more_is_denied():
    recorded = a_recorded_decision(request=a_decision_request(action="gone"))
    assert redecided(a_policy(), recorded).reason is DenyReason.UNKNOWN_ACTION


def test_a_rule_that_reads_a_digested_attribute_is_undecidable():
    draft = a_policy_of(reading("new"), version=0)
    assert redecided(draft, digested(), a_policy_of(version=3)) == Undecidable(PATH)


def test_a_rule_behind_the_one_that_decides_does_not_matter():
    first = reading("first", reads=())
    draft = a_policy_of(first, reading("new"), version=0)
    assert isinstance(redecided(draft, digested(), a_policy_of(version=3)), Allow)


def test_to_ask_whether_a_digested_attribute_was_sent_is_decidable():
    rule = a_rule("asks", when=Answers(True, source="has", asks={PATH}), then=Effect.ALLOW)
    draft = a_policy_of(rule, version=0)
    assert isinstance(redecided(draft, digested(), a_policy_of(version=3)), Allow)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("big", "big"), ("small", "small"), (None, None)],
    ids=["the first matched", "the second matched", "none matched"],
)
def test_the_record_tells_what_became_of_the_same_conditions(rule, expected):
    active = a_policy_of(reading("big"), reading("small"))

    found = redecided(active, digested(rule=rule))

    assert found.basis.rule == expected


def test_a_condition_that_was_not_reached_then_is_not_known():
    then = a_policy_of(reading("big"), reading("small"))
    draft = a_policy_of(reading("small"), reading("big"), version=0)

    assert redecided(draft, digested(rule="big"), then) == Undecidable(PATH)


def test_the_same_words_over_another_type_are_another_condition():
    then = a_policy_of(reading("big"))
    other = msgspec.structs.replace(IBAN, type=AttributeType.LIST)
    draft = a_policy_of(reading("big"), attributes=(other,), version=0)

    assert redecided(draft, digested(rule="big"), then) == Undecidable(PATH)


def test_after_an_error_nothing_digested_is_sure():
    recorded = digested(error="action.amount is missing")
    assert redecided(a_policy_of(), recorded) == Undecidable(PATH)


def test_a_version_that_is_gone_tells_nothing():
    draft = a_policy_of(reading("big"), version=4)
    assert redecided(draft, digested(rule="big")) == Undecidable(PATH)


def test_a_rule_that_reads_an_attribute_nobody_had_declared_is_undecidable():
    country = an_attribute("country", entity=Entity.CONTEXT, required=True)
    rule = reading("abroad", reads={"context.country"})
    then = a_policy_of(attributes=(), version=3)
    recorded = a_recorded_decision(rule=None)

    found = redecided(a_policy_of(rule, attributes=(country,), version=0), recorded, then)

    assert found == Undecidable("context.country")


def test_an_attribute_that_was_declared_and_not_sent_is_known_to_be_absent():
    country = an_attribute("country", entity=Entity.CONTEXT)
    rule = reading("abroad", False, reads={"context.country"})
    policy = a_policy_of(rule, attributes=(country,))

    assert isinstance(redecided(policy, a_recorded_decision()), Deny)


def test_a_newly_declared_attribute_that_no_rule_reads_counts_as_sent():
    country = an_attribute("country", entity=Entity.CONTEXT, required=True)
    asks = a_requirement(bind=frozenset({"country"}))
    draft = a_policy_of(attributes=(country,), default=asks, version=0)
    then = a_policy_of(attributes=(), version=3)

    assert isinstance(redecided(draft, a_recorded_decision(), then), StepUp)


@pytest.mark.parametrize(("bound", "expected"), [("digest:abc", Allow), ("digest:other", StepUp)])
def test_an_approval_of_a_digested_value_is_compared_by_its_digest(bound, expected):
    name = "payments.transfer"
    asks = a_requirement(bind=frozenset({"iban"}))
    approval = an_approval_of(name, {"iban": bound})

    found = redecided(a_policy_of(default=asks), digested(approval=approval))

    assert isinstance(found, expected)


def test_a_condition_that_fails_asks_for_the_strongest_and_is_decidable():
    asks = a_requirement()
    rule = a_rule("broken", when=Answers(EvaluationError("broken"), source="x"), then=asks)
    found = redecided(a_policy_of(rule, attributes=()), a_recorded_decision())
    assert isinstance(found, StepUp)
    assert found.basis.error
