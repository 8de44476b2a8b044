"""Under which key-encryption keys things lie in Redis, and for how long.

Nothing here is sealed again: every sealed value is forgotten by itself within a day, but the copy
of the configuration, which instances replace when a key changes.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

from stepup.adapters.redis import keys
from stepup.adapters.redis.client import RedisClient
from stepup.crypto.sealing import SHORTEST, UnsealError, number_of
from stepup.domain.errors import NewerFormatError
from stepup.ports.seals import SealedUntil

_PAGE = 500
_OURS = "su:*"


async def find_seals(client: RedisClient) -> dict[int, SealedUntil]:
    """Look at everything that is ours.

    Raises:
        DependencyUnavailableError: If Redis does not answer.
    """
    found: dict[int, SealedUntil] = {}
    await client.known()
    for kind, read in (("string", _of_strings), ("hash", _of_hashes)):
        async for names in _scan(client, kind):
            heads = await read(client, names)
            for name, head in zip(names, heads, strict=True):
                number = _number(head)
                if number is not None:
                    left = await _time_left(client, name)
                    amount, longest = found.get(number, SealedUntil(0, left))
                    found[number] = SealedUntil(amount + 1, max(longest, left))
    return found


async def _time_left(client: RedisClient, name: bytes) -> timedelta:
    # The copy is renewed all the time: it waits for whoever seals it again, not for its end.
    is_copy = name == keys.snapshot().encode()
    return timedelta(milliseconds=0 if is_copy else max(0, await client.call("PTTL", name)))


async def _scan(client: RedisClient, kind: str) -> AsyncIterator[Sequence[bytes]]:
    for shard in client.shards():
        cursor = None
        while cursor != b"0":
            cursor, names = await client.call_at(
                shard, "SCAN", cursor or b"0", "MATCH", _OURS, "COUNT", _PAGE, "TYPE", kind
            )
            yield names


async def _of_strings(client: RedisClient, names: Sequence[bytes]) -> list[bytes | None]:
    return [await client.call("GETRANGE", name, 0, SHORTEST - 1) for name in names]


async def _of_hashes(client: RedisClient, names: Sequence[bytes]) -> list[bytes | None]:
    return [await client.call("HGET", name, "sealed") for name in names]


def _number(head: bytes | None) -> int | None:
    try:
        return None if head is None else number_of(head)
    except (UnsealError, NewerFormatError):  # a value that is not sealed: text, a number
        return None
