"""Which registrations cannot work, or would open a door: each with the member that is wrong.

What needs a look into keys and certificates is added by whoever registers (`usecases/clients.py`).
"""

import re
from collections import Counter
from collections.abc import Iterator
from urllib.parse import SplitResult, urlsplit

from stepup.domain.client import Client, Role
from stepup.domain.client_authentication import (
    CERTIFICATES,
    FAPI_METHODS,
    AuthMethod,
    Profile,
)
from stepup.domain.client_errors import Finding
from stepup.domain.client_registration import Registration
from stepup.domain.site import Site

# RFC 6749 appendix A.1, without the colon that ends it in a Basic header of lenient senders.
_CLIENT_ID = re.compile(r"[\x21-\x39\x3b-\x7e]{1,128}")
_RESERVED = frozenset({"stepup-account", "stepup-admin"})
_LOOPBACKS = frozenset({"127.0.0.1", "::1"})
_BY_KEY = frozenset({AuthMethod.PRIVATE_KEY_JWT, AuthMethod.SELF_SIGNED_TLS})
_GRANTS = {
    "authorization_code": Role.RP,
    "refresh_token": Role.RP,
    "client_credentials": Role.SSF,
}
_SIGNED_WITH = frozenset({"ES256", "RS256", "EdDSA"})
_MOST = 64
_LONGEST = 2000

Findings = Iterator[Finding]


def findings_of(client: Client, registration: Registration, site: Site) -> list[Finding]:
    """Return what is wrong with a client; nothing when it can be registered."""
    return [
        *_of_identity(client),
        *_of_redirects(client, site),
        *_of_authentication(client, registration),
        *_of_certificates(client, site),
        *_of_grants(client, registration),
        *(_of_public(client) if client.is_public else ()),
        *(_of_fapi(client) if client.profile is Profile.FAPI2 else ()),
    ]


def _of_identity(client: Client) -> Findings:
    if not _CLIENT_ID.fullmatch(client.client_id):
        yield Finding("client_id", "1 to 128 visible ASCII characters without a colon")
    if client.client_id in _RESERVED:
        yield Finding("client_id", "is one of our own")
    if not client.name.isprintable() or len(client.name) > 200:
        yield Finding("client_name", "up to 200 printable characters")
    if not client.roles:
        yield Finding("roles", "a client has at least one")
    if any(not each or not each.isprintable() or " " in each for each in client.audiences):
        yield Finding("audiences", "a name without blanks each")
    yield from _repeated("audiences", client.audiences)


def _of_redirects(client: Client, site: Site) -> Findings:
    if len(client.redirect_uris) > _MOST:
        yield Finding("redirect_uris", f"at most {_MOST}")
    yield from _repeated("redirect_uris", client.redirect_uris)
    for uri in client.redirect_uris:
        reason = why_not_redirected_to(uri, client, site)
        if reason is not None:
            yield Finding("redirect_uris", f"{uri[:100]!r} {reason}")


def why_not_redirected_to(uri: str, client: Client, site: Site) -> str | None:
    """Say why a redirect URI cannot be registered, None if it can (RFC 9700 section 2.1)."""
    if not uri.isascii() or not uri.isprintable() or " " in uri or len(uri) > _LONGEST:
        return "is no URI"
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is no URI"
    wrong = {
        "has a fragment (RFC 6749 section 3.1.2)": "#" in uri,
        "has a wildcard; each URI is registered by itself": "*" in uri or "\\" in uri,
        "has no host": parts.scheme in {"http", "https"} and not host,
        "has a user in it": parts.username is not None,
        "leads to our own pages": uri == site.issuer or uri.startswith(f"{site.issuer}/"),
    }
    found = next((reason for reason, is_so in wrong.items() if is_so), None)
    return found or _why_not_scheme(parts, client, site)


