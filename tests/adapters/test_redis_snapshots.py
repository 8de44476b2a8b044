"""Who can write to Redis, and who can read it, gets nothing from the sealed copies."""

import os
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Literal

import msgspec
import pytest

from stepup.adapters.redis import keys
from stepup.adapters.redis.snapshots import RedisSnapshotStore
from stepup.adapters.redis.state import RedisState
from stepup.crypto.sealing import Sealer
from stepup.domain.client import Role
from stepup.domain.errors import DependencyUnavailableError, NewerFormatError
from stepup.domain.keyring import KeyState, KeyUse
from stepup.ports import Confirmation
from stepup.ports.snapshots import ILLEGIBLE
from tests.contracts.snapshots import ISSUER, a_configuration
from tests.support.builders import a_subject, an_authenticator
from tests.support.determinism import NOON, StillClock

pytestmark = pytest.mark.redis

KEY = keys.snapshot()
SEALER = Sealer({1: bytes(32)}, os.urandom)


@pytest.fixture
async def state(redis_url: str, clock: StillClock) -> AsyncIterator[RedisState]:
    async with RedisState(redis_url, SEALER, clock) as opened:
        await opened.client.call("DEL", KEY)
        yield opened
        await opened.client.call("DEL", KEY)


@pytest.fixture
def store(state: RedisState) -> RedisSnapshotStore:
    return state.stores.snapshots


async def field(state: RedisState, name: str) -> bytes:
    return await state.client.call("HGET", KEY, name)


async def test_nothing_of_it_lies_open(state: RedisState, store: RedisSnapshotStore):
    await store.put(a_configuration(7, "a document"), NOON)

    lying = b"".join(await state.client.call("HVALS", KEY))
    for secret in (b"a document", b"bank", b"ES256"):
        assert secret not in lying


async def test_an_old_confirmation_cannot_be_made_new(state: RedisState, store: RedisSnapshotStore):
    await store.put(a_configuration(7), NOON)
    confirmed = await field(state, "confirmed")
    await store.put(a_configuration(8), NOON + timedelta(days=3))
    newer = await field(state, "confirmed")
    await store.put(a_configuration(7), NOON, in_place_of=8)

    await state.client.call("HSET", KEY, "confirmed", newer)
    assert await store.find(ISSUER) is None
    assert await store.confirmation(ISSUER) is None
    await state.client.call("HSET", KEY, "confirmed", confirmed)
    assert await store.confirmation(ISSUER) == Confirmation(ISSUER, 7, NOON)


async def test_an_old_configuration_cannot_be_given_a_newer_number(
    state: RedisState, store: RedisSnapshotStore
):
    await store.put(a_configuration(7), NOON)
    await state.client.call("HSET", KEY, "version", 9)

    assert await store.find(ISSUER) is None
    assert await store.confirmation(ISSUER) is None


@pytest.mark.parametrize("number", ["9" * 15, "9" * 5000, "inf", "nan", "x", "", "-1", "9.5"])
async def test_a_made_up_number_does_not_keep_the_real_copy_out(
    state: RedisState, store: RedisSnapshotStore, number: str
):
    """Who writes to Redis once must not keep instances from starting for a week."""
    await store.put(a_configuration(7), NOON)
    await state.client.call("HSET", KEY, "version", number)
    assert await store.find(ISSUER) is None
    assert await store.confirmation(ISSUER) is None

    assert await store.put(a_configuration(8), NOON, in_place_of=ILLEGIBLE)
    assert await store.confirmation(ISSUER) == Confirmation(ISSUER, 8, NOON)


@pytest.mark.parametrize("part", ["version", "sealed", "confirmed"])
async def test_half_a_copy_is_none(state: RedisState, store: RedisSnapshotStore, part: str):
    await store.put(a_configuration(7), NOON)
    await state.client.call("HDEL", KEY, part)

    assert await store.find(ISSUER) is None


async def test_the_copy_of_another_deployment_does_not_open(store: RedisSnapshotStore):
    theirs = msgspec.structs.replace(a_configuration(7), issuer="https://other.example")
    await store.put(theirs, NOON)

    assert await store.find(ISSUER) is None
    assert await store.confirmation(ISSUER) is None


@pytest.mark.parametrize("part", ["sealed", "confirmed"])
async def test_a_copy_that_was_changed_does_not_open(
    state: RedisState, store: RedisSnapshotStore, part: str
):
    await store.put(a_configuration(7), NOON)
    sealed = await field(state, part)
    await state.client.call("HSET", KEY, part, sealed[:-1] + bytes([sealed[-1] ^ 1]))

    assert await store.find(ISSUER) is None


async def test_it_is_kept_for_a_week_from_the_last_confirmation(
    state: RedisState, store: RedisSnapshotStore
):
    week = 7 * 24 * 3600
    await store.put(a_configuration(7), NOON)
    assert week - 10 < await state.client.call("TTL", KEY) <= week
    await state.client.call("EXPIRE", KEY, 60)
    await store.confirm(Confirmation(ISSUER, 7, NOON))
    assert week - 10 < await state.client.call("TTL", KEY) <= week


