"""Keep policy, clients and keys in memory, and swap them when PostgreSQL has newer ones.

What runs in every step-up reads this and never waits for the database. It knows when PostgreSQL
confirmed it last: past `FRESH_FOR` it serves and says so, past `usable_for` it serves nobody.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import msgspec
from typing_extensions import override

from stepup.crypto import keys
from stepup.crypto.sealing import Sealer
from stepup.domain.client import Client
from stepup.domain.errors import DependencyUnavailableError, PolicyInvalidError
from stepup.domain.freshness import Freshness, age_of, freshness_of, is_ahead
from stepup.domain.ids import ClientId
from stepup.domain.keyring import KeyPlan, Keyring
from stepup.domain.policy import Policy
from stepup.ports import Clock, Configuration, Shadow, ShadowPolicy, Snapshot
from stepup.usecases.policy_reading import load_policy


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """One configuration, opened and parsed."""

    configuration: Configuration
    policy: Policy
    keyring: Keyring
    clients: Mapping[ClientId, Client]
    shadow: Shadow | None = None

    @property
    def version(self) -> int:
        """The version of all of it."""
        return self.configuration.version


class LiveSnapshot(Snapshot):
    """The snapshot of one process; a change swaps one reference."""

    def __init__(
        self,
        clock: Clock,
        *,
        usable_for: timedelta = timedelta(hours=24),
        built_in_clients: tuple[Client, ...] = (),
        on_swap: Callable[[Policy], object] = lambda _policy: None,
        on_age: Callable[[timedelta], object] = lambda _age: None,
        on_activation: Callable[[timedelta], object] = lambda _took: None,
    ) -> None:
        self._clock = clock
        self._usable_for = usable_for
        self._loaded: Loaded | None = None
        self._confirmed_at: datetime | None = None
        self._built_in = {client.client_id: client for client in built_in_clients}
        self._on_swap = on_swap
        self._on_age = on_age
        self._on_activation = on_activation
        self._refused_policy: str | None = None

    @property
    @override
    def policy(self) -> Policy:
        return self._require().policy

    @property
    @override
    def keyring(self) -> Keyring:
        return self._require().keyring

    @property
    @override
    def shadow(self) -> Shadow | None:
        return self._require().shadow

    @property
    @override
    def refused_policy(self) -> str | None:
        return self._refused_policy

    @override
    def client(self, client_id: ClientId) -> Client | None:
        return self._built_in.get(client_id) or self._require().clients.get(client_id)

    @property
    @override
    def freshness(self) -> Freshness:
        if self._confirmed_at is None:
            return Freshness.UNUSABLE
        return freshness_of(self._confirmed_at, self._clock.now(), self._usable_for)

    @property
    def loaded(self) -> Loaded | None:
        """What was loaded last, None before the first time."""
        return self._loaded

    @property
    def confirmed_at(self) -> datetime | None:
        """When PostgreSQL confirmed it last, to anybody."""
        return self._confirmed_at

    def refuse(self, reason: str | None) -> None:
        """Note why the active version is not the policy here, or that it is."""
        self._refused_policy = reason

    def swap(self, loaded: Loaded, confirmed_at: datetime) -> None:
        """Make newly loaded configuration the one that requests see."""
        before, self._loaded = self._loaded, loaded
        self._confirmed_at = confirmed_at
        self._on_swap(loaded.policy)
        # What was active before we started took us no time to hear of.
        if before is not None and before.policy.version < loaded.policy.version:
            activated_at = loaded.configuration.policy.activated_at
            self._on_activation(age_of(activated_at, self._clock.now()))
        self.tell_age()

    def show(self, shadow: Shadow | None) -> None:
        """Evaluate this beside the policy from now on."""
        if self._loaded is not None:
            self._loaded = msgspec.structs.replace(self._loaded, shadow=shadow)

    def confirm(self, at: datetime) -> None:
        """Note that PostgreSQL had nothing newer at that moment."""
        before = self._confirmed_at
        # What our clock said while it was ahead makes nothing last longer once it was put right.
        if before is not None and not is_ahead(before, self._clock.now()):
            at = max(at, before)
        self._confirmed_at = at
        self.tell_age()

    def tell_age(self) -> None:
        """Tell whoever counts how old it is; before the first load there is no age."""
        if self._confirmed_at is not None:
            self._on_age(age_of(self._confirmed_at, self._clock.now()))

    def _require(self) -> Loaded:
        if self._loaded is None:
            raise DependencyUnavailableError("The configuration is not loaded yet.")
        if self.freshness is Freshness.UNUSABLE:
            raise DependencyUnavailableError("The database has been away for too long.")
        return self._loaded


async def open_configuration(
    snapshot: LiveSnapshot,
    configuration: Configuration,
    sealer: Sealer,
    confirmed_at: datetime,
    plan: KeyPlan | None = None,
) -> None:
    """Open and parse a configuration, wherever it was kept, and swap it in.

    A policy that this release cannot read is refused and the last good one stays: an instance
    never runs without rules.

    Raises:
        PolicyInvalidError: If the first one that is met cannot be read.
        UnsealError: If a key of it does not open.
        LookupError: If it has no root secret.
    """
    before = snapshot.loaded
    keyring = keys.open_keyring(configuration.keys, sealer, plan)
    active = configuration.policy
    try:
        policy = await _parsed(before, active.document, active.version)
        snapshot.refuse(None)
    # Not only what the language foresees: whatever a text does to its reader, rules must remain.
    except Exception as error:
        foreseen = isinstance(error, PolicyInvalidError)
        what = "cannot be read by this release" if foreseen else "makes this release fail"
        snapshot.refuse(f"version {active.version} {what}")
        if before is None:
            raise
        policy = before.policy
    is_known = before is not None and before.configuration.shadow == configuration.shadow
    loaded = Loaded(
        configuration=configuration,
        policy=policy,
        keyring=keyring,
        clients={client.client_id: client for client in configuration.clients},
        shadow=before.shadow if before is not None and is_known else None,
    )
    snapshot.swap(loaded, confirmed_at)
    # After the swap: what is in force never waits for what has no effect.
    if configuration.shadow is not None and not is_known:
        snapshot.show(await _shadow(configuration.shadow))


async def _parsed(before: Loaded | None, text: str, version: int) -> Policy:
    # A database that was restored may have another text under a number that is known.
    if before is not None and (before.policy.version, before.configuration.policy.document) == (
        version,
        text,
    ):
        return before.policy
    return await load_policy(text, version)


async def _shadow(marked: ShadowPolicy) -> Shadow | None:
    try:
        policy = await load_policy(marked.document, version=0)
    # It has no effect, so it must have none on the configuration that has.
    except Exception:  # noqa: BLE001  see above
        return None
    return Shadow(draft=marked.draft, digest=marked.digest, policy=policy)
