"""Signing keys and the rings they stand in: what each key is for, and which of them signs.

A ring is a use, an algorithm and a region; one key of it is active. How keys come and go is said in
`key_life.py`.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from stepup.domain.ids import KeyId


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


SIGNING_USES = tuple(use for use in KeyUse if use is not KeyUse.ROOT)

DEFAULT_ALGORITHMS: Mapping[KeyUse, tuple[str, ...]] = MappingProxyType(
    {
        KeyUse.TOKEN: ("ES256",),
        # OpenID Connect Discovery section 3: RS256 must be offered. FAPI 2.0 forbids its use.
        KeyUse.ID_TOKEN: ("ES256", "RS256"),
        # CAEP Interoperability Profile section 2.6: RS256, and nothing else.
        KeyUse.SET: ("RS256",),
        KeyUse.STATUS_LIST: ("ES256",),
        # RFC 9701 section 6: RS256 is what a client gets that registered nothing.
        KeyUse.INTROSPECTION: ("RS256", "ES256"),
    }
)
"""With what is signed for each use, the preferred algorithm first."""


class Ring(NamedTuple):
    """The keys of one use, one algorithm and one region: at most one of them is active."""

    use: KeyUse
    algorithm: str
    region: str

    def __str__(self) -> str:
        return f"{self.use} {self.algorithm} {self.region}"


class KeyPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Which rings an instance looks after: those of its region, as its settings name them."""

    region: str = ""
    algorithms: Mapping[KeyUse, tuple[str, ...]] = msgspec.field(
        default_factory=lambda: DEFAULT_ALGORITHMS
    )

    @property
    def rings(self) -> tuple[Ring, ...]:
        """Every ring of this region."""
        return tuple(
            Ring(use, algorithm, self.region)
            for use in SIGNING_USES
            for algorithm in self.algorithms_of(use)
        )

    def algorithms_of(self, use: KeyUse) -> tuple[str, ...]:
        """Return the algorithms of a use, the preferred one first."""
        return self.algorithms.get(use, ())

    def ring(self, use: KeyUse, algorithm: str | None = None) -> Ring:
        """Return a ring of this region, by default that of the preferred algorithm.

        Raises:
            LookupError: If this region has no such ring.
        """
        algorithms = self.algorithms_of(use)
        if not algorithms or algorithm not in {None, *algorithms}:
            raise LookupError(f"there is no ring {use} {algorithm or ''}".rstrip())
        return Ring(use, algorithm or algorithms[0], self.region)


class SealedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it lies at rest: the private half sealed under a key-encryption key.

    `public_jwk` is empty for the root secret. `region` is empty for the root secret, and for a key
    of a release that knew no regions until a region has adopted it. `since` is the moment when it
    came into its state, None for a key of a release that kept none. `wanted_at` asks for its
    promotion, `condemned_at` is the first of two votes for its removal, `revoked_at` forbids to
    bring it back.
    """

    id: KeyId
    use: KeyUse
    algorithm: str
    state: KeyState
    public_jwk: dict[str, str]
    sealed_private_key: bytes
    created_at: datetime
    region: str = ""
    since: datetime | None = None
    wanted_at: datetime | None = None
    condemned_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def ring(self) -> Ring:
        """The ring it stands in."""
        return Ring(self.use, self.algorithm, self.region)

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
        return f"SealedKey({self.id}, {self.ring}, {self.state})"


class SigningKey(msgspec.Struct, frozen=True, kw_only=True):
    """An unsealed signing key; `private_key` is the cryptography library's object."""

    id: KeyId
    algorithm: str
    state: KeyState
    public_jwk: dict[str, str]
    private_key: object
    use: KeyUse = KeyUse.TOKEN
    region: str = ""
    since: datetime | None = None

    @property
    def ring(self) -> Ring:
        """The ring it stands in."""
        return Ring(self.use, self.algorithm, self.region)

    def __repr__(self) -> str:
        return f"SigningKey({self.id}, {self.ring}, {self.state}, ***)"


class Keyring(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """All keys an instance works with, of every region, and the plan that says which it prefers.

    `root` is the secret that every digest and derived key of the deployment comes from.
    """

    keys: tuple[SigningKey, ...]
    root: bytes
    plan: KeyPlan = KeyPlan()

    @property
    def active(self) -> SigningKey:
        """The key that signs access tokens.

        Raises:
            LookupError: If none does.
        """
        return self.signer(KeyUse.TOKEN)

    def signer(self, use: KeyUse, algorithm: str | None = None) -> SigningKey:
        """Return the key that signs for a use, with one algorithm where somebody asked for it.

        While a use or a region has no active key yet, the key for access tokens signs for it, and
        that of another region: verifiers know those, and tell the kinds of token by their `typ`.

        Raises:
            LookupError: If no active key has the algorithm.
        """
        key = self._signers.get((use, algorithm))
        if key is None:
            raise LookupError(f"no active {algorithm or 'signing'} key for {use}")
        return key

    @cached_property
    def published(self) -> tuple[SigningKey, ...]:
        """Every key that a verifier may meet."""
        return tuple(key for key in self.keys if key.state is not KeyState.GONE)

    def find(self, key_id: str, use: KeyUse | None = None) -> SigningKey | None:
        """Find a published key by its `kid`, by default whatever it is for.

        What another key may have signed in place of one for this use is found as well.
        """
        key = self._published.get(key_id)
        if key is None or use in {None, key.use} or key.use is KeyUse.TOKEN:
            return key
        return None

    @cached_property
    def _published(self) -> dict[str, SigningKey]:
        return {key.id: key for key in self.published}

    @cached_property
    def _signers(self) -> dict[tuple[KeyUse, str | None], SigningKey]:
        # Looked up with every signature, and a keyring is used for as long as nothing changes.
        active = [key for key in self.keys if key.state is KeyState.ACTIVE]
        signers: dict[tuple[KeyUse, str | None], SigningKey] = {}
        for use in SIGNING_USES:
            for algorithm in {None, *(key.algorithm for key in active)}:
                key = _best_of(active, use, algorithm, self.plan)
                if key is not None:
                    signers[use, algorithm] = key
        return signers

    def __repr__(self) -> str:
        return f"Keyring({', '.join(key.id for key in self.keys)})"


def _best_of(
    active: Iterable[SigningKey], use: KeyUse, algorithm: str | None, plan: KeyPlan
) -> SigningKey | None:
    named = plan.algorithms_of(use)

    def may(key: SigningKey) -> bool:
        if algorithm not in {None, key.algorithm}:
            return False
        is_lent = key.use is KeyUse.TOKEN and (algorithm or key.algorithm in named)
        return key.use is use or bool(is_lent)

    def rank(key: SigningKey) -> tuple[int, bool, bool, str, str]:
        place = named.index(key.algorithm) if key.algorithm in named else len(named)
        return place, key.use is not use, key.region != plan.region, key.region, key.id

    return min(filter(may, active), key=rank, default=None)
