"""Which authenticators could, and why the others could not."""

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepup.domain.assurance import DEFAULT_LADDER, Acr, Factor, Level, Method
from stepup.domain.authenticator import RecoveryCodes, old_enough, usable_authenticators
from stepup.domain.fitness import Misfit, fitness_of
from stepup.domain.requirement import Requirement
from tests.domain import strategies
from tests.support.builders import A_PASSKEY, A_TOTP_SECRET, an_authenticator
from tests.support.determinism import NOON

CODES = RecoveryCodes(digests=(b"1",), confirmed=True)
MODEL = "cb69481e-8ff7-4039-93ec-0a2729a154a8"


def passkey(**traits: object):
    return msgspec.structs.replace(A_PASSKEY, **traits)


def why_not(credential, acr: str = "phr", methods=None, level: Level | None = None, others=()):
    requirement = Requirement(acr=Acr(acr), methods=methods)
    enrolled = [an_authenticator(credential), *(an_authenticator(other) for other in others)]
    return fitness_of(requirement, level or DEFAULT_LADDER.get(Acr(acr)), enrolled, NOON)[0].why_not


def a_level(*combination: Factor) -> Level:
    return Level(acr=Acr("phr"), any_of=(combination,), max_age=DEFAULT_LADDER.top.max_age)


MODELS = a_level(Factor(method=Method.WEBAUTHN, aaguids=(MODEL,)))
TWO = a_level(Factor(method=Method.TOTP), Factor(method=Method.WEBAUTHN))


@pytest.mark.parametrize(
    ("credential", "options", "expected"),
    [
        (passkey(), {}, ()),
        (A_TOTP_SECRET, {}, (Misfit.METHOD_NOT_IN_LEVEL,)),
        (A_TOTP_SECRET, {"acr": "urn:stepup:acr:2"}, ()),
        (
            A_TOTP_SECRET,
            {"acr": "urn:stepup:acr:2", "methods": frozenset({Method.WEBAUTHN})},
            (Misfit.METHOD_NOT_ALLOWED,),
        ),
        (passkey(user_verified=False), {}, (Misfit.NOT_USER_VERIFYING,)),
        (
            passkey(backup_eligible=True),
            {"acr": "phrh"},
            (Misfit.NOT_DEVICE_BOUND, Misfit.NOT_ATTESTED),
        ),
        (passkey(attested=True), {"level": MODELS}, (Misfit.WRONG_MODEL,)),
        (passkey(attested=True, aaguid=MODEL), {"level": MODELS}, ()),
        (passkey(aaguid=MODEL), {"level": MODELS}, (Misfit.NOT_ATTESTED,)),
        (
            msgspec.structs.replace(CODES, confirmed=False),
            {"acr": "urn:stepup:acr:1"},
            (Misfit.NOT_CONFIRMED,),
        ),
        (msgspec.structs.replace(CODES, digests=()), {}, (Misfit.USED_UP,)),
        (passkey(), {"level": TWO}, (Misfit.NEEDS_ANOTHER,)),
        (passkey(), {"level": TWO, "others": [A_TOTP_SECRET]}, ()),
    ],
    ids=[
        "fits",
        "method not in level",
        "in level",
        "method not allowed",
        "no user verification",
        "synced",
        "another model",
        "the model",
        "unproved model",
        "unconfirmed codes",
        "no codes left",
        "half of two",
        "both of two",
    ],
)
def test_each_reason(credential, options: dict, expected: tuple[Misfit, ...]):
    assert why_not(credential, **options) == expected


def test_one_that_was_enrolled_a_moment_ago_is_too_young():
    requirement = Requirement(acr=Acr("phr"), min_credential_age=timedelta(days=1))
    enrolled = [
        an_authenticator(passkey(), created_at=NOON - timedelta(days=days)) for days in (0, 1)
    ]
    young, old = fitness_of(requirement, DEFAULT_LADDER.get(Acr("phr")), enrolled, NOON)
    assert (young.why_not, old.why_not) == ((Misfit.TOO_YOUNG,), ())


credentials = st.one_of(
    st.just(A_TOTP_SECRET),
    st.builds(RecoveryCodes, digests=st.sampled_from([(), (b"1",)]), confirmed=st.booleans()),
    st.builds(
        passkey,
        user_verified=st.booleans(),
        backup_eligible=st.booleans(),
        attested=st.booleans(),
        aaguid=st.sampled_from([MODEL, A_PASSKEY.aaguid]),
    ),
)


@given(
    enrolled=st.lists(st.builds(an_authenticator, credentials), max_size=4),
    requirement=strategies.requirements(),
    level=st.sampled_from([*DEFAULT_LADDER.levels, MODELS, TWO]),
)
def test_usable_is_what_a_challenge_would_offer(enrolled, requirement, level):
    now = NOON + timedelta(hours=2)
    offered = usable_authenticators(requirement, level, old_enough(requirement, enrolled, now))
    told = fitness_of(requirement, level, enrolled, now)
    assert tuple(fitness.authenticator for fitness in told if fitness.usable) == offered
