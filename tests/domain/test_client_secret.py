"""How one secret gives way to the next, and what an older release sees of it."""

from datetime import timedelta

import msgspec
import pytest

from stepup.domain.client import Client
from stepup.domain.client_authentication import AuthMethod, ClientSecret, Profile
from stepup.domain.client_secret import LONGEST_OVERLAP, rotated, secrets_of, with_secrets
from stepup.domain.ids import ClientId
from tests.support.determinism import NOON

HOUR = timedelta(hours=1)
SHOP = Client(client_id=ClientId("shop"), name="Shop", secret_digests=(b"old",))


class ClientOfBefore(msgspec.Struct, frozen=True, kw_only=True):
    """What the release before this one read of a client's row."""

    client_id: str
    secret_digests: tuple[bytes, ...] = ()


def read_before(client: Client) -> tuple[bytes, ...]:
    return msgspec.convert(msgspec.to_builtins(client), ClientOfBefore).secret_digests


def test_the_old_secret_ends_and_the_new_one_does_not():
    client = rotated(SHOP, b"new", NOON, HOUR)

    assert client.secret_digests == (b"new",)
    assert client.secrets == (ClientSecret(b"old", NOON + HOUR),)


def test_without_an_overlap_it_ends_now():
    assert rotated(SHOP, b"new", NOON, timedelta()).secrets == ()


def test_an_overlap_has_a_longest_end():
    client = rotated(SHOP, b"new", NOON, timedelta(days=400))

    assert client.secrets[0].until == NOON + LONGEST_OVERLAP


def test_another_rotation_prolongs_nothing():
    first = rotated(SHOP, b"new", NOON, HOUR)
    second = rotated(first, b"newer", NOON + HOUR / 2, 5 * HOUR)

    assert second.secret_digests == (b"newer",)
    assert [(s.digest, s.until - NOON) for s in second.secrets] == [
        (b"new", 5.5 * HOUR),
        (b"old", HOUR),
    ]
    assert rotated(second, b"last", NOON + HOUR, timedelta()).secrets == ()


def test_an_old_release_takes_no_ending_secret_for_one_that_stays():
    assert read_before(rotated(SHOP, b"new", NOON, HOUR)) == (b"new",)


@pytest.mark.parametrize(
    "changes",
    [
        {"dpop_bound": True},
        {"tls_bound": True},
        {"signed_requests_only": True},
        {"profile": Profile.FAPI2},
        {"authorization_details_types": ()},
        {"introspection_claims": ("sub",)},
        {"auth_method": AuthMethod.PRIVATE_KEY_JWT},
        {"auth_method": AuthMethod.TLS},
        {"auth_method": AuthMethod.NONE},
    ],
    ids=str,
)
def test_an_old_release_refuses_a_client_whose_rules_it_does_not_know(changes):
    stricter = msgspec.structs.replace(SHOP, **changes)
    client = with_secrets(stricter, secrets_of(SHOP))

    assert read_before(client) == ()
    has_secret = client.auth_method is None
    assert [s.digest for s in secrets_of(client)] == ([b"old"] if has_secret else [])


def test_a_client_of_an_older_release_is_read_as_it_was():
    row = {"client_id": "shop", "name": "Shop", "secret_digests": ["b2xk"], "disabled": False}

    assert msgspec.convert(row, Client) == SHOP
