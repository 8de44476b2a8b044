"""Introspection as a resource server sees it: RFC 7662, and RFC 9701 for the signed form."""

import httpx2
import jwt
import msgspec
import pytest

from stepup.crypto import keys, tokens
from stepup.domain.client import Role
from stepup.domain.client_authentication import AuthMethod
from stepup.domain.keyring import KeyState, KeyUse
from stepup.sdk import InvalidToken
from stepup.sdk.keys import KeySet
from stepup.sdk.verifier import Verifier
from tests.http.flow import BANK, Flow
from tests.support.application import CLIENT_SECRET, ISSUER
from tests.support.dpop import ProofKey
from tests.support.world import World

PATH = "/oauth2/introspect"
SIGNED = "application/token-introspection+jwt"
INACTIVE = {"active": False}


@pytest.fixture
async def token(flow: Flow) -> str:
    return await flow.token()


async def ask(flow: Flow, token: str, client: str = "bank", **options) -> httpx2.Response:
    return await flow.http.post(
        PATH,
        data={"token": token} | options.pop("form", {}),
        auth=(client, CLIENT_SECRET),
        **options,
    )


# --- RFC 7662 ---------------------------------------------------------------------------------------


async def test_rfc7662_2_2_an_active_token_shows_all_that_is_known_of_it(
    flow: Flow, world: World, token: str
):
    answer = await ask(flow, token)

    claims = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert claims["active"] is True
    assert claims["token_type"] == "Bearer"
    assert (claims["iss"], claims["aud"], claims["client_id"]) == (ISSUER, "bank-api", "bank")
    assert (claims["sub"], claims["acr"], claims["amr"]) == ("alice", "urn:stepup:acr:2", ["otp"])
    assert claims["exp"] - claims["iat"] == 120
    assert claims["auth_time"] == int(world.clock.now().timestamp())
    assert claims["authorization_details"][0]["action"] == "payments.transfer"
    assert claims["jti"]
    assert "cnf" not in claims


async def test_rfc9470_6_2_acr_is_text_and_auth_time_a_number_at_the_top(flow: Flow, token: str):
    claims = (await ask(flow, token)).json()

    assert isinstance(claims["acr"], str)
    # bool is an int in Python.
    assert type(claims["auth_time"]) is int


@pytest.mark.parametrize("text", ["x", "a.b.c", "eyJ.eyJ.eyJ", "r1.abc.def"])
async def test_rfc7662_2_2_of_any_other_token_nothing_is_said(flow: Flow, text: str):
    answer = await ask(flow, text)

    assert (answer.status_code, answer.json()) == (200, INACTIVE)


async def test_rfc7662_2_2_an_id_token_is_no_access_token(flow: Flow):
    pushed = await flow.push(await flow.ticket(), scope="openid")
    where = (await flow.authorize(pushed.json()["request_uri"])).headers["location"]
    answered = await flow.type_code(where, flow.world.code())
    code = answered.headers["location"].partition("code=")[2].partition("&")[0]
    redeemed = (await flow.redeem(code)).json()

    assert (await ask(flow, redeemed["id_token"])).json() == INACTIVE
    assert (await ask(flow, redeemed["access_token"])).json()["active"] is True


@pytest.mark.parametrize(
    ("roles", "audiences"),
    [
        ({Role.RS}, ("shop-api",)),
        ({Role.RS}, ()),
        ({Role.PEP, Role.RP}, ("bank-api",)),
    ],
    ids=["another audience", "no audience", "not a resource server"],
)
async def test_rfc7662_4_who_is_not_meant_learns_nothing(
    flow: Flow, world: World, token: str, roles: set[Role], audiences: tuple[str, ...]
):
    world.add_client("shop", roles=frozenset(roles), audiences=audiences)

    assert (await ask(flow, token, "shop")).json() == INACTIVE


async def test_rfc7662_2_1_the_audience_s_resource_server_may_ask(
    flow: Flow, world: World, token: str
):
    world.add_client("api", roles=frozenset({Role.RS}), audiences=("other", "bank-api"))

    assert (await ask(flow, token, "api")).json()["active"] is True


@pytest.mark.parametrize("auth", [None, ("bank", "wrong"), ("nobody", CLIENT_SECRET)])
async def test_rfc7662_2_3_without_credentials_401(flow: Flow, token: str, auth):
    answer = await flow.http.post(PATH, data={"token": token}, auth=auth)

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_token_scanning_a_public_client_may_not_ask(flow: Flow, world: World, token: str):
    world.add_client("app", auth_method=AuthMethod.NONE, secret_digests=(), audiences=("bank-api",))

    answer = await flow.http.post(PATH, data={"token": token, "client_id": "app"})

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "id_token", "nonsense"])
async def test_rfc7662_2_1_a_wrong_hint_is_ignored(flow: Flow, token: str, hint: str):
    answer = await ask(flow, token, form={"token_type_hint": hint})

    assert answer.json()["active"] is True


