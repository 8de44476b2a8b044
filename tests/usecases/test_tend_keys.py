"""Tending keys: what is due is done once, whoever looks, and nobody meets an unknown key."""

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest

from stepup.crypto.keys import seal_root, seal_signing_key
from stepup.crypto.sealing import Sealer
from stepup.domain.audit import AuditKind
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.key_life import SHORTEST_ANNOUNCEMENT, KeyRules, StepKind
from stepup.domain.keyring import KeyState, KeyUse, Ring
from stepup.ports import Lease
from stepup.usecases import key_turns, keys, rotate, tend_keys
from stepup.usecases.introspect import introspect
from stepup.usecases.key_turns import KeyNotFoundError
from stepup.usecases.rotate import KeyChangeUnknownError, KeyInUseError, RotatedJustNowError
from stepup.usecases.tend_keys import tend
from tests.support.application import ONE_RING, a_site
from tests.support.world import World
from tests.usecases.steps import issued

SEALER = Sealer({1: bytes(32)}, lambda count: bytes(range(count)))
RULES = KeyRules()
BY_HAND = KeyRules(lifetime=timedelta(0))


@pytest.fixture
async def world() -> World:
    world = World(site=a_site(signing_algorithms=ONE_RING))
    await keys.ensure_keys(world.ports, SEALER)
    return world


def states(world: World) -> list[KeyState]:
    """The states of the signing keys, oldest first."""
    rows = world.ports.database.tables.keys.values()
    signing = [key for key in rows if key.public_jwk]
    return [key.state for key in sorted(signing, key=lambda key: key.created_at)]


def key_in(world: World, state: KeyState):
    [key] = [
        key
        for key in world.ports.database.tables.keys.values()
        if key.public_jwk and key.state is state
    ]
    return key


def told(world: World) -> list[AuditKind]:
    return [event.kind for event in world.ports.database.tables.events()]


async def live(world: World, span: timedelta, rules: KeyRules = RULES) -> None:
    """Let time pass with a look every hour."""
    for _ in range(int(span / timedelta(hours=1))):
        world.clock.advance(timedelta(hours=1))
        await tend(world.ports, SEALER, rules)


async def test_before_the_first_start_there_is_nothing_to_tend():
    assert await tend(World().ports, SEALER, RULES) == ()


async def test_the_next_key_lies_ready_at_once(world: World):
    [step] = await tend(world.ports, SEALER, RULES)

    assert step.kind is StepKind.ANNOUNCE
    assert states(world) == [KeyState.ACTIVE, KeyState.ANNOUNCED]


async def test_a_key_lives_its_life(world: World):
    first = key_in(world, KeyState.ACTIVE)
    await live(world, timedelta(days=30, hours=1))
    assert states(world) == [KeyState.RETIRING, KeyState.ACTIVE, KeyState.ANNOUNCED]
    await live(world, RULES.retiring_for + timedelta(hours=2))

    assert states(world) == [KeyState.GONE, KeyState.ACTIVE, KeyState.ANNOUNCED]
    assert world.ports.database.tables.keys[first.id].sealed_private_key
    assert told(world) == [
        AuditKind.KEY_ANNOUNCED,
        AuditKind.KEY_RETIRED,
        AuditKind.KEY_ACTIVATED,
        AuditKind.KEY_ANNOUNCED,
        AuditKind.KEY_REMOVED,
    ]


async def test_by_hand_nothing_happens_by_itself(world: World):
    await live(world, timedelta(days=90), BY_HAND)
    assert states(world) == [KeyState.ACTIVE]


async def test_of_many_instances_that_look_at_once_one_acts(world: World):
    done = await asyncio.gather(*(tend(world.ports, SEALER, RULES) for _ in range(20)))

    assert [len(steps) for steps in done].count(1) == 1
    assert states(world) == [KeyState.ACTIVE, KeyState.ANNOUNCED]


async def test_an_instance_whose_clock_is_wrong_ages_keys_like_everybody(world: World):
    await rotate.rotate(world.ports, SEALER)
    ahead = World()
    ahead.clock.advance(timedelta(days=400))
    await tend(world.ports._replace(clock=ahead.clock), SEALER, RULES)

    assert states(world) == [KeyState.ACTIVE, KeyState.ANNOUNCED]


async def test_a_key_that_was_asked_for_signs_when_every_cache_knows_it(world: World):
    wanted = await rotate.rotate(world.ports, SEALER)
    await live(world, timedelta(hours=24), BY_HAND)
    assert key_in(world, KeyState.ACTIVE).id != wanted.id
    await live(world, timedelta(hours=1), BY_HAND)

    assert key_in(world, KeyState.ACTIVE).id == wanted.id


async def test_asking_twice_asks_for_one_key(world: World):
    first = await rotate.rotate(world.ports, SEALER)
    assert (await rotate.rotate(world.ports, SEALER)).id == first.id


