"""Two answers side by side: harder, easier, both, or the same."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepup.domain.assurance import DEFAULT_LADDER, Acr, Method
from stepup.domain.decision import (
    Allow,
    AllowReason,
    Basis,
    Deny,
    DenyReason,
    StepUp,
    decide,
)
from stepup.domain.difference import DifferenceKind, Part, difference_of
from stepup.domain.requirement import Fallback, OnUnenrolled
from tests.domain.strategies import (
    approvals,
    decision_requests,
    guardrails,
    policies,
    requirements,
)
from tests.support.builders import a_policy, a_requirement
from tests.support.determinism import NOON

BASIS = Basis(policy_version=1)
ALLOW = Allow(reason=AllowReason.NOT_REQUIRED, basis=BASIS)
SATISFIED = Allow(reason=AllowReason.ALREADY_SATISFIED, basis=BASIS)
DENY = Deny(reason=DenyReason.RULE, basis=BASIS)


def asks(**changes: object) -> StepUp:
    requirement = a_requirement(**{"max_age": timedelta(minutes=5), "once": False} | changes)
    return StepUp(requirement=requirement, bound={}, displayed={}, basis=BASIS)


def falls_back_to(acr: str) -> dict:
    return {"on_unenrolled": OnUnenrolled.FALLBACK, "fallback": Fallback(acr=Acr(acr))}


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (ALLOW, ALLOW, None),
        (ALLOW, SATISFIED, None),
        (DENY, DENY, None),
        (asks(), asks(), None),
        (asks(), asks(display=("amount",)), None),
        (ALLOW, asks(), DifferenceKind.ALLOW_TO_STEP_UP),
        (ALLOW, DENY, DifferenceKind.ALLOW_TO_DENY),
        (asks(), SATISFIED, DifferenceKind.STEP_UP_TO_ALLOW),
        (asks(), DENY, DifferenceKind.STEP_UP_TO_DENY),
        (DENY, ALLOW, DifferenceKind.DENY_TO_ALLOW),
        (DENY, asks(), DifferenceKind.DENY_TO_STEP_UP),
    ],
)
def test_names_the_two_answers(before, after, kind):
    found = difference_of(before, after, DEFAULT_LADDER)
    assert (found.kind if found else None) == kind


@pytest.mark.parametrize(
    ("before", "after", "part"),
    [
        ({}, {"acr": Acr("phr")}, Part.ACR),
        ({"max_age": None}, {"max_age": timedelta(hours=1)}, Part.MAX_AGE),
        ({}, {"max_age": timedelta(minutes=4)}, Part.MAX_AGE),
        ({}, {"once": True}, Part.ONCE),
        ({}, {"bind": frozenset({"payee"})}, Part.BOUND),
        ({}, {"methods": frozenset({Method.TOTP})}, Part.METHODS),
        ({}, {"min_credential_age": timedelta(hours=1)}, Part.MIN_CREDENTIAL_AGE),
        ({"on_unenrolled": OnUnenrolled.ENROLL}, {}, Part.ON_UNENROLLED),
        (falls_back_to("urn:stepup:acr:1"), falls_back_to("urn:stepup:acr:2"), Part.FALLBACK),
        (
            {"methods": frozenset({Method.TOTP, Method.WEBAUTHN})},
            {"methods": frozenset({Method.WEBAUTHN})},
            Part.METHODS,
        ),
    ],
)
def test_names_the_part_that_is_harder_and_backwards_easier(before, after, part):
    raised = difference_of(asks(**before), asks(**after), DEFAULT_LADDER)
    lowered = difference_of(asks(**after), asks(**before), DEFAULT_LADDER)

    assert (raised.kind, raised.raised, raised.lowered) == (DifferenceKind.RAISED, {part}, set())
    assert (lowered.kind, lowered.raised, lowered.lowered) == (
        DifferenceKind.LOWERED,
        set(),
        {part},
    )


def test_a_higher_level_that_may_be_older_is_both():
    found = difference_of(asks(), asks(acr=Acr("phr"), max_age=None), DEFAULT_LADDER)

    assert found.kind is DifferenceKind.RAISED_AND_LOWERED
    assert (found.raised, found.lowered) == ({Part.ACR}, {Part.MAX_AGE})


def test_a_level_that_is_not_on_the_new_ladder_is_neither_higher_nor_lower():
    found = difference_of(asks(acr=Acr("gold")), asks(), DEFAULT_LADDER)
    assert found.kind is DifferenceKind.RAISED_AND_LOWERED


@given(requirements(), requirements())
def test_what_is_raised_one_way_is_lowered_the_other(first, second):
    there = difference_of(asked(first), asked(second), DEFAULT_LADDER)
    back = difference_of(asked(second), asked(first), DEFAULT_LADDER)

    assert (there is None) == (back is None)
    if there is not None:
        assert (there.raised, there.lowered) == (back.lowered, back.raised)


@given(policies(), guardrails(), decision_requests(), st.none() | approvals())
def test_a_guardrail_more_never_lowers(policy, guardrail, request, approval):
    guarded = a_policy(
        *policy.actions.values(),
        guardrails=(*policy.guardrails, guardrail),
        unknown_action=policy.unknown_action,
    )
    before, after = (decide(each, request, approval, NOON) for each in (policy, guarded))

    found = difference_of(before, after, policy.ladder)

    assert found is None or found.kind in {
        DifferenceKind.ALLOW_TO_STEP_UP,
        DifferenceKind.ALLOW_TO_DENY,
        DifferenceKind.STEP_UP_TO_DENY,
        DifferenceKind.RAISED,
    }


def asked(requirement) -> StepUp:
    return StepUp(requirement=requirement, bound={}, displayed={}, basis=BASIS)
