"""The set as all of its Sentinels and servers see it at one moment, and where they disagree."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from redis.exceptions import RedisError

from stepup.adapters.redis.endpoint import Address, Endpoint
from stepup.adapters.redis.operator import tell
from stepup.adapters.redis.sentinel_url import SentinelUrl

# Above this a replica is not in step: nothing that a loaded network holds is that long.
MOST_BEHIND = 1 << 20
_PATIENCE = 1.0


class SentinelView(msgspec.Struct, frozen=True, kw_only=True):
    """What one Sentinel says; `error` when it says nothing."""

    at: str
    error: str = ""
    primary: Address | None = None
    config_epoch: int = 0
    is_down: bool = False
    is_failing_over: bool = False
    others: int = 0
    failover_timeout_ms: int = 0
    priorities: Mapping[Address, int] = {}
    """Of the replicas that it knows."""


class ServerView(msgspec.Struct, frozen=True, kw_only=True):
    """What one server says of itself; `error` when it says nothing."""

    address: Address
    error: str = ""
    is_primary: bool = False
    follows: Address | None = None
    link: str = ""
    offset: int = 0
    attached: tuple[Address, ...] = ()
    min_replicas: int | None = None


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    sentinels: tuple[SentinelView, ...]
    servers: tuple[ServerView, ...]

    @property
    def primary(self) -> Address | None:
        """The server that most Sentinels name."""
        named = Counter(view.primary for view in self.sentinels if view.primary is not None)
        return named.most_common(1)[0][0] if named else None

    @property
    def replicas(self) -> list[Address]:
        """The other servers."""
        return [server.address for server in self.servers if server.address != self.primary]

    def behind(self, server: ServerView) -> int:
        """Return how many bytes a server lacks of what the primary has."""
        ends = [each.offset for each in self.servers if each.address == self.primary]
        return max(0, max(ends, default=0) - server.offset)


def spell(address: Address | None) -> str:
    """Write an address as one types it."""
    return "nobody" if address is None else f"{address[0]}:{address[1]}"


def findings(survey: Survey, replicas: int = 2) -> list[str]:
    """Say what is wrong, one sentence each; nothing when the set is healthy.

    Healthy: all Sentinels answer, agree and know each other, no failover is under way, and so many
    replicas are in step.
    """
    return [
        *(text for view in survey.sentinels for text in _of_sentinel(view, survey)),
        *(text for server in survey.servers for text in _of_server(server, survey)),
        *_of_replicas(survey, replicas),
    ]


def _of_sentinel(view: SentinelView, survey: Survey) -> Iterator[str]:
    if view.primary is None:
        yield f"Sentinel {view.at} does not answer: {view.error}"
        return
    if view.primary != survey.primary:
        named, most = spell(view.primary), spell(survey.primary)
        yield f"Sentinel {view.at} names {named} as the primary, most name {most}"
    newest = max(each.config_epoch for each in survey.sentinels)
    if view.config_epoch < newest:
        yield f"Sentinel {view.at} has configuration {view.config_epoch}, the newest is {newest}"
    if view.is_down:
        yield f"Sentinel {view.at} sees the primary down"
    if view.is_failing_over:
        yield f"Sentinel {view.at} is failing over"
    if view.others != len(survey.sentinels) - 1:
        expected = len(survey.sentinels) - 1
        yield f"Sentinel {view.at} knows {view.others} other Sentinels, the URL has {expected}"


def _of_server(server: ServerView, survey: Survey) -> Iterator[str]:
    at = spell(server.address)
    if server.error:
        yield f"{at} does not answer: {server.error}"
        return
    if server.is_primary != (server.address == survey.primary):
        yield f"{at} says that it is a {'primary' if server.is_primary else 'replica'}"
    elif not server.is_primary:
        yield from _of_link(server, survey)
    others = len(survey.servers) - 1
    if server.min_replicas is not None and server.min_replicas > others:
        yield (
            f"{at} could never write: its min-replicas-to-write is {server.min_replicas}, "
            f"and there are {others} others"
        )


def _of_link(server: ServerView, survey: Survey) -> Iterator[str]:
    at, behind = spell(server.address), survey.behind(server)
    if server.follows != survey.primary:
        yield f"{at} follows {spell(server.follows)}"
    elif server.link != "connected":
        yield f"{at} has lost the primary: its link is {server.link}"
    elif behind > MOST_BEHIND:
        yield f"{at} is {behind} bytes behind the primary"


def _of_replicas(survey: Survey, wanted: int) -> Iterator[str]:
    attached = [each.attached for each in survey.servers if each.address == survey.primary]
    replicas = [each for each in survey.servers if each.address in (attached or [()])[0]]
    in_step = [each for each in replicas if not list(_of_server(each, survey))]
    if len(in_step) < wanted:
        count = len(in_step) or "no"
        yield f"{count} replica{'' if len(in_step) == 1 else 's'} in step, {wanted} are needed"


async def look(url: SentinelUrl) -> Survey:
    """Ask all Sentinels, then all servers that any of them knows."""
    sentinels = await asyncio.gather(*(_ask_sentinel(each, url.name) for each in url.sentinels))
    servers = await asyncio.gather(*(_ask_server(url, each) for each in _known(sentinels)))
    return Survey(sentinels=tuple(sentinels), servers=tuple(servers))


async def _ask_sentinel(endpoint: Endpoint, name: str) -> SentinelView:
    try:
        known = await tell(endpoint, "SENTINEL", "MASTER", name, seconds=_PATIENCE)
        replicas = await tell(endpoint, "SENTINEL", "REPLICAS", name, seconds=_PATIENCE)
    except (RedisError, OSError) as error:
        return SentinelView(at=str(endpoint), error=str(error) or "no answer in time")
    flags = known[b"flags"].split(b",")
    return SentinelView(
        at=str(endpoint),
        primary=_address(known),
        config_epoch=int(known[b"config-epoch"]),
        is_down=b"s_down" in flags or b"o_down" in flags,
        is_failing_over=b"failover_in_progress" in flags,
        others=int(known[b"num-other-sentinels"]),
        failover_timeout_ms=int(known[b"failover-timeout"]),
        priorities={_address(each): int(each[b"slave-priority"]) for each in replicas},
    )


async def _ask_server(url: SentinelUrl, address: Address) -> ServerView:
    endpoint = url.server(address)
    try:
        role = await tell(endpoint, "ROLE", seconds=_PATIENCE)
        held = await tell(endpoint, "CONFIG", "GET", "min-replicas-to-write", seconds=_PATIENCE)
    except (RedisError, OSError) as error:
        return ServerView(address=address, error=str(error) or "no answer in time")
    min_replicas = int(held[b"min-replicas-to-write"]) if held else None
    if role[0] == b"master":
        attached = tuple((host.decode(), int(port)) for host, port, _ in role[2])
        return ServerView(
            address=address,
            is_primary=True,
            offset=int(role[1]),
            attached=attached,
            min_replicas=min_replicas,
        )
    return ServerView(
        address=address,
        follows=(role[1].decode(), int(role[2])),
        link=role[3].decode(),
        offset=max(0, int(role[4])),
        min_replicas=min_replicas,
    )


def _known(sentinels: Sequence[SentinelView]) -> list[Address]:
    primaries = {view.primary for view in sentinels if view.primary is not None}
    return sorted(primaries.union(*(view.priorities for view in sentinels)))


def _address(entry: Mapping[bytes, Any]) -> Address:
    return entry[b"ip"].decode(), int(entry[b"port"])
