"""What the words of a token tell about the methods that it was made with."""

from datetime import timedelta

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stepup.domain.assurance import (
    DEFAULT_LADDER,
    Acr,
    Amr,
    AuthnContext,
    CeremonyFacts,
    Factor,
    Ladder,
    Level,
    Method,
)
from stepup.domain.challenge import amr_of
from stepup.domain.comparison import Point, compare
from stepup.domain.decision import Allow, StepUp, decide
from stepup.domain.methods_shown import shows_allowed_methods
from stepup.domain.requirement import Requirement
from tests.domain.strategies import words
from tests.support.builders import (
    TRANSFER,
    a_decision_request,
    a_policy,
    an_action,
    an_approval,
    an_approval_of,
)
from tests.support.determinism import NOON

LEVEL_1, LEVEL_2, PHR, PHRH = DEFAULT_LADDER.acrs
PASSKEY = Requirement(
    acr=LEVEL_2, max_age=timedelta(minutes=15), methods=frozenset({Method.WEBAUTHN})
)


def using(approval, *amr: str, acr: Acr = LEVEL_2):
    context = msgspec.structs.replace(approval.context, acr=acr, amr=tuple(map(Amr, amr)))
    return msgspec.structs.replace(approval, context=context)


def decided(approval, requirement=PASSKEY):
    policy = a_policy(an_action(default=requirement))
    return decide(policy, a_decision_request(), approval, NOON)


def test_attack_a_code_of_ten_minutes_ago_does_not_pass_for_a_passkey():
    code = using(an_approval(age=timedelta(minutes=10)), "otp")
    assert isinstance(decided(code), StepUp)


def test_attack_a_token_of_a_small_amount_does_not_pass_for_a_large_one_by_another_method():
    # Nothing is bound, so a token for this action is one for each of its rules.
    small = using(an_approval_of("payments.transfer", {}), "otp")
    assert isinstance(decided(small), StepUp)


def test_attack_a_touch_beside_a_code_does_not_pass_for_a_passkey_that_verified_its_user():
    both = using(an_approval(), "otp", "hwk", "mfa")
    assert isinstance(decided(both), StepUp)


@pytest.mark.parametrize(
    ("methods", "acr", "amr", "shown"),
    [
        ([Method.WEBAUTHN], LEVEL_2, ["swk", "user", "mfa"], True),
        ([Method.WEBAUTHN], LEVEL_2, ["hwk", "user", "mfa", "otp"], True),
        ([Method.WEBAUTHN], LEVEL_2, [], False),
        # Whatever reaches these levels is a passkey.
        ([Method.WEBAUTHN], PHR, [], True),
        ([Method.WEBAUTHN], PHRH, ["otp"], True),
        # `otp` is the word of an e-mailed code too.
        ([Method.TOTP], LEVEL_2, ["otp"], False),
        ([Method.TOTP, Method.HOTP], LEVEL_2, ["otp"], False),
        # No e-mailed code reaches the level.
        ([Method.TOTP, Method.HOTP, Method.WEBAUTHN], LEVEL_2, ["otp"], True),
        ([Method.TOTP, Method.HOTP, Method.WEBAUTHN], Acr("elsewhere"), ["otp"], False),
        ([], PHRH, ["hwk", "user", "mfa"], False),
    ],
)
def test_a_general_authentication_must_prove_it(methods, acr, amr, shown):
    requirement = Requirement(acr=LEVEL_2, methods=frozenset(methods))
    context = using(an_approval(), *amr, acr=acr).context
    told = shows_allowed_methods(DEFAULT_LADDER, requirement, context, is_own=False)
    assert told is shown


def test_a_text_message_says_its_name():
    by_text = Requirement(acr=LEVEL_1, methods=frozenset({Method.SMS}))
    for amr, shown in ((["otp", "sms"], True), (["otp"], False)):
        context = using(an_approval(), *amr, acr=LEVEL_1).context
        told = shows_allowed_methods(DEFAULT_LADDER, by_text, context, is_own=False)
        assert told is shown


def test_a_ceremony_of_this_action_is_taken_at_its_word():
    code = Requirement(acr=LEVEL_2, max_age=timedelta(minutes=15), methods=frozenset({Method.TOTP}))
    own = using(an_approval_of("payments.transfer", {}), "otp")
    assert isinstance(decided(own, code), Allow)
    for other in (an_approval_of("payments.cancel", {}), an_approval()):
        assert isinstance(decided(using(other, "otp"), code), StepUp)


