"""What a client under FAPI 2.0 must do, and what any other may."""

import pytest

from stepup.domain import fapi
from stepup.domain.client_authentication import Profile

URIS = {
    "https://bank.example/callback": True,
    "HTTP://bank.example/callback": False,
    "http://bank.example/callback": False,
    "http://127.0.0.1.evil.example/": False,
    "http://localhost/callback": False,
    "http://127.0.0.1:4711/callback": True,
    "http://[::1]/callback": True,
}


@pytest.mark.parametrize(("uri", "allowed"), URIS.items())
def test_fapi2_5_3_2_2_answers_do_not_go_over_http(uri: str, allowed: bool):
    assert fapi.may_return_to(Profile.FAPI2, uri) is allowed
    assert fapi.may_return_to(Profile.OAUTH, uri)


@pytest.mark.parametrize(
    ("algorithm", "allowed"),
    [
        ("ES256", True),
        ("PS256", True),
        ("EdDSA", True),
        ("RS256", False),
        ("HS256", False),
        ("none", False),
    ],
)
def test_fapi2_5_4_1_names_three_algorithms(algorithm: str, allowed: bool):
    assert fapi.may_sign_with(Profile.FAPI2, algorithm) is allowed


@pytest.mark.parametrize(("profile", "held"), [(Profile.FAPI2, True), (Profile.OAUTH, False)])
def test_the_profile_holds_its_clients_alone(profile: Profile, held: bool):
    assert fapi.must_push(profile) is held
    assert fapi.must_be_bound(profile) is held
    assert fapi.may_rotate(profile) is not held
