"""Whom we trust for what: one configured identity provider, and the addresses it publishes."""

import hashlib
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec

from stepup.domain.errors import DependencyUnavailableError

ALGORITHMS = frozenset({"ES256", "RS256"})


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """An identity provider that does base login.

    `audiences` are those of the subject tokens that clients send us. `client_id` and
    `client_secret` are ours there, for the base login of the account pages. `jwks_uri` is
    discovered when it is not given.

    One with a `signal_token_digest` may send us security events: whoever shows that token speaks
    for it, in SETs for `signal_audience` that are signed with its keys or those at
    `signal_jwks_uri`.
    """

    issuer: str
    audiences: frozenset[str] = frozenset()
    algorithms: frozenset[str] = ALGORITHMS
    jwks_uri: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    signal_token_digest: bytes | None = None
    signal_audience: str = ""
    signal_jwks_uri: str | None = None

    def __post_init__(self) -> None:
        """Refuse an issuer that anybody on the way could speak for."""
        for url in (self.issuer, self.jwks_uri, self.signal_jwks_uri):
            if url is not None and not is_confidential(url):
                raise ValueError(f"{url} must use https; http is for this machine only")

    def __repr__(self) -> str:
        return f"Provider({self.issuer})"


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a provider's discovery document that we use (OpenID Connect Discovery)."""

    issuer: str
    jwks_uri: str
    authorization_endpoint: str | None = None
    token_endpoint: str | None = None

    def check(self, expected_issuer: str) -> None:
        """Return when the document is the issuer's own and leads to safe places.

        Raises:
            DependencyUnavailableError: If it does not; nothing can be said about its tokens.
        """
        # OpenID Connect Discovery section 4.3: otherwise one issuer could speak for another.
        if self.issuer != expected_issuer:
            raise DependencyUnavailableError(f"{expected_issuer} describes another issuer")
        for url in (self.jwks_uri, self.authorization_endpoint, self.token_endpoint):
            if url is not None and not is_confidential(url):
                raise DependencyUnavailableError(f"{expected_issuer} names an unsafe address")


def digest_of_token(token: str) -> bytes:
    """Return what is kept of a token that has full entropy: enough to know it again."""
    return hashlib.sha256(token.encode()).digest()


def is_confidential(url: str) -> bool:
    """Say whether nobody between us and the address can read or change what is said."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    if not host or parts.username is not None:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
