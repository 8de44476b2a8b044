"""What a decision rests on, and what it never does."""

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepup.domain.approval import is_approved
from stepup.domain.assurance import DEFAULT_LADDER, Acr, Ladder, Method
from stepup.domain.condition import EvaluationError
from stepup.domain.decision import Allow, AllowReason, Deny, DenyReason, StepUp, decide
from stepup.domain.policy import Action, Effect, strongest_requirement
from stepup.domain.requirement import Fallback, OnDegraded, OnUnenrolled, Requirement
from tests.domain.strategies import (
    ages,
    approvals,
    decision_requests,
    guardrails,
    policies,
    requirements,
)
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

LEVEL_1, LEVEL_2, PHR = Acr("urn:stepup:acr:1"), Acr("urn:stepup:acr:2"), Acr("phr")
FIFTEEN_MINUTES = Requirement(acr=LEVEL_2, max_age=timedelta(minutes=15))


def decided(action: Action, approval=None, **changes):
    return decide(a_policy(action, **changes), a_decision_request(), approval, NOON)


class TestRules:
    def test_denies_an_action_that_no_document_names(self):
        decision = decide(a_policy(), a_decision_request(action="payments.tranfser"), None, NOON)

        assert isinstance(decision, Deny)
        assert decision.reason is DenyReason.UNKNOWN_ACTION

    def test_allows_an_unknown_action_only_where_the_document_says_so(self):
        policy = a_policy(unknown_action=Effect.ALLOW)

        decision = decide(policy, a_decision_request(action="anything"), None, NOON)

        assert isinstance(decision, Allow)

    def test_guards_an_unknown_action_that_is_allowed(self):
        guardrail = a_guardrail(actions=("any*",), require=FIFTEEN_MINUTES)
        policy = a_policy(unknown_action=Effect.ALLOW, guardrails=(guardrail,))

        decision = decide(policy, a_decision_request(action="anything"), None, NOON)

        assert isinstance(decision, StepUp)
        assert decision.requirement.acr == LEVEL_2

    def test_takes_the_first_rule_that_matches(self):
        rules = (
            a_rule("no", when=Answers(False), then=Effect.DENY),
            a_rule("first", then=a_requirement(acr=LEVEL_1)),
            a_rule("second", then=a_requirement(acr=PHR)),
        )

        decision = decided(an_action(rules=rules))

        assert isinstance(decision, StepUp)
        assert decision.basis.rule == "first"
        assert decision.requirement.acr == LEVEL_1

    def test_takes_the_default_when_no_rule_matches(self):
        action = an_action(rules=(a_rule(when=Answers(False)),), default=Effect.ALLOW)

        decision = decided(action)

        assert isinstance(decision, Allow)
        assert decision.reason is AllowReason.NOT_REQUIRED
        assert decision.basis.rule is None

    def test_gives_the_reason_of_a_rule_that_denies(self):
        rule = a_rule("sanctions", then=Effect.DENY, reason="no payments there")

        decision = decided(an_action(rules=(rule,)), an_approval("phrh"))

        assert isinstance(decision, Deny)
        assert (decision.basis.rule, decision.text) == ("sanctions", "no payments there")

    def test_a_rule_without_a_condition_always_matches(self):
        action = an_action(rules=(a_rule("always", when=None, then=Effect.ALLOW),))

        assert isinstance(decided(action), Allow)


class TestDoubt:
    """Whatever cannot be evaluated asks for the strongest that the documents could ask."""

    def test_a_condition_that_fails_does_not_fall_through_to_a_weaker_rule(self):
        rules = (
            a_rule("broken", when=Answers(EvaluationError("divide by zero")), then=Effect.DENY),
            a_rule("weak", then=Effect.ALLOW),
            a_rule("strong", then=Requirement(acr=PHR, max_age=timedelta(minutes=1))),
        )

        decision = decided(an_action(rules=rules, default=Effect.ALLOW), an_approval())

        assert isinstance(decision, StepUp)
        assert decision.requirement.acr == PHR
        assert decision.requirement.max_age == timedelta(minutes=1)
        assert decision.basis.error == "broken: divide by zero"

    def test_an_attribute_that_cannot_be_read_raises_before_any_rule(self):
        action = an_action(
            schema=AnySchema("action.amount is missing"),
            rules=(a_rule("weak", then=Effect.ALLOW),),
            default=Requirement(acr=PHR),
        )

        decision = decided(action)

        assert isinstance(decision, StepUp)
        assert decision.requirement.acr == PHR

    def test_asks_for_the_top_right_now_when_the_documents_ask_for_nothing(self):
        action = an_action(schema=AnySchema("unreadable"), default=Effect.ALLOW)

        decision = decided(action, an_approval("phrh", age=timedelta(seconds=1)))

        assert isinstance(decision, StepUp)
        assert decision.requirement.acr == DEFAULT_LADDER.top.acr
        assert decision.requirement.max_age == timedelta(0)

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            pytest.param(
                Requirement(acr=LEVEL_2, methods=frozenset({Method.TOTP})),
                Requirement(acr=PHR, methods=frozenset({Method.WEBAUTHN})),
                id="no method in common",
            ),
            pytest.param(
                Requirement(acr=LEVEL_2, methods=frozenset({Method.TOTP})),
                Requirement(acr=PHR),
                id="the common method does not reach the level",
            ),
        ],
    )
    def test_the_strongest_is_never_impossible(self, first, second):
        action = an_action(rules=(a_rule(then=first),), default=second)

        strongest = strongest_requirement(a_policy(action), action)

        assert strongest.acr == PHR
        assert strongest.methods is None