async def test_rfc7662_2_1_it_is_a_post_of_a_form_in_the_body(flow: Flow, token: str):
    got = await flow.http.get(PATH, params={"token": token}, auth=BANK)
    in_query = await flow.http.post(PATH, params={"token": token}, data={"a": "b"}, auth=BANK)
    as_json = await flow.http.post(PATH, json={"token": token}, auth=BANK)
    too_large = await ask(flow, "x" * 70_000)

    assert [a.status_code for a in (got, in_query, as_json, too_large)] == [405, 400, 400, 413]


async def test_rfc7662_4_the_answer_is_not_kept_by_caches(flow: Flow, token: str):
    assert (await ask(flow, token)).headers["cache-control"] == "no-store"


# --- bound tokens -------------------------------------------------------------------------------------


async def test_rfc9449_6_2_a_bound_token_shows_its_key_and_type(flow: Flow, world: World):
    key = ProofKey()
    proof = key.proof("POST", f"{ISSUER}/oauth2/token", world.clock.now())

    redeemed = await flow.redeem(await flow.code(), headers={"dpop": proof})

    assert redeemed.json()["token_type"] == "DPoP"
    claims = (await ask(flow, redeemed.json()["access_token"])).json()
    assert (claims["token_type"], claims["cnf"]) == ("DPoP", {"jkt": key.jkt})


# --- what one client may see ----------------------------------------------------------------------------


async def test_a_client_sees_what_it_was_registered_for(flow: Flow, world: World, token: str):
    world.add_client(
        "api",
        roles=frozenset({Role.RS}),
        audiences=("bank-api",),
        introspection_claims=("acr", "sub", "unheard_of"),
    )

    claims = (await ask(flow, token, "api")).json()

    assert claims.keys() == {"active", "token_type", "exp", "acr", "sub"}


async def test_the_key_of_a_bound_token_is_never_hidden(flow: Flow, world: World):
    world.add_client(
        "api", roles=frozenset({Role.RS}), audiences=("bank-api",), introspection_claims=()
    )
    key = ProofKey()
    proof = key.proof("POST", f"{ISSUER}/oauth2/token", world.clock.now())
    redeemed = await flow.redeem(await flow.code(), headers={"dpop": proof})

    claims = (await ask(flow, redeemed.json()["access_token"], "api")).json()

    assert claims.keys() == {"active", "token_type", "exp", "cnf"}


async def test_consuming_shows_no_more_than_asking(flow: Flow, world: World, token: str):
    world.add_client(
        "api", roles=frozenset({Role.RS}), audiences=("bank-api",), introspection_claims=("acr",)
    )

    answer = await flow.http.post(
        "/oauth2/consume", data={"token": token}, auth=("api", CLIENT_SECRET)
    )

    assert answer.json().keys() == {"active", "token_type", "exp", "consumed_at", "acr"}


# --- RFC 9701 ---------------------------------------------------------------------------------------------


async def read_signed(flow: Flow, answer: httpx2.Response, audience: str = "bank") -> dict:
    """Verify a signed answer against the published keys, as a resource server does."""
    assert answer.headers["content-type"] == SIGNED
    header = jwt.get_unverified_header(answer.text)
    assert header["typ"] == "token-introspection+jwt"
    published = jwt.PyJWKSet.from_dict((await flow.http.get("/.well-known/jwks.json")).json())
    options = {"verify_iat": False, "verify_exp": False}
    return jwt.decode(
        answer.text,
        published[header["kid"]],
        algorithms=[header["alg"]],
        audience=audience,
        issuer=ISSUER,
        options=options,
    )


async def test_rfc9701_5_an_active_token_in_a_signed_answer(flow: Flow, world: World, token: str):
    plain = (await ask(flow, token)).json()

    signed = await read_signed(flow, await ask(flow, token, headers={"accept": SIGNED}))

    assert signed == {
        "iss": ISSUER,
        "aud": "bank",
        "iat": int(world.clock.now().timestamp()),
        "token_introspection": plain,
    }


async def test_rfc9701_5_an_inactive_token_in_a_signed_answer(flow: Flow):
    signed = await read_signed(flow, await ask(flow, "x", headers={"accept": SIGNED}))

    assert signed["token_introspection"] == INACTIVE


async def test_rfc9701_5_the_audience_is_who_asked(flow: Flow, world: World, token: str):
    world.add_client("api", roles=frozenset({Role.RS}), audiences=("bank-api",))

    answer = await ask(flow, token, "api", headers={"accept": SIGNED})

    assert (await read_signed(flow, answer, "api"))["aud"] == "api"


