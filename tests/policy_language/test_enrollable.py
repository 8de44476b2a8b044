"""What a policy may demand and nobody can enroll for in this release: a warning each."""

import pytest

from tests.policy_language.documents import a_document, findings

TOP = "\n- {acr: top, any_of: [{method: webauthn, user_verified: true}], max_age: 5m}"
PASSKEY_OR_MAIL = "- {acr: any, any_of: [email, totp], max_age: 5m}" + TOP
MAIL_ONLY = "- {acr: mail, any_of: [email, sms, hotp], max_age: 5m}" + TOP
MODEL = "- {acr: model, any_of: [{method: webauthn, aaguids: [a]}], max_age: 5m}"


@pytest.mark.parametrize(
    ("level", "demand", "found"),
    [
        (MAIL_ONLY, "{level: mail}", ["SU015 nobody can reach `mail` in this release"]),
        (MODEL, "{level: model}", ["SU015 nobody can reach `model` in this release"]),
        ("", "{level: phrh}", ["SU015 nobody can reach `phrh` in this release"]),
        (
            PASSKEY_OR_MAIL,
            "{level: any, methods: [email, totp]}",
            ["SU015 `email` cannot be enrolled in this release"],
        ),
        (
            PASSKEY_OR_MAIL,
            "{level: any, methods: [email]}",
            [
                "SU015 `email` cannot be enrolled in this release",
                "SU015 nobody can reach `any` in this release",
            ],
        ),
        (PASSKEY_OR_MAIL, "{level: any}", []),
        ("", "{level: phr}", []),
    ],
)
def test_says_what_nobody_can_meet_yet(level, demand, found):
    levels = {"levels": level} if level else {}
    assert findings(a_document(f"default: {demand}", **levels)) == found
