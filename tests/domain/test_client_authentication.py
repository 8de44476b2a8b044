"""Which way of authenticating counts for which client."""

from datetime import timedelta

import pytest

from stepup.domain.client_authentication import (
    AssertionShown,
    AuthMethod,
    ClientSecret,
    Profile,
    is_accepted,
)
from tests.support.determinism import NOON

METHODS = list(AuthMethod)
SECRETS = {AuthMethod.SECRET_BASIC, AuthMethod.SECRET_POST}
FAPI = {AuthMethod.PRIVATE_KEY_JWT, AuthMethod.TLS, AuthMethod.SELF_SIGNED_TLS}


@pytest.mark.parametrize("registered", METHODS)
@pytest.mark.parametrize("shown", METHODS)
def test_a_client_comes_in_the_way_it_registered(registered, shown):
    assert is_accepted(registered, shown) is (registered is shown)
    assert is_accepted(registered, shown, Profile.FAPI2) is (registered is shown and shown in FAPI)


@pytest.mark.parametrize("shown", METHODS)
def test_without_a_registered_way_a_secret_comes_in_header_or_body(shown):
    assert is_accepted(None, shown) is (shown in SECRETS)
    assert not is_accepted(None, shown, Profile.FAPI2) or shown in FAPI


def test_an_old_secret_ends():
    ending = ClientSecret(b"digest", NOON)

    assert ending.is_good_at(NOON - timedelta(microseconds=1))
    assert not ending.is_good_at(NOON)
    assert ClientSecret(b"digest").is_good_at(NOON)


def test_what_a_client_shows_is_shown_to_nobody():
    secret = "hush-hush"
    for each in (AssertionShown(secret, "/"), ClientSecret(secret.encode())):
        assert secret not in repr(each)
