"""Do the servers' own settings allow what we promise? Every primary is asked when it is reached."""

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.line import stop_all
from stepup.adapters.redis.replies import ServerError
from stepup.adapters.redis.shard import Shard
from stepup.domain.errors import DependencyUnavailableError

_NAMES = (
    "maxmemory",
    "maxmemory-policy",
    "appendonly",
    "min-replicas-to-write",
    "cluster-enabled",
    "cluster-require-full-coverage",
)
# How much longer than the first answer the others are waited for, in seconds: less than a
# readiness check may take.
_PATIENCE = 0.1
_CONNECTED = re.compile(rb"^connected_slaves:(\d+)", re.MULTILINE)


class Inspection(NamedTuple):
    """What was found, one sentence each; not complete while a primary has not answered."""

    # The promises cannot be kept.
    contradictions: list[str]
    # They cannot be kept at the moment.
    passing: list[str]
    # They are kept, at a price that nobody may have meant to pay.
    advice: list[str]
    # Some primary has the replicas that it needs.
    spends_somewhere: bool
    is_complete: bool
    # They are kept, but with the next loss perhaps no more.
    away: list[str]


class Held(NamedTuple):
    """What a primary says of itself, and how many replicas must hold a spend there, of how many.

    A server that tells nobody its settings contradicts nothing: managed ones do not have `CONFIG`.
    """

    settings: Mapping[str, str]
    connected: int | None
    required: int
    everyone: int = 0


async def inspect(client: RedisClient) -> Inspection:
    """Ask every primary for what contradicts our promises.

    Raises:
        DependencyUnavailableError: If none answers.
    """
    await client.known()
    asked = [asyncio.ensure_future(_ask(client, shard)) for shard in client.shards()]
    try:
        await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        # One that is away is asked again with the next look; nobody waits for it.
        await asyncio.wait(asked, timeout=_PATIENCE)
        held = [each.result() for each in asked if each.done() and each.exception() is None]
        if not held:
            await asyncio.gather(*asked)
    finally:
        await stop_all(asked)
    return Inspection(
        contradictions=_once(contradictions, held),
        passing=_once(passing, held),
        advice=_once(advice, held),
        spends_somewhere=not all(any(passing(each)) for each in held),
        is_complete=len(held) == len(asked),
        away=_once(away, held),
    )


def contradictions(held: Held) -> Iterator[str]:
    """Say which settings make the promises impossible."""
    settings, required = held.settings, held.required
    policy = settings.get("maxmemory-policy", "noeviction")
    if policy != "noeviction":
        yield f"maxmemory-policy is {policy}, so a used mark can be evicted; set noeviction"
    if settings.get("appendonly", "yes") != "yes":
        yield "appendonly is no, so a restart forgets what was spent; set yes"
    in_a_cluster = settings.get("cluster-enabled") == "yes"
    if in_a_cluster and not required:
        yield "a shard has no replica, so its loss loses what was spent; give it one"
    # In a Cluster all replicas hold a spend anyway; this only stops the rest of the writing.
    least = min(required, 1) if in_a_cluster else required
    enough = int(settings.get("min-replicas-to-write", least))
    if enough < least:
        yield (
            f"min-replicas-to-write is {enough}, so a primary that was cut off goes on writing; "
            f"set {least}"
        )


def passing(held: Held) -> Iterator[str]:
    """Say what is missing at the moment."""
    if held.connected is not None and held.connected < held.required:
        yield (
            f"{held.connected} of {held.required} replicas are connected, so nothing that is "
            "spent would be acknowledged"
        )


def away(held: Held) -> Iterator[str]:
    """Say that a replica is missing that is not needed yet."""
    if held.connected is not None and held.required <= held.connected < held.everyone:
        yield (
            f"{held.connected} of {held.everyone} replicas are connected; `stepup redis status` "
            "says which one is away"
        )


def advice(held: Held) -> Iterator[str]:
    """Say which settings make a bad day worse."""
    if held.settings.get("maxmemory") == "0":
        yield "maxmemory is not set, so the host's memory is the limit; set it"
    if held.settings.get("cluster-require-full-coverage") == "yes":
        yield (
            "cluster-require-full-coverage is yes, so one shard without a primary stops all; set no"
        )


async def _ask(client: RedisClient, shard: Shard) -> Held:
    settings, replication = await asyncio.gather(
        _told(client, shard, "CONFIG", "GET", *_NAMES), _told(client, shard, "INFO", "replication")
    )
    found = {name.decode(): value.decode() for name, value in (settings or {}).items()}
    if found.get("cluster-enabled") != "yes":
        found.pop("cluster-require-full-coverage", None)
    connected = _CONNECTED.search(replication or b"")
    least, everyone = shard.replicas()
    return Held(found, None if connected is None else int(connected[1]), least, everyone)


async def _told(client: RedisClient, shard: Shard, *command: str) -> Any:
    try:
        return await client.call_at(shard, *command)
    except DependencyUnavailableError as error:
        if isinstance(error.__cause__, ServerError):
            return None
        raise


def _once(look: Callable[[Held], Iterator[str]], held: Iterable[Held]) -> list[str]:
    """Look at every primary, and say only once what is so with several."""
    return list(dict.fromkeys(text for each in held for text in look(each)))
