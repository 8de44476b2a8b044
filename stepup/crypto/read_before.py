"""Elevated tokens whose signature was verified before, so that it is verified once.

A resource server asks about one token again and again while it lives, and the signature is the dearest
part of the answer. Nothing else is remembered: whether the key is still ours, the time, and what was
revoked are looked at each time.
"""

from hashlib import sha256
from typing import NamedTuple

from stepup.domain.ids import KeyId
from stepup.domain.keyring import SigningKey
from stepup.domain.site import Site
from stepup.domain.token import ElevatedToken

MOST = 8192


class Signed(NamedTuple):
    """What a verification holds for: a text, a key (its name is its thumbprint), and this site.

    The text is a digest, so that a dump of our memory holds fewer tokens.
    """

    digest: bytes
    key_id: KeyId
    algorithm: str
    issuer: str
    root: bytes

    @classmethod
    def of(cls, text: str, key: SigningKey, site: Site, root: bytes) -> "Signed":
        """Name a verification."""
        digest = sha256(text.encode()).digest()
        return cls(digest, key.id, key.algorithm, site.issuer, root)

    def __repr__(self) -> str:
        return f"Signed({self.key_id})"


class ReadBefore:
    """The latest tokens that were verified."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._tokens: dict[Signed, ElevatedToken] = {}

    def find(self, signed: Signed) -> ElevatedToken | None:
        """Return what the token says, None if it was not verified lately."""
        return self._tokens.get(signed)

    def keep(self, signed: Signed, token: ElevatedToken) -> None:
        """Remember a token; the older half is forgotten when there are too many."""
        if len(self._tokens) >= self._most:
            self._tokens = dict(list(self._tokens.items())[-self._most // 2 :])
        self._tokens[signed] = token
