"""What is told of a decision, and that it is the decision."""

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepup.domain.assurance import Acr, Method
from stepup.domain.comparison import Point
from stepup.domain.condition import EvaluationError
from stepup.domain.decision import (
    Allow,
    AllowReason,
    Decision,
    Deny,
    DenyReason,
    StepUp,
    decide,
)
from stepup.domain.demand import Demand, Situation
from stepup.domain.explanation import Explanation, Verdict, approval_for, explain
from stepup.domain.ids import ActionName
from stepup.domain.policy import Effect, Mode, Policy
from stepup.domain.requirement import OnDegraded, Requirement
from stepup.policy_language import document
from tests.domain import strategies
from tests.support.builders import (
    TRANSFER,
    Answers,
    AnySchema,
    a_decision_request,
    a_guardrail,
    a_policy,
    a_requirement,
    a_rule,
    an_action,
    an_approval,
    an_approval_of,
)
from tests.support.determinism import NOON

PHR = Acr("phr")
LEVEL_2 = Acr("urn:stepup:acr:2")
BROKEN = Answers(EvaluationError("divide by zero"))


def told(policy=None, approval=None, **request) -> Explanation:
    return explain(
        policy or a_policy(),
        Situation(request=a_decision_request(**request), approval=approval, now=NOON),
    )


def verdicts(explanation: Explanation) -> dict[str | None, Verdict]:
    return {rule.id: rule.verdict for rule in explanation.rules}


def points(explanation: Explanation) -> dict[Point, bool]:
    return {compared.point: compared.met for compared in explanation.demand.compared}


def test_what_the_policy_knows_of_a_subject_is_told_as_if_it_had_been_sent():
    policy = document.parse(
        """
apiVersion: stepup/v1
entities: {subjects: [{type: user, id: alice, properties: {role: admin}}]}
actions:
  payments.transfer:
    attributes: {role: {type: string, in: subject, required: true}}
    rules: [{id: admins, when: subject.role == "admin", deny: true}]
    default: allow
""",
        version=1,
    )
    explanation = told(policy)

    assert verdicts(explanation)["admins"] is Verdict.MATCHED
    assert explanation.doubt is None


# --- one case for each reason -----------------------------------------------------------------


def test_an_action_that_nobody_named_has_no_more_to_it():
    explanation = told(action=ActionName("payments.steal"))
    assert explanation.decision.reason is DenyReason.UNKNOWN_ACTION
    assert (explanation.is_named, explanation.rules, explanation.demand) == (False, (), None)


def test_an_unnamed_action_that_is_allowed_is_told_as_such():
    policy = a_policy(unknown_action=Effect.ALLOW)
    explanation = told(policy, action=ActionName("balance.read"))
    assert explanation.decision.reason is AllowReason.NOT_REQUIRED
    assert not explanation.is_named
    assert verdicts(explanation) == {None: Verdict.MATCHED}


def test_a_guardrail_is_told_to_raise_an_unnamed_action():
    policy = a_policy(
        unknown_action=Effect.ALLOW, guardrails=(a_guardrail(actions=("balance.*",)),)
    )
    explanation = told(policy, action=ActionName("balance.read"))
    assert isinstance(explanation.decision, StepUp)
    assert explanation.guardrails[0].matched_by == ("name balance.*",)


def test_rules_are_told_up_to_the_one_that_matched():
    action = an_action(
        rules=(
            a_rule("no", when=Answers(False)),
            a_rule("yes", then=Effect.DENY, reason="not today"),
            a_rule("later"),
        )
    )
    explanation = told(a_policy(action))
    assert explanation.decision.reason is DenyReason.RULE
    assert verdicts(explanation) == {
        "no": Verdict.NOT_MATCHED,
        "yes": Verdict.MATCHED,
        "later": Verdict.NOT_REACHED,
        None: Verdict.NOT_REACHED,
    }
    assert explanation.demand is None


def test_a_rule_without_a_condition_matches():
    explanation = told(a_policy(an_action(rules=(a_rule("always", when=None),))))
    assert verdicts(explanation) == {"always": Verdict.MATCHED, None: Verdict.NOT_REACHED}
    assert explanation.rules[0].condition is None


def test_a_condition_that_fails_is_named_with_its_error():
    action = an_action(
        rules=(a_rule("no", when=Answers(False)), a_rule("bad", when=BROKEN), a_rule("later"))
    )
    explanation = told(a_policy(action))
    assert verdicts(explanation)["bad"] is Verdict.FAILED
    assert explanation.rules[1].error == "divide by zero"
    assert explanation.doubt == "bad: divide by zero"
    assert verdicts(explanation)["later"] is Verdict.NOT_REACHED


