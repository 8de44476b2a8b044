"""What the token endpoint answers: the tokens, what they say, and how it refuses."""

import jwt
import msgspec
import pytest

from stepup.crypto import id_tokens, keys
from stepup.domain.keyring import Keyring, KeyUse
from tests.http.flow import BANK, Flow, code_in
from tests.support.dpop import ProofKey
from tests.support.world import BANK_CALLBACK

WITH_OPENID = {"scope": "openid accounts"}
# A ceremony each time, whatever this browser has proved before.
LEVEL_ALONE = {"step_up_ticket": "", "acr_values": "urn:stepup:acr:2", "prompt": "login"}


async def code_for(flow: Flow, **changes: str) -> str:
    """Go as far as a code for a changed request."""
    pushed = await flow.push(await flow.ticket(), **changes)
    assert pushed.status_code == 201, pushed.text
    page = await flow.authorize(pushed.json()["request_uri"])
    answered = await flow.type_code(page.headers["location"], flow.world.code())
    assert answered.status_code == 303, answered.text
    return code_in(answered)


async def given(flow: Flow, **changes: str) -> dict:
    """Go all the way to the answer of the token endpoint."""
    answer = await flow.redeem(await code_for(flow, **changes))
    assert answer.status_code == 200, answer.text
    return answer.json()


def change_bank(flow: Flow, **changes: object) -> None:
    world = flow.world
    world.bank = msgspec.structs.replace(world.bank, **changes)
    world.snapshot.clients[world.bank.client_id] = world.bank


def read(text: str) -> dict:
    return jwt.decode(text, options={"verify_signature": False})


@pytest.fixture(autouse=True)
async def enrolled(flow: Flow) -> None:
    await flow.world.enroll_app()


async def test_rfc6749_5_1_says_what_was_given_and_is_kept_by_nobody(flow: Flow):
    answer = await flow.redeem(await code_for(flow, **WITH_OPENID))

    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["token_type"] == "Bearer"
    assert body["scope"] == "openid accounts"
    assert 0 < body["expires_in"] <= 120
    assert body["acr"] == "urn:stepup:acr:2"
    assert body["txn"] == read(body["access_token"])["txn"]
    assert "refresh_token" not in body


async def test_rfc9396_7_the_granted_details_are_returned(flow: Flow):
    body = await given(flow)
    assert body["authorization_details"] == read(body["access_token"])["authorization_details"]
    assert "authorization_details" not in await given(flow, **LEVEL_ALONE)


async def test_oidc_core_3_1_3_3_with_openid_an_id_token_comes(flow: Flow):
    body = await given(flow, **WITH_OPENID)

    told, access = read(body["id_token"]), read(body["access_token"])
    assert told["aud"] == "bank"
    assert told["iss"] == flow.world.site.issuer
    for name in ("sub", "sub_id", "acr", "amr", "auth_time"):
        assert told[name] == access[name]
    assert told["at_hash"] == id_tokens.hash_of(body["access_token"], "ES256")
    assert told["exp"] <= access["exp"]


@pytest.mark.parametrize("scope", ["", "accounts", "openid2"])
async def test_without_openid_no_id_token_comes(flow: Flow, scope: str):
    assert "id_token" not in await given(flow, scope=scope)


async def test_an_id_token_is_no_access_token(flow: Flow):
    body = await given(flow, **WITH_OPENID)
    assert not await flow.is_active(body["id_token"])
    assert await flow.is_active(body["access_token"])


async def test_a_client_whose_algorithm_has_no_key_spends_nothing(flow: Flow):
    code = await code_for(flow, **WITH_OPENID)
    change_bank(flow, id_token_signed_response_alg="EdDSA")
    refused = await flow.redeem(code)
    assert refused.status_code == 503
    assert refused.json()["error"] == "temporarily_unavailable"
    change_bank(flow, id_token_signed_response_alg="ES256")
    assert (await flow.redeem(code)).status_code == 200


async def test_oauth21_4_1_3_the_redirect_uri_may_be_left_out(flow: Flow):
    assert (await flow.redeem(await flow.code(), redirect_uri="")).status_code == 200


async def test_rfc6749_4_1_3_a_redirect_uri_that_is_sent_must_be_the_same(flow: Flow):
    code = await flow.code()
    other = await flow.redeem(code, redirect_uri=f"{BANK_CALLBACK}/")
    assert other.json()["error"] == "invalid_grant"


async def test_rfc9700_2_1_1_pkce_downgrade(flow: Flow):
    code = await flow.code()
    assert (await flow.redeem(code, code_verifier="")).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("verifier", "error"),
    [
        ("A" * 43, "invalid_grant"),
        ("A" * 42, "invalid_request"),
        ("A" * 129, "invalid_request"),
        ("é" * 43, "invalid_request"),
    ],
    ids=["another", "short", "long", "not unreserved"],
)
async def test_rfc7636_4_1_and_4_6_another_verifier_is_refused_and_burns_nothing(
    flow: Flow, verifier: str, error: str
):
    code = await flow.code()
    refused = await flow.redeem(code, code_verifier=verifier)
    assert (refused.status_code, refused.json()["error"]) == (400, error)
    assert (await flow.redeem(code)).status_code == 200