@pytest.mark.parametrize(
    ("accept", "signed"),
    [
        (SIGNED, True),
        (SIGNED.upper(), True),
        (f"{SIGNED}, application/json", True),
        (f"{SIGNED};q=0.5, application/json;q=0.9", False),
        (f"{SIGNED};q=0.9, application/json;q=0.5", True),
        (f"text/html, {SIGNED};q=0.1", True),
        (f"{SIGNED};q=0", False),
        (f"{SIGNED};q=x", False),
        (f"{SIGNED};q=nan", False),
        ("application/json", False),
        ("application/jwt", False),
        ("application/*", False),
        ("*/*", False),
        ("", False),
        (",;,", False),
    ],
)
async def test_rfc9701_4_the_form_is_negotiated(flow: Flow, token: str, accept: str, signed: bool):
    answer = await ask(flow, token, headers={"accept": accept})

    assert answer.headers["content-type"] == (SIGNED if signed else "application/json")


async def test_rfc9701_6_the_algorithm_is_the_client_s(flow: Flow, world: World, token: str):
    world.bank = world.add_client(
        "bank", audiences=("bank-api",), introspection_signed_response_alg="ES256"
    )
    answer = await ask(flow, token, headers={"accept": SIGNED})

    assert jwt.get_unverified_header(answer.text)["alg"] == "ES256"


async def test_rfc9701_6_an_algorithm_without_a_key_is_unknown_and_not_another_one(
    flow: Flow, world: World, token: str
):
    world.add_client("bank", audiences=("bank-api",), introspection_signed_response_alg="PS256")

    assert (await ask(flow, token, headers={"accept": SIGNED})).status_code == 503


async def test_rfc9701_6_the_default_is_rs256(flow: Flow, world: World, token: str):
    rsa = keys.generate_signing_key(
        "RS256", state=KeyState.ACTIVE, use=KeyUse.INTROSPECTION, region=world.site.region
    )
    old = world.snapshot.held_keyring
    world.snapshot.held_keyring = msgspec.structs.replace(old, keys=(*old.keys, rsa))

    answer = await ask(flow, token, headers={"accept": SIGNED})

    assert jwt.get_unverified_header(answer.text)["kid"] == rsa.id
    assert (await read_signed(flow, answer))["token_introspection"]["active"] is True
    assert (await ask(flow, answer.text)).json() == INACTIVE


async def test_rfc9701_6_an_rs256_answer_verifies_with_the_published_key(
    flow: Flow, world: World, token: str
):
    rsa = keys.generate_signing_key("RS256", state=KeyState.ACTIVE)
    world.add_client("bank", audiences=("bank-api",), introspection_signed_response_alg="RS256")
    old = world.snapshot.held_keyring
    world.snapshot.held_keyring = msgspec.structs.replace(old, keys=(rsa, *old.keys))

    answer = await ask(flow, token, headers={"accept": SIGNED})

    assert jwt.get_unverified_header(answer.text)["alg"] == "RS256"
    assert (await read_signed(flow, answer))["token_introspection"]["active"] is True


async def test_rfc8725_3_12_a_signed_answer_is_no_access_token(
    flow: Flow, world: World, token: str
):
    answer = (await ask(flow, token, headers={"accept": SIGNED})).text
    now = world.clock.now()

    assert (await ask(flow, answer)).json() == INACTIVE
    with pytest.raises(tokens.InvalidTokenError):
        tokens.read_elevated(answer, world.keyring, world.site, now)
    published = (await flow.http.get("/.well-known/jwks.json")).content
    verifier = Verifier(
        issuer=ISSUER,
        audience="bank",
        levels=["urn:stepup:acr:1"],
        keys=KeySet("https://stepup.example/jwks", lambda _: published),
        clock=now.timestamp,
    )
    with pytest.raises(InvalidToken):
        verifier.read(answer)


async def test_the_framework_sends_the_same_signed_answer(flow: Flow, token: str):
    direct = await ask(flow, token, headers={"accept": SIGNED})
    form = {"token": token}
    framed = await flow.http.post(f"{PATH}/", data=form, auth=BANK, headers={"accept": SIGNED})

    assert framed.headers["content-type"] == SIGNED
    assert framed.text.rpartition(".")[0] == direct.text.rpartition(".")[0]


async def test_the_metadata_promises_what_is_served(flow: Flow):
    metadata = (await flow.http.get("/.well-known/oauth-authorization-server")).json()

    assert "ES256" in metadata["introspection_signing_alg_values_supported"]
    assert metadata["dpop_signing_alg_values_supported"] == [
        "ES256",
        "PS256",
        "EdDSA",
        "Ed25519",
    ]
    assert metadata["tls_client_certificate_bound_access_tokens"] is False
    assert not any("encryption" in name for name in metadata if name.startswith("introspection"))
