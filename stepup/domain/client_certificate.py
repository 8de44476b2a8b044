"""The certificate that a client showed in the TLS handshake, as whoever ended the TLS tells it."""

from datetime import datetime

import msgspec


class ClientCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate that was read; nothing in it is verified but its form.

    `thumbprint` is what a bound token carries as `cnf.x5t#S256` (RFC 8705 section 3.1).
    `public_key` is its SubjectPublicKeyInfo, and `der` all of it.
    """

    der: bytes
    thumbprint: str
    public_key: bytes
    not_before: datetime
    not_after: datetime

    def is_valid_at(self, now: datetime) -> bool:
        """Say whether its validity period has begun and not ended (RFC 5280 section 4.1.2.5)."""
        return self.not_before <= now <= self.not_after

    def __repr__(self) -> str:
        return f"ClientCertificate({self.thumbprint})"
