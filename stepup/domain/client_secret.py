"""Secrets of a client: which are good, and how one gives way to the next.

A release that knows only `secret_digests` would take an old secret for ever, and would pass over
rules that it never heard of. So what ends, and what belongs to a client with such rules, is kept
where it does not look: it refuses, and never grants more.
"""

from datetime import datetime, timedelta

import msgspec

from stepup.domain.client import Client
from stepup.domain.client_authentication import AuthMethod, ClientSecret, Profile

LONGEST_OVERLAP = timedelta(days=30)
_MOST = 4

_WITH_SECRETS = frozenset({None, AuthMethod.SECRET_BASIC, AuthMethod.SECRET_POST})


def takes_secret(method: AuthMethod | None) -> bool:
    """Say whether a way of authenticating needs a secret."""
    return method in _WITH_SECRETS


def has_secret(client: Client) -> bool:
    """Say whether a client authenticates with a secret."""
    return takes_secret(client.auth_method)


def secrets_of(client: Client) -> tuple[ClientSecret, ...]:
    """Return all secrets of a client, current ones first, wherever they are kept."""
    known = (*map(ClientSecret, client.secret_digests), *client.secrets)
    return tuple(sorted(known, key=lambda each: each.until is not None))


def with_secrets(client: Client, secrets: tuple[ClientSecret, ...]) -> Client:
    """Return the client with these secrets and no others: none, if it has no use for any."""
    if not has_secret(client):
        return msgspec.structs.replace(client, secret_digests=(), secrets=())
    older = () if _has_new_rules(client) else tuple(s.digest for s in secrets if s.until is None)
    kept = tuple(s for s in secrets if s.until is not None or s.digest not in older)
    return msgspec.structs.replace(client, secret_digests=older, secrets=kept)


def rotated(client: Client, digest: bytes, now: datetime, overlap: timedelta) -> Client:
    """Return the client with a new secret; older ones are good until the overlap ends at most."""
    ends = now + min(max(overlap, timedelta()), LONGEST_OVERLAP)
    ending = [
        ClientSecret(each.digest, ends if each.until is None else min(each.until, ends))
        for each in secrets_of(client)
    ]
    left = [each for each in ending if each.is_good_at(now)][: _MOST - 1]
    return with_secrets(client, (ClientSecret(digest), *left))


def _has_new_rules(client: Client) -> bool:
    return (
        client.dpop_bound
        or client.tls_bound
        or client.signed_requests_only
        or client.profile is not Profile.OAUTH
        or client.authorization_details_types is not None
        or client.introspection_claims is not None
    )
