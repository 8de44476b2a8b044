"""Where the keys of a client are: in its registration, or at its URL."""

import pytest

from stepup.crypto import keys
from stepup.domain.errors import DependencyUnavailableError
from stepup.usecases.client_keys import keys_of

KEY = keys.generate_signing_key("ES256")
JWK = {**KEY.public_jwk, "kid": KEY.id}
URL = "https://bank.example/jwks"


async def test_keys_are_registered_by_value(world):
    client = world.add_client("shop", jwks=(JWK,))

    assert [key.kid for key in await keys_of(world.ports, client)] == [KEY.id]


async def test_keys_are_published_at_a_url(world):
    client = world.add_client("shop", jwks_uri=URL)
    world.upstreams.key_sets[URL] = [JWK]

    assert [key.kid for key in await keys_of(world.ports, client, KEY.id)] == [KEY.id]


async def test_a_url_that_does_not_answer_says_nothing_about_the_client(world):
    client = world.add_client("shop", jwks_uri=URL)

    with pytest.raises(DependencyUnavailableError):
        await keys_of(world.ports, client)


@pytest.mark.parametrize("jwks", [(), ({**JWK, "d": "AAAA"},), (JWK, JWK)])
async def test_a_set_that_is_not_in_order_has_no_keys(world, jwks):
    client = world.add_client("shop", jwks=jwks)

    assert await keys_of(world.ports, client) == ()
