"""`/.well-known/ssf-configuration`: what we are as a transmitter (SSF 1.0 section 7.1)."""

from typing import Any

import msgspec
from litestar import Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from stepup.domain.site import Site
from stepup.domain.streams import DeliveryMethod
from stepup.http.caching import cacheable, tag_of
from stepup.http.openapi import problem_responses, returns
from stepup.http.well_known import caching_for_issuer
from stepup.ports import Ports

_PATH = "/.well-known/ssf-configuration"


def ssf_configuration(site: Site) -> dict[str, Any]:
    """Describe the transmitter."""
    return {
        "spec_version": "1_0",
        "issuer": site.issuer,
        "jwks_uri": site.url("/.well-known/jwks.json"),
        "delivery_methods_supported": [DeliveryMethod.PUSH, DeliveryMethod.POLL],
        "configuration_endpoint": site.url("/v1/signals/streams"),
        "status_endpoint": site.url("/v1/signals/status"),
        "add_subject_endpoint": site.url("/v1/signals/subjects/add"),
        "remove_subject_endpoint": site.url("/v1/signals/subjects/remove"),
        "verification_endpoint": site.url("/v1/signals/verification"),
        # Of a complex subject we read the user; whoever names nobody there names nobody.
        "critical_subject_members": ["user"],
        "authorization_schemes": [{"spec_urn": "urn:ietf:rfc:6749"}],
        "default_subjects": "ALL" if site.signals_about_everybody else "NONE",
    }


@get(
    [_PATH, f"{_PATH}/{{issuer_path:path}}"],
    tags=["metadata"],
    responses=returns(dict[str, Any], "SSF 1.0 section 7.1.", not_found=True) | problem_responses(),
)
async def transmitter_configuration(
    request: Request[Any, Any, Any],
    ports: NamedDependency[Ports],
    issuer_path: FromPath[str] = "",
) -> Response[bytes]:
    """Return the metadata of the transmitter of security events."""
    caching = caching_for_issuer(ports.site, issuer_path)
    body = msgspec.json.encode(ssf_configuration(ports.site))
    return cacheable(request, body, tag_of(body), caching)


router = Router("/", route_handlers=[transmitter_configuration])
