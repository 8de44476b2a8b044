"""Security events of a real identity provider: its token, its keys, and nobody else's."""

import json

import pytest

from stepup.adapters.upstream.provider import Provider, digest_of_token
from stepup.adapters.upstream.upstreams import HttpUpstreams
from stepup.crypto import keys
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.signal_errors import SetError, SetRefusedError
from stepup.domain.signals import EventType
from tests.crypto.forging import forge
from tests.crypto.test_upstream import jwk
from tests.support.http_receiver import listening

ISSUER, OTHER = "https://idp.example", "https://other.example"
KEY, STRANGER = (keys.generate_signing_key("RS256") for _ in range(2))
TOKEN = "of-the-idp"
AUDIENCE = "https://stepup.example"


@pytest.fixture
async def key_server():
    async with listening() as server:
        server.answer = lambda _: (200, json.dumps({"keys": [jwk(KEY)]}).encode())
        yield server


@pytest.fixture
async def upstreams(key_server, clock):
    def provider(issuer: str, token: str | None) -> Provider:
        return Provider(
            issuer=issuer,
            signal_token_digest=None if token is None else digest_of_token(token),
            signal_audience=AUDIENCE,
            signal_jwks_uri=key_server.url,
        )

    providers = [provider(OTHER, "of-the-other"), provider(ISSUER, TOKEN)]
    upstreams = HttpUpstreams([*providers, provider("https://silent.example", None)], clock)
    yield upstreams
    await upstreams.close()


def a_set(clock, key=KEY, **changes) -> str:
    claims = {
        "iss": ISSUER,
        "jti": "set-1",
        "iat": int(clock.now().timestamp()),
        "aud": AUDIENCE,
        "events": {str(EventType.SESSION_REVOKED): {}},
    }
    header = {"alg": "RS256", "kid": key.id, "typ": "secevent+jwt"}
    return forge(header, claims | changes, key.private_key)


async def refused(upstreams, clock, text: str, token: str = TOKEN) -> SetError:
    with pytest.raises(SetRefusedError) as caught:
        await upstreams.hear(text, token, clock.now())
    return caught.value.err


async def test_hears_what_the_provider_says(upstreams, clock):
    event = await upstreams.hear(a_set(clock), TOKEN, clock.now())
    assert (event.issuer, event.type) == (ISSUER, EventType.SESSION_REVOKED)


async def test_attack_a_provider_speaks_for_another_one(upstreams, clock):
    assert await refused(upstreams, clock, a_set(clock), "of-the-other") is SetError.INVALID_ISSUER


async def test_attack_a_token_that_nobody_has(upstreams, clock):
    for token in ("", "another", "None"):
        err = await refused(upstreams, clock, a_set(clock), token)
        assert err is SetError.AUTHENTICATION_FAILED


async def test_attack_a_stranger_signs(upstreams, clock):
    assert await refused(upstreams, clock, a_set(clock, STRANGER)) is SetError.INVALID_KEY


async def test_what_is_no_set_asks_for_no_keys(upstreams, clock, key_server):
    assert await refused(upstreams, clock, "nonsense") is SetError.INVALID_REQUEST
    assert key_server.received == []


async def test_without_keys_nobody_can_say(upstreams, clock, key_server):
    key_server.answer = lambda _: (503, b"")
    with pytest.raises(DependencyUnavailableError):
        await upstreams.hear(a_set(clock), TOKEN, clock.now())
