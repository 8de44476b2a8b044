"""The service that calls us, and what it may ask."""

import re
from enum import StrEnum
from typing import Any

import msgspec

from stepup.domain import fapi
from stepup.domain.client_authentication import AuthMethod, ClientSecret, Profile, TlsSubject
from stepup.domain.ids import ClientId

_LOOPBACK = re.compile(r"http://(127\.0\.0\.1|\[::1\])(:\d{1,5})?(/[^#\s]*)?", re.ASCII)


class Role(StrEnum):
    """What a client is for; a client may have several roles."""

    PEP = "pep"
    """Asks for decisions (AuthZEN's policy enforcement point)."""
    RP = "rp"
    """Sends subjects to challenges and redeems codes."""
    RS = "rs"
    """Receives elevated tokens: introspects and consumes them."""
    SSF = "ssf"
    """Receives security events: has streams of them (SSF 1.0)."""


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """A registered client.

    `secret_digests` holds keyed digests, newest first; more than one while a secret is rotated.
    `secrets` holds those that must not be good at a release which knows nothing else: they end, or
    their client keeps rules that such a release passes over.
    `audiences` are those a client may ask tokens for; the first one is its default.
    `subject_issuer` names the identity provider that a bare AuthZEN subject id belongs to.

    `auth_method` is None for a client that may bring its secret in the header or in the body. Its
    public keys are `jwks` (the members of a JWK set) or at `jwks_uri`. `pushed_only` is None where
    the deployment's rule holds. `dpop_bound` and `tls_bound` when its tokens are always bound.
    `authorization_details_types` are the RFC 9396 types that it may use, None for all of them.
    `introspection_claims` are the members it may see in an introspection, None for all of them.
    `revision` grows with every change.
    """

    client_id: ClientId
    name: str
    secret_digests: tuple[bytes, ...] = ()
    redirect_uris: tuple[str, ...] = ()
    roles: frozenset[Role] = frozenset()
    audiences: tuple[str, ...] = ()
    subject_issuer: str | None = None
    asserts_subject: bool = False
    asserts_authentication: bool = False
    disabled: bool = False
    auth_method: AuthMethod | None = None
    jwks: tuple[dict[str, Any], ...] = ()
    jwks_uri: str | None = None
    tls_subject: TlsSubject | None = None
    legacy_assertion_audience: bool = False
    profile: Profile = Profile.OAUTH
    pushed_only: bool | None = None
    signed_requests_only: bool = False
    dpop_bound: bool = False
    tls_bound: bool = False
    refresh_tokens: bool = False
    authorization_details_types: tuple[str, ...] | None = None
    id_token_signed_response_alg: str | None = None
    introspection_signed_response_alg: str | None = None
    introspection_claims: tuple[str, ...] | None = None
    secrets: tuple[ClientSecret, ...] = ()
    revision: int = 0

    @property
    def is_public(self) -> bool:
        """Say whether it cannot keep a secret (RFC 6749 section 2.1)."""
        return self.auth_method is AuthMethod.NONE

    @property
    def uses_certificate(self) -> bool:
        """Say whether what it is given is bound to its TLS certificate (RFC 8705 section 3)."""
        return self.tls_bound or self.auth_method in {AuthMethod.TLS, AuthMethod.SELF_SIGNED_TLS}

    def may(self, role: Role) -> bool:
        """Say whether the client has a role and is in service."""
        return not self.disabled and role in self.roles

    def must_push(self, *, everybody_must: bool) -> bool:
        """Say whether its requests have to be pushed (RFC 9126 section 5, FAPI 2.0 5.3.2.2)."""
        if fapi.must_push(self.profile):
            return True
        return everybody_must if self.pushed_only is None else self.pushed_only

    def redirects_to(self, redirect_uri: str) -> bool:
        """Say whether a redirect URI is registered: exact match, any port on loopback literals.

        RFC 9700 section 2.1 wants exact strings; RFC 8252 section 7.3 excepts the port of a
        native app that listens on the loopback interface.
        """
        return redirect_uri in self.redirect_uris or (
            is_loopback(redirect_uri)
            and _without_port(redirect_uri) in map(_without_port, self.redirect_uris)
        )

    def __repr__(self) -> str:
        return f"Client({self.client_id})"


def is_loopback(uri: str) -> bool:
    """Say whether a URI leads to the machine of whoever follows it (RFC 8252 section 7.3)."""
    return _LOOPBACK.fullmatch(uri) is not None


def _without_port(uri: str) -> str:
    match = _LOOPBACK.fullmatch(uri)
    return uri if match is None else f"http://{match[1]}{match[3] or ''}"
