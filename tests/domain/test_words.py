import pytest

from stepup.domain.assurance import Factor, Method
from stepup.domain.words import combination_in_words

PASSKEY = Factor(method=Method.WEBAUTHN)


@pytest.mark.parametrize(
    ("combination", "words"),
    [
        ([Factor(method=Method.TOTP)], "a code from an authenticator app (totp)"),
        ([PASSKEY], "a passkey"),
        (
            [Factor(method=Method.WEBAUTHN, user_verified=True)],
            "a passkey that verified its user",
        ),
        (
            [Factor(method=Method.WEBAUTHN, user_verified=True, device_bound=True, attested=True)],
            "a passkey that verified its user, is bound to its device and is attested",
        ),
        (
            [Factor(method=Method.WEBAUTHN, aaguids=("a", "b"))],
            "a passkey that is attested as one of 2 models",
        ),
        ([Factor(method=Method.RECOVERY_CODE), PASSKEY], "a recovery code and a passkey"),
    ],
)
def test_combinations_are_named_for_people(combination, words: str):
    assert combination_in_words(combination) == words
