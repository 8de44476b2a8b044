"""Turns at the signing keys: one instance at a time moves them, whoever asks.

The lease ends with the transaction, and the keys are read under it: whoever comes second finds
the work done.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from stepup.crypto import keys as key_making
from stepup.crypto.sealing import Sealer
from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.ids import KeyId
from stepup.domain.key_life import KeyStep, StepKind, active_of, after, successor_of
from stepup.domain.keyring import KeyState, KeyUse, Ring, SealedKey
from stepup.ports import Lease, Ports, Stores
from stepup.usecases.keys import make_key

_PATIENCE = timedelta(seconds=10)
_PAUSE = timedelta(milliseconds=100)
_RECORDED = {
    KeyState.ANNOUNCED: AuditKind.KEY_ANNOUNCED,
    KeyState.ACTIVE: AuditKind.KEY_ACTIVATED,
    KeyState.RETIRING: AuditKind.KEY_RETIRED,
    KeyState.GONE: AuditKind.KEY_REMOVED,
}


class KeyNotFoundError(LookupError):
    """No signing key in question has this name."""


class Turn:
    """The signing keys while nobody else moves them; `now` is the database's."""

    def __init__(self, ports: Ports, stores: Stores, now: datetime) -> None:
        self._ports = ports
        self._stores = stores
        self.now = now
        self.keys: Sequence[SealedKey] = ()
        self._events: list[AuditEvent] = []

    async def read(self) -> None:
        """Read the keys that are not gone."""
        keys = await self._stores.keys.all()
        self.keys = [key for key in keys if key.use is not KeyUse.ROOT]

    async def find_gone(self, key_id: KeyId) -> SealedKey | None:
        """Find a key that is gone."""
        gone = await self._stores.keys.gone()
        return next((key for key in gone if key.id == key_id), None)

    def active(self, ring: Ring) -> SealedKey | None:
        """Return the key of a ring that signs."""
        return active_of(self.keys, ring)

    def successor(self, ring: Ring) -> SealedKey | None:
        """Return the key of a ring that signs next."""
        return successor_of(self.keys, ring)

    def get(self, key_id: KeyId) -> SealedKey:
        """Return a key that is not gone.

        Raises:
            KeyNotFoundError: If there is no such key.
        """
        for key in self.keys:
            if key.id == key_id:
                return key
        raise KeyNotFoundError(f"there is no signing key {key_id}")

    async def take(self, step: KeyStep, sealer: Sealer) -> None:
        """Take one step of the life cycle."""
        if step.kind is StepKind.ANNOUNCE and step.ring is not None:
            await self.announce(step.ring, sealer)
        for key in after(self.keys, step, self.now):
            await self.change(self.get(key.id), key)
        await self.read()

    async def announce(self, ring: Ring, sealer: Sealer) -> SealedKey:
        """Make the next key of a ring."""
        made = await make_key(ring, state=KeyState.ANNOUNCED)
        key = key_making.seal_signing_key(made, sealer, self.now)
        await self._stores.keys.add(key)
        self.record(_RECORDED[key.state], key)
        await self.read()
        return key

    async def promote(self, ring: Ring, sealer: Sealer) -> SealedKey:
        """Make a ring's successor active at once, announced for long enough or not."""
        successor = self.successor(ring) or await self.announce(ring, sealer)
        await self.take(KeyStep(StepKind.PROMOTE, successor.id), sealer)
        return self.get(successor.id)

    async def change(self, before: SealedKey, key: SealedKey) -> None:
        """Replace a key, and record it when its state is another.

        Raises:
            DependencyUnavailableError: If somebody without a turn has changed it meanwhile.
        """
        if not await self._stores.keys.replace(key, expected=before):
            raise DependencyUnavailableError("The keys were changed meanwhile; try again.")
        if key.state is not before.state:
            self.record(_RECORDED[key.state], key)

    def record(self, kind: AuditKind, key: SealedKey) -> None:
        """Note an event for the audit log."""
        details: dict[str, str | int | bool | None] = {
            "kid": key.id,
            "use": key.use,
            "algorithm": key.algorithm,
            "region": key.region,
        }
        self._events.append(AuditEvent(kind=kind, at=self.now, details=details))

    async def write_events(self) -> None:
        """Append what was noted, last of all: whoever appends holds up the other appenders."""
        if self._events:
            await self._stores.audit.append_all(
                [(self._ports.entropy.token(16), event) for event in self._events]
            )


@asynccontextmanager
async def try_turn(ports: Ports) -> AsyncIterator[Turn | None]:
    """Take the turn, unless another instance has it; what was changed is in force everywhere soon."""
    async with ports.database.transaction() as stores:
        if not await stores.leases.take(Lease.KEYS):
            yield None
            return
        turn = Turn(ports, stores, await stores.keys.now())
        await turn.read()
        yield turn
        await turn.write_events()


@asynccontextmanager
async def take_turn(ports: Ports) -> AsyncIterator[Turn]:
    """Wait for the turn: an operator's word is not passed over.

    Raises:
        DependencyUnavailableError: If others have it all the time.
    """
    for _ in range(int(_PATIENCE / _PAUSE)):
        async with try_turn(ports) as turn:
            if turn is not None:
                yield turn
                return
        await asyncio.sleep(_PAUSE.total_seconds())
    raise DependencyUnavailableError("Another instance is changing the keys; try again.")
