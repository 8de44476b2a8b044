"""Keys: make the first ones, open them, publish the public halves."""

import asyncio
from collections.abc import Mapping, Sequence

from stepup.crypto import jwts, keys, tokens
from stepup.crypto.sealing import Sealer
from stepup.domain.keyring import KeyPlan, Keyring, KeyState, Ring, SigningKey
from stepup.ports import Ports, Stores


async def ensure_keys(ports: Ports, sealer: Sealer) -> None:
    """Make the root secret and a first key for every ring, if the deployment has none at all.

    Several instances may start at once: the store keeps the root of the first of them, and the
    others use what it makes. Nobody can know a key of an empty deployment, so all of them sign at
    once; a ring that is missing in one that has keys is announced by whoever tends them.
    """
    async with ports.database.transaction() as stores:
        if await stores.keys.all():
            return
    made = await _first_keys(ports)
    async with ports.database.transaction() as stores:
        now = await stores.keys.now()
        root = keys.generate_root(ports.entropy.bytes)
        if not await stores.keys.add(keys.seal_root(root, sealer, now)):
            return
        for key in made:
            await stores.keys.add(keys.seal_signing_key(key, sealer, now))
    await ports.state.changes.announce()


async def make_key(ring: Ring, *, state: KeyState) -> SigningKey:
    """Make a signing key for a ring; a long one takes a moment, in which others are served."""
    return await asyncio.to_thread(
        keys.generate_signing_key, ring.algorithm, state=state, use=ring.use, region=ring.region
    )


async def _first_keys(ports: Ports) -> Sequence[SigningKey]:
    return [await make_key(ring, state=KeyState.ACTIVE) for ring in ports.site.key_plan.rings]


async def read_keyring(stores: Stores, sealer: Sealer, plan: KeyPlan | None = None) -> Keyring:
    """Unseal every key that is not gone."""
    return keys.open_keyring(await stores.keys.all(), sealer, plan)


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
