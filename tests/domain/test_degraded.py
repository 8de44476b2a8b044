"""What an action does while something that the answer rests on is away."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepup.domain.assurance import Acr
from stepup.domain.decision import Allow, AllowReason, Decision, Deny, DenyReason, StepUp, decide
from stepup.domain.policy import Effect
from stepup.domain.requirement import OnDegraded, Requirement
from tests.domain.strategies import approvals, decision_requests, policies
from tests.support.builders import (
    a_decision_request,
    a_guardrail,
    a_policy,
    a_rule,
    an_action,
    an_approval,
)
from tests.support.determinism import NOON

SERVE, RAISE, REFUSE = OnDegraded.SERVE, OnDegraded.RAISE, OnDegraded.REFUSE
WEAK = Requirement(acr=Acr("urn:stepup:acr:1"), max_age=timedelta(hours=1))
STRONG = Requirement(acr=Acr("phr"), max_age=timedelta(minutes=5))


def of(on_degraded: OnDegraded) -> Requirement:
    return Requirement(acr=WEAK.acr, max_age=WEAK.max_age, on_degraded=on_degraded)


def decided(action, approval=None, *, degraded=True, guardrails=()) -> Decision:
    policy = a_policy(action, guardrails=guardrails)
    return decide(policy, a_decision_request(), approval, NOON, degraded=degraded)


def an_action_that(on_degraded: OnDegraded, then=None):
    rules = (
        a_rule("weak", then=of(on_degraded) if then is None else then),
        a_rule("strong", then=STRONG),
    )
    return an_action(rules=rules, default=Effect.DENY, shared=of(on_degraded))


@pytest.mark.parametrize("word", OnDegraded)
def test_changes_nothing_while_all_is_well(word):
    decision = decided(an_action_that(word), an_approval("urn:stepup:acr:1"), degraded=False)

    assert isinstance(decision, Allow)
    assert decision.basis.degraded is None


def test_serve_goes_on_and_says_so():
    decision = decided(an_action_that(SERVE), an_approval("urn:stepup:acr:1"))

    assert isinstance(decision, Allow)
    assert decision.basis.degraded is SERVE


def test_raise_asks_for_the_strongest_that_the_action_could_ask_for():
    decision = decided(an_action_that(RAISE), an_approval("urn:stepup:acr:1"))

    assert isinstance(decision, StepUp)
    assert (decision.requirement.acr, decision.requirement.max_age) == ("phr", STRONG.max_age)
    assert decision.basis.rule == "weak"


def test_who_has_met_the_strongest_is_let_through():
    decision = decided(an_action_that(RAISE), an_approval("phr"))

    assert isinstance(decision, Allow)
    assert decision.reason is AllowReason.ALREADY_SATISFIED


def test_raise_holds_for_what_is_allowed_by_a_rule():
    assert isinstance(decided(an_action_that(RAISE, Effect.ALLOW)), StepUp)


def test_refuse_answers_nothing_not_even_to_who_has_the_best():
    decision = decided(an_action_that(REFUSE), an_approval("phrh"))

    assert isinstance(decision, Deny)
    assert decision.reason is DenyReason.DEGRADED


@pytest.mark.parametrize("word", OnDegraded)
def test_a_denial_by_a_rule_stays_one(word):
    decision = decided(an_action_that(word, Effect.DENY))

    assert isinstance(decision, Deny)
    assert decision.reason is DenyReason.RULE


@pytest.mark.parametrize(
    ("rule", "floor", "followed"),
    [
        (SERVE, RAISE, RAISE),
        (RAISE, SERVE, RAISE),
        (REFUSE, RAISE, REFUSE),
        (RAISE, REFUSE, REFUSE),
        (SERVE, SERVE, SERVE),
    ],
)
def test_the_strictest_of_rule_and_guardrails_is_followed(rule, floor, followed):
    decision = decided(an_action_that(rule), guardrails=(a_guardrail(require=of(floor)),))

    assert decision.basis.degraded is followed


@given(policies(), decision_requests(), st.none() | approvals())
def test_nothing_that_is_away_ever_makes_an_answer_milder(policy, request, approval):
    well = decide(policy, request, approval, NOON)
    away = decide(policy, request, approval, NOON, degraded=True)

    if isinstance(well, Deny):
        assert isinstance(away, Deny)
    if isinstance(away, StepUp):
        assert not isinstance(well, Deny)
        if isinstance(well, StepUp):
            reached = policy.ladder.rank(away.requirement.acr)
            assert reached >= policy.ladder.rank(well.requirement.acr)
