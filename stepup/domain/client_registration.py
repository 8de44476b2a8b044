"""What is registered of a client, under the names of RFC 7591 where it has any."""

from typing import Any

import msgspec

from stepup.domain.client import Client, Role
from stepup.domain.client_authentication import AuthMethod, Profile, TlsName, TlsSubject
from stepup.domain.ids import ClientId

_CODE = "authorization_code"
_REFRESH = "refresh_token"
_CREDENTIALS = "client_credentials"


class KeySet(msgspec.Struct, frozen=True):
    """A JWK set (RFC 7517 section 5)."""

    keys: tuple[dict[str, Any], ...] = ()


class Registration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A client without its identifier and its secrets.

    The first members are those of RFC 7591, RFC 8705, RFC 9101, RFC 9126, RFC 9396, RFC 9449 and
    RFC 9701; those behind `roles` are ours, and mean what `Client` says.
    """

    client_name: str = ""
    redirect_uris: tuple[str, ...] = ()
    token_endpoint_auth_method: AuthMethod | None = None
    grant_types: tuple[str, ...] = (_CODE,)
    jwks: KeySet | None = None
    jwks_uri: str | None = None
    tls_client_auth_subject_dn: str | None = None
    tls_client_auth_san_dns: str | None = None
    tls_client_auth_san_uri: str | None = None
    tls_client_auth_san_ip: str | None = None
    tls_client_auth_san_email: str | None = None
    require_pushed_authorization_requests: bool | None = None
    require_signed_request_object: bool = False
    dpop_bound_access_tokens: bool = False
    tls_client_certificate_bound_access_tokens: bool = False
    authorization_details_types: tuple[str, ...] | None = None
    id_token_signed_response_alg: str | None = None
    introspection_signed_response_alg: str | None = None
    roles: tuple[Role, ...] = (Role.PEP, Role.RP)
    audiences: tuple[str, ...] = ()
    subject_issuer: str | None = None
    asserts_subject: bool = False
    asserts_authentication: bool = False
    legacy_assertion_audience: bool = False
    profile: Profile = Profile.OAUTH
    introspection_claims: tuple[str, ...] | None = None

    @property
    def tls_subjects(self) -> tuple[TlsSubject, ...]:
        """The names that are given; RFC 8705 section 2.1.2 allows one."""
        given = ((name, getattr(self, name)) for name in TlsName)
        return tuple(TlsSubject(name=name, value=value) for name, value in given if value)


def client_of(registration: Registration, client_id: ClientId) -> Client:
    """Return the client that is registered, without any secret."""
    subjects = registration.tls_subjects
    return Client(
        client_id=client_id,
        name=registration.client_name or client_id,
        redirect_uris=registration.redirect_uris,
        roles=frozenset(registration.roles),
        audiences=registration.audiences,
        subject_issuer=registration.subject_issuer,
        asserts_subject=registration.asserts_subject,
        asserts_authentication=registration.asserts_authentication,
        auth_method=registration.token_endpoint_auth_method,
        jwks=registration.jwks.keys if registration.jwks else (),
        jwks_uri=registration.jwks_uri,
        tls_subject=subjects[0] if subjects else None,
        legacy_assertion_audience=registration.legacy_assertion_audience,
        profile=registration.profile,
        pushed_only=registration.require_pushed_authorization_requests,
        signed_requests_only=registration.require_signed_request_object,
        dpop_bound=registration.dpop_bound_access_tokens,
        tls_bound=registration.tls_client_certificate_bound_access_tokens,
        refresh_tokens=_REFRESH in registration.grant_types,
        authorization_details_types=registration.authorization_details_types,
        id_token_signed_response_alg=registration.id_token_signed_response_alg,
        introspection_signed_response_alg=registration.introspection_signed_response_alg,
        introspection_claims=registration.introspection_claims,
    )


def registration_of(client: Client) -> Registration:
    """Return what is registered of a client: `client_of` makes it again, but for its secrets."""
    subject = client.tls_subject
    names: dict[str, Any] = {subject.name.value: subject.value} if subject else {}
    return Registration(
        client_name=client.name,
        redirect_uris=client.redirect_uris,
        token_endpoint_auth_method=client.auth_method,
        grant_types=_grants_of(client),
        jwks=KeySet(client.jwks) if client.jwks else None,
        jwks_uri=client.jwks_uri,
        require_pushed_authorization_requests=client.pushed_only,
        require_signed_request_object=client.signed_requests_only,
        dpop_bound_access_tokens=client.dpop_bound,
        tls_client_certificate_bound_access_tokens=client.tls_bound,
        authorization_details_types=client.authorization_details_types,
        id_token_signed_response_alg=client.id_token_signed_response_alg,
        introspection_signed_response_alg=client.introspection_signed_response_alg,
        roles=tuple(sorted(client.roles)),
        audiences=client.audiences,
        subject_issuer=client.subject_issuer,
        asserts_subject=client.asserts_subject,
        asserts_authentication=client.asserts_authentication,
        legacy_assertion_audience=client.legacy_assertion_audience,
        profile=client.profile,
        introspection_claims=client.introspection_claims,
        **names,
    )


def _grants_of(client: Client) -> tuple[str, ...]:
    # What a client may do its roles say; these are the same in the words of RFC 7591.
    has = {
        _CODE: Role.RP in client.roles,
        _REFRESH: client.refresh_tokens,
        _CREDENTIALS: Role.SSF in client.roles,
    }
    return tuple(grant for grant, is_so in has.items() if is_so)


# What lets a client do more where it is said, and what where it is not said any more.
_ALLOWS = (
    "asserts_subject",
    "asserts_authentication",
    "refresh_tokens",
    "legacy_assertion_audience",
    "is_public",
)
_HOLDS = ("pushed_only", "signed_requests_only", "dpop_bound", "tls_bound")


def is_promoted(before: Client | None, after: Client) -> bool:
    """Say whether a client may do more than before, or must prove less.

    Not everybody may say so.
    """
    if before is None:
        return True
    return (
        not after.roles <= before.roles
        or not set(after.audiences) <= set(before.audiences)
        or after.profile is not before.profile
        or after.subject_issuer != before.subject_issuer
        or _is_wider(before.authorization_details_types, after.authorization_details_types)
        or _is_wider(before.introspection_claims, after.introspection_claims)
        or any(getattr(after, name) and not getattr(before, name) for name in _ALLOWS)
        or any(getattr(before, name) and not getattr(after, name) for name in _HOLDS)
    )


def _is_wider(before: tuple[str, ...] | None, after: tuple[str, ...] | None) -> bool:
    # None is all of them.
    return before is not None and (after is None or not set(after) <= set(before))
