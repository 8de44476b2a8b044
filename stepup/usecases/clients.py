"""Clients by their secret. Other ways: `client_authentication.py`; changes: `registering.py`."""

from stepup.crypto import digests
from stepup.domain.client import Client
from stepup.domain.client_authentication import AuthMethod, is_accepted
from stepup.domain.errors import ClientAuthenticationError
from stepup.domain.ids import ClientId
from stepup.domain.keyring import Keyring
from stepup.ports import Ports

_SECRET_PURPOSE = "client-secret"  # noqa: S105  the name of a derived key


def secret_digest(keyring: Keyring, client_id: ClientId, secret: str) -> bytes:
    """Digest a client secret: keyed and fast, since the secret itself has full entropy."""
    key = digests.derive(keyring.root, _SECRET_PURPOSE)
    return digests.keyed_digest(key, f"{client_id}\0{secret}")


async def authenticate(
    ports: Ports, client_id: str, secret: str, method: AuthMethod = AuthMethod.SECRET_BASIC
) -> Client:
    """Return the client that this secret belongs to, if it may come in this way.

    Raises:
        ClientAuthenticationError: If the client is unknown or disabled, or the secret is wrong;
            the error does not say which.
    """
    presented = secret_digest(ports.snapshot.keyring, ClientId(client_id), secret)
    client = ports.snapshot.client(ClientId(client_id))
    if client is None or client.disabled:
        raise ClientAuthenticationError
    # Every digest is compared, so that the time says nothing about a secret being rotated.
    matches = [digests.equal(presented, known) for known in client.secret_digests]
    if client.secrets:
        now = ports.clock.now()
        matches += [
            digests.equal(presented, each.digest) and each.is_good_at(now)
            for each in client.secrets
        ]
    if not any(matches) or not is_accepted(client.auth_method, method, client.profile):
        raise ClientAuthenticationError
    return client