def test_what_cannot_be_read_leaves_every_rule_unreached_and_asks_for_the_strongest():
    large = a_rule("large", then=a_requirement(acr=PHR))
    action = an_action(schema=AnySchema("action.amount is missing"), rules=(large,))
    explanation = told(a_policy(action))
    assert set(verdicts(explanation).values()) == {Verdict.NOT_REACHED}
    assert explanation.doubt == "action.amount is missing"
    assert explanation.demand.asked.acr == PHR


@pytest.mark.parametrize(
    ("properties", "wrong", "reason"),
    [
        ({}, (), DenyReason.MISSING_BOUND_ATTRIBUTE),
        (TRANSFER, ("amount",), DenyReason.INVALID_ATTRIBUTE),
    ],
)
def test_what_cannot_be_bound_is_denied_and_still_told(properties, wrong, reason):
    schema = AnySchema("action.amount is no amount", wrong) if wrong else AnySchema()
    action = an_action(schema=schema, default=a_requirement(bind=frozenset({"amount"})))
    explanation = told(a_policy(action), action_properties=properties)
    assert explanation.decision.reason is reason
    assert explanation.demand.required.bind == {"amount"}


def test_allowed_without_anything_has_nothing_to_compare():
    explanation = told(a_policy(an_action(default=Effect.ALLOW)))
    assert explanation.decision.reason is AllowReason.NOT_REQUIRED
    assert explanation.demand is None


def test_what_is_satisfied_already_is_compared_too():
    explanation = told(approval=an_approval())
    assert explanation.decision.reason is AllowReason.ALREADY_SATISFIED
    assert points(explanation) == {Point.LEVEL: True, Point.MAX_AGE: True}


# --- the authentication at hand ---------------------------------------------------------------


def test_without_an_authentication_the_level_is_what_is_missing():
    assert points(told()) == {Point.LEVEL: False}


def test_a_level_too_low_is_told_with_both():
    level = told(approval=an_approval("urn:stepup:acr:1")).demand.compared[0]
    assert (level.met, level.wanted, level.found) == (False, LEVEL_2, "urn:stepup:acr:1")


def test_an_age_too_high_is_told_with_both():
    compared = told(approval=an_approval(age=timedelta(minutes=20))).demand.compared[1]
    assert compared.point is Point.MAX_AGE
    assert (compared.met, compared.wanted, compared.found) == (
        False,
        timedelta(minutes=15),
        timedelta(minutes=20),
    )


def test_an_authentication_from_the_future_is_called_that():
    explanation = told(approval=an_approval(age=timedelta(seconds=-30)))
    assert points(explanation) == {Point.LEVEL: True, Point.AUTH_TIME: False}


OWN = a_policy(an_action(default=a_requirement(bind=frozenset({"amount", "payee"}))))


@pytest.mark.parametrize(
    ("approval", "expected"),
    [
        (an_approval("phrh"), {Point.OWN_CEREMONY: False}),
        (an_approval_of("payments.cancel", TRANSFER), {Point.OWN_CEREMONY: False}),
        (
            an_approval_of("payments.transfer", TRANSFER | {"amount": 1}),
            {Point.OWN_CEREMONY: True, Point.BOUND_VALUES: False},
        ),
        (
            an_approval_of("payments.transfer", TRANSFER),
            {Point.OWN_CEREMONY: True, Point.BOUND_VALUES: True},
        ),
    ],
    ids=["general", "another action", "another amount", "these values"],
)
def test_what_needs_a_ceremony_of_its_own_says_what_it_was_made_for(approval, expected):
    got = points(told(OWN, approval))
    assert {p: met for p, met in got.items() if p in {Point.OWN_CEREMONY, Point.BOUND_VALUES}} == (
        expected
    )


def test_an_imagined_approval_of_this_very_action_satisfies_it():
    request = a_decision_request()
    approval = approval_for(OWN, request, an_approval("phr").context, NOON)
    explanation = explain(OWN, Situation(request=request, approval=approval, now=NOON))
    assert explanation.decision.reason is AllowReason.ALREADY_SATISFIED


# --- what would satisfy it --------------------------------------------------------------------


def test_the_ways_are_the_level_s_that_the_methods_allow():
    ways = told(a_policy(an_action(default=Requirement(acr=LEVEL_2)))).demand.ways
    assert [factor.method for (factor,) in ways] == [Method.TOTP, Method.HOTP, Method.WEBAUTHN]
    only = Requirement(acr=LEVEL_2, methods=frozenset({Method.WEBAUTHN}))
    (way,) = told(a_policy(an_action(default=only))).demand.ways
    assert way[0].user_verified


# --- guardrails -------------------------------------------------------------------------------