async def test_rfc8707_2_2_a_resource_must_be_the_one_asked_for(flow: Flow):
    code = await flow.code()
    wrong = await flow.redeem(code, resource="other-api")
    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_target")
    two = await flow.redeem(code, resource="bank-api", audience="other-api")
    assert two.json()["error"] == "invalid_target"
    right = await flow.redeem(code, audience="bank-api")
    assert right.status_code == 200
    assert read(right.json()["access_token"])["aud"] == "bank-api"


async def test_a_resource_tells_nobody_else_what_a_code_is_for(flow: Flow):
    flow.world.add_client("shop", redirect_uris=(BANK_CALLBACK,))
    form = flow.token_form(await flow.code()) | {"resource": "other-api"}
    answer = await flow.http.post("/oauth2/token", data=form, auth=("shop", BANK[1]))
    assert answer.json()["error"] == "invalid_grant"


async def test_rfc9396_6_details_are_not_read_here(flow: Flow):
    answer = await flow.redeem(await flow.code(), authorization_details="[]")
    assert answer.json()["error"] == "invalid_authorization_details"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"dpop_bound": True}, "invalid_dpop_proof"),
        ({"tls_bound": True}, "invalid_request"),
    ],
)
async def test_rfc9449_5_a_client_of_bound_tokens_gets_no_unbound_one(
    flow: Flow, changes: dict, error: str
):
    code = await flow.code()
    change_bank(flow, **changes)
    answer = await flow.redeem(code)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "invalid_request"),
        ({"code_verifier": "short"}, "invalid_request"),
    ],
)
async def test_rfc6749_5_2_errors(flow: Flow, form: dict, error: str):
    answer = await flow.redeem("r1.x.y", **form)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer.headers["cache-control"] == "no-store"


async def test_rfc6749_5_2_a_client_that_may_not_is_unauthorized(flow: Flow):
    code = await flow.code()
    change_bank(flow, roles=frozenset())
    answer = await flow.redeem(code)
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")


async def test_rfc6749_3_2_only_post_is_answered(flow: Flow):
    answer = await flow.http.get("/oauth2/token", params=flow.token_form("r1.x.y"), auth=BANK)
    assert answer.status_code == 405


async def test_oauth21_3_2_what_stands_in_the_query_is_ignored(flow: Flow):
    form = flow.token_form(await flow.code())
    answer = await flow.http.post("/oauth2/token", params=form, data={"x": "y"}, auth=BANK)
    assert answer.json()["error"] == "invalid_request"


async def test_code_substitution(flow: Flow):
    """Who injects a code of a flow of their own needs the verifier of the flow it is put into."""
    code = await flow.code()
    answer = await flow.redeem(code, code_verifier="v" * 43)
    assert answer.json()["error"] == "invalid_grant"


def proved(flow: Flow, key: ProofKey, **headers: str) -> dict[str, str]:
    """The headers of a request to the token endpoint that proves to hold a key."""
    site, now = flow.world.site, flow.world.clock.now()
    return {"dpop": key.proof("POST", site.url("/oauth2/token"), now)} | headers


async def test_rfc9449_5_a_proof_binds_the_token_to_its_key(flow: Flow):
    key = ProofKey()
    answer = await flow.redeem(await flow.code(), headers=proved(flow, key))

    assert answer.json()["token_type"] == "DPoP"
    assert read(answer.json()["access_token"])["cnf"] == {"jkt": key.jkt}


async def test_rfc9449_5_a_client_of_bound_tokens_gets_them_with_a_proof(flow: Flow):
    code = await flow.code()
    change_bank(flow, dpop_bound=True)
    answer = await flow.redeem(code, headers=proved(flow, ProofKey()))
    assert answer.status_code == 200, answer.text


async def test_nobody_gets_the_token_of_another_key_by_the_name_of_its_attempt(flow: Flow):
    code, key = await flow.code(), ProofKey()
    first = await flow.redeem(code, headers=proved(flow, key, **{"idempotency-key": "a1"}))
    again = await flow.redeem(code, headers=proved(flow, key, **{"idempotency-key": "a1"}))
    assert read(first.json()["access_token"]) == read(again.json()["access_token"])

    stolen = await flow.redeem(code, headers=proved(flow, ProofKey(), **{"idempotency-key": "a1"}))
    assert stolen.json()["error"] == "invalid_grant"
    assert not await flow.is_active(first.json()["access_token"])


async def test_oidc_core_3_1_3_7_an_rs256_client_verifies_with_the_published_keys(flow: Flow):
    world = flow.world
    rsa = keys.generate_signing_key("RS256", use=KeyUse.ID_TOKEN)
    world.snapshot.held_keyring = Keyring(keys=(*world.keyring.keys, rsa), root=world.keyring.root)
    change_bank(flow, id_token_signed_response_alg="RS256")
    document = (await flow.http.get("/.well-known/openid-configuration")).json()
    # OpenID Connect Discovery section 3: RS256 must be among them.
    assert document["id_token_signing_alg_values_supported"] == ["ES256", "RS256"]

    body = await given(flow, **WITH_OPENID)
    published = jwt.PyJWKSet.from_dict((await flow.http.get("/.well-known/jwks.json")).json())
    key = published[jwt.get_unverified_header(body["id_token"])["kid"]]
    options = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
    told = jwt.decode(body["id_token"], key, algorithms=["RS256"], audience="bank", options=options)
    assert told["iss"] == document["issuer"]
    assert jwt.get_unverified_header(body["access_token"])["alg"] == "ES256"