async def test_in_an_emergency_the_next_key_signs_at_once(world: World):
    old = key_in(world, KeyState.ACTIVE)
    promoted = await rotate.rotate_at_once(world.ports, SEALER)

    assert key_in(world, KeyState.ACTIVE).id == promoted.id
    assert key_in(world, KeyState.RETIRING).id == old.id


async def test_an_emergency_that_is_repeated_does_not_go_to_a_key_that_nobody_knows(world: World):
    await tend(world.ports, SEALER, RULES)
    world.clock.advance(SHORTEST_ANNOUNCEMENT)
    promoted = await rotate.rotate_at_once(world.ports, SEALER)
    for _ in range(2):  # without a successor, and with one that is new
        with pytest.raises(RotatedJustNowError):
            await rotate.rotate_at_once(world.ports, SEALER)
        with pytest.raises(RotatedJustNowError):
            await rotate.would_sign_at_once(world.ports)
        await tend(world.ports, SEALER, RULES)
    assert key_in(world, KeyState.ACTIVE).id == promoted.id

    following = await rotate.would_sign_at_once(world.ports, force=True)
    again = await rotate.rotate_at_once(world.ports, SEALER, force=True)
    assert following
    assert again.id == following.id == key_in(world, KeyState.ACTIVE).id


async def test_an_emergency_after_a_revocation_does_not_go_to_a_key_that_nobody_knows(world: World):
    await tend(world.ports, SEALER, RULES)
    world.clock.advance(SHORTEST_ANNOUNCEMENT)
    revoked = key_in(world, KeyState.ACTIVE)
    await rotate.revoke(world.ports, SEALER, revoked.id, RULES)
    signs = key_in(world, KeyState.ACTIVE)
    await tend(world.ports, SEALER, RULES)

    with pytest.raises(RotatedJustNowError):
        await rotate.rotate_at_once(world.ports, SEALER)
    assert key_in(world, KeyState.ACTIVE).id == signs.id


async def test_an_emergency_after_the_last_is_served_when_verifiers_know_the_next_key(world: World):
    await rotate.rotate_at_once(world.ports, SEALER)
    world.clock.advance(SHORTEST_ANNOUNCEMENT - timedelta(seconds=1))
    with pytest.raises(RotatedJustNowError):
        await rotate.rotate_at_once(world.ports, SEALER)
    world.clock.advance(timedelta(seconds=1))
    await rotate.rotate_at_once(world.ports, SEALER)


async def _rotate(world: World):
    await rotate.rotate_at_once(world.ports, SEALER)


async def _revoke(world: World):
    await rotate.revoke(world.ports, SEALER, key_in(world, KeyState.ACTIVE).id, RULES)


@pytest.mark.parametrize("change", [_rotate, _revoke])
async def test_a_change_whose_answer_is_lost_is_said_to_be_unknown(
    world: World, monkeypatch: pytest.MonkeyPatch, change
):
    database = world.ports.database
    begin = database.transaction

    @asynccontextmanager
    async def committed_in_silence():
        async with begin() as stores:
            yield stores
        raise DependencyUnavailableError

    monkeypatch.setattr(database, "transaction", committed_in_silence)
    with pytest.raises(KeyChangeUnknownError, match="keys list"):
        await change(world)


@pytest.mark.parametrize("change", [_rotate, _revoke])
async def test_a_change_that_was_never_sent_is_not_unknown(
    world: World, monkeypatch: pytest.MonkeyPatch, change
):
    @asynccontextmanager
    async def away():
        raise DependencyUnavailableError
        yield

    monkeypatch.setattr(world.ports.database, "transaction", away)
    with pytest.raises(DependencyUnavailableError):
        await change(world)


async def test_a_revoked_key_is_gone_at_once_and_its_successor_signs(world: World):
    await tend(world.ports, SEALER, RULES)
    old, successor = key_in(world, KeyState.ACTIVE), key_in(world, KeyState.ANNOUNCED)

    active = await rotate.revoke(world.ports, SEALER, old.id, RULES)

    assert active.id == successor.id == key_in(world, KeyState.ACTIVE).id
    assert key_in(world, KeyState.GONE).revoked_at == world.clock.now()
    assert told(world)[-1] is AuditKind.KEY_REVOKED


async def test_revoking_the_only_key_makes_another(world: World):
    only = key_in(world, KeyState.ACTIVE)
    active = await rotate.revoke(world.ports, SEALER, only.id, RULES)

    assert active.id != only.id
    assert states(world).count(KeyState.ACTIVE) == 1


async def test_revoking_again_changes_nothing(world: World):
    only = key_in(world, KeyState.ACTIVE)
    first = await rotate.revoke(world.ports, SEALER, only.id, RULES)
    before = told(world)

    assert (await rotate.revoke(world.ports, SEALER, only.id, RULES)).id == first.id
    assert told(world) == before