async def test_what_a_newer_release_wrote_is_left_alone(
    state: RedisState, store: RedisSnapshotStore
):
    await store.put(a_configuration(7), NOON)
    await state.client.call("HSET", KEY, "v", 2)
    for call in (
        lambda: store.find(ISSUER),
        lambda: store.confirmation(ISSUER),
        lambda: store.put(a_configuration(8), NOON),
        lambda: store.confirm(Confirmation(ISSUER, 7, NOON)),
    ):
        with pytest.raises(NewerFormatError):
            await call()


async def test_a_retired_authenticator_is_remembered_for_longer_than_any_list_of_it(
    state: RedisState,
):
    held = an_authenticator(subject=a_subject())
    subject_id = held.subject.id
    await state.stores.credentials.put(held.subject, [held], NOON)
    await state.stores.steps.retire(subject_id, held.id)

    listed = await state.client.call("TTL", keys.credentials(subject_id))
    retired = await state.client.call("TTL", keys.step(subject_id, held.id))
    # A challenge that was opened in the last second of the list lives for ten minutes more.
    assert retired > listed + 10 * 60


async def test_the_list_of_one_subject_does_not_open_as_anothers(state: RedisState):
    mine, theirs = (an_authenticator(subject=a_subject()) for _ in range(2))
    await state.stores.credentials.put(theirs.subject, [theirs], NOON)
    sealed = await state.client.call("GET", keys.credentials(theirs.subject.id))
    await state.client.call("SET", keys.credentials(mine.subject.id), sealed, "EX", 60)

    with pytest.raises(DependencyUnavailableError):
        await state.stores.credentials.find(mine.subject)


async def test_no_secret_of_a_list_lies_open(state: RedisState):
    held = an_authenticator(subject=a_subject())
    await state.stores.credentials.put(held.subject, [held], NOON)

    lying = await state.client.call("GET", keys.credentials(held.subject.id))
    assert held.subject.sub.encode() not in lying
    assert held.credential.secret not in lying


class _OldKey(msgspec.Struct, frozen=True):
    """What the release before reads of a key: it fails on any other use."""

    id: str
    use: Literal["token", "root"]
    algorithm: str
    state: str


class _OldCopy(msgspec.Struct, frozen=True):
    keys: tuple[_OldKey, ...]


async def test_the_release_before_starts_from_our_copy_with_its_one_ring(state, store):
    one = a_configuration(7)
    [first] = one.keys
    rings = [
        {"id": "old", "created_at": NOON - timedelta(days=1), "state": KeyState.RETIRING},
        {"id": "root", "use": KeyUse.ROOT, "algorithm": "HKDF-SHA256"},
        {"id": "r2", "region": "r2", "created_at": NOON + timedelta(days=1)},
        {"id": "rsa", "algorithm": "RS256"},
        {"id": "set", "use": KeyUse.SET, "algorithm": "RS256"},
    ]
    others = [msgspec.structs.replace(first, **ring) for ring in rings]
    whole = msgspec.structs.replace(one, keys=(first, *others))
    await store.put(whole, NOON)

    sealed = await field(state, "sealed")
    text = SEALER.unseal(sealed, context=f"{KEY} 7 of {ISSUER}: content")
    read = msgspec.json.decode(text, type=_OldCopy)
    assert {key.id for key in read.keys} == {"k1", "old", "root"}

    found = await store.find(ISSUER)
    assert found is not None
    assert {key.id: key for key in found[0].keys} == {key.id: key for key in whole.keys}


async def test_the_release_before_passes_over_a_role_that_it_does_not_know(state, store):
    one = a_configuration(7)
    receiver = msgspec.structs.replace(one.clients[0], roles=frozenset({Role.RS, Role.SSF}))
    whole = msgspec.structs.replace(one, clients=(receiver,))
    await store.put(whole, NOON)

    sealed = await field(state, "sealed")
    text = SEALER.unseal(sealed, context=f"{KEY} 7 of {ISSUER}: content")
    assert msgspec.json.decode(text)["clients"][0]["roles"] == ["rs"]
    assert await store.find(ISSUER) == (whole, NOON)


async def test_a_copy_of_the_release_before_is_read(state, store):
    await store.put(a_configuration(7), NOON)
    sealed = await field(state, "sealed")
    context = f"{KEY} 7 of {ISSUER}: content"
    document = msgspec.json.decode(SEALER.unseal(sealed, context=context))
    del document["other_keys"]
    for key in document["keys"]:
        del key["region"]
    again = SEALER.seal(msgspec.json.encode(document), context=context)
    await state.client.call("HSET", KEY, "sealed", again)

    found = await store.find(ISSUER)
    assert found is not None
    assert found[0] == a_configuration(7)
