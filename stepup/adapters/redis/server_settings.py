"""Do the server's own settings allow what we promise? Asked once, when it is first reached."""

from collections.abc import Iterator, Mapping

from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.replies import ServerError
from stepup.domain.errors import DependencyUnavailableError

_NAMES = ("maxmemory-policy", "appendonly", "min-replicas-to-write")


async def contradictions(client: RedisClient, replicas: int) -> list[str]:
    """Say which settings of the primary contradict our promises, one sentence each.

    A server that tells nobody its settings contradicts nothing: managed ones do not have `CONFIG`.

    Raises:
        DependencyUnavailableError: If the server is away.
    """
    try:
        found = await client.call("CONFIG", "GET", *_NAMES)
    except DependencyUnavailableError as error:
        if isinstance(error.__cause__, ServerError):
            return []
        raise
    held = {name.decode(): value.decode() for name, value in found.items()}
    return list(_weigh(held, replicas))


def _weigh(held: Mapping[str, str], replicas: int) -> Iterator[str]:
    policy = held.get("maxmemory-policy", "noeviction")
    if policy != "noeviction":
        yield f"maxmemory-policy is {policy}, so a used mark can be evicted; set noeviction"
    if held.get("appendonly", "yes") != "yes":
        yield "appendonly is no, so a restart forgets what was spent; set yes"
    enough = int(held.get("min-replicas-to-write", replicas))
    if enough < replicas:
        yield (
            f"min-replicas-to-write is {enough}, so a primary that was cut off goes on writing; "
            f"set {replicas}"
        )
