"""The life of a signing key: announced, active, retiring, gone.

```
             rotate, or in time        announced for long enough,       nothing it signed can be
             for the next one          and the active one is old        alive, twice agreed
   (none) ───────────────▶ announced ──────────────▶ active ──▶ retiring ────────────▶ gone
                           published                 published  published     ▲     not published
                           signs nothing             signs      signs nothing └─────┤ restored
                               └────────── revoked: gone at once ──────┴────────────┘ (not after
                                                                                      revoking)
```

So it is in every ring by itself. An active key retires in the same step that makes its successor
active, so at every moment exactly one of a ring is, from its first key on. The first key of a ring
that is added to a deployment waits like any other: caches do not know it. A ring that no setting
names any more gets no successor, and its keys retire when they are old.

All moments are the database's: instances whose clocks disagree age keys alike.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from stepup.domain.ids import KeyId
from stepup.domain.keyring import KeyPlan, KeyState, KeyUse, Ring, SealedKey
from stepup.domain.requirement import MAX_TOKEN_LIFETIME

JWKS_MAX_AGE = timedelta(minutes=5)
"""How long a verifier may keep the key set without asking again."""

SHORTEST_ANNOUNCEMENT = timedelta(minutes=15)
"""Its maximum age and as much again for a verifier that renews in the background, and a margin."""

# The clocks of an instance and of the database may disagree; past this an instance is unready.
_SKEW = timedelta(minutes=5)

# A region rotates its keys by itself; when it has not for so many lifetimes it is no more.
_LIFETIMES_OF_A_REGION = 2


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

    ADOPT = "adopt"
    ANNOUNCE = "announce"
    PROMOTE = "promote"
    RETIRE = "retire"
    CONDEMN = "condemn"
    SPARE = "spare"
    REMOVE = "remove"


class KeyStep(msgspec.Struct, frozen=True):
    """One step of the life cycle, and the key that takes it.

    A key to announce has no name yet, only a ring; one to adopt has both.
    """

    kind: StepKind
    key_id: KeyId | None = None
    ring: Ring | None = None


def next_steps(
    keys: Iterable[SealedKey], now: datetime, rules: KeyRules, plan: KeyPlan
) -> tuple[KeyStep, ...]:
    """Say what is due, of the signing keys alone; taking a step makes no other of them undue."""
    signing = [key for key in keys if key.use is not KeyUse.ROOT]
    steps = _adoptions(signing, plan)
    adopted = {step.key_id for step in steps}
    signing = [
        msgspec.structs.replace(key, region=plan.region) if key.id in adopted else key
        for key in signing
    ]
    for ring in plan.rings:
        steps += _of_ring(ring, signing, now, rules)
    steps += _of_the_unnamed(signing, now, rules, plan)
    steps += [
        step
        for key in signing
        if key.state is KeyState.RETIRING and (step := _towards_removal(key, now, rules))
    ]
    return tuple(steps)


def members(keys: Iterable[SealedKey], ring: Ring) -> list[SealedKey]:
    """Return the keys of one ring."""
    return [key for key in keys if key.ring == ring]


def active_of(keys: Iterable[SealedKey], ring: Ring) -> SealedKey | None:
    """Return the key of a ring that signs."""
    return next((key for key in members(keys, ring) if key.state is KeyState.ACTIVE), None)


def successor_of(keys: Iterable[SealedKey], ring: Ring) -> SealedKey | None:
    """Return the announced key that is active next: the one that caches have known longest."""
    announced = [key for key in members(keys, ring) if key.state is KeyState.ANNOUNCED]
    return min(announced, key=lambda key: (key.created_at, key.id), default=None)


def is_rotated_again_too_soon(keys: Iterable[SealedKey], ring: Ring, now: datetime) -> bool:
    """Say whether the ring's key changed just now and verifiers cannot know the next one yet.

    Whoever did not hear that a rotation was done repeats it, and means the key that signs already.
    """
    of_ring = members(keys, ring)
    successor = successor_of(of_ring, ring)
    if successor is not None and now - successor.created_at >= SHORTEST_ANNOUNCEMENT:
        return False
    # A revoked key is not among them; who took its place is, and was made before it signed.
    return any(
        now - key.stands_since < SHORTEST_ANNOUNCEMENT
        and (
            key.state is KeyState.RETIRING
            or (key.state is KeyState.ACTIVE and key.created_at < key.stands_since)
        )
        for key in of_ring
    )


def after(keys: Sequence[SealedKey], step: KeyStep, now: datetime) -> list[SealedKey]:
    """Return the keys that a step changes, in the order in which they must be written."""
    key = next((key for key in keys if key.id == step.key_id), None)
    if key is None:
        return []
    if step.kind is StepKind.PROMOTE:
        active = [k for k in members(keys, key.ring) if k.state is KeyState.ACTIVE]
        retired = [k.moved(KeyState.RETIRING, now) for k in active]
        return [*retired, key.moved(KeyState.ACTIVE, now)]
    return [_taken(step, key, now)]


def _taken(step: KeyStep, key: SealedKey, now: datetime) -> SealedKey:
    match step.kind:
        case StepKind.ADOPT if step.ring is not None:
            return msgspec.structs.replace(key, region=step.ring.region)
        case StepKind.CONDEMN:
            return msgspec.structs.replace(key, condemned_at=now)
        case StepKind.SPARE:
            return msgspec.structs.replace(key, condemned_at=None)
        case StepKind.RETIRE:
            return key.moved(KeyState.RETIRING, now)
        case StepKind.REMOVE:
            return key.moved(KeyState.GONE, now)
        case _:
            return key


def _adoptions(keys: Sequence[SealedKey], plan: KeyPlan) -> list[KeyStep]:
    # The first region that starts with keys of a release without regions takes them as its own:
    # they go on signing, and the others announce rings beside them.
    return [
        KeyStep(StepKind.ADOPT, key.id, ring)
        for key in keys
        if not key.region and plan.region
        if active_of(keys, ring := key.ring._replace(region=plan.region)) is None
    ]


def _of_ring(
    ring: Ring, keys: Sequence[SealedKey], now: datetime, rules: KeyRules
) -> list[KeyStep]:
    active, successor = active_of(keys, ring), successor_of(keys, ring)
    if successor is None:
        # The next key lies ready all the time, so that an emergency need not wait for caches.
        is_missing = rules.lifetime or active is None
        return [KeyStep(StepKind.ANNOUNCE, ring=ring)] if is_missing else []
    if active is None:
        is_due = now >= rules.promotable_at(successor) or _must_sign_now(ring, keys)
    else:
        is_due = _is_due(successor, active, now, rules)
    return [KeyStep(StepKind.PROMOTE, successor.id)] if is_due else []


def _must_sign_now(ring: Ring, keys: Sequence[SealedKey]) -> bool:
    # Better an access token by an unknown key than none at all.
    return ring.use is KeyUse.TOKEN and not _signs(keys, KeyUse.TOKEN)


def _signs(keys: Iterable[SealedKey], use: KeyUse) -> bool:
    return any(key.use is use and key.state is KeyState.ACTIVE for key in keys)


def _is_due(successor: SealedKey, active: SealedKey, now: datetime, rules: KeyRules) -> bool:
    is_old = rules.lifetime > timedelta(0) and now - active.stands_since >= rules.lifetime
    is_wanted = successor.wanted_at is not None
    return (is_old or is_wanted) and now >= rules.promotable_at(successor)


def _of_the_unnamed(
    keys: Sequence[SealedKey], now: datetime, rules: KeyRules, plan: KeyPlan
) -> list[KeyStep]:
    named = set(plan.rings)
    by_the_plan = [key for key in keys if key.ring in named]
    standing = {KeyState.ANNOUNCED, KeyState.ACTIVE}
    return [
        KeyStep(StepKind.RETIRE, key.id)
        for key in keys
        if key.ring not in named and key.state in standing and rules.lifetime
        # Not before its place is taken: whoever finds no other key signs with it.
        if _signs(by_the_plan, key.use)
        if now - key.stands_since >= rules.lifetime * _patience(key, plan)
    ]


def _patience(key: SealedKey, plan: KeyPlan) -> int:
    return 1 if key.region == plan.region else _LIFETIMES_OF_A_REGION


def _towards_removal(key: SealedKey, now: datetime, rules: KeyRules) -> KeyStep | None:
    if now < rules.removable_at(key):
        # Removing is refused; a vote that was cast under other rules or another clock is void.
        return KeyStep(StepKind.SPARE, key.id) if key.condemned_at else None
    if key.condemned_at is None:
        return KeyStep(StepKind.CONDEMN, key.id)
    agreed = now - key.condemned_at >= rules.agreement
    return KeyStep(StepKind.REMOVE, key.id) if agreed else None
