"""Signing keys: announced, active, retiring, gone.

```
             rotate, or in time        announced for long enough,       nothing it signed can be
             for the next one          and the active one is old        alive, twice agreed
   (none) ───────────────▶ announced ──────────────▶ active ──▶ retiring ────────────▶ gone
                           published                 published  published     ▲     not published
                           signs nothing             signs      signs nothing └─────┤ restored
                               └────────── revoked: gone at once ──────┴────────────┘ (not after
                                                                                      revoking)
```

An active key retires in the same step that makes its successor active, so at every moment exactly
one is. All moments are the database's: instances whose clocks disagree age keys alike.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from stepup.domain.ids import KeyId
from stepup.domain.requirement import MAX_TOKEN_LIFETIME

JWKS_MAX_AGE = timedelta(minutes=5)
"""How long a verifier may keep the key set without asking again."""

SHORTEST_ANNOUNCEMENT = timedelta(minutes=15)
"""Its maximum age and as much again for a verifier that renews in the background, and a margin."""

# The clocks of an instance and of the database may disagree; past this an instance is unready.
_SKEW = timedelta(minutes=5)


class KeyState(StrEnum):
    """Where a signing key stands; only an active one signs, all but gone ones are published."""

    ANNOUNCED = "announced"
    ACTIVE = "active"
    RETIRING = "retiring"
    GONE = "gone"


class KeyUse(StrEnum):
    """What a key is for."""

    TOKEN = "token"  # noqa: S105  the name of a use
    ID_TOKEN = "id_token"  # noqa: S105  the name of a use
    SET = "set"
    """Security event tokens (RFC 8417)."""
    STATUS_LIST = "status_list"
    INTROSPECTION = "introspection"
    """Signed introspection answers (RFC 9701)."""
    ROOT = "root"


class SealedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it lies at rest: the private half sealed under a key-encryption key.

    `public_jwk` is empty for the root secret. `since` is the moment when it came into its state,
    None for a key of a release that kept none. `wanted_at` asks for its promotion, `condemned_at`
    is the first of two votes for its removal, `revoked_at` forbids to bring it back.
    """

    id: KeyId
    use: KeyUse
    algorithm: str
    state: KeyState
    public_jwk: dict[str, str]
    sealed_private_key: bytes
    created_at: datetime
    since: datetime | None = None
    wanted_at: datetime | None = None
    condemned_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def stands_since(self) -> datetime:
        """When it came into its state."""
        return self.since or self.created_at

    def moved(self, state: KeyState, now: datetime) -> "SealedKey":
        """Return it in another state, with no mark of the one before."""
        return msgspec.structs.replace(
            self, state=state, since=now, wanted_at=None, condemned_at=None
        )

    def __repr__(self) -> str:
        return f"SealedKey({self.id}, {self.algorithm}, {self.state})"


class SigningKey(msgspec.Struct, frozen=True, kw_only=True):
    """An unsealed signing key; `private_key` is the cryptography library's object."""

    id: KeyId
    algorithm: str
    state: KeyState
    public_jwk: dict[str, str]
    private_key: object
    since: datetime | None = None

    def __repr__(self) -> str:
        return f"SigningKey({self.id}, {self.algorithm}, {self.state}, ***)"


class Keyring(msgspec.Struct, frozen=True, kw_only=True):
    """All keys an instance works with.

    `root` is the secret that every digest and derived key of the deployment comes from.
    """

    keys: tuple[SigningKey, ...]
    root: bytes

    @property
    def active(self) -> SigningKey:
        """The key that signs.

        Raises:
            LookupError: If no key is active.
        """
        for key in self.keys:
            if key.state is KeyState.ACTIVE:
                return key
        raise LookupError("no active signing key")

    def signer(self, use: KeyUse, algorithm: str | None = None) -> SigningKey:
        """Return the key that signs for a use, with one algorithm where somebody asked for it.

        Raises:
            LookupError: If no active key does.
        """
        key = self.active
        if use is KeyUse.ROOT or algorithm not in {None, key.algorithm}:
            raise LookupError(f"no active {algorithm} key for {use}")
        return key

    @property
    def published(self) -> tuple[SigningKey, ...]:
        """Every key that a verifier may meet."""
        return tuple(key for key in self.keys if key.state is not KeyState.GONE)

    def find(self, key_id: str) -> SigningKey | None:
        """Find a published key by its `kid`."""
        return next((key for key in self.published if key.id == key_id), None)

    def __repr__(self) -> str:
        return f"Keyring({', '.join(key.id for key in self.keys)})"


