"""What an operator does to signing keys: rotate, revoke, remove, bring back."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import msgspec

from stepup.crypto.sealing import Sealer
from stepup.domain.audit import AuditKind
from stepup.domain.errors import DependencyUnavailableError, OutcomeUnknownError
from stepup.domain.ids import KeyId
from stepup.domain.key_life import (
    KeyRules,
    KeyStep,
    StepKind,
    active_of,
    is_rotated_again_too_soon,
    next_steps,
    successor_of,
)
from stepup.domain.keyring import KeyState, KeyUse, Ring, SealedKey
from stepup.ports import Ports
from stepup.usecases.key_turns import KeyNotFoundError, Turn, take_turn
from stepup.usecases.revoke import revoke_key


class KeyInUseError(Exception):
    """A token that this key signed may be alive, or no second look has agreed yet."""

    def __init__(self, key_id: KeyId, until: datetime) -> None:
        super().__init__(f"{key_id} must stay published until {until.isoformat('T', 'seconds')}")
        self.until = until


class KeyChangeUnknownError(Exception):
    """The change was sent and its answer was lost."""

    def __init__(self) -> None:
        super().__init__("nobody knows whether it was done; look at `stepup keys list`")


class RotatedJustNowError(Exception):
    """Another rotation at once would go to a key that verifiers cannot know."""

    def __init__(self) -> None:
        super().__init__(
            "a key was rotated or revoked in the last 15 minutes, and verifiers may not know the "
            "next one yet"
        )


async def successor(ports: Ports, ring: Ring | None = None) -> SealedKey | None:
    """Return the key of a ring that is active next, None when there is none yet."""
    async with ports.database.transaction() as stores:
        return successor_of(await stores.keys.all(), ring or _default(ports))


async def would_sign_at_once(
    ports: Ports, ring: Ring | None = None, *, force: bool = False
) -> SealedKey | None:
    """Return the key that `rotate_at_once` would make active; None if it would have to be made.

    Raises:
        RotatedJustNowError: As there.
    """
    async with ports.database.transaction() as stores:
        keys, now = await stores.keys.all(), await stores.keys.now()
    ring = ring or _default(ports)
    if not force and is_rotated_again_too_soon(keys, ring, now):
        raise RotatedJustNowError
    return successor_of(keys, ring)


async def would_sign_after(ports: Ports, key_id: KeyId) -> SealedKey | None:
    """Return the key that would sign if this one were revoked; None if it would have to be made.

    Raises:
        KeyNotFoundError: If there is no such key.
    """
    async with ports.database.transaction() as stores:
        keys = [key for key in await stores.keys.all() if key.use is not KeyUse.ROOT]
    ring = next((key.ring for key in keys if key.id == key_id), None)
    if ring is None:
        raise KeyNotFoundError(f"there is no signing key {key_id}")
    active = active_of(keys, ring)
    if active is None:
        return _signs_in_place_of(keys, ring)
    return successor_of(keys, ring) if active.id == key_id else active


async def rotate(ports: Ports, sealer: Sealer, ring: Ring | None = None) -> SealedKey:
    """Ask for a ring's next key: announced now unless it was before, it is active when it may be.

    The ring is by default that of access tokens.
    """
    ring = ring or _default(ports)
    async with take_turn(ports) as turn:
        key = turn.successor(ring) or await turn.announce(ring, sealer)
        wanted = msgspec.structs.replace(key, wanted_at=key.wanted_at or turn.now)
        await turn.change(key, wanted)
    await ports.state.changes.announce()
    return wanted


async def rotate_at_once(
    ports: Ports, sealer: Sealer, ring: Ring | None = None, *, force: bool = False
) -> SealedKey:
    """Make a ring's successor active now, whoever has not heard of it yet; the old key retires.

    Raises:
        RotatedJustNowError: If that was done just now, and the next key is new; not with `force`.
        KeyChangeUnknownError: If nobody knows whether it was done.
    """
    ring = ring or _default(ports)
    async with _turn_that_counts(ports) as turn:
        if not force and is_rotated_again_too_soon(turn.keys, ring, turn.now):
            raise RotatedJustNowError
        return await turn.promote(ring, sealer)


async def revoke(ports: Ports, sealer: Sealer, key_id: KeyId, rules: KeyRules) -> SealedKey:
    """Take a key away for good, and with it what it signed; returns the key that signs now in its place.

    If it was the active one, its successor is active at once. May be repeated.

    Raises:
        KeyNotFoundError: If there is no such key.
        KeyChangeUnknownError: If nobody knows whether it was done everywhere.
    """
    async with _turn_that_counts(ports) as turn:
        ring = await _revoke(turn, sealer, key_id)
        active = turn.active(ring) or _signs_in_place_of(turn.keys, ring)
    # Instances drop the key as soon as they read PostgreSQL; one that cannot hears this. Whoever
    # stole the key signs on, so what is yet to be signed has ended as well.
    try:
        await revoke_key(ports, key_id, turn.now + rules.retiring_for)
    except (DependencyUnavailableError, OutcomeUnknownError) as error:
        raise KeyChangeUnknownError from error
    if active is None:
        raise KeyNotFoundError("no key signs: the next start makes one")
    return active


async def remove(ports: Ports, sealer: Sealer, key_id: KeyId, rules: KeyRules) -> None:
    """Take a retired key out of the key set, if the rules find that due and agreed upon.

    Raises:
        KeyNotFoundError: If there is no such key.
        KeyInUseError: If they do not.
    """
    async with take_turn(ports) as turn:
        key, step = turn.get(key_id), KeyStep(StepKind.REMOVE, key_id)
        if step not in next_steps(turn.keys, turn.now, rules, ports.site.key_plan):
            raise KeyInUseError(key_id, rules.removable_at(key) + rules.agreement)
        await turn.take(step, sealer)
    await ports.state.changes.announce()


async def restore(ports: Ports, key_id: KeyId) -> SealedKey:
    """Publish a key again that is gone; it retires anew.

    Raises:
        KeyNotFoundError: If no key that is gone has this name, or it was revoked.
    """
    async with take_turn(ports) as turn:
        key = await turn.find_gone(key_id)
        if key is None or key.revoked_at is not None:
            raise KeyNotFoundError(f"no key {key_id} was removed; a revoked one stays gone")
        restored = key.moved(KeyState.RETIRING, turn.now)
        await turn.change(key, restored)
    await ports.state.changes.announce()
    return restored


@asynccontextmanager
async def _turn_that_counts(ports: Ports) -> AsyncIterator[Turn]:
    """Take a turn and tell everybody; past its last statement a lost answer is no failure."""
    is_sent = False
    try:
        async with take_turn(ports) as turn:
            yield turn
            is_sent = True
        await ports.state.changes.announce()
    except (DependencyUnavailableError, OutcomeUnknownError) as error:
        if is_sent:
            raise KeyChangeUnknownError from error
        raise


async def _revoke(turn: Turn, sealer: Sealer, key_id: KeyId) -> Ring:
    before = await turn.find_gone(key_id)
    if before is not None and before.revoked_at is not None:
        return before.ring
    if before is None and turn.get(key_id).state is KeyState.ACTIVE:
        await turn.promote(turn.get(key_id).ring, sealer)
    key = before or turn.get(key_id)
    revoked = msgspec.structs.replace(key.moved(KeyState.GONE, turn.now), revoked_at=turn.now)
    await turn.change(key, revoked)
    turn.record(AuditKind.KEY_REVOKED, key)
    await turn.read()
    return key.ring


def _signs_in_place_of(keys: Sequence[SealedKey], ring: Ring) -> SealedKey | None:
    """Return what signs for a ring that has no active key yet, or is looked after by nobody."""
    active = [key for key in keys if key.state is KeyState.ACTIVE]
    for use in (ring.use, KeyUse.TOKEN):
        found = next((key for key in active if key.use is use), None)
        if found is not None:
            return found
    return None


def _default(ports: Ports) -> Ring:
    return ports.site.key_plan.ring(KeyUse.TOKEN)
