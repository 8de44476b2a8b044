"""Which registrations are refused, and for which member."""

from typing import Any

import pytest

from stepup.domain.client import Client, Role
from stepup.domain.client_authentication import AuthMethod, Profile
from stepup.domain.client_registration import (
    KeySet,
    Registration,
    client_of,
    is_promoted,
    registration_of,
)
from stepup.domain.client_rules import findings_of, why_not_redirected_to
from stepup.domain.ids import ClientId
from tests.support.application import ISSUER, a_site

KEY = KeySet(({"kty": "EC"},))
HEARS = {"hears_certificates": True, "client_authorities": (b"der",)}
FULL = Registration(
    client_name="The shop",
    redirect_uris=("https://shop.example/back",),
    token_endpoint_auth_method=AuthMethod.TLS,
    grant_types=("authorization_code", "refresh_token"),
    jwks=KEY,
    tls_client_auth_san_dns="shop.example",
    require_pushed_authorization_requests=True,
    require_signed_request_object=True,
    dpop_bound_access_tokens=True,
    tls_client_certificate_bound_access_tokens=True,
    authorization_details_types=("stepup_action",),
    id_token_signed_response_alg="EdDSA",
    introspection_signed_response_alg="ES256",
    roles=(Role.PEP, Role.RP, Role.RS),
    audiences=("shop-api",),
    subject_issuer="https://idp.example",
    asserts_subject=True,
    asserts_authentication=True,
    introspection_claims=("sub",),
)


def findings(client_id: str = "shop", site: dict | None = None, **members: Any) -> list[str]:
    registration = Registration(**members)
    client = client_of(registration, ClientId(client_id))
    return [each.name for each in findings_of(client, registration, a_site(**site or {}))]


def test_what_is_registered_is_what_is_read_again():
    assert registration_of(client_of(FULL, ClientId("shop"))) == FULL
    assert findings_of(client_of(FULL, ClientId("shop")), FULL, a_site(**HEARS)) == []


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"token_endpoint_auth_method": AuthMethod.SECRET_POST},
        {"token_endpoint_auth_method": AuthMethod.NONE, "roles": (Role.RP,)},
        {"token_endpoint_auth_method": AuthMethod.PRIVATE_KEY_JWT, "jwks": KEY},
        {
            "token_endpoint_auth_method": AuthMethod.PRIVATE_KEY_JWT,
            "jwks_uri": "https://shop.example/jwks",
            "profile": Profile.FAPI2,
        },
        {"redirect_uris": ("https://shop.example/back", "http://127.0.0.1/back")},
        {"redirect_uris": ("com.example.app:/back",)},
        {"roles": (Role.SSF,), "grant_types": ("client_credentials",)},
        {"roles": (Role.RS,), "grant_types": ()},
        {"roles": (Role.RS,)},
    ],
    ids=str,
)
def test_what_can_work_is_accepted(members):
    assert findings(**members) == []


