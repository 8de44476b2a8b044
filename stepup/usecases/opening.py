"""The name of a challenge before it exists: drawn, or computed from what opens it, and only it.

One ticket opens one challenge, and so does one request that waited for its subject. A client that repeats its request under the same attempt must get
the same challenge again and not a second one, so its identifier and the secret that leads to it
are computed from both.
"""

import msgspec

from stepup.crypto import digests
from stepup.domain.ids import AttemptId, ChallengeId
from stepup.ports import Ports

_ID_BYTES = 16


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """A challenge's identifier, and the secret part of its `request_uri`."""

    challenge_id: ChallengeId
    secret: str

    def __repr__(self) -> str:
        return f"Opening({self.challenge_id})"


def drawn(ports: Ports) -> Opening:
    """Name a challenge that nobody will ask for again."""
    return Opening(
        challenge_id=_named(ports, ports.entropy.token(_ID_BYTES)), secret=ports.entropy.token(32)
    )


def computed(ports: Ports, opens: str, attempt: AttemptId) -> Opening:
    """Name the one challenge of what `opens` it and an attempt."""
    key = digests.derive(ports.snapshot.keyring.root, "opening")
    seed = f"{opens} {attempt}"
    name = digests.keyed_digest(key, f"challenge {seed}")[:_ID_BYTES]
    return Opening(
        challenge_id=_named(ports, digests.encode(name)),
        secret=digests.encode(digests.keyed_digest(key, f"request_uri {seed}")),
    )


def _named(ports: Ports, random: str) -> ChallengeId:
    # The region comes first, so that any region finds the home of the state.
    return ChallengeId(f"{ports.site.region}.{random}")
