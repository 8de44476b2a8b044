"""The snapshot: swapped when PostgreSQL has something newer, and never for something worse."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

import msgspec
import pytest

from stepup.crypto.sealing import Sealer, UnsealError
from stepup.domain.client import Client
from stepup.domain.errors import (
    DependencyUnavailableError,
    NewerFormatError,
    PolicyInvalidError,
    PolicyNotFoundError,
)
from stepup.domain.ids import ActionName, AdministratorId, ClientId, DraftId
from stepup.domain.keyring import SealedKey
from stepup.domain.policy_draft import digest_of
from stepup.policy_language import document
from stepup.ports import Changes, Configuration, Database, ShadowPolicy
from stepup.usecases import keys, policies, registering
from stepup.usecases import refresh as refreshing
from stepup.usecases import snapshot as snapshots
from stepup.usecases.account import account_client
from stepup.usecases.refresh import follow, refresh
from stepup.usecases.snapshot import LiveSnapshot
from tests.support.application import a_client
from tests.support.world import World

SEALER = Sealer({1: bytes(32)}, lambda count: bytes(range(count)))
PAY = ActionName("pay")


def a_document(action: str = "pay") -> str:
    return f"apiVersion: stepup/v1\nactions:\n  {action}: {{default: allow}}\n"


@pytest.fixture
async def live(world: World) -> LiveSnapshot:
    """A snapshot that has loaded the first policy and the first keys."""
    await keys.ensure_keys(world.ports, SEALER)
    await policies.activate(world.ports, a_document(), "carol")
    live = LiveSnapshot(world.clock, built_in_clients=(account_client(world.site),))
    assert await refresh(world.ports, live, SEALER)
    return live


async def keep_bad_policy(world: World) -> None:
    """A newer release activates what this one cannot read."""
    async with world.ports.database.transaction() as stores:
        await stores.policies.activate("apiVersion: stepup/v9", "carol", world.clock.now())


def test_before_the_first_load_nothing_is_answered(world: World):
    live = LiveSnapshot(world.clock)

    for ask in (
        lambda: live.policy,
        lambda: live.keyring,
        lambda: live.client(ClientId("bank")),
    ):
        with pytest.raises(DependencyUnavailableError):
            ask()


async def test_everything_is_loaded_at_once(world: World, live: LiveSnapshot):
    bank = await registering.put(world.ports, world.bank)
    await refresh(world.ports, live, SEALER)

    assert live.policy.version == 1
    assert live.keyring.active
    assert live.client(ClientId("bank")) == bank
    assert live.client(ClientId("nobody")) is None


async def test_nothing_new_is_not_loaded_again(world: World, live: LiveSnapshot):
    before = live.loaded

    assert not await refresh(world.ports, live, SEALER)
    assert live.loaded is before


async def test_a_new_policy_is_swapped_in_and_told(world: World):
    told = []
    await keys.ensure_keys(world.ports, SEALER)
    live = LiveSnapshot(world.clock, on_swap=lambda policy: told.append(policy.version))
    for action in ("pay", "sell"):
        await policies.activate(world.ports, a_document(action), "carol")
        await refresh(world.ports, live, SEALER)

    assert told == [1, 2]
    assert live.policy.find(ActionName("sell")) is not None
    assert live.policy.find(PAY) is None


async def test_a_policy_that_did_not_change_is_not_parsed_again(world: World, live: LiveSnapshot):
    before = live.policy
    await registering.put(world.ports, world.bank)
    await refresh(world.ports, live, SEALER)

    assert live.policy is before


async def test_a_policy_that_this_release_cannot_read_keeps_the_last_good_one(
    world: World, live: LiveSnapshot
):
    await keep_bad_policy(world)
    bank = await registering.put(world.ports, world.bank)
    assert await refresh(world.ports, live, SEALER)

    assert live.policy.version == 1
    assert "version 2" in live.refused_policy
    # What else changed is taken all the same.
    assert live.client(ClientId("bank")) == bank


async def test_a_good_policy_ends_the_refusal(world: World, live: LiveSnapshot):
    await keep_bad_policy(world)
    await refresh(world.ports, live, SEALER)
    await policies.activate(world.ports, a_document(), "carol")
    await refresh(world.ports, live, SEALER)

    assert live.policy.version == 3
    assert live.refused_policy is None


async def test_whatever_a_text_does_to_its_reader_rules_remain(
    world: World, live: LiveSnapshot, monkeypatch: pytest.MonkeyPatch
):
    def fail(_text: str, *, version: int) -> None:
        raise RecursionError(version)

    await policies.activate(world.ports, a_document("sell"), "carol")
    monkeypatch.setattr(document, "parse", fail)
    assert await refresh(world.ports, live, SEALER)

    assert live.policy.version == 1
    assert live.refused_policy == "version 2 makes this release fail"


async def test_it_is_told_how_long_an_activation_took(world: World):
    took: list[timedelta] = []
    live = LiveSnapshot(world.clock, on_activation=took.append)
    await keys.ensure_keys(world.ports, SEALER)
    await policies.activate(world.ports, a_document(), "carol")
    world.clock.advance(timedelta(hours=1))
    await refresh(world.ports, live, SEALER)
    await registering.put(world.ports, world.bank)
    await refresh(world.ports, live, SEALER)
    assert took == []

    await policies.activate(world.ports, a_document("sell"), "carol")
    world.clock.advance(timedelta(seconds=1))
    await refresh(world.ports, live, SEALER)
    assert took == [timedelta(seconds=1)]


async def mark(world: World, text: str) -> None:
    async with world.ports.database.transaction() as stores:
        await stores.policies.put_shadow(
            ShadowPolicy(
                draft=DraftId(7),
                digest=digest_of(text),
                document=text,
                by=AdministratorId("alice"),
                at=world.clock.now(),
            )
        )


async def test_the_shadow_comes_with_the_configuration_and_goes_with_it(
    world: World, live: LiveSnapshot
):
    assert live.shadow is None
    await mark(world, a_document("sell"))
    await refresh(world.ports, live, SEALER)
    assert live.shadow is not None
    assert (live.shadow.draft, live.shadow.digest) == (7, digest_of(a_document("sell")))
    assert "sell" in live.shadow.policy.actions
    assert "sell" not in live.policy.actions

    read_once = live.shadow
    await registering.put(world.ports, world.bank)
    await refresh(world.ports, live, SEALER)
    assert live.shadow is read_once

    async with world.ports.database.transaction() as stores:
        await stores.policies.remove_shadow(DraftId(7))
    await refresh(world.ports, live, SEALER)
    assert live.shadow is None


async def test_what_is_in_force_does_not_wait_for_the_shadow(
    world: World, live: LiveSnapshot, monkeypatch: pytest.MonkeyPatch
):
    seen: list[int] = []

    async def look(text: str, version: int) -> object:
        if "shadowed" in text:
            seen.append(live.policy.version)
        return document.parse(text, version=version)

    monkeypatch.setattr(snapshots, "load_policy", look)
    await mark(world, a_document("shadowed"))
    await policies.activate(world.ports, a_document("sell"), "carol")
    await refresh(world.ports, live, SEALER)
    assert seen == [2]
    assert live.shadow is not None


async def test_a_shadow_that_cannot_be_read_touches_nothing(world: World, live: LiveSnapshot):
    await mark(world, "apiVersion: stepup/v9")
    assert await refresh(world.ports, live, SEALER)
    assert live.shadow is None
    assert (live.policy.version, live.refused_policy) == (1, None)


class VersionOfBefore(msgspec.Struct, frozen=True, kw_only=True):
    """A version as the release before kept it."""

    version: int
    document: str
    author: str
    activated_at: datetime


class ConfigurationOfBefore(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration as the release before kept it."""

    issuer: str
    version: int
    policy: VersionOfBefore
    clients: tuple[Client, ...]
    keys: tuple[SealedKey, ...]


