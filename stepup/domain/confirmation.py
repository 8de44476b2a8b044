"""What binds a token to whoever holds a private key (RFC 7800).

A bound token that was stolen is worth nothing without the key: whoever shows it proves with each
request that it has it, with a DPoP proof (RFC 9449) or with the certificate of its TLS connection
(RFC 8705).
"""

import msgspec

# What FAPI 2.0 section 5.4.1 allows; no client of ours is older than DPoP, so none needs RS256.
# RFC 9864 names EdDSA with the one curve Ed25519, and newer clients know no other name.
DPOP_ALGORITHMS = ("ES256", "PS256", "EdDSA", "Ed25519")


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


class Possession(msgspec.Struct, frozen=True, kw_only=True):
    """The keys that whoever sends a request has proved to hold with it.

    `jkt` when the token was shown as a DPoP token with a proof, and only then: a certificate may
    be there for other reasons, so one that no token asks for means nothing.
    """

    jkt: str | None = None
    x5t_s256: str | None = None

    def covers(self, confirmation: Confirmation | None) -> bool:
        """Say whether a token that is bound like this may be used.

        A bound token is refused without its key (RFC 9449 section 7.2), a bearer token is no DPoP
        token (section 7.1).
        """
        if confirmation is None:
            return self.jkt is None
        if confirmation.jkt is not None:
            return self.jkt == confirmation.jkt
        return self.jkt is None and self.x5t_s256 == confirmation.x5t_s256


NOTHING_PROVED = Possession()
