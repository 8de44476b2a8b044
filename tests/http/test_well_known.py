"""Metadata and keys: what we promise, to whom, and for how long it may be kept."""

from urllib.parse import urlsplit

import pytest

from stepup.crypto.keys import generate_signing_key
from stepup.domain.assurance import DEFAULT_LADDER
from stepup.domain.keyring import Keyring, KeyState
from stepup.http.app import create_app
from stepup.http.health import Readiness
from stepup.pages.locales import available
from tests.http.probe_routes import FRAME
from tests.support.application import (
    ISSUER,
    HeldSnapshot,
    a_keyring,
    a_policy,
    a_site,
    calling,
    memory_ports,
)

OAUTH = "/.well-known/oauth-authorization-server"
OIDC = "/.well-known/openid-configuration"
AUTHZEN = "/.well-known/authzen-configuration"
JWKS = "/.well-known/jwks.json"


async def test_rfc8414_2_the_authorization_server_describes_itself(frame):
    metadata = (await frame.get(OAUTH)).json()

    assert metadata["issuer"] == ISSUER
    assert metadata["response_types_supported"] == ["code"]
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    assert metadata["require_pushed_authorization_requests"] is True
    assert metadata["authorization_response_iss_parameter_supported"] is True
    assert metadata["acr_values_supported"] == list(DEFAULT_LADDER.acrs)
    assert metadata["jwks_uri"] == f"{ISSUER}{JWKS}"


async def test_what_a_browser_may_bring_and_how_answers_get_back_is_told(frame):
    metadata = (await frame.get(OIDC)).json()

    assert metadata["response_modes_supported"] == ["query", "form_post"]
    assert metadata["prompt_values_supported"] == ["consent", "login", "none", "select_account"]
    assert set(metadata["ui_locales_supported"]) == set(available())


async def test_every_promised_endpoint_is_ours(frame):
    metadata = (await frame.get(OAUTH)).json()

    endpoints = {name: url for name, url in metadata.items() if name.endswith("_endpoint")}
    assert endpoints
    assert all(url.startswith(f"{ISSUER}/") for url in endpoints.values())


async def test_rfc8414_3_2_no_list_is_empty(frame):
    for path in (OAUTH, AUTHZEN):
        metadata = (await frame.get(path)).json()
        assert all(value not in ([], "", None) for value in metadata.values())


async def test_rfc8414_2_says_how_assertions_are_signed_and_never_with_none(frame):
    metadata = (await frame.get(OAUTH)).json()

    for endpoint in ("token", "introspection", "revocation"):
        assert "private_key_jwt" in metadata[f"{endpoint}_endpoint_auth_methods_supported"]
        assert metadata[f"{endpoint}_endpoint_auth_signing_alg_values_supported"]
    algorithms = {
        algorithm
        for name, values in metadata.items()
        if name.endswith("alg_values_supported")
        for algorithm in values
    }
    assert not {each for each in algorithms if each == "none" or each.startswith("HS")}


async def test_oidc_discovery_3_required_members_are_there(frame):
    metadata = (await frame.get(OIDC)).json()

    assert {
        "issuer",
        "authorization_endpoint",
        "token_endpoint",
        "jwks_uri",
        "response_types_supported",
        "subject_types_supported",
        "id_token_signing_alg_values_supported",
    } <= metadata.keys()
    # Their defaults say the opposite of what is served.
    assert metadata["claims_parameter_supported"] is True
    assert metadata["request_parameter_supported"] is True
    assert metadata["request_uri_parameter_supported"] is False


async def test_rfc9207_2_the_issuer_has_neither_query_nor_fragment(frame):
    metadata = (await frame.get(OAUTH)).json()

    issuer = urlsplit(metadata["issuer"])
    assert (issuer.query, issuer.fragment) == ("", "")
    assert metadata["authorization_response_iss_parameter_supported"] is True


async def test_rfc9068_4_both_names_lead_to_the_same_document(frame):
    assert (await frame.get(OAUTH)).content == (await frame.get(OIDC)).content


async def test_oidc_discovery_3_says_what_an_id_token_is_signed_with_and_says(frame):
    metadata = (await frame.get(OIDC)).json()

    # Those with a key, and no other.
    assert metadata["id_token_signing_alg_values_supported"] == ["ES256"]
    assert metadata["subject_types_supported"] == ["public"]
    assert "openid" in metadata["scopes_supported"]
    assert {"sub", "acr", "amr", "auth_time", "nonce"} <= set(metadata["claims_supported"])


async def test_the_decision_point_describes_itself(frame):
    assert (await frame.get(AUTHZEN)).json() == {
        "policy_decision_point": ISSUER,
        "access_evaluation_endpoint": f"{ISSUER}/access/v1/evaluation",
        "access_evaluations_endpoint": f"{ISSUER}/access/v1/evaluations",
        "search_subject_endpoint": f"{ISSUER}/access/v1/search/subject",
        "search_resource_endpoint": f"{ISSUER}/access/v1/search/resource",
        "search_action_endpoint": f"{ISSUER}/access/v1/search/action",
        "supported_obligations": ["step-up", "consume"],
    }