def test_the_comparison_tells_what_is_wanted_and_what_was_found():
    approval = using(an_approval(), "otp")
    action = a_decision_request().action
    compared = compare(DEFAULT_LADDER, PASSKEY, action, TRANSFER, approval, NOON)
    (methods,) = [point for point in compared if point.point is Point.METHODS]
    assert (methods.met, methods.wanted, methods.found) == (False, "webauthn", "otp")


# --- what holds for all of them -----------------------------------------------------------------

methods = st.sampled_from(Method)
facts = st.builds(
    CeremonyFacts,
    method=methods,
    user_verified=st.booleans(),
    device_bound=st.booleans(),
    attested=st.booleans(),
)
factors = st.builds(
    Factor,
    method=methods,
    user_verified=st.booleans(),
    device_bound=st.booleans(),
    attested=st.booleans(),
)
levels = st.lists(st.lists(factors, min_size=1, max_size=2).map(tuple), min_size=1, max_size=3)
ladders = st.just(DEFAULT_LADDER) | st.lists(levels, min_size=1, max_size=4).map(
    lambda drawn: Ladder(
        levels=tuple(
            Level(acr=Acr(f"level-{n}"), any_of=tuple(any_of), max_age=timedelta(hours=1))
            for n, any_of in enumerate(drawn)
        )
    )
)
ceremonies = st.lists(facts, min_size=1, max_size=3).map(tuple)
allowed = st.frozensets(methods, min_size=1)


def context_of(ladder: Ladder, passed: tuple[CeremonyFacts, ...]) -> AuthnContext:
    acr = ladder.level_of(passed)
    assume(acr is not None)
    return AuthnContext(acr=acr, amr=amr_of(passed), auth_time=NOON)


@given(ladders, ceremonies, allowed, st.data())
def test_what_a_ceremony_of_allowed_methods_reached_is_never_asked_for_again(
    ladder, passed, allowed, data
):
    passed = tuple(each for each in passed if each.method in allowed)
    context = context_of(ladder, passed)
    wanted = data.draw(st.sampled_from(ladder.acrs[: ladder.rank(context.acr) + 1]))
    requirement = Requirement(acr=wanted, methods=allowed)
    assume(ladder.get(wanted).is_reached_by(passed))

    assert shows_allowed_methods(ladder, requirement, context, is_own=True)


@given(ladders, ceremonies, allowed, st.data())
def test_a_general_authentication_never_passes_by_a_method_that_is_not_allowed(
    ladder, passed, allowed, data
):
    context = context_of(ladder, passed)
    wanted = data.draw(st.sampled_from(ladder.acrs[: ladder.rank(context.acr) + 1]))

    if shows_allowed_methods(
        ladder, Requirement(acr=wanted, methods=allowed), context, is_own=False
    ):
        reached = ladder.level_of(each for each in passed if each.method in allowed)
        assert reached is not None
        assert ladder.reaches(reached, wanted)


@given(ladders, st.lists(words), st.lists(words), allowed, st.booleans(), st.data())
def test_more_is_never_less(ladder, some, more, allowed, is_own, data):
    acrs = st.sampled_from(ladder.acrs)
    wanted = data.draw(acrs)
    low, high = sorted([data.draw(acrs), data.draw(acrs)], key=ladder.rank)
    weak = AuthnContext(acr=low, amr=tuple(map(Amr, some)), auth_time=NOON)
    strong = AuthnContext(acr=high, amr=tuple(map(Amr, [*some, *more])), auth_time=NOON)
    requirement = Requirement(acr=wanted, methods=allowed)

    if shows_allowed_methods(ladder, requirement, weak, is_own=is_own):
        assert shows_allowed_methods(ladder, requirement, strong, is_own=is_own)


@given(ladders, st.lists(words), allowed, allowed, st.booleans(), st.data())
def test_a_guardrail_lets_nobody_in_who_was_kept_out(ladder, amr, first, second, is_own, data):
    acrs = st.sampled_from(ladder.acrs)
    context = AuthnContext(acr=data.draw(acrs), amr=tuple(map(Amr, amr)), auth_time=NOON)
    mild = Requirement(acr=data.draw(acrs), methods=first)
    strict = mild.raised_by(Requirement(acr=data.draw(acrs), methods=second), ladder)

    if shows_allowed_methods(ladder, strict, context, is_own=is_own):
        assert shows_allowed_methods(ladder, mild, context, is_own=is_own)