async def test_two_releases_read_each_other_s_copy(world: World, live: LiveSnapshot):
    await mark(world, a_document("sell"))
    await refresh(world.ports, live, SEALER)
    ours = live.loaded.configuration
    theirs = msgspec.json.decode(msgspec.json.encode(ours), type=ConfigurationOfBefore)
    assert (theirs.version, theirs.policy.document) == (ours.version, ours.policy.document)

    read = msgspec.json.decode(msgspec.json.encode(theirs), type=Configuration)
    assert read.policy.document == ours.policy.document
    assert (read.shadow, read.policy.approvers) == (None, ())


async def test_an_instance_never_starts_without_rules(world: World):
    await keys.ensure_keys(world.ports, SEALER)
    with pytest.raises(PolicyNotFoundError):
        await refresh(world.ports, LiveSnapshot(world.clock), SEALER)

    await keep_bad_policy(world)
    with pytest.raises(PolicyInvalidError):
        await refresh(world.ports, LiveSnapshot(world.clock), SEALER)


async def test_a_client_of_the_database_cannot_take_the_place_of_a_built_in_one(
    world: World, live: LiveSnapshot
):
    forged = a_client(world.keyring, "stepup-account", redirect_uris=("https://evil.example/",))
    await registering.put(world.ports, forged)
    await refresh(world.ports, live, SEALER)

    assert live.client(ClientId("stepup-account")) == account_client(world.site)


