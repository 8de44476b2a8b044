"""What the metadata promises is kept: each member that names something is tried."""

import pytest

from tests.http.flow import BANK, Flow

DOCUMENTS = (
    "/.well-known/oauth-authorization-server",
    "/.well-known/authzen-configuration",
    "/.well-known/ssf-configuration",
)
# Where the values of each member are tried; a new member needs a line here, and its test.
KEPT = {
    "issuer": "test_well_known",
    "token_endpoint_auth_methods_supported": "test_client_authentication, test_strict_clients",
    "token_endpoint_auth_signing_alg_values_supported": "test_client_keys, test_strict_clients",
    "require_pushed_authorization_requests": "test_front_requests",
    "introspection_endpoint_auth_methods_supported": "test_well_known",
    "introspection_endpoint_auth_signing_alg_values_supported": "test_client_keys",
    "introspection_signing_alg_values_supported": "test_introspection",
    "dpop_signing_alg_values_supported": "test_dpop, test_strict_clients",
    "tls_client_certificate_bound_access_tokens": "test_client_certificate",
    "revocation_endpoint_auth_methods_supported": "test_well_known",
    "revocation_endpoint_auth_signing_alg_values_supported": "test_client_keys",
    "jwks_uri": "here",
    "response_types_supported": "here",
    "response_modes_supported": "here",
    "prompt_values_supported": "here",
    "ui_locales_supported": "test_locales",
    "grant_types_supported": "here",
    "code_challenge_methods_supported": "here",
    "authorization_response_iss_parameter_supported": "test_strict_clients",
    "request_uri_parameter_supported": "test_jar",
    "request_parameter_supported": "test_jar",
    "request_object_signing_alg_values_supported": "test_jar",
    "scopes_supported": "test_refresh, test_userinfo",
    "subject_types_supported": "test_userinfo",
    "id_token_signing_alg_values_supported": "test_id_tokens",
    "claims_supported": "test_id_tokens",
    "claims_parameter_supported": "test_par",
    "authorization_details_types_supported": "test_rar",
    "acr_values_supported": "here",
}


async def metadata_of(flow: Flow) -> dict:
    document: dict = (await flow.http.get(DOCUMENTS[0])).json()
    return document


async def push(flow: Flow, **changes: str) -> tuple[int, str | None]:
    form = flow.push_form(await flow.ticket()) | changes
    answer = await flow.http.post("/oauth2/par", data=form, auth=BANK)
    return answer.status_code, answer.json().get("error")


async def test_every_member_is_tried_somewhere(flow: Flow):
    members = {name for name in await metadata_of(flow) if not name.endswith("_endpoint")}
    assert members == set(KEPT)


@pytest.mark.parametrize("document", DOCUMENTS)
async def test_every_address_is_served(flow: Flow, document: str):
    served = (await flow.http.get("/openapi.json")).json()["paths"]
    found = (await flow.http.get(document)).json()
    issuer = found.get("issuer") or found["policy_decision_point"]

    named = {name: url for name, url in found.items() if name.endswith(("_endpoint", "_uri"))}

    assert named
    assert {name for name, url in named.items() if url.removeprefix(issuer) not in served} == set()


async def test_every_grant_is_known_and_no_other(flow: Flow):
    async def refusal(grant: str) -> str | None:
        form = {"grant_type": grant}
        answer = await flow.http.post("/oauth2/token", data=form, auth=BANK)
        error: str | None = answer.json().get("error")
        return error

    for grant in (await metadata_of(flow))["grant_types_supported"]:
        assert await refusal(grant) != "unsupported_grant_type"
    for grant in ("password", "implicit", "urn:ietf:params:oauth:grant-type:token-exchange"):
        assert await refusal(grant) == "unsupported_grant_type"


@pytest.mark.parametrize(
    ("member", "parameter", "other", "error"),
    [
        ("response_types_supported", "response_type", "token", "unsupported_response_type"),
        ("response_modes_supported", "response_mode", "fragment", "invalid_request"),
        ("prompt_values_supported", "prompt", "create", "invalid_request"),
        ("code_challenge_methods_supported", "code_challenge_method", "plain", "invalid_request"),
    ],
)
async def test_every_value_is_taken_and_no_other(
    flow: Flow, member: str, parameter: str, other: str, error: str
):
    for value in (await metadata_of(flow))[member]:
        assert await push(flow, **{parameter: value}) == (201, None)
    assert await push(flow, **{parameter: other}) == (400, error)


async def test_rfc9470_7_every_level_is_known_and_no_other(flow: Flow):
    levels = (await metadata_of(flow))["acr_values_supported"]
    known = {await push(flow, step_up_ticket="", acr_values=level) for level in levels}
    # One that nobody has the means for is known, and out of reach.
    assert known <= {(201, None), (400, "unmet_authentication_requirements")}
    assert (201, None) in known
    unknown = await push(flow, step_up_ticket="", acr_values="urn:unknown")
    assert unknown == (400, "unmet_authentication_requirements")