async def test_a_key_of_a_ring_in_which_none_signs_yet_is_revoked(world: World):
    """The first key of a ring leaks while it is announced; others sign for it meanwhile."""
    ring = Ring(KeyUse.SET, "RS256", "r1")
    async with key_turns.take_turn(world.ports) as turn:
        leaked = await turn.announce(ring, SEALER)

    said = await rotate.would_sign_after(world.ports, leaked.id)
    signs = await rotate.revoke(world.ports, SEALER, leaked.id, RULES)

    assert said == signs == key_in(world, KeyState.ACTIVE)
    assert key_in(world, KeyState.GONE).revoked_at is not None


async def test_a_key_that_does_not_exist_is_not_revoked(world: World):
    for name in ("root", "nothing"):
        with pytest.raises(KeyNotFoundError):
            await rotate.revoke(world.ports, SEALER, name, RULES)
    assert states(world) == [KeyState.ACTIVE]


async def test_removing_a_key_whose_tokens_may_be_alive_is_refused(world: World):
    old = key_in(world, KeyState.ACTIVE)
    await rotate.rotate_at_once(world.ports, SEALER)
    last_token_dies = world.clock.now() + RULES.heard_within + timedelta(minutes=10)

    while world.clock.now() <= last_token_dies:
        with pytest.raises(KeyInUseError):
            await rotate.remove(world.ports, SEALER, old.id, RULES)
        world.clock.advance(timedelta(minutes=30))


async def test_removing_an_active_or_an_announced_key_is_refused(world: World):
    await tend(world.ports, SEALER, RULES)
    world.clock.advance(timedelta(days=29))
    for key in list(world.ports.database.tables.keys.values()):
        if key.public_jwk:
            with pytest.raises(KeyInUseError):
                await rotate.remove(world.ports, SEALER, key.id, RULES)


async def test_one_look_does_not_remove_a_key(world: World):
    await rotate.rotate_at_once(world.ports, SEALER)
    world.clock.advance(RULES.retiring_for)
    await tend(world.ports, SEALER, BY_HAND)
    await tend(world.ports, SEALER, BY_HAND)
    assert KeyState.GONE not in states(world)
    world.clock.advance(RULES.agreement)
    await tend(world.ports, SEALER, BY_HAND)

    assert KeyState.GONE in states(world)


async def test_a_removal_can_be_undone(world: World):
    await rotate.rotate_at_once(world.ports, SEALER)
    await live(world, RULES.retiring_for + timedelta(hours=3), BY_HAND)
    gone = key_in(world, KeyState.GONE)
    await rotate.restore(world.ports, gone.id)

    async with world.ports.database.transaction() as stores:
        keyring = await keys.read_keyring(stores, SEALER)
    assert keyring.find(gone.id)
    # Its time begins anew: who brought it back has a reason to wait for.
    assert await tend(world.ports, SEALER, BY_HAND) == ()


async def test_a_revoked_key_is_not_brought_back(world: World):
    key = key_in(world, KeyState.ACTIVE)
    await rotate.revoke(world.ports, SEALER, key.id, RULES)
    with pytest.raises(KeyNotFoundError):
        await rotate.restore(world.ports, key.id)


async def test_an_operator_waits_for_the_turn_and_is_told_when_it_does_not_come(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    class Taken:
        async def take(self, _lease: Lease) -> bool:
            return False

    monkeypatch.setattr("tests.support.memory_database.MemoryLeaseStore", Taken)
    monkeypatch.setattr(key_turns, "_PAUSE", timedelta(milliseconds=1))
    monkeypatch.setattr(key_turns, "_PATIENCE", timedelta(milliseconds=5))

    assert await tend(world.ports, SEALER, RULES) == ()
    with pytest.raises(DependencyUnavailableError):
        await rotate.rotate(world.ports, SEALER)


async def test_the_background_task_tends_and_shows_what_it_sees(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    seen = asyncio.Event()
    monkeypatch.setattr(tend_keys, "LOOK_INTERVAL", timedelta(milliseconds=1))
    task = asyncio.create_task(
        tend_keys.keep_keys(world.ports, SEALER, RULES, lambda _keyring, _now: seen.set())
    )
    await asyncio.wait_for(seen.wait(), 5)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

    assert states(world) == [KeyState.ACTIVE, KeyState.ANNOUNCED]


async def test_what_a_stolen_key_signed_and_will_sign_is_dead_where_it_is_still_held():
    world = World()
    await world.enroll_app()
    stolen = world.keyring.active
    async with world.ports.database.transaction() as stores:
        await stores.keys.add(seal_root(world.keyring.root, SEALER, world.clock.now()))
        await stores.keys.add(seal_signing_key(stolen, SEALER, world.clock.now()))
    before = await issued(world)
    assert await introspect(world.ports, world.bank, before.text)

    await rotate.revoke(world.ports, SEALER, stolen.id, RULES)

    # The snapshot of this world hears of nothing, as one that was cut off from PostgreSQL.
    assert world.ports.snapshot.keyring.active == stolen
    assert await introspect(world.ports, world.bank, before.text) is None
    world.clock.advance(timedelta(minutes=1))
    after = await issued(world)
    assert await introspect(world.ports, world.bank, after.text) is None
