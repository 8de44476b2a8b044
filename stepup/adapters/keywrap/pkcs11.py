"""Key-encryption keys wrapped by an AES key that never leaves a PKCS#11 token.

    entry = base64(nonce (12) | ciphertext and tag)

AES-256-GCM inside the token; the number is authenticated, so an entry does not open under another
one. The library is the vendor's and loaded into this process, which is why this happens once, at a
start.
"""

import base64
import binascii
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from typing_extensions import override

from stepup.ports.key_wrapping import KeyWrapError, KeyWrapping

if TYPE_CHECKING:
    from pkcs11 import Session

_NONCE_BITS, _TAG_BITS = 96, 128
_NONCE_BYTES = _NONCE_BITS // 8


class Token(NamedTuple):
    """Which key of which token, and what opens it."""

    module: str
    label: str
    key: str
    pin: str

    def __repr__(self) -> str:
        return f"Token({self.module}, {self.label}, {self.key}, ***)"


class Pkcs11Keys(KeyWrapping):
    """An entry is ciphertext; only the token opens it."""

    hides = True

    def __init__(self, token: Token) -> None:
        self._token = token
        self.name = f"PKCS#11 token {token.label}"

    @override
    def wrap(self, number: int, key: bytes) -> str:
        with self._opened() as session:
            from pkcs11 import GCMParams, Mechanism  # noqa: PLC0415  an extra

            nonce = session.generate_random(_NONCE_BITS)
            parameters = GCMParams(nonce, _context(number), _TAG_BITS)
            sealed = self._key(session).encrypt(
                key, mechanism=Mechanism.AES_GCM, mechanism_param=parameters
            )
        return base64.b64encode(nonce + bytes(sealed)).decode()

    @override
    def unwrap(self, number: int, entry: str) -> bytes:
        try:
            sealed = base64.b64decode(entry, validate=True)
        except (binascii.Error, ValueError):
            sealed = b""
        nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        if len(rest) <= _TAG_BITS // 8:
            raise KeyWrapError(f"key {number} is no key that was wrapped")
        with self._opened() as session:
            from pkcs11 import GCMParams, Mechanism, PKCS11Error  # noqa: PLC0415  an extra

            key = self._key(session)
            try:
                opened = key.decrypt(
                    rest,
                    mechanism=Mechanism.AES_GCM,
                    mechanism_param=GCMParams(nonce, _context(number), _TAG_BITS),
                )
            except PKCS11Error as error:
                raise KeyWrapError(
                    f"key {number} was not wrapped by {self._token.key} of the {self.name}, "
                    f"or not under this number ({type(error).__name__})"
                ) from error
        return bytes(opened)

    def create_key(self) -> None:
        """Make the wrapping key inside the token; it cannot be read out.

        Raises:
            KeyWrapError: If there is one of this name, or the token does not answer.
        """
        with self._opened(writes=True) as session:
            from pkcs11 import Attribute, KeyType  # noqa: PLC0415  an extra

            if self._found(session) is not None:
                raise KeyWrapError(f"the {self.name} has a key {self._token.key} already")
            template = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
            session.generate_key(
                KeyType.AES, 256, label=self._token.key, store=True, template=template
            )

    @contextmanager
    def _opened(self, *, writes: bool = False) -> "Iterator[Session]":
        try:
            import pkcs11  # noqa: PLC0415  an extra
        except ImportError as error:
            raise KeyWrapError(
                "PKCS#11 needs the extra: pip install stepup-auth[pkcs11]"
            ) from error
        try:
            token = pkcs11.lib(self._token.module).get_token(token_label=self._token.label)
            with token.open(rw=writes, user_pin=self._token.pin) as session:
                yield session
        # Vendors' libraries fail in ways of their own; a message of theirs may hold anything.
        except (pkcs11.PKCS11Error, RuntimeError, OSError) as error:
            raise KeyWrapError(f"the {self.name} refused: {type(error).__name__}") from error

    # The library gives a key its operations at run time, when the token has said what it may.
    def _key(self, session: "Session") -> Any:
        key = self._found(session)
        if key is None:
            raise KeyWrapError(f"the {self.name} has no AES key {self._token.key}")
        return key

    def _found(self, session: "Session") -> Any | None:
        from pkcs11 import KeyType, NoSuchKey, ObjectClass  # noqa: PLC0415  an extra

        try:
            return session.get_key(
                object_class=ObjectClass.SECRET_KEY, key_type=KeyType.AES, label=self._token.key
            )
        except NoSuchKey:
            return None


def _context(number: int) -> bytes:
    return b"stepup key-encryption key %d" % number
