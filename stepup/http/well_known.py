"""Metadata and keys: what others read about us before they talk to us.

The documents promise only what is served. Clients find the same document under the names of OAuth
and of OpenID Connect.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import msgspec
from litestar import Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from stepup.domain.action_details import STEPUP_ACTION
from stepup.domain.authorization import ResponseMode
from stepup.domain.authorization_request import PROMPTS
from stepup.domain.client_authentication import AuthMethod
from stepup.domain.confirmation import DPOP_ALGORITHMS
from stepup.domain.key_life import JWKS_MAX_AGE
from stepup.domain.keyring import Keyring, KeyUse
from stepup.domain.obligation import ObligationType
from stepup.domain.refresh import OFFLINE_ACCESS
from stepup.domain.site import Site
from stepup.domain.status import STATUS_PATH
from stepup.http.caching import cacheable, tag_of
from stepup.http.openapi import problem_responses, returns
from stepup.pages import locales
from stepup.ports import Ports
from stepup.usecases import keys

_OAUTH_METADATA = "/.well-known/oauth-authorization-server"
_OIDC_METADATA = "/.well-known/openid-configuration"
_AUTHZEN_METADATA = "/.well-known/authzen-configuration"
_JWKS = "/.well-known/jwks.json"

Metadata = dict[str, Any]

_ASSERTION_ALGORITHMS = ["ES256", "PS256", "RS256", "EdDSA", "Ed25519"]

# What an ID token says (OpenID Connect Discovery section 3).
_CLAIMS = [
    "iss",
    "sub",
    "sub_id",
    "aud",
    "exp",
    "iat",
    "auth_time",
    "acr",
    "amr",
    "nonce",
    "at_hash",
    "sid",
]

# A verifier may keep keys for five minutes, go on with old ones while it fetches, and for a day
# when we cannot be reached: keys are announced longer before their use than that.
_KEYS_CACHING = (
    f"public, max-age={JWKS_MAX_AGE.total_seconds():.0f}, "
    "stale-while-revalidate=600, stale-if-error=86400"
)
_METADATA_CACHING = "public, max-age=300"


def oauth_metadata(ports: Ports) -> dict[str, object]:
    """Describe the authorization server (RFC 8414 section 2)."""
    site = ports.site
    confidential = _confidential_methods(site)
    return {
        "issuer": site.issuer,
        "authorization_endpoint": site.url("/oauth2/authorize"),
        "token_endpoint": site.url("/oauth2/token"),
        "token_endpoint_auth_methods_supported": [*confidential, AuthMethod.NONE],
        "token_endpoint_auth_signing_alg_values_supported": _ASSERTION_ALGORITHMS,
        "userinfo_endpoint": site.url("/oauth2/userinfo"),
        "pushed_authorization_request_endpoint": site.url("/oauth2/par"),
        "require_pushed_authorization_requests": site.pushed_requests_required,
        "introspection_endpoint": site.url("/oauth2/introspect"),
        "introspection_endpoint_auth_methods_supported": confidential,
        "introspection_endpoint_auth_signing_alg_values_supported": _ASSERTION_ALGORITHMS,
        "introspection_signing_alg_values_supported": _algorithms(
            ports.snapshot.keyring, KeyUse.INTROSPECTION
        ),
        "dpop_signing_alg_values_supported": list(DPOP_ALGORITHMS),
        "tls_client_certificate_bound_access_tokens": site.hears_certificates,
        "revocation_endpoint": site.url("/oauth2/revoke"),
        "revocation_endpoint_auth_methods_supported": [*confidential, AuthMethod.NONE],
        "revocation_endpoint_auth_signing_alg_values_supported": _ASSERTION_ALGORITHMS,
        "jwks_uri": site.url(_JWKS),
        "response_types_supported": ["code"],
        "response_modes_supported": list(ResponseMode),
        "prompt_values_supported": sorted(PROMPTS),
        "ui_locales_supported": list(locales.available()),
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        # OpenID Connect's default is true and means documents fetched from the client; what PAR
        # returns is meant by neither (RFC 9126 section 5).
        "request_uri_parameter_supported": False,
        "request_parameter_supported": True,
        "request_object_signing_alg_values_supported": _ASSERTION_ALGORITHMS,
        "scopes_supported": ["openid", OFFLINE_ACCESS],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": _algorithms(
            ports.snapshot.keyring, KeyUse.ID_TOKEN
        ),
        "claims_supported": _CLAIMS,
        "claims_parameter_supported": True,
        "authorization_details_types_supported": [STEPUP_ACTION],
        "acr_values_supported": list(ports.snapshot.policy.ladder.acrs),
        "status_list_aggregation_endpoint": site.url(STATUS_PATH),
        "stepup_consume_endpoint": site.url("/oauth2/consume"),
        "stepup_step_ups_endpoint": site.url("/v1/step-ups"),
    }


def _confidential_methods(site: Site) -> list[AuthMethod]:
    """Return how clients authenticate here; with certificates only where any are heard of."""
    return [
        AuthMethod.SECRET_BASIC,
        AuthMethod.SECRET_POST,
        AuthMethod.PRIVATE_KEY_JWT,
        *([AuthMethod.TLS] if site.client_authorities else []),
        *([AuthMethod.SELF_SIGNED_TLS] if site.hears_certificates else []),
    ]


def authzen_metadata(site: Site) -> dict[str, object]:
    """Describe the policy decision point (AuthZEN 1.0 section 9)."""
    return {
        "policy_decision_point": site.issuer,
        "access_evaluation_endpoint": site.url("/access/v1/evaluation"),
        "access_evaluations_endpoint": site.url("/access/v1/evaluations"),
        "search_subject_endpoint": site.url("/access/v1/search/subject"),
        "search_resource_endpoint": site.url("/access/v1/search/resource"),
        "search_action_endpoint": site.url("/access/v1/search/action"),
        "supported_obligations": list(ObligationType),
    }


@get(
    [_OAUTH_METADATA, f"{_OAUTH_METADATA}/{{issuer_path:path}}"],
    tags=["metadata"],
    responses=returns(Metadata, "RFC 8414 section 2.", not_found=True) | problem_responses(),
)
async def oauth_authorization_server(
    request: Request[Any, Any, Any],
    ports: NamedDependency[Ports],
    issuer_path: FromPath[str] = "",
) -> Response[bytes]:
    """Return the metadata of the authorization server."""
    return _document(request, oauth_metadata(ports), caching_for_issuer(ports.site, issuer_path))


@get(
    _OIDC_METADATA,
    tags=["metadata"],
    responses=returns(Metadata, "OpenID Connect Discovery 1.0 section 3.") | problem_responses(),
)
async def openid_configuration(
    request: Request[Any, Any, Any], ports: NamedDependency[Ports]
) -> Response[bytes]:
    """Return the same metadata, for clients that look under OpenID Connect's name."""
    return _document(request, oauth_metadata(ports), _METADATA_CACHING)


