"""Keys: make the first ones, open them, publish the public halves."""

from collections.abc import Mapping

from stepup.crypto import jwts, keys, tokens
from stepup.crypto.sealing import Sealer
from stepup.domain.keyring import Keyring, KeyState
from stepup.ports import Ports, Stores


async def ensure_keys(ports: Ports, sealer: Sealer) -> None:
    """Make the root secret and the first signing key, if the deployment has none.

    Several instances may start at once: the store keeps the first of each and the others use it.
    """
    async with ports.database.transaction() as stores:
        if await stores.keys.all():
            return
        now = await stores.keys.now()
        root = keys.generate_root(ports.entropy.bytes)
        await stores.keys.add(keys.seal_root(root, sealer, now))
        signing = keys.generate_signing_key("ES256", state=KeyState.ACTIVE)
        await stores.keys.add(keys.seal_signing_key(signing, sealer, now))
    await ports.state.changes.announce()


async def read_keyring(stores: Stores, sealer: Sealer) -> Keyring:
    """Unseal every key that is not gone."""
    return keys.open_keyring(await stores.keys.all(), sealer)


def names_unknown_key(ports: Ports, text: str) -> bool:
    """Say whether a text is a JWT that names a key which we do not publish."""
    try:
        kid = jwts.peek(text).kid
    except jwts.InvalidTokenError:
        return False
    return kid is not None and ports.snapshot.keyring.find(kid) is None


def published_jwks(ports: Ports) -> Mapping[str, object]:
    """Return the public halves of every key that a verifier may meet (RFC 7517)."""
    return tokens.jwks(ports.snapshot.keyring)