# --- following --------------------------------------------------------------------------------


class DeafChanges(Changes):
    """Every announcement is lost."""

    async def announce(self) -> None:
        """Nobody hears it."""

    async def listen(self) -> AsyncIterator[None]:
        await asyncio.Event().wait()
        yield None


class FailsAtFirst(Database):
    """PostgreSQL that fails in some ways before it answers."""

    def __init__(self, real: Database, *failures: Exception) -> None:
        self._real = real
        self._failures = list(failures)

    @asynccontextmanager
    async def transaction(self):
        if self._failures:
            raise self._failures.pop(0)
        async with self._real.transaction() as stores:
            yield stores

    async def configuration_version(self) -> int:
        return await self._real.configuration_version()


class AnsweredByTwo(FailsAtFirst):
    """The new primary says which version there is, the old one what is in it."""

    async def configuration_version(self) -> int:
        return await super().configuration_version() + 1


async def test_what_a_deposed_primary_has_does_not_get_the_number_of_the_new_one(
    world: World, live: LiveSnapshot
):
    before = live.loaded
    split = world.ports._replace(database=AnsweredByTwo(world.ports.database))

    assert not await refresh(split, live, SEALER)
    assert live.loaded is before


@asynccontextmanager
async def following(ports, live: LiveSnapshot) -> AsyncIterator[None]:
    running = asyncio.create_task(follow(ports, live, SEALER))
    await asyncio.sleep(0)
    try:
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def seen(live: LiveSnapshot, version: int) -> None:
    while live.loaded is None or live.policy.version != version:  # noqa: ASYNC110  the snapshot tells nobody
        await asyncio.sleep(0.001)


async def test_an_announcement_is_heard_at_once(world: World, live: LiveSnapshot):
    async with following(world.ports, live):
        await asyncio.sleep(0.01)
        await policies.activate(world.ports, a_document("sell"), "carol")
        await asyncio.wait_for(seen(live, 2), refreshing.POLL_INTERVAL.total_seconds() / 2)


def test_polling_alone_keeps_the_promise_of_two_seconds():
    assert timedelta(seconds=2) > refreshing.POLL_INTERVAL


class BrokenChanges:
    async def announce(self) -> None:
        return

    def listen(self) -> AsyncIterator[None]:
        raise RuntimeError("unforeseen")


async def test_hearing_that_ends_unforeseen_is_not_kept_quiet(
    world: World, live: LiveSnapshot, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(refreshing, "POLL_INTERVAL", timedelta(milliseconds=5))
    broken = world.ports._replace(state=world.ports.state._replace(changes=BrokenChanges()))

    with pytest.raises(RuntimeError, match="unforeseen"):
        await asyncio.wait_for(follow(broken, live, SEALER), 5)


async def test_a_lost_announcement_is_found_by_polling(
    world: World, live: LiveSnapshot, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(refreshing, "POLL_INTERVAL", timedelta(milliseconds=5))
    deaf = world.ports._replace(state=world.ports.state._replace(changes=DeafChanges()))
    async with following(deaf, live):
        await policies.activate(deaf, a_document("sell"), "carol")
        await asyncio.wait_for(seen(live, 2), 5)


async def test_following_outlives_whatever_cannot_be_loaded(
    world: World, live: LiveSnapshot, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(refreshing, "POLL_INTERVAL", timedelta(milliseconds=5))
    failing = FailsAtFirst(
        world.ports.database,
        DependencyUnavailableError(),
        NewerFormatError(),
        UnsealError("sealed under key 2, which is not among the keys given"),
    )
    await policies.activate(world.ports, a_document("sell"), "carol")
    async with following(world.ports._replace(database=failing), live):
        assert live.policy.version == 1
        await asyncio.wait_for(seen(live, 2), 5)


async def test_following_waits_for_the_first_policy(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(refreshing, "POLL_INTERVAL", timedelta(milliseconds=5))
    await keys.ensure_keys(world.ports, SEALER)
    waiting = LiveSnapshot(world.clock)
    async with following(world.ports, waiting):
        await asyncio.sleep(0.02)
        await policies.activate(world.ports, a_document("sell"), "carol")
        await asyncio.wait_for(seen(waiting, 1), 5)


async def test_one_request_never_sees_half_of_a_change(world: World, live: LiveSnapshot):
    held = live.loaded
    await policies.activate(world.ports, a_document("sell"), "carol")
    await registering.put(world.ports, msgspec.structs.replace(world.bank, name="New"))
    await refresh(world.ports, live, SEALER)

    assert held.policy.version == 1
    assert ClientId("bank") not in held.clients
    assert live.loaded.policy.version == 2
