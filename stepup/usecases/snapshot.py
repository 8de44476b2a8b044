"""Keep policy, clients and keys in memory, and swap them when PostgreSQL has newer ones.

What runs in every step-up reads this and never waits for the database. A change is heard through
an announcement, and found by asking every second when the announcement was lost.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from datetime import timedelta

import msgspec
from typing_extensions import override

from stepup.crypto.sealing import Sealer, UnsealError
from stepup.domain.client import Client
from stepup.domain.errors import (
    DependencyUnavailableError,
    PolicyInvalidError,
    PolicyNotFoundError,
    StepUpError,
)
from stepup.domain.ids import ClientId
from stepup.domain.keyring import Keyring
from stepup.domain.policy import Policy
from stepup.policy_language import document
from stepup.ports import Ports, Snapshot
from stepup.usecases.keys import read_keyring

# Activation must reach every instance within two seconds even when its announcement is lost.
POLL_INTERVAL = timedelta(seconds=1)


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was read in one transaction."""

    configuration_version: str
    policy: Policy
    keyring: Keyring
    clients: Mapping[ClientId, Client]


class LiveSnapshot(Snapshot):
    """The snapshot of one process; a change swaps one reference."""

    def __init__(
        self,
        *,
        built_in_clients: tuple[Client, ...] = (),
        on_swap: Callable[[Policy], object] = lambda _policy: None,
    ) -> None:
        self._loaded: Loaded | None = None
        self._built_in = {client.client_id: client for client in built_in_clients}
        self._on_swap = on_swap
        self.refused_policy: str | None = None

    @property
    @override
    def policy(self) -> Policy:
        return self._require().policy

    @property
    @override
    def keyring(self) -> Keyring:
        return self._require().keyring

    @override
    def client(self, client_id: ClientId) -> Client | None:
        return self._built_in.get(client_id) or self._require().clients.get(client_id)

    @property
    def loaded(self) -> Loaded | None:
        """What was loaded last, None before the first time."""
        return self._loaded

    def swap(self, loaded: Loaded) -> None:
        """Make newly loaded configuration the one that requests see."""
        self._loaded = loaded
        self._on_swap(loaded.policy)

    def _require(self) -> Loaded:
        if self._loaded is None:
            raise DependencyUnavailableError("The configuration is not loaded yet.")
        return self._loaded


async def refresh(ports: Ports, snapshot: LiveSnapshot, sealer: Sealer) -> bool:
    """Load everything anew if PostgreSQL has another version; says whether it had.

    A policy that this release cannot read is refused and the last good one stays: an instance
    never runs without rules.

    Raises:
        PolicyNotFoundError: Before the first policy was activated.
        PolicyInvalidError: If the first one that is met cannot be read.
    """
    version = await ports.database.configuration_version()
    before = snapshot.loaded
    if before is not None and before.configuration_version == version:
        return False
    async with ports.database.transaction() as stores:
        active = await stores.policies.find_active()
        clients = await stores.clients.all()
        keyring = await read_keyring(stores, sealer)
    if active is None:
        raise PolicyNotFoundError
    try:
        policy = _parsed(before, active.document, active.version)
        snapshot.refused_policy = None
    except PolicyInvalidError:
        snapshot.refused_policy = f"version {active.version} cannot be read by this release"
        if before is None:
            raise
        policy = before.policy
    snapshot.swap(
        Loaded(
            configuration_version=version,
            policy=policy,
            keyring=keyring,
            clients={client.client_id: client for client in clients},
        )
    )
    return True


async def follow(ports: Ports, snapshot: LiveSnapshot, sealer: Sealer) -> None:
    """Refresh on every announcement and every second, for ever."""
    announced = asyncio.Event()

    async def hear() -> None:
        async for _ in ports.state.changes.listen():
            announced.set()

    listening = asyncio.create_task(hear())
    try:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(announced.wait(), POLL_INTERVAL.total_seconds())
            announced.clear()
            # A database that is away, that holds no policy yet, or what only a newer release or
            # another key can read, changes nothing here: the last good configuration serves, and
            # we go on asking.
            with contextlib.suppress(StepUpError, UnsealError):
                await refresh(ports, snapshot, sealer)
            if listening.done():
                # It bears a Redis that is away; whatever else ended it must not stay unseen.
                listening.result()
                listening = asyncio.create_task(hear())
    finally:
        listening.cancel()


def _parsed(before: Loaded | None, text: str, version: int) -> Policy:
    if before is not None and before.policy.version == version:
        return before.policy
    return document.parse(text, version=version)