def _why_not_scheme(parts: SplitResult, client: Client, site: Site) -> str | None:
    is_loopback = parts.hostname in _LOOPBACKS or (
        site.development and parts.hostname == "localhost"
    )
    match parts.scheme:
        case "https":
            return None
        case "http":
            return None if is_loopback else "must use https; http is for loopback addresses"
        case scheme if "." in scheme and client.profile is not Profile.FAPI2:
            # RFC 8252 section 7.1: a domain of the app's own, the other way round.
            return None
        case _:
            return "has a scheme that nobody owns"


def _of_authentication(client: Client, registration: Registration) -> Findings:
    has_keys = bool(client.jwks) or client.jwks_uri is not None
    if client.jwks and client.jwks_uri is not None:
        yield Finding("jwks", "given by value and by URL (RFC 7591 section 2)")
    if client.auth_method in _BY_KEY and not has_keys:
        yield Finding("jwks", f"{client.auth_method} needs jwks or jwks_uri")
    if client.signed_requests_only and not has_keys:
        yield Finding("require_signed_request_object", "needs jwks or jwks_uri")
    named = registration.tls_subjects
    if client.auth_method is AuthMethod.TLS and len(named) != 1:
        yield Finding("tls_client_auth_subject_dn", "exactly one of the five names")
    if client.auth_method is not AuthMethod.TLS and named:
        yield Finding(named[0].name.value, f"is for {AuthMethod.TLS} only")
    if client.legacy_assertion_audience and client.auth_method is not AuthMethod.PRIVATE_KEY_JWT:
        yield Finding("legacy_assertion_audience", f"is for {AuthMethod.PRIVATE_KEY_JWT} only")


def _of_certificates(client: Client, site: Site) -> Findings:
    method = client.auth_method
    if method in CERTIFICATES and not site.hears_certificates:
        yield Finding("token_endpoint_auth_method", "no proxy passes certificates on to us")
    elif method is AuthMethod.TLS and not site.client_authorities:
        yield Finding("token_endpoint_auth_method", "no authority of certificates is configured")
    if client.tls_bound and not site.hears_certificates:
        yield Finding(
            "tls_client_certificate_bound_access_tokens", "no proxy passes certificates on to us"
        )


def _of_grants(client: Client, registration: Registration) -> Findings:
    for grant in registration.grant_types:
        # `authorization_code` is the default of those who say nothing (RFC 7591 section 2).
        if grant != "authorization_code" and _GRANTS.get(grant) not in client.roles:
            yield Finding("grant_types", f"{grant[:40]!r} is none, or needs another role")
    if Role.RP in client.roles and "authorization_code" not in registration.grant_types:
        yield Finding("grant_types", "the role rp redeems codes: authorization_code")
    for name in ("id_token_signed_response_alg", "introspection_signed_response_alg"):
        algorithm = getattr(client, name)
        if algorithm is not None and algorithm not in _SIGNED_WITH:
            yield Finding(name, f"one of {', '.join(sorted(_SIGNED_WITH))}")


def _of_public(client: Client) -> Findings:
    if not client.roles <= {Role.RP}:
        yield Finding("roles", "a public client is rp only: anybody can be it")
    for name in ("asserts_subject", "asserts_authentication"):
        if getattr(client, name):
            yield Finding(name, "nobody believes a public client")


def _of_fapi(client: Client) -> Findings:
    if client.auth_method not in FAPI_METHODS:
        yield Finding("token_endpoint_auth_method", "FAPI 2.0 wants a key or a certificate")
    if client.pushed_only is False:
        yield Finding("require_pushed_authorization_requests", "FAPI 2.0 pushes every request")
    if client.refresh_tokens:
        yield Finding("grant_types", "FAPI 2.0 forbids to rotate refresh tokens, as ours are")
    if client.legacy_assertion_audience:
        yield Finding("legacy_assertion_audience", "FAPI 2.0 takes the issuer alone")
    for name in ("id_token_signed_response_alg", "introspection_signed_response_alg"):
        if getattr(client, name) == "RS256":
            yield Finding(name, "FAPI 2.0 section 5.4.1 leaves RS256 out")


def _repeated(name: str, values: tuple[str, ...]) -> Findings:
    for value, count in Counter(values).items():
        if count > 1:
            yield Finding(name, f"{value[:100]!r} is there {count} times")
