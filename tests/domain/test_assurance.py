"""The level of a ceremony comes from its facts, never from the name of its method."""

from datetime import timedelta

import pytest

from stepup.domain.assurance import (
    DEFAULT_LADDER,
    Acr,
    CeremonyFacts,
    Factor,
    Ladder,
    Level,
    Method,
    factors_met,
)

YUBIKEY = "cb69481e-8ff7-4039-93ec-0a2729a154a8"
OTHER_MODEL = "00000000-0000-0000-0000-000000000000"
TOTP = CeremonyFacts(method=Method.TOTP)


def a_passkey(**facts: object) -> CeremonyFacts:
    return CeremonyFacts(method=Method.WEBAUTHN, **facts)


@pytest.mark.parametrize(
    ("passed", "acr"),
    [
        pytest.param([], None, id="nothing"),
        pytest.param([CeremonyFacts(method=Method.EMAIL)], "urn:stepup:acr:1", id="e-mail"),
        pytest.param([CeremonyFacts(method=Method.SMS)], "urn:stepup:acr:1", id="sms"),
        pytest.param(
            [CeremonyFacts(method=Method.RECOVERY_CODE)], "urn:stepup:acr:1", id="recovery code"
        ),
        pytest.param([TOTP], "urn:stepup:acr:2", id="totp"),
        pytest.param([a_passkey()], "urn:stepup:acr:1", id="a touch without user verification"),
        pytest.param([a_passkey(user_verified=True)], "phr", id="a passkey"),
        pytest.param([TOTP, a_passkey(user_verified=True)], "phr", id="the best of several"),
        pytest.param(
            [a_passkey(user_verified=True, device_bound=True)], "phr", id="bound, not attested"
        ),
        pytest.param(
            [a_passkey(user_verified=True, attested=True)], "phr", id="attested, not bound"
        ),
        pytest.param(
            [a_passkey(user_verified=True, device_bound=True, attested=True)],
            "phrh",
            id="attested hardware",
        ),
        pytest.param(
            [a_passkey(user_verified=True), a_passkey(device_bound=True, attested=True)],
            "phr",
            id="facts of two ceremonies do not add up",
        ),
    ],
)
def test_computes_the_level_from_the_facts(passed, acr):
    assert DEFAULT_LADDER.level_of(passed) == acr


@pytest.mark.parametrize(
    ("facts", "meets"),
    [
        pytest.param(a_passkey(aaguid=YUBIKEY, attested=True), True, id="listed model"),
        pytest.param(a_passkey(aaguid=YUBIKEY), False, id="listed model, only claimed"),
        pytest.param(a_passkey(aaguid=OTHER_MODEL, attested=True), False, id="other"),
        pytest.param(a_passkey(), False, id="model not known"),
        pytest.param(TOTP, False, id="other method"),
    ],
)
def test_a_factor_may_name_models_of_authenticators(facts, meets):
    assert Factor(method=Method.WEBAUTHN, aaguids=(YUBIKEY,)).is_met_by(facts) is meets


@pytest.mark.parametrize(
    ("facts", "amr"),
    [
        pytest.param(TOTP, ("otp",), id="totp"),
        pytest.param(CeremonyFacts(method=Method.SMS), ("otp", "sms"), id="sms"),
        pytest.param(a_passkey(), ("swk",), id="touch"),
        pytest.param(a_passkey(user_verified=True), ("swk", "user", "mfa"), id="synced passkey"),
        pytest.param(
            a_passkey(user_verified=True, device_bound=True), ("hwk", "user", "mfa"), id="hardware"
        ),
        pytest.param(CeremonyFacts(method=Method.RECOVERY_CODE), ("otp",), id="recovery code"),
    ],
)
def test_names_methods_in_the_words_of_rfc_8176(facts, amr):
    assert facts.amr == amr


VERIFIED = Factor(method=Method.WEBAUTHN, user_verified=True)
TOUCHED = Factor(method=Method.WEBAUTHN)
BOUND = Factor(method=Method.WEBAUTHN, device_bound=True)


@pytest.mark.parametrize(
    ("combination", "passed", "met"),
    [
        pytest.param((TOUCHED, VERIFIED), [a_passkey(user_verified=True)], 1, id="one for two"),
        pytest.param((VERIFIED, VERIFIED), [a_passkey(user_verified=True)], 1, id="twice the same"),
        pytest.param(
            (TOUCHED, VERIFIED), [a_passkey(user_verified=True), a_passkey()], 2, id="other order"
        ),
        pytest.param(
            (TOUCHED, VERIFIED), [a_passkey(), a_passkey(user_verified=True)], 2, id="in order"
        ),
        pytest.param(
            (TOUCHED, BOUND, VERIFIED),
            [
                a_passkey(user_verified=True, device_bound=True),
                a_passkey(device_bound=True),
                a_passkey(),
            ],
            3,
            id="each gives way",
        ),
        pytest.param((VERIFIED, TOUCHED), [a_passkey(), a_passkey()], 1, id="too weak"),
        pytest.param((TOUCHED,), [], 0, id="nothing"),
    ],
)
def test_attack_one_ceremony_passes_for_two_factors(combination, passed, met):
    level = Level(acr=Acr("two"), any_of=(combination,), max_age=timedelta(minutes=5))

    assert factors_met(combination, passed) == met
    assert level.is_reached_by(passed) is (met == len(combination))


def test_a_combination_needs_all_its_factors():
    both = Level(
        acr=Acr("both"),
        any_of=((Factor(method=Method.TOTP), Factor(method=Method.WEBAUTHN)),),
        max_age=timedelta(minutes=5),
    )

    assert both.is_reached_by([TOTP, a_passkey()])
    assert not both.is_reached_by([TOTP])


@pytest.mark.parametrize(
    ("acr", "wanted", "reaches"),
    [
        ("phr", "phr", True),
        ("phrh", "urn:stepup:acr:1", True),
        ("urn:stepup:acr:1", "urn:stepup:acr:2", False),
        ("gold", "urn:stepup:acr:1", False),
        ("phrh", "gold", False),
        ("gold", "gold", False),
        ("", "", False),
    ],
)
def test_an_acr_that_is_not_on_the_ladder_reaches_nothing_and_is_never_reached(
    acr, wanted, reaches
):
    assert DEFAULT_LADDER.reaches(Acr(acr), Acr(wanted)) is reaches


def test_gives_a_level_by_its_name():
    assert DEFAULT_LADDER.get(Acr("phr")).max_age == timedelta(minutes=10)
    assert "phr" in DEFAULT_LADDER
    with pytest.raises(KeyError):
        DEFAULT_LADDER.get(Acr("gold"))


@pytest.mark.parametrize("times", [0, 2])
def test_refuses_a_ladder_without_rungs_or_with_one_rung_twice(times):
    with pytest.raises(ValueError, match="ladder"):
        Ladder((DEFAULT_LADDER.top,) * times)
