"""What binds a token to whoever holds a private key (RFC 7800).

A bound token that was stolen is worth nothing without the key: whoever shows it proves with each
request that it has it, with a DPoP proof (RFC 9449) or with the certificate of its TLS connection
(RFC 8705).
"""

import msgspec


class Confirmation(msgspec.Struct, frozen=True, kw_only=True):
    """The key that a token is bound to, exactly one of two.

    `jkt` is the SHA-256 thumbprint of a DPoP key (RFC 9449 section 6.1), `x5t_s256` that of a
    client certificate (RFC 8705 section 3.1), both base64url without padding.
    """

    jkt: str | None = None
    x5t_s256: str | None = None

    def __post_init__(self) -> None:
        """Refuse a binding to nothing, or to two keys at once."""
        if (self.jkt is None) == (self.x5t_s256 is None):
            raise ValueError("a token is bound to one key")
