"""Signing keys: announced, active, retiring, gone."""

from datetime import datetime
from enum import StrEnum

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
    ROOT = "root"


class SealedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it lies at rest: the private half sealed under a key-encryption key.

    `public_jwk` is empty for the root secret.
    """

    id: KeyId
    use: KeyUse
    algorithm: str
    state: KeyState
    public_jwk: dict[str, str]
    sealed_private_key: bytes
    created_at: datetime

    def __repr__(self) -> str:
        return f"SealedKey({self.id}, {self.algorithm}, {self.state})"


class SigningKey(msgspec.Struct, frozen=True, kw_only=True):
    """An unsealed signing key; `private_key` is the cryptography library's object."""

    id: KeyId
    algorithm: str
    state: KeyState
    public_jwk: dict[str, str]
    private_key: object

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

    @property
    def published(self) -> tuple[SigningKey, ...]:
        """Every key that a verifier may meet."""
        return tuple(key for key in self.keys if key.state is not KeyState.GONE)

    def find(self, key_id: str) -> SigningKey | None:
        """Find a published key by its `kid`."""
        return next((key for key in self.published if key.id == key_id), None)

    def __repr__(self) -> str:
        return f"Keyring({', '.join(key.id for key in self.keys)})"
