"""A fallback is for who has nothing else, and for the very thing that it was approved for."""

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepup.domain.approval import is_approved, is_approved_by_fallback
from stepup.domain.assurance import DEFAULT_LADDER, Acr, AuthnContext
from stepup.domain.authenticator import old_enough
from stepup.domain.decision import Allow, StepUp, decide
from stepup.domain.requirement import Fallback, OnUnenrolled, Requirement
from tests.domain.strategies import requirements
from tests.support.builders import (
    TRANSFER,
    a_decision_request,
    a_guardrail,
    a_policy,
    an_action,
    an_approval,
    an_approval_of,
    an_authenticator,
)
from tests.support.determinism import NOON

LEVEL_2 = "urn:stepup:acr:2"
DEMAND = Requirement(
    acr=Acr("phr"),
    max_age=timedelta(minutes=5),
    bind=frozenset(TRANSFER),
    on_unenrolled=OnUnenrolled.FALLBACK,
    fallback=Fallback(acr=Acr(LEVEL_2), max_age=timedelta(minutes=2)),
)
FALLEN = an_approval_of("payments.transfer", TRANSFER, LEVEL_2, fallback_for=Acr("phr"))


def decided(approval, **changes):
    policy = a_policy(an_action(default=DEMAND), **changes)
    return decide(policy, a_decision_request(), approval, NOON)


def test_who_fell_back_is_let_through_and_the_basis_says_so():
    decision = decided(FALLEN)

    assert isinstance(decision, Allow)
    assert decision.basis.fallback == LEVEL_2


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"fallback_for": None}, id="of who was never asked for more"),
        pytest.param({"fallback_for": Acr(LEVEL_2)}, id="made for a lower demand"),
        pytest.param({"fallback_for": Acr("urn:elsewhere")}, id="made for an unknown demand"),
        pytest.param({"action": "payments.cancel"}, id="made for another action"),
        pytest.param({"bound_digest": "other"}, id="made for other values"),
        pytest.param({"action": None, "bound_digest": None}, id="made for nothing"),
    ],
)
def test_attack_a_weaker_approval_passes_for_a_fallback(changes):
    assert isinstance(decided(msgspec.structs.replace(FALLEN, **changes)), StepUp)


@pytest.mark.parametrize(
    ("acr", "age"),
    [(LEVEL_2, timedelta(minutes=2, seconds=1)), ("urn:stepup:acr:1", timedelta(0))],
    ids=["too old", "too weak"],
)
def test_the_fallback_has_a_level_and_an_age_of_its_own(acr, age):
    context = AuthnContext(acr=Acr(acr), auth_time=NOON - age)

    assert isinstance(decided(msgspec.structs.replace(FALLEN, context=context)), StepUp)


def test_a_guardrail_raises_the_fallback_too():
    floor = a_guardrail(
        require=Requirement(acr=Acr("phr"), on_unenrolled=OnUnenrolled.FALLBACK),
    )

    decision = decided(FALLEN, guardrails=(floor,))

    assert isinstance(decision, StepUp)
    assert decision.requirement.fallback == Fallback(acr=Acr("phr"), max_age=timedelta(minutes=2))


@pytest.mark.parametrize("word", [OnUnenrolled.DENY, OnUnenrolled.ENROLL])
def test_a_guardrail_takes_a_fallback_away(word):
    floor = a_guardrail(require=Requirement(acr=Acr(LEVEL_2), on_unenrolled=word))

    decision = decided(FALLEN, guardrails=(floor,))

    assert isinstance(decision, StepUp)
    assert decision.requirement.fallback is None


@given(requirements(), st.sampled_from(["", "a"]))
def test_who_meets_the_demand_needs_no_fallback_and_who_has_none_gets_none(requirement, action):
    approval = an_approval_of(action, {}, "phrh")
    if requirement.fallback is None:
        assert not is_approved_by_fallback(DEFAULT_LADDER, requirement, "a", {}, approval, NOON)
    settled = requirement.settled()
    assert settled.on_unenrolled is not OnUnenrolled.FALLBACK
    assert is_approved(DEFAULT_LADDER, requirement, "a", {}, approval, NOON) is is_approved(
        DEFAULT_LADDER, settled, "a", {}, approval, NOON
    )


class TestAgeOfAuthenticators:
    DAY = Requirement(acr=Acr("phr"), min_credential_age=timedelta(days=1))

    @pytest.mark.parametrize(
        ("age", "counts"),
        [
            (timedelta(days=1), True),
            (timedelta(days=1, microseconds=-1), False),
            (timedelta(minutes=-1), False),
        ],
        ids=["just old enough", "a moment too young", "from the future"],
    )
    def test_counts_from_the_enrollment(self, age, counts):
        enrolled = an_authenticator(created_at=NOON - age)

        assert bool(old_enough(self.DAY, [enrolled], NOON)) is counts

    def test_nothing_is_too_young_where_no_age_is_wanted(self):
        enrolled = an_authenticator(created_at=NOON + timedelta(minutes=1))

        assert old_enough(Requirement(acr=Acr("phr")), [enrolled], NOON) == (enrolled,)

    @pytest.mark.parametrize(("age", "allowed"), [(0, False), (86399, False), (86400, True)])
    def test_attack_an_authentication_with_a_new_authenticator_passes_for_one_with_an_old(
        self, age, allowed
    ):
        approval = an_approval("phr")
        context = msgspec.structs.replace(approval.context, credential_age=timedelta(seconds=age))
        policy = a_policy(an_action(default=self.DAY))
        approval = msgspec.structs.replace(approval, context=context)

        decision = decide(policy, a_decision_request(), approval, NOON)

        assert isinstance(decision, Allow) is allowed
