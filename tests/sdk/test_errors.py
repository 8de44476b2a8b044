import json

import pytest

from stepup.sdk import InvalidToken, MissingToken, Requirement, StepUpRequired
from tests.sdk.challenges import read_challenge
from tests.sdk.minting import PLAIN, TRANSFER, VALUES, Key, a_stepup, claims_of_level


def test_a_challenge_says_what_would_be_enough():
    error = StepUpRequired(PLAIN, "a more recent authentication is needed")

    scheme, parameters = read_challenge(error.headers["WWW-Authenticate"])

    assert error.status == 401
    assert scheme == "Bearer"
    assert parameters == {
        "error": "insufficient_user_authentication",
        "error_description": "a more recent authentication is needed",
        "acr_values": "urn:stepup:acr:2",
        "max_age": "300",
    }
    assert json.loads(error.body) == {
        "type": "urn:stepup:error:step_up_required",
        "title": "A stronger authentication is needed",
        "status": 401,
        "detail": "a more recent authentication is needed",
        "code": "step_up_required",
        "action": "payments.list",
        "acr_values": "urn:stepup:acr:2",
        "max_age": 300,
    }


def test_a_challenge_without_an_age_names_none():
    error = StepUpRequired(Requirement("a", level="phr"), "why", start_url="https://app/start")
    assert "max_age" not in read_challenge(error.headers["WWW-Authenticate"])[1]
    assert "max_age" not in error.problem
    assert error.problem["start_url"] == "https://app/start"


def test_an_age_of_zero_is_sent():
    error = StepUpRequired(Requirement("a", level="phr", max_age=0), "why")
    assert read_challenge(error.headers["WWW-Authenticate"])[1]["max_age"] == "0"


def test_text_cannot_break_out_of_the_field():
    error = StepUpRequired(PLAIN, 'a "b"\\ \r\nSet-Cookie: x, max_age=9 é')
    field = error.headers["WWW-Authenticate"]
    assert "\r" not in field
    assert read_challenge(field)[1]["max_age"] == "300"


def test_rfc9470_9_strangers_learn_nothing_of_the_policy(su, issuer):
    forged = issuer.mint(key=Key("key-1"))
    with pytest.raises(InvalidToken) as caught:
        su.verify(forged, TRANSFER, VALUES)

    error = caught.value
    assert read_challenge(error.headers["WWW-Authenticate"]) == (
        "Bearer",
        {"error": "invalid_token"},
    )
    for word in ("phr", "payments", "signature", "max_age", "acr"):
        assert word not in json.dumps([error.problem, error.headers])


def test_no_token_gets_a_bare_challenge():
    error = MissingToken("none")
    assert error.status == 401
    assert error.headers["WWW-Authenticate"] == "Bearer"
    assert "invalid_token" not in error.body.decode()


def test_a_token_of_the_base_identity_provider_gets_the_challenge(issuer, sdk_clock):
    su = a_stepup(issuer, sdk_clock, recognizes=lambda raw: raw == "good-base-token")
    with pytest.raises(StepUpRequired) as caught:
        su.verify("good-base-token", TRANSFER, VALUES)
    assert caught.value.requirement == TRANSFER
    with pytest.raises(InvalidToken):
        su.verify("other-base-token", TRANSFER, VALUES)


def test_a_start_url_is_offered_to_those_who_may_know(issuer, sdk_clock):
    su = a_stepup(issuer, sdk_clock, start_url="https://bank/confirm")
    with pytest.raises(StepUpRequired) as caught:
        su.verify(issuer.mint(**claims_of_level()), TRANSFER, VALUES)
    assert caught.value.problem["start_url"] == "https://bank/confirm"
