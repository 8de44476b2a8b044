"""What a server that lost its data may not do, with a server that really loses it."""

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import pytest

from stepup.adapters.embedded.directory import DataDirectory
from stepup.adapters.embedded.redis import EmbeddedRedis
from stepup.adapters.redis import generations, keys, steps
from stepup.adapters.redis.endpoint import Endpoint
from stepup.adapters.redis.operator import tell
from stepup.adapters.redis.planned import announce_move, take_back
from stepup.adapters.redis.state import RedisState
from stepup.adapters.system import SystemClock
from stepup.crypto.sealing import Sealer
from stepup.domain.assurance import Method
from stepup.domain.errors import (
    DependencyUnavailableError,
    OutcomeUnknownError,
    TooManyAttemptsError,
)
from stepup.domain.generation import Generation
from stepup.domain.ids import AuthenticatorId, SubjectId
from stepup.ports import StepStore
from tests.contracts.generations import current
from tests.support.builders import a_subject, an_attempt
from tests.support.determinism import CountingEntropy
from tests.support.engines import temporary_directory
from tests.support.memory import MemoryGenerationRecord

pytestmark = pytest.mark.redis

CLOCK = SystemClock()
STEP = 58_000_000
WINDOW = timedelta(seconds=30)
SOON = timedelta(seconds=10)
_AWAY = (DependencyUnavailableError, OutcomeUnknownError)


class HasUrl(Protocol):
    """A server, or a name of one."""

    @property
    def url(self) -> str: ...


class Server:
    """A server that is killed and comes back, with its file or without."""

    def __init__(self, directory: DataDirectory, *, keeps_data: bool) -> None:
        self._directory = directory
        self._options = {"appendonly": "yes" if keeps_data else "no"}
        self._engine = EmbeddedRedis(directory, self._options)
        self.url = self._engine.url

    def restart(self) -> None:
        os.kill(self._engine.pid, signal.SIGKILL)
        self._engine.stop()
        self._engine = EmbeddedRedis(self._directory, self._options)

    def stop(self) -> None:
        self._engine.stop()

    async def ask(self, *command: str | int) -> object:
        return await tell(Endpoint.parse(self.url), *command)


@pytest.fixture
def forgetful() -> Iterator[Server]:
    with temporary_directory() as directory:
        server = Server(directory, keeps_data=False)
        yield server
        server.stop()


@pytest.fixture
def lasting() -> Iterator[Server]:
    with temporary_directory() as directory:
        server = Server(directory, keeps_data=True)
        yield server
        server.stop()


@asynccontextmanager
async def instances(server: HasUrl, count: int = 2, record=None) -> AsyncIterator[list[RedisState]]:
    async with AsyncExitStack() as stack:
        opened = []
        for _ in range(count):
            state = RedisState(server.url, Sealer({1: bytes(32)}, CountingEntropy().bytes), CLOCK)
            if record is not None:
                state.remembered_in(record)
            opened.append(await stack.enter_async_context(state))
        await asyncio.gather(*(current(state.stores.generations) for state in opened))
        yield opened


def somebody() -> tuple[SubjectId, AuthenticatorId]:
    return a_subject().id, AuthenticatorId(secrets.token_urlsafe(8))


