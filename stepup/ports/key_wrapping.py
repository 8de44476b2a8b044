"""Where key-encryption keys come from: as they are, or wrapped by a key that nobody can read."""

from typing import Protocol


class KeyWrapError(Exception):
    """A key-encryption key cannot be had; the message is one line and repeats no secret."""


class KeyWrapping(Protocol):
    """Turns an entry of the settings into a key-encryption key, once at a start.

    It is called before anything is served, and by nobody who serves: whatever happens to it later,
    instances that run go on.
    """

    name: str
    """What it is, for operators."""

    hides: bool
    """Whether who reads an entry still has no key, and a changed one or one of another number is refused."""

    def wrap(self, number: int, key: bytes) -> str:
        """Return the entry for a key of 32 bytes under this number.

        Raises:
            KeyWrapError: If whatever wraps it does not answer.
        """
        ...

    def unwrap(self, number: int, entry: str) -> bytes:
        """Return the key of an entry that `wrap` made for this number.

        Raises:
            KeyWrapError: If it is none, or if whatever unwraps it does not answer.
        """
        ...