class KeyRules(msgspec.Struct, frozen=True, kw_only=True):
    """How long a key stays in each state.

    `lifetime` is that of an active key, zero for rotation by hand only. `heard_within` is the
    longest time for which an instance serves without having heard of changes: for so long one that
    was cut off may go on signing with a key that has retired. `agreement` lies between the two
    votes for a removal.
    """

    announced_for: timedelta = timedelta(hours=24)
    lifetime: timedelta = timedelta(days=30)
    heard_within: timedelta = timedelta(hours=24)
    agreement: timedelta = timedelta(minutes=10)

    def __post_init__(self) -> None:
        """Refuse an announcement that a cache could outlive."""
        if self.announced_for < SHORTEST_ANNOUNCEMENT:
            raise ValueError(f"a key is announced for {SHORTEST_ANNOUNCEMENT} at least")

    @property
    def published_before_use(self) -> timedelta:
        """How long a key is announced: also an instance that was cut off hands out old key sets."""
        return max(self.announced_for, self.heard_within + SHORTEST_ANNOUNCEMENT)

    @property
    def retiring_for(self) -> timedelta:
        """How long after its retirement a token of a key may be alive, or be asked for."""
        return self.heard_within + MAX_TOKEN_LIFETIME + _SKEW + JWKS_MAX_AGE

    def removable_at(self, key: SealedKey) -> datetime:
        """Return from when on nothing that a retiring key signed can be alive."""
        return key.stands_since + self.retiring_for

    def promotable_at(self, key: SealedKey) -> datetime:
        """Return from when on no cache lacks an announced key."""
        return key.created_at + self.published_before_use


class StepKind(StrEnum):
    """What can be due; `condemn` and `remove` are the two votes for a removal."""

    ANNOUNCE = "announce"
    PROMOTE = "promote"
    CONDEMN = "condemn"
    SPARE = "spare"
    REMOVE = "remove"


class KeyStep(msgspec.Struct, frozen=True):
    """One step of the life cycle, and the key that takes it; a key to announce has no name yet."""

    kind: StepKind
    key_id: KeyId | None = None


def next_steps(keys: Iterable[SealedKey], now: datetime, rules: KeyRules) -> tuple[KeyStep, ...]:
    """Say what is due, of the signing keys alone; taking a step makes no other of them undue."""
    signing = [key for key in keys if key.use is KeyUse.TOKEN]
    active = next((key for key in signing if key.state is KeyState.ACTIVE), None)
    successor = successor_of(signing)
    steps: list[KeyStep] = []
    if successor is None:
        # The next key lies ready all the time, so that an emergency need not wait for caches.
        if rules.lifetime or active is None:
            steps.append(KeyStep(StepKind.ANNOUNCE))
    elif active is None or _is_due(successor, active, now, rules):
        steps.append(KeyStep(StepKind.PROMOTE, successor.id))
    steps.extend(
        step
        for key in signing
        if key.state is KeyState.RETIRING and (step := _towards_removal(key, now, rules))
    )
    return tuple(steps)


def successor_of(keys: Iterable[SealedKey]) -> SealedKey | None:
    """Return the announced key that is active next: the one that caches have known longest."""
    announced = [key for key in keys if key.state is KeyState.ANNOUNCED]
    return min(announced, key=lambda key: (key.created_at, key.id), default=None)


def is_rotated_again_too_soon(keys: Iterable[SealedKey], now: datetime) -> bool:
    """Say whether a key retired just now and verifiers cannot know the next one yet.

    Whoever did not hear that a rotation was done repeats it, and means the key that signs already.
    """
    signing = [key for key in keys if key.use is KeyUse.TOKEN]
    successor = successor_of(signing)
    if successor is not None and now - successor.created_at >= SHORTEST_ANNOUNCEMENT:
        return False
    return any(
        key.state is KeyState.RETIRING and now - key.stands_since < SHORTEST_ANNOUNCEMENT
        for key in signing
    )


def after(keys: Sequence[SealedKey], step: KeyStep, now: datetime) -> list[SealedKey]:
    """Return the keys that a step changes, in the order in which they must be written."""
    key = next((key for key in keys if key.id == step.key_id), None)
    if key is None:
        return []
    match step.kind:
        case StepKind.PROMOTE:
            retired = [k.moved(KeyState.RETIRING, now) for k in keys if _is_active(k)]
            return [*retired, key.moved(KeyState.ACTIVE, now)]
        case StepKind.CONDEMN:
            return [msgspec.structs.replace(key, condemned_at=now)]
        case StepKind.SPARE:
            return [msgspec.structs.replace(key, condemned_at=None)]
        case StepKind.REMOVE:
            return [key.moved(KeyState.GONE, now)]
        case StepKind.ANNOUNCE:
            return []


def _is_active(key: SealedKey) -> bool:
    return key.use is KeyUse.TOKEN and key.state is KeyState.ACTIVE


def _is_due(successor: SealedKey, active: SealedKey, now: datetime, rules: KeyRules) -> bool:
    is_old = rules.lifetime > timedelta(0) and now - active.stands_since >= rules.lifetime
    is_wanted = successor.wanted_at is not None
    return (is_old or is_wanted) and now >= rules.promotable_at(successor)


def _towards_removal(key: SealedKey, now: datetime, rules: KeyRules) -> KeyStep | None:
    if now < rules.removable_at(key):
        # Removing is refused; a vote that was cast under other rules or another clock is void.
        return KeyStep(StepKind.SPARE, key.id) if key.condemned_at else None
    if key.condemned_at is None:
        return KeyStep(StepKind.CONDEMN, key.id)
    agreed = now - key.condemned_at >= rules.agreement
    return KeyStep(StepKind.REMOVE, key.id) if agreed else None