async def bring(store: StepStore, who: tuple, since: datetime, step: int = STEP) -> bool:
    """Bring a code as a subject does: what is not answered is brought again by another attempt."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(*_AWAY):
                return await store.accept(*who, step, an_attempt(), possible_since=since)
            await asyncio.sleep(0.01)


async def noticed(states: list[RedisState], before: Generation) -> list[Generation]:
    """Wait until every instance knows that something happened."""
    found = []
    for state in states:
        async with asyncio.timeout(10):
            while True:
                now = await current(state.stores.generations)
                if (now.id, now.floor_at) != (before.id, before.floor_at):
                    break
                await asyncio.sleep(0.02)
        found.append(now)
    return found


class TestRestartedEmpty:
    async def test_a_used_code_gets_nobody_in(self, forgetful):
        async with instances(forgetful, 3) as states:
            stores, who, since = [each.stores.steps for each in states], somebody(), CLOCK.now()
            assert await bring(stores[0], who, since)
            forgetful.restart()
            # Before anybody can have looked, at instances that never saw the code too.
            again = await asyncio.gather(*(bring(stores[i % 3], who, since) for i in range(64)))
            assert again == [False] * 64
            assert await bring(stores[1], who, CLOCK.now() + SOON, STEP + 2)

    async def test_without_the_floor_the_used_code_gets_somebody_in(self, forgetful, monkeypatch):
        """The control arm: otherwise the test above would show nothing."""
        monkeypatch.setattr(steps, "is_below", lambda *_: False)
        async with instances(forgetful, 2) as states:
            stores, who, since = [each.stores.steps for each in states], somebody(), CLOCK.now()
            assert await bring(stores[0], who, since)
            forgetful.restart()
            assert await bring(stores[1], who, since)

    async def test_the_instance_that_accepted_it_needs_no_floor(self, forgetful, monkeypatch):
        monkeypatch.setattr(steps, "is_below", lambda *_: False)
        async with instances(forgetful, 1) as (state,):
            who, since = somebody(), CLOCK.now()
            assert await bring(state.stores.steps, who, since)
            forgetful.restart()
            assert not await bring(state.stores.steps, who, since)

    async def test_of_all_who_bring_one_code_during_the_restart_one_gets_in(self, forgetful):
        async with instances(forgetful, 3) as states:
            who, since, accepted = somebody(), CLOCK.now(), list[bool]()
            stop = asyncio.Event()

            async def keep_bringing(store: StepStore) -> None:
                while not stop.is_set():
                    accepted.append(await bring(store, who, since))
                    await asyncio.sleep(0)

            tasks = [
                asyncio.create_task(keep_bringing(states[i % 3].stores.steps)) for i in range(24)
            ]
            for _ in range(3):
                await asyncio.sleep(0.2)
                await asyncio.to_thread(forgetful.restart)
            await asyncio.sleep(0.3)
            stop.set()
            await asyncio.gather(*tasks)
            assert sum(accepted) == 1
            assert len(accepted) > 100

    async def test_every_instance_sees_one_new_generation_and_tells_of_the_loss(self, forgetful):
        record = MemoryGenerationRecord()
        async with instances(forgetful, 4, record) as states:
            before = await states[0].stores.generations.current()
            forgetful.restart()
            after = await noticed(states, before)
            assert len({each.id for each in after}) == 1
            assert after[0].id != before.id
            assert all(each.floor_at >= before.begun_at for each in after)
            for state in states:
                lost = await anext(state.stores.generations.losses())
                assert lost.id == after[0].id
        assert {each.id for each in record.generations} == {before.id, after[0].id}

    async def test_a_seen_ticket_is_not_new_again(self, forgetful):
        async with instances(forgetful, 2) as states:
            made, until = CLOCK.now(), CLOCK.now() + 2 * WINDOW
            replays = [each.stores.replays for each in states]

            async def remember(i: int) -> bool:
                while True:
                    with contextlib.suppress(*_AWAY):
                        return await replays[i].remember(
                            "ticket", "t", an_attempt(), until, possible_since=made
                        )

            assert await remember(0)
            forgetful.restart()
            assert await asyncio.gather(remember(0), remember(1)) == [False, False]

    async def test_whoever_was_guessing_has_one_attempt_left(self, forgetful):
        async with instances(forgetful, 1) as (state,):
            before = await state.stores.generations.current()
            attempts, who = state.stores.attempts, a_subject().id
            await attempts.spend(who, Method.TOTP, CLOCK.now())
            forgetful.restart()
            await noticed([state], before)
            await attempts.spend(who, Method.TOTP, CLOCK.now())
            with pytest.raises(TooManyAttemptsError):
                await attempts.spend(who, Method.TOTP, CLOCK.now())


class TestStart:
    async def test_a_first_start_raises_no_floor_however_many_start(self, forgetful):
        record = MemoryGenerationRecord()
        async with instances(forgetful, 8, record) as states:
            seen = [await state.stores.generations.current() for state in states]
            assert {(each.id, each.floor_at) for each in seen} == {(seen[0].id, None)}
            assert {each.id for each in record.generations} == {seen[0].id}
            assert await bring(states[0].stores.steps, somebody(), CLOCK.now())

    async def test_a_fresh_instance_on_an_empty_server_asks_whether_there_was_another(
        self, forgetful
    ):
        record = MemoryGenerationRecord()
        async with instances(forgetful, 1, record):
            pass
        forgetful.restart()
        used_before = CLOCK.now()
        async with instances(forgetful, 4, record) as states:
            seen = [await state.stores.generations.current() for state in states]
            assert len({each.id for each in seen}) == 1
            assert all(each.floor_at >= used_before for each in seen)
            assert not await bring(states[0].stores.steps, somebody(), used_before)

    async def test_whom_nobody_can_tell_takes_an_empty_server_for_a_loss(self, forgetful):
        record = MemoryGenerationRecord()
        record.away = True
        async with instances(forgetful, 1, record) as (state,):
            assert (await state.stores.generations.current()).floor_at is not None
            record.away = False
            for _ in range(100):
                if record.generations:
                    break
                await asyncio.sleep(0.05)
            assert [each.id for each in record.generations] == [
                (await state.stores.generations.current()).id
            ]

    async def test_while_nobody_knows_no_step_is_accepted_and_none_is_refused(
        self, forgetful, monkeypatch
    ):
        monkeypatch.setattr(generations, "BUDGET", 0.2)
        monkeypatch.setattr(generations.RedisGenerations, "_look", lambda _self: asyncio.sleep(0))
        state = RedisState(forgetful.url, Sealer({1: bytes(32)}, CountingEntropy().bytes), CLOCK)
        async with state:
            with pytest.raises(OutcomeUnknownError):
                await state.stores.steps.accept(
                    *somebody(), STEP, an_attempt(), possible_since=CLOCK.now()
                )
            with pytest.raises(DependencyUnavailableError):
                await state.stores.generations.current()


class TestRestartedWithItsFile:
    async def test_what_was_written_last_may_be_missing_so_the_floor_rises(self, lasting):
        async with instances(lasting, 2) as states:
            before = await states[0].stores.generations.current()
            used = CLOCK.now()
            lasting.restart()
            after = await noticed(states, before)
            assert {each.id for each in after} == {before.id}
            assert all(each.floor_at >= used for each in after)
            assert len({each.floor_at for each in after}) <= 2
            assert not await bring(states[1].stores.steps, somebody(), used)

    async def test_a_restart_that_was_announced_raises_no_floor(self, lasting):
        async with instances(lasting, 2) as states:
            used = CLOCK.now()
            await announce_move(lasting.ask, CLOCK.now() + timedelta(minutes=1))
            await lasting.ask("WAITAOF", 1, 0, 5000)
            lasting.restart()
            assert await bring(states[0].stores.steps, somebody(), used)
            assert (await current(states[1].stores.generations)).floor_at is None

    async def test_our_own_server_says_that_it_was_shut_down_cleanly(self):
        with temporary_directory() as directory:
            server = EmbeddedRedis(directory)
            state = RedisState(server.url, Sealer({1: bytes(32)}, CountingEntropy().bytes), CLOCK)
            async with state:
                before = await current(state.stores.generations)
                used = CLOCK.now()
                server.stop()
                server = EmbeddedRedis(directory)
                assert await bring(state.stores.steps, somebody(), used)
                after = await current(state.stores.generations)
                assert (after.id, after.floor_at) == (before.id, None)
                assert after.histories > before.histories
            server.stop()

    @pytest.mark.parametrize("how", ["taken back", "too late"])
    async def test_an_announcement_that_does_not_hold_any_more_spares_no_floor(self, lasting, how):
        async with instances(lasting, 1) as (state,):
            await announce_move(lasting.ask, CLOCK.now() + timedelta(milliseconds=1))
            if how == "taken back":
                await announce_move(lasting.ask, CLOCK.now() + timedelta(minutes=1))
                await take_back(lasting.ask)
            await asyncio.sleep(0.01)
            used = CLOCK.now()
            lasting.restart()
            assert not await bring(state.stores.steps, somebody(), used)


class Name:
    """A name that leads to one server or another, as an address that moves does."""

    def __init__(self, path: Path, server: EmbeddedRedis) -> None:
        self._path = path
        self._server = server
        self.url = f"unix://{path}"
        path.symlink_to(server.url.removeprefix("unix://"))

    async def lead_to(self, server: EmbeddedRedis) -> None:
        self._path.unlink()
        self._path.symlink_to(server.url.removeprefix("unix://"))
        before, self._server = self._server, server
        await tell(Endpoint.parse(before.url), "CLIENT", "KILL", "TYPE", "normal")


@asynccontextmanager
async def a_server_and_its_copy() -> AsyncIterator[tuple[Name, EmbeddedRedis, EmbeddedRedis]]:
    """Two servers that began with the same data, and a name that leads to the first."""
    with temporary_directory() as directory, temporary_directory() as elsewhere:
        server = EmbeddedRedis(directory)
        try:
            # So that there is a generation in the copy.
            async with instances(server, 1):
                await tell(Endpoint.parse(server.url), "WAITAOF", 1, 0, 5000, seconds=6)
            source, target = directory.folder("redis"), elsewhere.folder("redis")
            shutil.copytree(source, target, dirs_exist_ok=True)
            copy = EmbeddedRedis(elsewhere)
            try:
                yield Name(elsewhere.sockets / "name.sock", server), server, copy
            finally:
                copy.stop()
        finally:
            server.stop()


class TestANameThatLeadsBack:
    async def test_a_code_used_on_the_other_server_gets_nobody_in(self):
        async with a_server_and_its_copy() as (name, server, copy), instances(name, 2) as states:
            before = await states[0].stores.generations.current()
            await name.lead_to(copy)
            moved = await noticed(states, before)
            who, since = somebody(), CLOCK.now()
            assert await bring(states[0].stores.steps, who, since)
            # Its history was settled long ago, and its generation is the same.
            await name.lead_to(server)
            assert not await bring(states[1].stores.steps, who, since)
            after = await noticed(states, moved[0])
            assert all(each.floor_at > since for each in after)
            # And then it has ended: no floor is raised again and again.
            await asyncio.sleep(2 * generations.LOOK_EVERY)
            floors = [(await current(each.stores.generations)).floor_at for each in states]
            assert max(floors) - since < 2 * generations.LOOK_EVERY * timedelta(seconds=1)
            assert await bring(states[1].stores.steps, who, CLOCK.now() + SOON, STEP + 1)


class TestEmptiedByHand:
    async def test_flushing_the_server_is_noticed_within_a_second(self, forgetful):
        async with instances(forgetful, 2) as states:
            before = await states[0].stores.generations.current()
            await forgetful.ask("FLUSHALL")
            flushed = asyncio.get_running_loop().time()
            after = await noticed(states, before)
            assert asyncio.get_running_loop().time() - flushed < 2 * generations.LOOK_EVERY
            assert after[0].id != before.id
            assert after[0].floor_at is not None

    async def test_the_mark_is_kept_for_a_week_and_renewed(self, forgetful):
        async with instances(forgetful, 1):
            await forgetful.ask("PEXPIRE", keys.generation(), 60_000)
            await asyncio.sleep(2 * generations.LOOK_EVERY)
            kept = await forgetful.ask("PTTL", keys.generation())
            assert kept > timedelta(days=6) / timedelta(milliseconds=1)


async def test_the_mark_says_which_histories_it_holds_for(forgetful):
    async with instances(forgetful, 1) as (state,):
        seen = await state.stores.generations.current()
        info = await forgetful.ask("INFO", "replication")
        assert {f"master_replid:{each}".encode() in info for each in seen.histories} == {True}