class TestGuardrails:
    @pytest.mark.parametrize(
        ("changes", "matches"),
        [
            pytest.param({"actions": ("payments.*",)}, True, id="pattern"),
            pytest.param({"actions": ("payments.transfer",)}, True, id="name"),
            pytest.param({"actions": ("payments",)}, False, id="not a prefix"),
            pytest.param({"actions": ("PAYMENTS.*",)}, False, id="case counts"),
            pytest.param({"actions": (), "tags": frozenset({"money"})}, True, id="tag"),
            pytest.param({"actions": (), "tags": frozenset({"other"})}, False, id="other tag"),
            pytest.param({"actions": ()}, False, id="nothing"),
        ],
    )
    def test_match_by_tag_or_pattern(self, changes, matches):
        action = an_action(tags=frozenset({"money"}))

        assert a_guardrail(**changes).matches(action) is matches

    def test_never_speak_about_the_first_enrollment(self):
        assert not a_guardrail(actions=("*",)).matches(an_action(exempt=True))

    def test_raise_a_rule_that_asks_for_nothing_and_keep_what_the_action_binds(self):
        shared = Requirement(
            acr=LEVEL_1,
            bind=frozenset({"amount"}),
            audience="bank-api",
            token_lifetime=timedelta(seconds=30),
        )
        floor = Requirement(
            acr=LEVEL_2, token_lifetime=timedelta(minutes=10), on_unenrolled=OnUnenrolled.ENROLL
        )
        action = an_action(default=Effect.ALLOW, shared=shared)

        decision = decided(action, guardrails=(a_guardrail(require=floor),))

        assert isinstance(decision, StepUp)
        assert decision.requirement == msgspec.structs.replace(shared, acr=LEVEL_2)
        assert decision.basis.guardrails == ("guardrail-1",)

    def test_cannot_make_an_allowed_action_of_a_denied_one(self):
        action = an_action(default=Effect.DENY)

        decision = decided(action, an_approval("phrh"), guardrails=(a_guardrail(),))

        assert isinstance(decision, Deny)

    @given(policies(), guardrails(), decision_requests(), st.none() | approvals())
    def test_adding_one_never_lowers_any_requirement(self, policy, guardrail, request, approval):
        with_it = msgspec.structs.replace(policy, guardrails=(*policy.guardrails, guardrail))

        before = decide(policy, request, approval, NOON)
        after = decide(with_it, request, approval, NOON)

        if isinstance(after, Allow):
            # An approval is for exactly the values that are bound: the guardrail may bind the very
            # ones that it was made for, where the rule alone asks for an approval of fewer.
            binds_more = isinstance(before, StepUp) and not guardrail.require.bind <= set(
                before.bound
            )
            assert isinstance(before, Allow) or binds_more
        if isinstance(before, Deny):
            assert isinstance(after, Deny)
        if isinstance(before, StepUp) and isinstance(after, StepUp):
            assert_no_weaker(after.requirement, before.requirement, policy.ladder)


