"""What a revocation ends, and how long an instance may go without hearing of one."""

from datetime import timedelta

import msgspec
import pytest

from stepup.domain.assurance import Acr, Amr
from stepup.domain.ids import AuthenticatorId, ChallengeId, ClientId, KeyId, Subject, TokenId
from stepup.domain.refresh import LONGEST_REFRESH
from stepup.domain.revocation import (
    BOUND,
    CLOCK_MARGIN,
    LAST_BOUND,
    Revocation,
    RevocationMap,
    Standing,
    standing_at,
)
from stepup.domain.token import ElevatedToken
from tests.support.determinism import NOON

SECOND = timedelta(seconds=1)
ALICE = Subject("https://idp.example", "alice")
TOKEN = ElevatedToken(
    id=TokenId("r1.x.jti"),
    challenge_id=ChallengeId("r1.x"),
    client_id=ClientId("bank"),
    subject=ALICE,
    audience="bank-api",
    acr=Acr("phr"),
    amr=(Amr("hwk"),),
    auth_time=NOON - 10 * SECOND,
    issued_at=NOON - 5 * SECOND,
    expires_at=NOON + 60 * SECOND,
)
MALLORY = Subject("https://other.example", "alice")
APP = AuthenticatorId("app")
TOKEN = msgspec.structs.replace(TOKEN, authenticators=(APP,))
KEY = KeyId("k1")


def of_key(min_iat) -> Revocation:
    return Revocation.of_key(KEY, min_iat, NOON)


@pytest.mark.parametrize(
    ("revocation", "covered"),
    [
        (Revocation.of_token(TOKEN.id, TOKEN.expires_at, NOON), True),
        (Revocation.of_token(TokenId("r1.x.other"), TOKEN.expires_at, NOON), False),
        (Revocation.of_grant(TOKEN.challenge_id, TOKEN.expires_at, NOON), True),
        (Revocation.of_grant(ChallengeId("r1.y"), TOKEN.expires_at, NOON), False),
        (Revocation.of_subject(ALICE.id, NOON), True),
        # Proved before and redeemed after: it was the proof that ended.
        (Revocation.of_subject(ALICE.id, TOKEN.issued_at - SECOND), True),
        (Revocation.of_subject(ALICE.id, TOKEN.auth_time), True),
        (Revocation.of_subject(ALICE.id, TOKEN.auth_time - CLOCK_MARGIN), False),
        (Revocation.of_subject(Subject("https://other.example", "alice").id, NOON), False),
        (of_key(TOKEN.issued_at), False),
        (of_key(TOKEN.issued_at + SECOND), True),
        (Revocation.of_key(KeyId("k2"), NOON, NOON), False),
        (Revocation.of_token(TokenId(KEY), NOON, NOON), False),
        (Revocation.of_client(TOKEN.client_id, NOON), True),
        (Revocation.of_client(TOKEN.client_id, TOKEN.auth_time - CLOCK_MARGIN), False),
        (Revocation.of_client(ClientId("shop"), NOON), False),
        (Revocation.of_authenticator(ALICE.id, APP, NOON), True),
        (Revocation.of_authenticator(ALICE.id, APP, TOKEN.auth_time - CLOCK_MARGIN), False),
        (Revocation.of_authenticator(ALICE.id, AuthenticatorId("other"), NOON), False),
        (Revocation.of_authenticator(MALLORY.id, APP, NOON), False),
        # Passed with another one after this one was removed: it had its part in it.
        (Revocation.of_removed(ALICE.id, APP, TOKEN.auth_time - 60 * SECOND), True),
        (Revocation.of_removed(ALICE.id, AuthenticatorId("other"), NOON), False),
    ],
)
def test_what_it_ends(revocation: Revocation, covered: bool):
    assert RevocationMap([revocation]).covers(TOKEN, KEY) is covered


def test_what_nobody_knows_the_authenticators_of_ends_with_any_of_its_subject():
    unnoted = msgspec.structs.replace(TOKEN, authenticators=None)
    other = AuthenticatorId("other")
    assert RevocationMap([Revocation.of_removed(ALICE.id, other, NOON)]).covers(unnoted, KEY)
    early = Revocation.of_removed(ALICE.id, other, TOKEN.auth_time - CLOCK_MARGIN)
    assert not RevocationMap([early]).covers(unnoted, KEY)
    assert not RevocationMap([Revocation.of_removed(MALLORY.id, other, NOON)]).covers(unnoted, KEY)


def test_of_a_proof_it_is_remembered_as_long_as_anything_that_stands_on_it():
    for revocation in (
        Revocation.of_subject(ALICE.id, NOON),
        Revocation.of_client(TOKEN.client_id, NOON),
        Revocation.of_removed(ALICE.id, APP, NOON),
    ):
        assert revocation.until >= NOON + LONGEST_REFRESH


def test_of_several_about_one_thing_the_strictest_counts():
    first, second = of_key(NOON - 60 * SECOND), of_key(NOON)
    for revocations in ([first, second], [second, first]):
        known = RevocationMap(revocations)
        assert len(known) == 1
        assert known.covers(TOKEN, KEY)


def test_says_whether_anything_more_has_ended():
    known = RevocationMap()
    assert known.add(of_key(NOON))
    assert not known.add(of_key(NOON))
    assert not known.add(of_key(NOON - SECOND))
    assert known.add(of_key(NOON + SECOND))


@pytest.mark.parametrize(
    "revocation",
    [
        Revocation.of_token(TOKEN.id, NOON + SECOND, NOON),
        Revocation.of_subject(ALICE.id, NOON),
        of_key(NOON),
    ],
)
def test_is_forgotten_when_it_concerns_nothing_and_no_sooner(revocation: Revocation):
    known = RevocationMap([revocation])
    known.forget(revocation.until - timedelta(milliseconds=1))
    assert len(known) == 1
    known.forget(revocation.until)
    assert len(known) == 0


def test_outlives_whatever_it_ends():
    longest = msgspec.structs.replace(TOKEN, issued_at=NOON, expires_at=NOON + 600 * SECOND)
    assert of_key(NOON).until > longest.expires_at
    # A challenge that was passed a moment before, its code redeemed at the last moment.
    late = NOON + timedelta(minutes=10) + 60 * SECOND + 600 * SECOND
    assert Revocation.of_subject(ALICE.id, NOON).until >= late


@pytest.mark.parametrize(
    ("age", "critical", "ordinary"),
    [
        (0 * SECOND, Standing.FRESH, Standing.FRESH),
        (BOUND, Standing.FRESH, Standing.FRESH),
        (BOUND + timedelta(microseconds=1), Standing.UNKNOWN, Standing.STALE),
        (LAST_BOUND, Standing.UNKNOWN, Standing.STALE),
        (LAST_BOUND + timedelta(microseconds=1), Standing.UNKNOWN, Standing.UNKNOWN),
        (None, Standing.UNKNOWN, Standing.UNKNOWN),
    ],
)
def test_how_much_may_be_said(age: timedelta | None, critical: Standing, ordinary: Standing):
    assert standing_at(age, critical=True) is critical
    assert standing_at(age, critical=False) is ordinary