@pytest.mark.parametrize(
    ("members", "wrong"),
    [
        ({"client_id": ""}, ["client_id"]),
        ({"client_id": "a:b"}, ["client_id"]),
        ({"client_id": "a b"}, ["client_id"]),
        ({"client_id": "a" * 129}, ["client_id"]),
        ({"client_id": "stepup-account"}, ["client_id"]),
        ({"client_name": "a\nb"}, ["client_name"]),
        ({"roles": ()}, ["roles"]),
        ({"audiences": ("a b",)}, ["audiences"]),
        ({"audiences": ("",)}, ["audiences"]),
        ({"audiences": ("a", "a")}, ["audiences"]),
        ({"redirect_uris": ("https://a.example",) * 2}, ["redirect_uris"]),
        (
            {"redirect_uris": tuple(f"https://a.example/{n}" for n in range(65))},
            ["redirect_uris"],
        ),
        ({"jwks": KEY, "jwks_uri": "https://a.example"}, ["jwks"]),
        ({"token_endpoint_auth_method": AuthMethod.PRIVATE_KEY_JWT}, ["jwks"]),
        ({"token_endpoint_auth_method": AuthMethod.SELF_SIGNED_TLS, "site": HEARS}, ["jwks"]),
        ({"require_signed_request_object": True}, ["require_signed_request_object"]),
        (
            {"token_endpoint_auth_method": AuthMethod.TLS, "site": HEARS},
            ["tls_client_auth_subject_dn"],
        ),
        (
            {
                "token_endpoint_auth_method": AuthMethod.TLS,
                "tls_client_auth_san_dns": "a.example",
                "tls_client_auth_san_uri": "urn:a",
                "site": HEARS,
            },
            ["tls_client_auth_subject_dn"],
        ),
        ({"tls_client_auth_san_dns": "a.example"}, ["tls_client_auth_san_dns"]),
        ({"legacy_assertion_audience": True}, ["legacy_assertion_audience"]),
        (
            {
                "token_endpoint_auth_method": AuthMethod.TLS,
                "tls_client_auth_san_dns": "a.example",
                "site": {"hears_certificates": True},
            },
            ["token_endpoint_auth_method"],
        ),
        (
            {"token_endpoint_auth_method": AuthMethod.SELF_SIGNED_TLS, "jwks": KEY},
            ["token_endpoint_auth_method"],
        ),
        (
            {"tls_client_certificate_bound_access_tokens": True},
            ["tls_client_certificate_bound_access_tokens"],
        ),
        ({"grant_types": ()}, ["grant_types"]),
        ({"grant_types": ("authorization_code", "implicit")}, ["grant_types"]),
        ({"grant_types": ("authorization_code", "client_credentials")}, ["grant_types"]),
        ({"grant_types": ("refresh_token",), "roles": (Role.RS,)}, ["grant_types"]),
        ({"id_token_signed_response_alg": "none"}, ["id_token_signed_response_alg"]),
        ({"introspection_signed_response_alg": "HS256"}, ["introspection_signed_response_alg"]),
        ({"token_endpoint_auth_method": AuthMethod.NONE}, ["roles"]),
        (
            {
                "token_endpoint_auth_method": AuthMethod.NONE,
                "roles": (Role.RP,),
                "asserts_subject": True,
                "asserts_authentication": True,
            },
            ["asserts_subject", "asserts_authentication"],
        ),
        ({"profile": Profile.FAPI2}, ["token_endpoint_auth_method"]),
        (
            {
                "profile": Profile.FAPI2,
                "token_endpoint_auth_method": AuthMethod.PRIVATE_KEY_JWT,
                "jwks": KEY,
                "legacy_assertion_audience": True,
                "require_pushed_authorization_requests": False,
                "grant_types": ("authorization_code", "refresh_token"),
                "id_token_signed_response_alg": "RS256",
                "introspection_signed_response_alg": "RS256",
                "redirect_uris": ("com.example.app:/back",),
            },
            [
                "redirect_uris",
                "require_pushed_authorization_requests",
                "grant_types",
                "legacy_assertion_audience",
                "id_token_signed_response_alg",
                "introspection_signed_response_alg",
            ],
        ),
    ],
    ids=lambda value: str(value)[:70],
)
def test_what_cannot_work_is_refused(members, wrong):
    assert findings(**members) == wrong


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("http://shop.example/back", "must use https"),
        ("http://localhost/back", "must use https"),
        ("http://127.0.0.1.evil.example/", "must use https"),
        ("https://shop.example/back#there", "fragment"),
        ("https://shop.example/#", "fragment"),
        ("https://*.shop.example/", "wildcard"),
        ("https://shop.example/*", "wildcard"),
        ("https://shop.example\\@evil.example/", "wildcard"),
        ("https:///back", "no host"),
        ("https://shop@evil.example/", "a user"),
        ("https://[::1", "no URI"),
        ("https://shop.example:port/", "no URI"),
        ("https://shop.example/a b", "no URI"),
        ("https://shop.example/\n", "no URI"),
        ("https://shöp.example/", "no URI"),
        ("https://shop.example/" + "a" * 2000, "no URI"),
        (ISSUER, "our own pages"),
        (f"{ISSUER}/account", "our own pages"),
        ("javascript:alert(1)", "nobody owns"),
        ("data:text/html,x", "nobody owns"),
        ("app:/back", "nobody owns"),
        ("/back", "nobody owns"),
        ("", "nobody owns"),
    ],
    ids=lambda text: ascii(text)[:60],
)
def test_rfc9700_2_1_refuses_a_redirect_uri_that_others_could_take(uri, why):
    client = Client(client_id=ClientId("shop"), name="Shop")

    assert why in why_not_redirected_to(uri, client, a_site())


def test_in_development_this_machine_has_a_name():
    client = Client(client_id=ClientId("shop"), name="Shop")
    site = a_site(development=True)

    assert why_not_redirected_to("http://localhost:8002/back", client, site) is None
    assert why_not_redirected_to("http://shop.example/back", client, site)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, False),
        ({"client_name": "Another"}, False),
        ({"redirect_uris": ("https://b.example",)}, False),
        ({"roles": (Role.PEP,)}, False),
        ({"roles": (Role.PEP, Role.RP, Role.RS)}, True),
        ({"audiences": ("shop-api", "bank-api")}, True),
        ({"audiences": ()}, False),
        ({"profile": Profile.FAPI2}, True),
        ({"asserts_subject": True}, True),
        ({"asserts_authentication": True}, True),
        ({"grant_types": ("authorization_code", "refresh_token")}, True),
        ({"subject_issuer": "https://elsewhere.example"}, True),
        ({"token_endpoint_auth_method": AuthMethod.NONE}, True),
        ({"legacy_assertion_audience": True}, True),
    ],
    ids=str,
)
def test_who_may_do_more_than_before(change, expected):
    before = client_of(Registration(audiences=("shop-api",)), ClientId("shop"))
    after = client_of(Registration(**{"audiences": ("shop-api",)} | change), ClientId("shop"))

    assert is_promoted(before, after) is expected
    assert is_promoted(None, after)


@pytest.mark.parametrize(
    ("held", "change", "expected"),
    [
        ({"introspection_claims": ("acr",)}, {"introspection_claims": None}, True),
        ({"introspection_claims": ("acr",)}, {"introspection_claims": ("acr", "sub")}, True),
        ({"introspection_claims": ("acr", "sub")}, {"introspection_claims": ("acr",)}, False),
        ({"introspection_claims": None}, {"introspection_claims": ("acr",)}, False),
        ({"authorization_details_types": ()}, {"authorization_details_types": None}, True),
        ({"dpop_bound_access_tokens": True}, {"dpop_bound_access_tokens": False}, True),
        ({"dpop_bound_access_tokens": False}, {"dpop_bound_access_tokens": True}, False),
        ({"require_signed_request_object": True}, {"require_signed_request_object": False}, True),
        (
            {"require_pushed_authorization_requests": True},
            {"require_pushed_authorization_requests": None},
            True,
        ),
    ],
    ids=str,
)
def test_an_administrator_of_few_scopes_cannot_take_limits_off_a_client(held, change, expected):
    before = client_of(Registration(**held), ClientId("shop"))
    after = client_of(Registration(**change), ClientId("shop"))

    assert is_promoted(before, after) is expected