def guarded(*requirements: Requirement, asked: Requirement | Effect) -> Explanation:
    guardrails = tuple(
        a_guardrail(id=f"g{n}", require=require) for n, require in enumerate(requirements)
    )
    return told(a_policy(an_action(default=asked), guardrails=guardrails))


def test_a_guardrail_says_what_it_raises():
    asked = Requirement(acr=LEVEL_2, max_age=timedelta(hours=1))
    floor = Requirement(acr=PHR, max_age=timedelta(hours=2), once=True)
    (guardrail,) = guarded(floor, asked=asked).guardrails
    assert guardrail.matched_by == ("name payments.*",)
    assert set(guardrail.raises) == {"acr", "once"}
    assert guardrail.in_force == guardrail.raises


def test_of_two_guardrails_the_weaker_one_is_not_in_force():
    weaker, stronger = guarded(
        Requirement(acr=LEVEL_2),
        Requirement(acr=PHR),
        asked=Requirement(acr=Acr("urn:stepup:acr:1")),
    ).guardrails
    assert (weaker.raises, weaker.in_force) == (("acr",), ())
    assert (stronger.raises, stronger.in_force) == (("acr",), ("acr",))


def test_of_two_equal_guardrails_both_are_in_force():
    floor = Requirement(acr=PHR)
    for guardrail in guarded(floor, floor, asked=Requirement(acr=LEVEL_2)).guardrails:
        assert guardrail.in_force == ("acr",)


def test_each_of_two_that_restrict_methods_has_its_share():
    first = Requirement(acr=LEVEL_2, methods=frozenset({Method.TOTP, Method.WEBAUTHN}))
    second = Requirement(acr=LEVEL_2, methods=frozenset({Method.SMS, Method.WEBAUTHN}))
    explanation = guarded(first, second, asked=Requirement(acr=LEVEL_2))
    assert explanation.demand.required.methods == {Method.WEBAUTHN}
    assert all("methods" in guardrail.in_force for guardrail in explanation.guardrails)


def test_a_restriction_of_methods_that_another_makes_narrower_is_not_in_force():
    wide = Requirement(acr=LEVEL_2, methods=frozenset({Method.TOTP, Method.WEBAUTHN}))
    narrow = Requirement(acr=LEVEL_2, methods=frozenset({Method.WEBAUTHN}))
    first, second = guarded(wide, narrow, asked=Requirement(acr=LEVEL_2)).guardrails
    assert (first.raises, first.in_force) == (("methods",), ())
    assert second.in_force == ("methods",)


def test_a_guardrail_raises_what_a_rule_allows():
    explanation = guarded(Requirement(acr=PHR), asked=Effect.ALLOW)
    assert explanation.demand.asked.acr == "urn:stepup:acr:1"
    assert explanation.demand.required.acr == PHR


def test_guardrails_by_tag_and_of_other_actions():
    action = an_action(tags=frozenset({"money"}))
    guardrails = (
        a_guardrail(id="tagged", actions=(), tags=frozenset({"money", "other"})),
        a_guardrail(id="elsewhere", actions=("health.*",)),
    )
    tagged, elsewhere = told(a_policy(action, guardrails=guardrails)).guardrails
    assert tagged.matched_by == ("tag money",)
    assert (elsewhere.matched_by, elsewhere.raises) == ((), ())


def test_no_guardrail_matches_an_exempt_action():
    policy = a_policy(an_action(exempt=True), guardrails=(a_guardrail(),))
    explanation = told(policy)
    assert explanation.exempt
    assert explanation.guardrails[0].matched_by == ()


# --- what is only reported, and what is imagined ----------------------------------------------


@pytest.mark.parametrize("mode", [Mode.REPORT, Mode.OFF])
def test_an_action_that_is_not_enforced_asks_for_nothing(mode: Mode):
    explanation = told(a_policy(an_action(mode=mode, default=a_requirement())))
    assert (explanation.mode, explanation.demand) == (mode, None)
    assert (explanation.reported is not None) == (mode is Mode.REPORT)


def test_what_is_reported_is_told_beside_what_is_done():
    guardrails = (
        a_guardrail(id="floor", require=Requirement(acr=LEVEL_2)),
        a_guardrail(id="trial", require=Requirement(acr=PHR), mode=Mode.REPORT),
    )
    explanation = told(a_policy(an_action(default=Effect.ALLOW), guardrails=guardrails))
    assert explanation.demand.required.acr == LEVEL_2
    assert explanation.reported.required.acr == PHR
    floor, trial = explanation.guardrails
    assert (floor.enforced, floor.in_force) == (True, ("acr",))
    assert (trial.enforced, trial.in_force) == (False, ("acr",))


def test_the_rules_of_an_action_that_is_switched_off_are_not_reached():
    action = an_action(mode=Mode.OFF, rules=(a_rule("bad", when=BROKEN),))
    explanation = told(a_policy(action))
    assert set(verdicts(explanation).values()) == {Verdict.NOT_REACHED}
    assert explanation.doubt is None


