"""The parent of a running cluster: it looks after it, and does what commands ask."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import psycopg
from redis.exceptions import RedisError

from stepup.adapters.embedded.postgres_pair import PostgresPair
from stepup.adapters.embedded.processes import EngineError
from stepup.adapters.redis.operator import NotInTimeError
from stepup.cli.cluster.balancer import Balancer
from stepup.cli.cluster.control import ControlError, listening
from stepup.cli.cluster.members import Member, Members
from stepup.cli.cluster.redis import Redis

_LOOK_EVERY = 0.25
# What can be done to a member, and the states in which it makes no sense.
_POINTLESS = {
    "kill": {"gone"},
    "freeze": {"gone"},
    "resume": {"gone"},
    "start": {"running", "frozen"},
}
# Whom a verb without a name means.
_ALL_OF: Mapping[str, set[str]] = {"resume": {"frozen"}, "start": {"gone"}}


class Supervisor:
    """Runs a cluster whose members were started already."""

    def __init__(self, members: Members, redis: Redis, postgres: PostgresPair) -> None:
        self.members = members
        self._redis = redis
        self._postgres = postgres
        self._ends = asyncio.Event()
        # Starting takes seconds, in which connections must flow. One thread, so that one thing is
        # done at a time; it lives as long as we do, and so do the children that it starts.
        self._hands = ThreadPoolExecutor(1, "hands")

    async def run(
        self, control: Path, balancer: tuple[Balancer, Sequence[Any]], ready: Callable[[], None]
    ) -> None:
        """Serve until somebody ends the cluster; calls `ready` when connections flow."""
        serving, sockets = balancer
        async with AsyncExitStack() as stack:
            stack.callback(self._hands.shutdown)
            await stack.enter_async_context(serving.serving(sockets))
            await stack.enter_async_context(listening(control, self.handle))
            looking = asyncio.create_task(self._look_after())
            stack.callback(looking.cancel)
            await asyncio.to_thread(ready)
            await self._ends.wait()

    def end(self) -> None:
        """End the cluster."""
        self._ends.set()

    async def handle(self, verb: str, name: str) -> Mapping[str, Any]:
        """Do what a command asks."""
        if verb in _POINTLESS:
            return await self._change(verb, name)
        if verb == "switchover":
            return await self._switch_over(name)
        whole = {"status": self._status, "promote": self._promote, "down": self._down}
        if verb not in whole:
            raise ControlError(f"this cluster does not know {verb}")
        return await whole[verb]()

    async def _status(self) -> Mapping[str, Any]:
        roles = await self._roles()
        return {
            "members": [
                {
                    "name": member.name,
                    "role": roles.get(member.name, ""),
                    "address": "{}:{}".format(*member.address),
                    "pid": identity.pid if (identity := member.identity) else None,
                    "state": member.state,
                }
                for member in self.members
            ]
        }

    async def _change(self, verb: str, name: str) -> Mapping[str, Any]:
        meant = await self._meant(verb, name)
        for member in meant:
            await self._do(getattr(member, verb))
        return {"changed": [{"name": each.name, "state": each.state} for each in meant]}

    async def _meant(self, verb: str, name: str) -> list[Member]:
        if not name:
            # Whatever needs it, engines first.
            return [each for each in self.members if each.state in _ALL_OF.get(verb, ())]
        member = self.members.find(name, await self._roles())
        if member is None:
            names = ", ".join(each.name for each in self.members)
            raise ControlError(f"there is no {name}; there are {names}")
        _refuse_pointless(verb, member)
        return [member]

    async def _promote(self) -> Mapping[str, Any]:
        new = await self._do(self._postgres.promote)
        return {"changed": [{"name": new.name, "state": "accepting writes"}]}

    async def _switch_over(self, shard: str) -> Mapping[str, Any]:
        moved = await self._do(lambda: asyncio.run(self._redis.switch_over(shard)))
        return {"changed": [{"name": name, "state": role} for name, role in moved.items()]}

    async def _down(self) -> Mapping[str, Any]:
        # After the answer has left.
        asyncio.get_running_loop().call_later(0.05, self.end)
        return {}

    async def _do(self, work: Callable[[], Any]) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._hands, work)
        except (EngineError, NotInTimeError, OSError, RedisError, psycopg.Error) as error:
            raise ControlError(str(error)) from error

    async def _roles(self) -> dict[str, str]:
        roles = {server.name: "standby" for server in self._postgres.servers}
        roles[self._postgres.primary.name] = "primary"
        with suppress(RedisError, OSError):
            roles |= await self._redis.roles()
        return roles

    async def _look_after(self) -> None:
        while True:
            with suppress(ControlError):
                await self._do(self._postgres.look_after)
            await asyncio.sleep(_LOOK_EVERY)


def _refuse_pointless(verb: str, member: Member) -> None:
    state = member.state
    if state in _POINTLESS[verb]:
        hint = "; resume it" if state == "frozen" else ""
        raise ControlError(f"{member.name} is {state}{hint}")