class TestApproval:
    @pytest.mark.parametrize(
        ("acr", "satisfied"),
        [
            pytest.param(LEVEL_1, False, id="below"),
            pytest.param(LEVEL_2, True, id="just so"),
            pytest.param(PHR, True, id="above"),
            pytest.param("urn:upstream:gold", False, id="lowered level: not on the ladder"),
            pytest.param("", False, id="missing"),
        ],
    )
    def test_must_reach_the_level(self, acr, satisfied):
        decision = decided(an_action(default=FIFTEEN_MINUTES), an_approval(acr))

        assert isinstance(decision, Allow) is satisfied

    @pytest.mark.parametrize(
        ("age", "satisfied"),
        [
            pytest.param(timedelta(0), True, id="now"),
            pytest.param(timedelta(minutes=15), True, id="just fresh"),
            pytest.param(timedelta(minutes=15, seconds=1), False, id="stale by one second"),
            pytest.param(timedelta(days=365), False, id="stale by a year"),
            pytest.param(timedelta(seconds=-5), True, id="within the leeway of clocks"),
            pytest.param(timedelta(seconds=-6), False, id="from the future"),
        ],
    )
    def test_must_be_fresh(self, age, satisfied):
        decision = decided(an_action(default=FIFTEEN_MINUTES), an_approval(age=age))

        assert isinstance(decision, Allow) is satisfied

    def test_of_another_action_is_no_approval_when_values_are_bound(self):
        bound = Requirement(acr=LEVEL_2, bind=frozenset({"amount", "payee"}))
        action = an_action(default=bound)

        assert isinstance(decided(action, an_approval_of("payments.transfer", TRANSFER)), Allow)
        assert isinstance(decided(action, an_approval_of("payments.cancel", TRANSFER)), StepUp)

    def test_with_a_changed_amount_is_no_approval(self):
        action = an_action(default=Requirement(acr=LEVEL_2, bind=frozenset({"amount", "payee"})))
        approval = an_approval_of("payments.transfer", {**TRANSFER, "amount": 5001})

        assert isinstance(decided(action, approval), StepUp)

    @pytest.mark.parametrize(
        "changes",
        [
            pytest.param({"bind": frozenset({"amount"})}, id="bound"),
            pytest.param({"once": True}, id="once"),
            pytest.param({"max_age": timedelta(0)}, id="always"),
        ],
    )
    def test_a_general_authentication_does_not_approve_what_needs_its_own_ceremony(self, changes):
        action = an_action(default=Requirement(acr=LEVEL_1, **changes))

        assert isinstance(decided(action, an_approval("phrh")), StepUp)

    def test_attack_a_token_for_many_uses_of_a_milder_rule_is_used_where_one_use_is_asked_for(self):
        action = an_action(default=Requirement(acr=PHR, once=True))
        once = an_approval_of("payments.transfer", {})
        often = msgspec.structs.replace(once, once=False)

        assert isinstance(decided(action, once), Allow)
        assert isinstance(decided(action, often), StepUp)

    def test_of_this_action_satisfies_a_demand_for_no_age_while_its_token_may_live(self):
        action = an_action(default=Requirement(acr=PHR, max_age=timedelta(0)))
        young = an_approval_of("payments.transfer", {})
        old = msgspec.structs.replace(
            young,
            context=msgspec.structs.replace(
                young.context, auth_time=NOON - timedelta(minutes=21, seconds=1)
            ),
        )

        assert isinstance(decided(action, young), Allow)
        assert isinstance(decided(action, old), StepUp)

    def test_denies_when_a_bound_value_was_not_sent(self):
        action = an_action(default=Requirement(acr=LEVEL_2, bind=frozenset({"iban"})))

        decision = decided(action, an_approval("phrh"))

        assert isinstance(decision, Deny)
        assert decision.reason is DenyReason.MISSING_BOUND_ATTRIBUTE

    @pytest.mark.parametrize(
        ("wrong", "demand", "outcome"),
        [
            ("amount", {"bind": frozenset({"amount"})}, DenyReason.INVALID_ATTRIBUTE),
            ("amount", {"display": ("amount",)}, DenyReason.INVALID_ATTRIBUTE),
            ("payee", {"bind": frozenset({"amount"}), "display": ("amount",)}, None),
            ("payee", {"bind": frozenset({"iban"})}, DenyReason.MISSING_BOUND_ATTRIBUTE),
            ("iban", {"bind": frozenset({"iban"})}, DenyReason.INVALID_ATTRIBUTE),
            ("amount", {}, None),
        ],
    )
    def test_attack_a_value_of_the_wrong_type_is_neither_bound_nor_shown(
        self, wrong, demand, outcome
    ):
        schema = AnySchema("not of its type", {wrong})
        action = an_action(schema=schema, default=Requirement(acr=LEVEL_2, **demand))

        decision = decided(action, an_approval("phrh") if not demand else None)

        assert (decision.reason if isinstance(decision, Deny) else None) is outcome

    def test_attack_a_guardrail_binds_what_is_of_the_wrong_type(self):
        action = an_action(schema=AnySchema("not of its type", {"amount"}), default=Effect.ALLOW)
        guardrail = a_guardrail(require=Requirement(acr=LEVEL_2, bind=frozenset({"amount"})))
        policy = a_policy(action, guardrails=(guardrail,))

        decision = decide(policy, a_decision_request(), None, NOON)

        assert isinstance(decision, Deny)
        assert decision.reason is DenyReason.INVALID_ATTRIBUTE

    def test_shows_only_what_was_sent(self):
        action = an_action(default=Requirement(acr=PHR, display=("amount", "currency")))

        decision = decided(action)

        assert isinstance(decision, StepUp)
        assert decision.displayed == {"amount": TRANSFER["amount"]}

    @given(requirements(), ages(minimum=timedelta(seconds=6), maximum=timedelta(days=400)))
    def test_from_the_future_never_satisfies(self, requirement, ahead):
        approval = an_approval_of("a", {}, "phrh")
        future = msgspec.structs.replace(
            approval, context=msgspec.structs.replace(approval.context, auth_time=NOON + ahead)
        )

        assert not is_approved(DEFAULT_LADDER, requirement, "a", {}, future, NOON)

    @given(
        requirements(),
        ages(minimum=timedelta(microseconds=1), maximum=timedelta(days=400)),
        st.booleans(),
    )
    def test_that_is_stale_never_satisfies(self, requirement, too_old, own):
        if requirement.max_age is None:
            return
        # A token of this very action may be as old as its own life allows when no age is allowed.
        limit = requirement.max_age or timedelta(minutes=21)
        made_for = "a" if own else "b"
        approval = an_approval_of(made_for, {}, "phrh")
        stale = msgspec.structs.replace(
            approval,
            context=msgspec.structs.replace(approval.context, auth_time=NOON - limit - too_old),
        )

        assert not is_approved(DEFAULT_LADDER, requirement, "a", {}, stale, NOON)

    @given(policies(), decision_requests())
    def test_that_is_missing_never_satisfies(self, policy, request):
        decision = decide(policy, request, None, NOON)

        assert not (
            isinstance(decision, Allow) and decision.reason is AllowReason.ALREADY_SATISFIED
        )


