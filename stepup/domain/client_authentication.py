"""How a client proves who it is, and under which profile it speaks to us."""

from enum import StrEnum

import msgspec


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
