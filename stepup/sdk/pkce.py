"""Proof Key for Code Exchange (RFC 7636) and the `state` of an authorization request."""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Pkce:
    """A verifier that stays here, and the challenge that is sent."""

    verifier: str = field(repr=False)

    method = "S256"

    @classmethod
    def generate(cls) -> "Pkce":
        """Make a new one, from 256 random bits."""
        return cls(secrets.token_urlsafe(32))

    @property
    def challenge(self) -> str:
        """The verifier's SHA-256 (section 4.2)."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return urlsafe_b64encode(digest).rstrip(b"=").decode()


def new_state() -> str:
    """Make a `state`: it ties the answer of an authorization request to the browser that asked."""
    return secrets.token_urlsafe(24)
