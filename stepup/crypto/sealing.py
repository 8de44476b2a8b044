"""Secrets at rest: AES-256-GCM under numbered key-encryption keys.

    format (1) | key number (4) | salt (12) | nonce (12) | ciphertext and tag

Each message has a key of its own, derived from the numbered key and the salt. The context is
authenticated with it, so a sealed secret moved to another row does not open.
"""

import hmac
from collections.abc import Callable, Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stepup.domain.errors import NewerFormatError

KEY_BYTES = 32
FORMAT = 1

_SALT_BYTES = 12
_NONCE_BYTES = 12
_TAG_BYTES = 16
_PREFIX_BYTES = 5
_HEADER_BYTES = _PREFIX_BYTES + _SALT_BYTES + _NONCE_BYTES

SHORTEST = _HEADER_BYTES + _TAG_BYTES
"""The length of nothing, sealed; so many bytes say under which key it lies."""


class UnsealError(Exception):
    """The sealed bytes were changed, moved, or sealed under a key that is not here."""


class Sealer:
    """Seals under the current key, by default the newest, and unseals under any it knows.

    The keys belong to the deployment and come from its settings; randomness comes in as well, so
    that tests can repeat it.
    """

    def __init__(
        self,
        keys: Mapping[int, bytes],
        random: Callable[[int], bytes],
        *,
        current: int | None = None,
    ) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys.values()):
            raise ValueError(f"a sealer needs at least one key, and each has {KEY_BYTES} bytes")
        self._keys = dict(keys)
        self._current = max(keys) if current is None else current
        if self._current not in keys:
            raise ValueError(f"key {current} is to seal, and is not among the keys")
        self._random = random

    def seal(self, plaintext: bytes, *, context: str) -> bytes:
        """Encrypt under the current key; it opens in this context only."""
        prefix = FORMAT.to_bytes(1, "big") + self._current.to_bytes(4, "big")
        # Random nonces alone are good for 2^32 messages per key (NIST SP 800-38D section 8.3),
        # which pending challenges could use up in weeks; with the salt it is 2^80.
        salt, nonce = self._random(_SALT_BYTES), self._random(_NONCE_BYTES)
        cipher = AESGCM(_message_key(self._keys[self._current], salt))
        return prefix + salt + nonce + cipher.encrypt(nonce, plaintext, _bound(prefix, context))

    def unseal(self, sealed: bytes, *, context: str) -> bytes:
        """Decrypt what `seal` made in the same context.

        Raises:
            UnsealError: If it was changed, belongs elsewhere, or its key is not here.
            NewerFormatError: If a newer release sealed it.
        """
        prefix, key = sealed[:_PREFIX_BYTES], self._key_of(sealed)
        salt = sealed[_PREFIX_BYTES : _PREFIX_BYTES + _SALT_BYTES]
        nonce = sealed[_PREFIX_BYTES + _SALT_BYTES : _HEADER_BYTES]
        cipher = AESGCM(_message_key(key, salt))
        try:
            return cipher.decrypt(nonce, sealed[_HEADER_BYTES:], _bound(prefix, context))
        except InvalidTag:
            raise UnsealError("the sealed bytes were changed or belong elsewhere") from None

    @property
    def current(self) -> int:
        """The number of the key that seals."""
        return self._current

    @property
    def numbers(self) -> frozenset[int]:
        """The numbers of all keys that are here."""
        return frozenset(self._keys)

    def seal_again(self, sealed: bytes, *, context: str) -> bytes | None:
        """Return the same secret under the current key, None when it lies under that already.

        Raises:
            UnsealError: If it was changed, belongs elsewhere, or its key is not here.
            NewerFormatError: If a newer release sealed it.
        """
        if number_of(sealed) == self._current:
            return None
        return self.seal(self.unseal(sealed, context=context), context=context)

    def _key_of(self, sealed: bytes) -> bytes:
        number = number_of(sealed)
        if number not in self._keys:
            raise UnsealError(f"sealed under key {number}, which is not among the keys given")
        return self._keys[number]

    def __repr__(self) -> str:
        return f"Sealer(keys {sorted(self._keys)}, ***)"


def number_of(sealed: bytes) -> int:
    """Return the number of the key that something was sealed under.

    Raises:
        UnsealError: If these are no sealed bytes.
        NewerFormatError: If a newer release sealed them.
    """
    if sealed and sealed[0] > FORMAT:
        raise NewerFormatError
    if len(sealed) < SHORTEST or sealed[0] != FORMAT:
        raise UnsealError("these are no sealed bytes")
    return int.from_bytes(sealed[1:_PREFIX_BYTES], "big")


def _message_key(key: bytes, salt: bytes) -> bytes:
    return hmac.digest(key, b"stepup seal" + salt, "sha256")


def _bound(prefix: bytes, context: str) -> bytes:
    return prefix + context.encode()