@pytest.mark.parametrize(
    ("on_degraded", "acr"),
    [(OnDegraded.SERVE, LEVEL_2), (OnDegraded.RAISE, PHR), (OnDegraded.REFUSE, None)],
)
def test_a_dependency_may_be_imagined_to_be_away(on_degraded: OnDegraded, acr: Acr | None):
    default = Requirement(acr=LEVEL_2, on_degraded=on_degraded)
    strongest = a_rule("never", when=Answers(False), then=Requirement(acr=PHR))
    policy = a_policy(an_action(default=default, rules=(strongest,)))
    situation = Situation(request=a_decision_request(), now=NOON, degraded=True)
    explanation = explain(policy, situation)
    assert explanation.decision.basis.degraded is on_degraded
    assert (explanation.demand and explanation.demand.required.acr) == acr


# --- it is the decision -----------------------------------------------------------------------

modes = st.none() | st.sampled_from(Mode)


@st.composite
def policies_in_modes(draw: st.DrawFn) -> Policy:
    policy = draw(strategies.policies())
    replace = msgspec.structs.replace
    return replace(
        policy,
        mode=draw(st.sampled_from(Mode)),
        actions={n: replace(a, mode=draw(modes)) for n, a in policy.actions.items()},
        guardrails=tuple(replace(g, mode=draw(modes)) for g in policy.guardrails),
    )


situations = st.builds(
    Situation,
    request=strategies.decision_requests(),
    approval=st.none() | strategies.approvals(),
    now=st.just(NOON),
    degraded=st.booleans(),
)
all_policies = strategies.policies() | policies_in_modes()


def decided(policy: Policy, situation: Situation) -> Decision:
    request, approval, now = situation.request, situation.approval, situation.now
    return decide(policy, request, approval, now, degraded=situation.degraded)


def agrees(demand: Demand | None, decision: Decision) -> None:
    """What is told to be asked is what the decision asks, or what it found satisfied."""
    match decision:
        case StepUp():
            assert demand.required == decision.requirement
            assert demand.bound == decision.bound
            assert not all(compared.met for compared in demand.compared)
        case Allow(reason=AllowReason.ALREADY_SATISFIED):
            satisfied = all(compared.met for compared in demand.compared)
            assert satisfied is (decision.basis.fallback is None)
        case Allow() | Deny(reason=DenyReason.RULE | DenyReason.DEGRADED):
            assert demand is None
        case _:
            assert demand is None or demand.required.bind | set(demand.required.display)


@given(policy=all_policies, situation=situations)
def test_the_decision_told_is_the_decision_made(policy, situation):
    assert explain(policy, situation).decision == decided(policy, situation)


@given(policy=all_policies, situation=situations)
def test_the_story_ends_where_the_decision_is(policy, situation):
    explanation = explain(policy, situation)
    decision = explanation.decision
    if isinstance(decision, Allow) and decision.reason is AllowReason.NOT_ENFORCED:
        decision = msgspec.structs.replace(decision, reason=AllowReason.NOT_REQUIRED)
    if explanation.mode is Mode.ENFORCE or isinstance(decision, StepUp):
        agrees(explanation.demand, decision)
    if decision.basis.reported:
        agrees(explanation.reported, decision.basis.reported)
    assert (explanation.reported is None) or decision.basis.reported is not None


@given(policy=all_policies, situation=situations)
def test_the_rule_and_the_guardrails_told_are_those_of_the_decision(policy, situation):
    explanation = explain(policy, situation)
    basis = explanation.decision.basis
    told_basis = basis.reported.basis if basis.reported else basis
    deciding = [r.id for r in explanation.rules if r.verdict in {Verdict.MATCHED, Verdict.FAILED}]
    if explanation.rules and explanation.mode is not Mode.OFF:
        assert deciding in ([told_basis.rule], [])
        assert bool(deciding) or explanation.doubt is not None
    matched = [g for g in explanation.guardrails if g.matched_by]
    assert tuple(g.id for g in matched if g.enforced) == basis.guardrails
    if basis.reported:
        assert tuple(g.id for g in matched) == told_basis.guardrails


@given(policy=all_policies, situation=situations)
def test_every_difference_has_a_guardrail_that_is_told_to_make_it(policy, situation):
    explanation = explain(policy, situation)
    if explanation.demand is None:
        return
    raised = {part for g in explanation.guardrails if g.enforced for part in g.in_force}
    before, after = explanation.demand.asked, explanation.demand.required
    fields = Requirement.__struct_fields__
    assert {f for f in fields if getattr(before, f) != getattr(after, f)} <= raised
