"""Which of a subject's authenticators can answer a challenge."""

from datetime import timedelta

import pytest

from stepup.domain.assurance import DEFAULT_LADDER, Acr, CeremonyFacts, Factor, Level, Method
from stepup.domain.authenticator import (
    RecoveryCodes,
    TotpSecret,
    WebAuthnCredential,
    ceremonies_left,
    usable_methods,
)
from stepup.domain.requirement import Requirement
from tests.support.builders import A_PASSKEY, A_TOTP, an_authenticator

CODES = RecoveryCodes(digests=(b"digest",), confirmed=True)
TOTP, PASSKEY = an_authenticator(), an_authenticator(A_PASSKEY)
RECOVERY = an_authenticator(CODES)
TOUCH = an_authenticator(
    WebAuthnCredential(credential_id=b"key", public_key=b"key", user_verified=False)
)
BOTH = Level(
    acr=Acr("both"),
    any_of=((Factor(method=Method.TOTP), Factor(method=Method.WEBAUTHN)),),
    max_age=timedelta(minutes=5),
)


@pytest.mark.parametrize(
    ("acr", "methods", "enrolled", "usable"),
    [
        pytest.param("urn:stepup:acr:2", None, [], [], id="nothing enrolled"),
        pytest.param(
            "urn:stepup:acr:2", None, [TOTP, PASSKEY], [Method.WEBAUTHN, Method.TOTP], id="either"
        ),
        pytest.param("phr", None, [TOTP, PASSKEY], [Method.WEBAUTHN], id="only the passkey"),
        pytest.param("phr", None, [TOTP], [], id="nothing strong enough"),
        pytest.param("phr", None, [TOUCH], [], id="a key that verifies nobody"),
        pytest.param("urn:stepup:acr:2", {"totp"}, [TOTP, PASSKEY], [Method.TOTP], id="allowed"),
        pytest.param("urn:stepup:acr:2", {"sms"}, [TOTP, PASSKEY], [], id="none is allowed"),
        pytest.param("urn:stepup:acr:2", None, [RECOVERY], [], id="recovery approves nothing"),
        pytest.param(
            "urn:stepup:acr:1", None, [RECOVERY], [Method.RECOVERY_CODE], id="recovery at level 1"
        ),
    ],
)
def test_offers_the_methods_that_reach_the_level(acr, methods, enrolled, usable):
    allowed = None if methods is None else frozenset(map(Method, methods))
    requirement = Requirement(acr=Acr(acr), methods=allowed)

    level = DEFAULT_LADDER.get(Acr(acr))

    assert usable_methods(requirement, level, enrolled) == tuple(usable)


@pytest.mark.parametrize(
    ("enrolled", "passed", "usable"),
    [
        pytest.param([TOTP, PASSKEY], [], [Method.WEBAUTHN, Method.TOTP], id="both to go"),
        pytest.param([TOTP, PASSKEY], [A_TOTP], [Method.WEBAUTHN], id="one to go"),
        pytest.param([TOTP], [], [], id="a combination that cannot be completed"),
    ],
)
def test_offers_what_a_combination_still_needs(enrolled, passed, usable):
    methods = usable_methods(Requirement(acr=BOTH.acr), BOTH, enrolled, passed)

    assert methods == tuple(usable)


@pytest.mark.parametrize(
    ("enrolled", "passed", "left"),
    [
        pytest.param([TOTP, PASSKEY], [], 2, id="both to go"),
        pytest.param([TOTP, PASSKEY], [TOTP], 1, id="one to go"),
        pytest.param([TOTP, PASSKEY], [TOTP, PASSKEY], 0, id="there"),
        pytest.param([TOTP], [], None, id="no way"),
    ],
)
def test_counts_the_ceremonies_of_the_shortest_way(enrolled, passed, left):
    facts = [authenticator.best_facts for authenticator in passed]
    requirement = Requirement(acr=BOTH.acr)

    assert ceremonies_left(requirement, BOTH, enrolled, facts) == left


def test_one_ceremony_that_is_enough_is_the_shortest_way():
    level = Level(
        acr=Acr("any"), any_of=(*BOTH.any_of, (Factor(method=Method.TOTP),)), max_age=BOTH.max_age
    )

    assert ceremonies_left(Requirement(acr=level.acr), level, [TOTP, PASSKEY]) == 1


@pytest.mark.parametrize(
    ("credential", "usable"),
    [
        pytest.param(CODES, True, id="confirmed codes"),
        pytest.param(RecoveryCodes(digests=(b"digest",)), False, id="codes nobody has stored"),
        pytest.param(RecoveryCodes(digests=(), confirmed=True), False, id="all codes used"),
        pytest.param(A_PASSKEY, True, id="passkey"),
    ],
)
def test_knows_what_can_answer_at_all(credential, usable):
    assert an_authenticator(credential).usable is usable


def test_a_synced_passkey_is_not_device_bound():
    synced = WebAuthnCredential(credential_id=b"i", public_key=b"k", backup_eligible=True)

    assert not an_authenticator(synced).best_facts.device_bound
    assert PASSKEY.best_facts == CeremonyFacts(
        method=Method.WEBAUTHN,
        user_verified=True,
        device_bound=True,
        aaguid="00000000-0000-0000-0000-000000000000",
    )


@pytest.mark.parametrize("secret", [TotpSecret(secret=b"s3cret"), CODES])
def test_never_shows_a_secret_in_its_repr(secret):
    assert "s3cret" not in repr(an_authenticator(secret))
    assert "digest'" not in repr(an_authenticator(secret))
