"""How a client proves who it is, and under which profile it speaks to us."""

from datetime import datetime
from enum import StrEnum

import msgspec

from stepup.domain.client_certificate import ClientCertificate
from stepup.domain.ids import ClientId


class AuthMethod(StrEnum):
    """The client authentication methods of the token endpoint, by their registered names."""

    SECRET_BASIC = "client_secret_basic"  # noqa: S105  the name of a method
    SECRET_POST = "client_secret_post"  # noqa: S105  the name of a method
    PRIVATE_KEY_JWT = "private_key_jwt"
    TLS = "tls_client_auth"
    SELF_SIGNED_TLS = "self_signed_tls_client_auth"
    NONE = "none"
    """A public client, which proves nothing and needs PKCE."""


class Profile(StrEnum):
    """The rules a client is held to."""

    OAUTH = "oauth"
    FAPI2 = "fapi2"
    """FAPI 2.0 Security Profile: pushed requests, bound tokens, asymmetric client authentication."""


class TlsName(StrEnum):
    """The one name in a certificate that identifies a client (RFC 8705 section 2.1.2)."""

    SUBJECT_DN = "tls_client_auth_subject_dn"
    SAN_DNS = "tls_client_auth_san_dns"
    SAN_URI = "tls_client_auth_san_uri"
    SAN_IP = "tls_client_auth_san_ip"
    SAN_EMAIL = "tls_client_auth_san_email"


class TlsSubject(msgspec.Struct, frozen=True, kw_only=True):
    """The name that the certificate of a client must have."""

    name: TlsName
    value: str


class ClientSecret(msgspec.Struct, frozen=True):
    """A secret as its keyed digest, and until when it is good: None while it is the current one."""

    digest: bytes
    until: datetime | None = None

    def is_good_at(self, now: datetime) -> bool:
        """Say whether it still opens the door."""
        return self.until is None or now < self.until

    def __repr__(self) -> str:
        return "ClientSecret(***)"


class AssertionShown(msgspec.Struct, frozen=True):
    """A request that brought a signed assertion to one of our paths (RFC 7523 section 2.2).

    `client_id` is what the request says besides, None if nothing.
    """

    text: str
    path: str
    client_id: ClientId | None = None

    def __repr__(self) -> str:
        return "AssertionShown(***)"


class OnlyNamed(msgspec.Struct, frozen=True):
    """A request that names its client; the TLS handshake may have shown a certificate."""

    client_id: ClientId
    certificate: ClientCertificate | None = None


Credentials = AssertionShown | OnlyNamed
"""What a request without a secret brought to say who is calling."""

# No set: the hash of an enumeration's member costs more than the comparison.
_SECRETS = (AuthMethod.SECRET_BASIC, AuthMethod.SECRET_POST)
CERTIFICATES = frozenset({AuthMethod.TLS, AuthMethod.SELF_SIGNED_TLS})
"""The methods that show a certificate."""
FAPI_METHODS = CERTIFICATES | {AuthMethod.PRIVATE_KEY_JWT}
"""FAPI 2.0 Security Profile section 5.3.2.1, number 6."""


def is_accepted(
    registered: AuthMethod | None, shown: AuthMethod, profile: Profile = Profile.OAUTH
) -> bool:
    """Say whether a client may authenticate in this way: the one it registered and no other.

    A client that registered none brings its secret in the header or in the body.
    """
    accepted = shown in _SECRETS if registered is None else shown is registered
    return accepted and (profile is not Profile.FAPI2 or shown in FAPI_METHODS)
