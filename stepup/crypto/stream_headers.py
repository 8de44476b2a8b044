"""The Authorization header that a receiver wants to see, sealed while it waits to be used.

Under a key derived from the root secret: so it moves with the root to another key-encryption key,
and nothing else has to.
"""

from collections.abc import Callable

from stepup.crypto import digests
from stepup.crypto.sealing import Sealer

_PURPOSE = "stream authorization header"


def seal(value: str, root: bytes, stream_id: str, random: Callable[[int], bytes]) -> bytes:
    """Seal a header; it opens for this stream only."""
    return _sealer(root, random).seal(value.encode(), context=stream_id)


def unseal(sealed: bytes, root: bytes, stream_id: str) -> str:
    """Return what was sealed for this stream.

    Raises:
        UnsealError: If it was changed, or belongs to another stream.
    """
    return _sealer(root, _nothing).unseal(sealed, context=stream_id).decode()


def _sealer(root: bytes, random: Callable[[int], bytes]) -> Sealer:
    return Sealer({1: digests.derive(root, _PURPOSE)}, random)


def _nothing(count: int) -> bytes:
    raise NotImplementedError(f"unsealing needs no {count} random bytes")
