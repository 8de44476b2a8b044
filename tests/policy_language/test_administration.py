"""A document cannot lower what administrators must show, nor lock them out unseen."""

import pytest

from stepup.domain.assurance import Method
from stepup.policy_language import document
from tests.policy_language.documents import a_document, findings

APP = "any_of: [totp], max_age: 5m"
TOUCH = "any_of: [webauthn], max_age: 5m"
PASSKEY = "any_of: [{method: webauthn, user_verified: true}], max_age: 5m"
APP_AND_TOUCH = "any_of: [[totp, webauthn]], max_age: 5m"
NOBODY = "SU021 no level takes a passkey at every turn, so nobody does `stepup.admin.policy.read`"


def asked(*levels: str):
    ladder = "\n".join(f"- {{{level}}}" for level in levels)
    policy = document.parse(a_document(levels=ladder), version=1)
    own = [action for name, action in policy.actions.items() if name.startswith("stepup.admin.")]
    demands = {(action.default.acr, action.default.methods) for action in own}
    floors = {
        (guardrail.require.acr, guardrail.require.methods)
        for guardrail in policy.guardrails
        if guardrail.id.startswith("stepup.administration")
    }
    [one] = demands | floors
    return one


@pytest.mark.parametrize(
    ("levels", "acr"),
    [
        ((f"acr: phr, {PASSKEY}",), "phr"),
        ((f"acr: phr, {APP}", f"acr: top, {PASSKEY}"), "top"),
        ((f"acr: phr, {TOUCH}", f"acr: top, {APP_AND_TOUCH}"), "top"),
        ((f"acr: a, {APP}", f"acr: b, {PASSKEY}", f"acr: c, {PASSKEY}"), "c"),
        # Whoever reaches the second one has reached `phr`.
        ((f"acr: phr, {PASSKEY}", f"acr: weak, {APP}", f"acr: top, {PASSKEY}"), "top"),
    ],
)
def test_a_weak_level_under_a_strong_name_does_not_administer(levels: tuple[str, ...], acr: str):
    assert asked(*levels) == (acr, None)


@pytest.mark.parametrize(
    "levels", [(f"acr: phr, {APP}",), (f"acr: phr, {PASSKEY}", f"acr: weak, {APP}")]
)
def test_without_a_passkey_on_the_ladder_nobody_administers_and_it_says_so(
    levels: tuple[str, ...],
):
    _, methods = asked(*levels)
    assert methods == {Method.WEBAUTHN}
    ladder = "\n".join(f"- {{{level}}}" for level in levels)
    assert findings(a_document(levels=ladder)) == [NOBODY]


@pytest.mark.parametrize("match", ['actions: ["stepup.admin.*"]', "tags: [stepup-admin-change]"])
def test_a_guardrail_that_locks_every_administrator_out_is_an_error(match: str):
    level = "urn:stepup:acr:1"
    guardrail = (
        f"- {{id: lock, match: {{{match}}}, require: {{level: '{level}', methods: [totp]}}}}"
    )
    [found] = findings(a_document(guardrails=guardrail))
    assert found.startswith("SU021 nobody can reach `phr` with what the guardrails leave of")