@get(
    [_AUTHZEN_METADATA, f"{_AUTHZEN_METADATA}/{{issuer_path:path}}"],
    tags=["metadata"],
    responses=returns(Metadata, "AuthZEN 1.0 section 9.1.", not_found=True) | problem_responses(),
)
async def authzen_configuration(
    request: Request[Any, Any, Any],
    ports: NamedDependency[Ports],
    issuer_path: FromPath[str] = "",
) -> Response[bytes]:
    """Return the metadata of the policy decision point."""
    return _document(
        request, authzen_metadata(ports.site), caching_for_issuer(ports.site, issuer_path)
    )


@get(
    _JWKS,
    tags=["metadata"],
    responses=returns(Metadata, "RFC 7517 section 5.") | problem_responses(),
)
async def jwks(request: Request[Any, Any, Any], ports: NamedDependency[Ports]) -> Response[bytes]:
    """Return the public keys that our tokens verify with (RFC 7517)."""
    return _encoded_keys.answer(request, ports)


def _algorithms(keyring: Keyring, use: KeyUse) -> list[str]:
    """Return the algorithms that a client may ask for: those with a key that signs."""
    found: list[str] = []
    for algorithm in ("ES256", "RS256", "PS256", "EdDSA"):
        with suppress(LookupError):
            found.append(keyring.signer(use, algorithm).algorithm)
    return found


def caching_for_issuer(site: Site, path: str) -> str:
    """Return how long a document may be kept; a document of another issuer is not here.

    Raises:
        NotFoundException: If the path is not our issuer's.
    """
    # RFC 8414 section 3.1: the issuer's path follows the well-known name; any other path is
    # somebody else's issuer.
    if path.strip("/") not in {"", urlsplit(site.issuer).path.strip("/")}:
        raise NotFoundException
    return _METADATA_CACHING


class _EncodedKeys:
    """The key set as bytes, encoded once per keyring."""

    def __init__(self) -> None:
        self._keyring: Keyring | None = None
        self._body = b""
        self._tag = ""

    def answer(self, request: Request[Any, Any, Any], ports: Ports) -> Response[bytes]:
        """Return the key set, or say that the caller has it."""
        keyring = ports.snapshot.keyring
        if keyring is not self._keyring:
            body = msgspec.json.encode(keys.published_jwks(ports))
            self._keyring, self._body, self._tag = keyring, body, tag_of(body)
        return cacheable(request, self._body, self._tag, _KEYS_CACHING)


_encoded_keys = _EncodedKeys()


def _document(
    request: Request[Any, Any, Any], document: Mapping[str, object], caching: str
) -> Response[bytes]:
    body = msgspec.json.encode(document)
    return cacheable(request, body, tag_of(body), caching)


router = Router(
    "/",
    route_handlers=[
        oauth_authorization_server,
        openid_configuration,
        authzen_configuration,
        jwks,
    ],
)
