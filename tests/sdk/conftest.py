import pytest

from tests.sdk.minting import Clock, Issuer, a_stepup


@pytest.fixture
def sdk_clock():
    return Clock()


@pytest.fixture
def issuer():
    return Issuer()


@pytest.fixture
def su(issuer, sdk_clock):
    return a_stepup(issuer, sdk_clock)
