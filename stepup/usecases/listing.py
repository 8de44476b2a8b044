"""Give an elevated token its place in a status list, before it is signed."""

from collections.abc import Iterator

import msgspec

from stepup.crypto import digests
from stepup.domain import status
from stepup.domain.ids import KeyId
from stepup.domain.keyring import Keyring
from stepup.domain.revocation import grounds_of
from stepup.domain.status import ListName
from stepup.domain.token import ElevatedToken, StatusReference
from stepup.ports import PlaceWanted, Ports

# A list is at most half full, so all of them are taken once in four thousand million times.
_CANDIDATES = 32
_DRAWN_BYTES = 12


async def with_place(ports: Ports, token: ElevatedToken, key_id: KeyId) -> ElevatedToken:
    """Return the token with the place where its status is published.

    The places that it may have are computed from its identifier under a key: they look drawn at
    random to everybody else, and the same attempt comes to the same one again.

    Raises:
        DependencyUnavailableError: If it has none: a token that nobody could end is not given.
    """
    window = status.window_of(token.expires_at)
    listed = await ports.state.statuses.give_place(
        PlaceWanted(
            window=window,
            token_id=token.id,
            grounds=grounds_of(token, key_id),
            candidates=list(_candidates(ports.snapshot.keyring, token)),
            fresh=ports.entropy.token(_DRAWN_BYTES),
            until=status.end_of(window),
        )
    )
    name = ListName(ports.site.region, window, listed.drawn)
    reference = StatusReference(index=listed.place, uri=uri_of(ports, name))
    return msgspec.structs.replace(token, status=reference)


def uri_of(ports: Ports, name: ListName) -> str:
    """Return where a list is published, which is also its name in it."""
    return ports.site.url(f"{status.STATUS_PATH}/{name}")


def _candidates(keyring: Keyring, token: ElevatedToken) -> Iterator[int]:
    key = digests.derive(keyring.root, "status-place")
    per_digest = digests.DIGEST_BYTES // 4
    for block in range(_CANDIDATES // per_digest):
        digest = digests.keyed_digest(key, f"{token.id} {block}")
        for start in range(0, len(digest), 4):
            # The number of places divides the range, so none of them is likelier than another.
            yield int.from_bytes(digest[start : start + 4]) % status.PLACES
