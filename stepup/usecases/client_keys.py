"""The public keys of a client, wherever it publishes them."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from stepup.crypto import client_keys
from stepup.crypto.client_keys import ClientKey
from stepup.domain.client import Client
from stepup.ports import Ports


async def keys_of(ports: Ports, client: Client, kid: str | None = None) -> tuple[ClientKey, ...]:
    """Return the keys that a client's JWTs verify with: none that are not in order.

    `kid` is the key that a JWT names: a set that was fetched before and lacks it is fetched again,
    though not often.

    Raises:
        DependencyUnavailableError: If they are at a URL that does not answer, so that nobody can
            say what they are.
    """
    if client.jwks_uri is None:
        return _read(msgspec.json.encode(client.jwks)) if client.jwks else ()
    return _read(msgspec.json.encode(await ports.upstreams.key_set(client.jwks_uri, kid)))


# Reading a key costs about as much as a signature; sets change when clients rotate.
@lru_cache(maxsize=1024)
def _read(encoded: bytes) -> tuple[ClientKey, ...]:
    members: Sequence[dict[str, Any]] = msgspec.json.decode(encoded, type=list[dict[str, Any]])
    try:
        return client_keys.read_keys(members)
    except ValueError:
        return ()
