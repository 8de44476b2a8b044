"""What is done, what is only told and what is not worked out at all; and never by whom it is not up to."""

from datetime import timedelta

import pytest

from stepup.domain.assurance import Acr
from stepup.domain.condition import EvaluationError
from stepup.domain.decision import Allow, AllowReason, Decision, Deny, DenyReason, StepUp, decide
from stepup.domain.policy import Effect, Mode
from stepup.domain.recorded_decision import Outcome, outcome_of
from stepup.domain.requirement import Requirement
from tests.support.builders import (
    Answers,
    AnySchema,
    a_decision_request,
    a_guardrail,
    a_policy,
    a_rule,
    an_action,
    an_approval,
)
from tests.support.determinism import NOON

PHR = Requirement(acr=Acr("phr"), max_age=timedelta(minutes=10))
FLOOR = a_guardrail(id="floor", require=Requirement(acr=Acr("urn:stepup:acr:2")))
TRIAL = a_guardrail(id="trial", require=PHR, mode=Mode.REPORT)


def decided(policy, approval=None, **changes) -> Decision:
    return decide(policy, a_decision_request(**changes), approval, NOON)


def told(decision: Decision) -> Outcome | None:
    return outcome_of(decision.basis.reported) if decision.basis.reported else None


ALLOW, STEP_UP, DENY = Outcome.ALLOW, Outcome.STEP_UP, Outcome.DENY


@pytest.mark.parametrize(
    ("document", "action", "guardrails", "answered", "reported"),
    [
        pytest.param(Mode.ENFORCE, None, (), STEP_UP, None, id="enforced"),
        pytest.param(Mode.REPORT, None, (), ALLOW, STEP_UP, id="the document only reports"),
        pytest.param(Mode.OFF, None, (), ALLOW, None, id="the document is off"),
        pytest.param(Mode.ENFORCE, Mode.REPORT, (), ALLOW, STEP_UP, id="the action only reports"),
        pytest.param(Mode.ENFORCE, Mode.OFF, (), ALLOW, None, id="the action is off"),
        pytest.param(Mode.REPORT, Mode.ENFORCE, (), STEP_UP, None, id="the action's wins"),
        pytest.param(Mode.OFF, Mode.REPORT, (), ALLOW, STEP_UP, id="the action's wins over off"),
        pytest.param(Mode.ENFORCE, None, (TRIAL,), STEP_UP, STEP_UP, id="a guardrail on trial"),
        pytest.param(Mode.REPORT, None, (FLOOR,), ALLOW, STEP_UP, id="all that says none reports"),
    ],
)
def test_what_is_answered_and_what_is_told(document, action, guardrails, answered, reported):
    policy = a_policy(an_action(default=PHR, mode=action), guardrails=guardrails, mode=document)

    decision = decided(policy)

    assert (outcome_of(decision), told(decision)) == (answered, reported)


@pytest.mark.parametrize("mode", [Mode.REPORT, Mode.OFF])
def test_attack_an_action_switches_off_the_floor_above_it(mode):
    policy = a_policy(an_action(default=PHR, mode=mode), guardrails=(FLOOR,))

    decision = decided(policy)

    assert isinstance(decision, StepUp)
    assert decision.requirement.acr == "urn:stepup:acr:2"
    assert decision.basis.guardrails == ("floor",)
    assert told(decision) is (STEP_UP if mode is Mode.REPORT else None)


@pytest.mark.parametrize("mode", [Mode.REPORT, Mode.OFF])
def test_attack_what_a_floor_binds_is_of_the_wrong_type_where_rules_are_not_enforced(mode):
    floor = a_guardrail(require=Requirement(acr=Acr("phr"), bind=frozenset({"amount"})))
    action = an_action(schema=AnySchema("no amount", {"amount"}), default=PHR, mode=mode)

    decision = decided(a_policy(action, guardrails=(floor,)))

    assert isinstance(decision, Deny)
    assert decision.reason is DenyReason.INVALID_ATTRIBUTE


@pytest.mark.parametrize("mode", [Mode.REPORT, Mode.OFF])
def test_our_own_actions_are_enforced_whatever_the_document_says(mode):
    policy = a_policy(an_action(default=PHR, own=True, mode=mode), guardrails=(FLOOR,), mode=mode)

    decision = decided(policy)

    assert isinstance(decision, StepUp)
    assert decision.basis.guardrails == ("floor",)
    assert decision.basis.mode is Mode.ENFORCE


def test_a_guardrail_on_trial_above_our_own_action_changes_nothing_but_what_is_told():
    policy = a_policy(an_action(default=FLOOR.require, own=True), guardrails=(TRIAL,))

    decision = decided(policy)

    assert isinstance(decision, StepUp)
    assert decision.requirement == FLOOR.require
    assert isinstance(decision.basis.reported, StepUp)
    assert decision.basis.reported.requirement.acr == "phr"


def test_a_guardrail_that_is_off_is_not_even_told():
    off = a_guardrail(require=PHR, mode=Mode.OFF)

    decision = decided(a_policy(an_action(default=Effect.ALLOW), guardrails=(off,)))

    assert isinstance(decision, Allow)
    assert decision.basis.reported is None


@pytest.mark.parametrize("mode", Mode)
def test_an_action_that_nobody_named_is_denied_in_every_mode(mode):
    assert isinstance(decided(a_policy(mode=mode), action="payments.tranfser"), Deny)


def test_says_why_it_allowed():
    policy = a_policy(an_action(default=PHR, mode=Mode.REPORT))

    for approval, reason in [
        (None, AllowReason.NOT_ENFORCED),
        (an_approval("phr"), AllowReason.ALREADY_SATISFIED),
    ]:
        decision = decided(policy, approval)
        assert isinstance(decision, Allow)
        assert decision.reason is reason


def test_a_denial_is_told_with_its_rule_and_not_done():
    rule = a_rule("sanctions", then=Effect.DENY, reason="not there")
    decision = decided(a_policy(an_action(rules=(rule,), mode=Mode.REPORT)))

    assert isinstance(decision, Allow)
    assert isinstance(decision.basis.reported, Deny)
    assert decision.basis.reported.basis.rule == "sanctions"


def test_an_error_is_told():
    rule = a_rule("broken", when=Answers(EvaluationError("divide by zero")))
    decision = decided(a_policy(an_action(rules=(rule,), mode=Mode.REPORT)))

    assert decision.basis.error is None
    assert decision.basis.reported.basis.error == "broken: divide by zero"


def test_what_everything_would_be_enforced_is_asked_of_the_policy():
    policy = a_policy(an_action(default=PHR, mode=Mode.OFF), guardrails=(TRIAL,), mode=Mode.REPORT)

    decision = decided(policy.enforced())

    assert isinstance(decision, StepUp)
    assert decision.basis.guardrails == ("trial",)
