"""Tokens that the service itself signed, read by the SDK, which shares no code with it."""

import json
import os
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from stepup.crypto import machine_tokens
from stepup.crypto.keys import generate_root, generate_signing_key
from stepup.crypto.tokens import jwks, sign_elevated
from stepup.domain.assurance import Acr, Amr
from stepup.domain.binding import bound_digest
from stepup.domain.ids import ActionName, ChallengeId, ClientId, Subject, TokenId
from stepup.domain.keyring import Keyring
from stepup.domain.site import Site
from stepup.domain.token import ElevatedToken
from stepup.sdk import InvalidToken, StepUpRequired
from tests.sdk.minting import ACTION, AUDIENCE, ISSUER, NOW, PLAIN, TRANSFER, VALUES, a_stepup

THEN = datetime.fromtimestamp(NOW, UTC)
SITE = Site(
    issuer=ISSUER,
    region="r1",
    rp_id="localhost",
    rp_name="Bank",
    origins=(ISSUER,),
    subject_issuer="http://localhost:8001",
)
TOKEN = ElevatedToken(
    id=TokenId("r1.AAAA.BBBB"),
    challenge_id=ChallengeId("r1.AAAA"),
    client_id=ClientId("bank"),
    subject=Subject("http://localhost:8001", "alice"),
    audience=AUDIENCE,
    acr=Acr("phr"),
    amr=(Amr("swk"), Amr("user"), Amr("mfa")),
    auth_time=THEN - timedelta(seconds=3),
    issued_at=THEN,
    expires_at=THEN + timedelta(seconds=120),
    action=ActionName(ACTION),
    bound_digest=bound_digest(ACTION, VALUES),
    once=True,
)


class OwnIssuer:
    def __init__(self):
        self.key = generate_signing_key()
        self.keyring = Keyring(keys=(self.key,), root=generate_root(os.urandom))

    def fetch(self, url):
        assert url == f"{ISSUER}/.well-known/jwks.json"
        return json.dumps(jwks(self.keyring)).encode()

    def sign(self, **changes):
        return sign_elevated(msgspec.structs.replace(TOKEN, **changes), self.key, SITE)


@pytest.fixture
def issuer():
    return OwnIssuer()


def test_a_token_of_the_service_is_read_as_it_was_meant(su, issuer):
    token = su.verify(issuer.sign(), TRANSFER, VALUES)
    assert token.subject == "alice"
    assert (token.subject_issuer, token.subject_sub) == ("http://localhost:8001", "alice")
    assert token.auth_time == TOKEN.auth_time
    assert token.expires_at == TOKEN.expires_at
    assert (token.jti, token.txn) == (TOKEN.id, TOKEN.txn)


def test_a_token_of_the_service_without_an_action(su, issuer):
    raw = issuer.sign(action=None, bound_digest=None, once=False, scope="read write")
    assert su.verify(raw, PLAIN).scope == "read write"


def test_subjects_of_two_issuers_are_two(su, issuer):
    other = su.verify(issuer.sign(subject=Subject("http://other", "alice")), TRANSFER, VALUES)
    assert other.subject != "alice"
    assert (other.subject_issuer, other.subject_sub) == ("http://other", "alice")


def test_a_changed_amount_of_a_token_of_the_service(su, issuer):
    with pytest.raises(StepUpRequired):
        su.verify(issuer.sign(), TRANSFER, VALUES | {"amount": "5000.01"})


def test_a_token_of_another_ring(su, sdk_clock):
    stranger = OwnIssuer()
    with pytest.raises(InvalidToken):
        su.verify(stranger.sign(), TRANSFER, VALUES)
    assert a_stepup(stranger, sdk_clock).verify(stranger.sign(), TRANSFER, VALUES)


def test_attack_a_token_of_a_client_itself_proves_nothing_of_a_person(su, issuer):
    key = issuer.keyring.active
    token = machine_tokens.MachineToken(
        id="m1",
        key_id=key.id,
        client_id=ClientId("bank"),
        scopes=frozenset({"ssf.manage"}),
        issued_at=THEN,
        expires_at=THEN + timedelta(seconds=120),
    )
    # Its audience is our own interface; even with the service's it would not do.
    for audience in (f"{ISSUER}/v1/signals", AUDIENCE):
        text = machine_tokens.sign(token, key, issuer=ISSUER, audience=audience)
        for requirement in (PLAIN, TRANSFER):
            with pytest.raises((InvalidToken, StepUpRequired)):
                su.verify(text, requirement, VALUES)