@pytest.mark.parametrize("document", [OAUTH, AUTHZEN])
async def test_rfc8414_3_1_the_path_of_an_issuer_follows_the_well_known_name(document):
    ports = memory_ports(site=a_site(issuer=f"{ISSUER}/auth/eu"))
    async with calling(create_app(ports, readiness=Readiness({}), routers=FRAME)) as client:
        ours = await client.get(f"{document}/auth/eu")
        ours_slash = await client.get(f"{document}/auth/eu/")
        another = await client.get(f"{document}/auth")

    assert ours.status_code == ours_slash.status_code == 200
    assert another.status_code == 404


async def test_another_issuer_s_metadata_is_not_here(frame):
    response = await frame.get(f"{OAUTH}/tenant")

    assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_the_keys_are_public_and_cacheable(frame):
    response = await frame.get(JWKS)

    (key,) = response.json()["keys"]
    assert {"kid", "use", "alg", "kty"} <= key.keys()
    assert "d" not in key
    assert response.headers["cache-control"] == (
        "public, max-age=300, stale-while-revalidate=600, stale-if-error=86400"
    )


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
async def test_a_caller_that_has_the_keys_is_told_so(frame, form):
    tag = (await frame.get(JWKS)).headers["etag"]

    response = await frame.get(JWKS, headers={"if-none-match": form.format(tag)})

    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["etag"] == tag
    assert response.headers["cache-control"].startswith("public")


async def test_a_caller_that_has_other_keys_gets_ours(frame):
    response = await frame.get(JWKS, headers={"if-none-match": '"other"'})

    assert response.status_code == 200


async def test_a_new_key_is_published_at_once():
    snapshot = HeldSnapshot(a_policy(), a_keyring())
    app = create_app(memory_ports(snapshot=snapshot), readiness=Readiness({}), routers=FRAME)
    async with calling(app) as client:
        before = await client.get(JWKS)
        snapshot.held_keyring = a_keyring()
        after = await client.get(JWKS)

    assert before.json() != after.json()
    assert before.headers["etag"] != after.headers["etag"]


async def test_keys_that_were_never_loaded_are_503():
    app = create_app(memory_ports(snapshot=HeldSnapshot()), readiness=Readiness({}), routers=FRAME)
    async with calling(app) as client:
        response = await client.get(JWKS)

    assert (response.status_code, response.headers["cache-control"]) == (503, "no-store")


async def test_keys_that_are_announced_active_and_retiring_are_published_and_gone_ones_are_not():
    made = {state: generate_signing_key(state=state) for state in KeyState}
    snapshot = HeldSnapshot(a_policy(), Keyring(keys=tuple(made.values()), root=b"r" * 32))
    app = create_app(memory_ports(snapshot=snapshot), readiness=Readiness({}), routers=FRAME)
    async with calling(app) as client:
        response = await client.get(JWKS)

    published = {key["kid"] for key in response.json()["keys"]}
    assert published == {key.id for state, key in made.items() if state is not KeyState.GONE}
    assert response.headers["cache-control"] == (
        "public, max-age=300, stale-while-revalidate=600, stale-if-error=86400"
    )


@pytest.mark.parametrize(
    ("changes", "certificates"),
    [
        ({}, []),
        ({"hears_certificates": True}, ["self_signed_tls_client_auth"]),
        (
            {"hears_certificates": True, "client_authorities": (b"der",)},
            ["tls_client_auth", "self_signed_tls_client_auth"],
        ),
    ],
    ids=["no proxy", "a proxy", "authorities"],
)
async def test_rfc8414_2_promises_the_ways_of_authenticating_that_there_are(changes, certificates):
    ports = memory_ports(site=a_site(**changes))
    async with calling(create_app(ports, readiness=Readiness({}), routers=FRAME)) as client:
        metadata = (await client.get(OAUTH)).json()

    ways = ["client_secret_basic", "client_secret_post", "private_key_jwt", *certificates]
    assert metadata["introspection_endpoint_auth_methods_supported"] == ways
    for endpoint in ("token", "revocation"):
        assert metadata[f"{endpoint}_endpoint_auth_methods_supported"] == [*ways, "none"]
    for endpoint in ("token", "introspection", "revocation"):
        algorithms = metadata[f"{endpoint}_endpoint_auth_signing_alg_values_supported"]
        assert algorithms == ["ES256", "PS256", "RS256", "EdDSA", "Ed25519"]


async def test_dynamic_registration_is_off(frame):
    assert "registration_endpoint" not in (await frame.get(OAUTH)).json()