class TestProperties:
    @given(st.lists(st.booleans(), max_size=6), policies())
    def test_rule_order_is_respected(self, answers, policy):
        rules = tuple(
            a_rule(f"rule-{i}", when=Answers(answer), then=Effect.DENY, reason=str(i))
            for i, answer in enumerate(answers)
        )

        decision = decided(an_action(rules=rules, default=Effect.ALLOW))

        first = next((f"rule-{i}" for i, answer in enumerate(answers) if answer), None)
        assert decision.basis.rule == first
        assert isinstance(decision, Deny) is (first is not None)

    @given(policies(), decision_requests(), st.none() | approvals())
    def test_a_decision_depends_only_on_its_inputs(self, policy, request, approval):
        decision = decide(policy, request, approval, NOON)
        decide(policy, a_decision_request(action_properties={}), an_approval("phrh"), NOON)

        assert decide(policy, request, approval, NOON) == decision

    @given(policies(), decision_requests(), approvals())
    def test_a_stronger_authentication_never_gets_a_stricter_decision(
        self, policy, request, approval
    ):
        stronger = msgspec.structs.replace(
            approval, context=msgspec.structs.replace(approval.context, acr=Acr("phrh"))
        )

        if isinstance(decide(policy, request, approval, NOON), Allow):
            assert isinstance(decide(policy, request, stronger, NOON), Allow)


def assert_no_weaker(strict: Requirement, mild: Requirement, ladder: Ladder) -> None:
    assert ladder.rank(strict.acr) >= ladder.rank(mild.acr)
    assert mild.max_age is None or (strict.max_age is not None and strict.max_age <= mild.max_age)
    assert mild.methods is None or (strict.methods is not None and strict.methods <= mild.methods)
    assert strict.once or not mild.once
    assert strict.bind >= mild.bind
    assert set(strict.display) >= set(mild.display)
    assert strict.token_lifetime <= mild.token_lifetime
    for words in (OnUnenrolled, OnDegraded):
        field = {OnUnenrolled: "on_unenrolled", OnDegraded: "on_degraded"}[words]
        order = list(words)
        assert order.index(getattr(strict, field)) <= order.index(getattr(mild, field))
    assert strict.min_credential_age >= mild.min_credential_age
    if strict.fallback is not None:
        assert_floor_no_weaker(strict.floor, mild.floor, ladder)


def assert_floor_no_weaker(strict: Fallback, mild: Fallback, ladder: Ladder) -> None:
    assert ladder.rank(strict.acr) >= ladder.rank(mild.acr)
    assert mild.max_age is None or (strict.max_age is not None and strict.max_age <= mild.max_age)
    assert mild.methods is None or (strict.methods is not None and strict.methods <= mild.methods)
    assert strict.min_credential_age >= mild.min_credential_age
