"""A client under the FAPI 2.0 Security Profile, over HTTP: all of it once, then clause by clause."""

from datetime import timedelta
from typing import Any

import httpx2
import jwt
import msgspec
import pytest

from stepup.crypto import keys
from stepup.domain.authorization import CODE_LIFETIME
from stepup.domain.client import Client, Role
from stepup.domain.client_authentication import AuthMethod, Profile
from stepup.domain.keyring import KeyState
from tests.http.flow import ID_TOKEN, Flow, answer_in
from tests.support.application import CLIENT_SECRET, ISSUER
from tests.support.assertions import AT, JWK, assertion, form_of
from tests.support.dpop import ProofKey
from tests.support.world import BANK_CALLBACK, PKCE_CHALLENGE, PKCE_VERIFIER, World

PAR, TOKEN = "/oauth2/par", "/oauth2/token"
REGISTERED: dict[str, Any] = {
    "profile": Profile.FAPI2,
    "auth_method": AuthMethod.PRIVATE_KEY_JWT,
    "jwks": (JWK,),
    "secret_digests": (),
    "roles": frozenset({Role.RP, Role.RS}),
    "redirect_uris": (BANK_CALLBACK,),
    "audiences": ("bank-api",),
}


class FapiClient:
    """A client that does all it must; each step can be told to do one thing wrongly."""

    def __init__(self, flow: Flow) -> None:
        self.flow, self.http, self.world = flow, flow.http, flow.world
        self.key = ProofKey()
        self._count = 0

    def register(self, **changes: object) -> Client:
        return self.world.add_client("fapi", **REGISTERED | changes)

    def credentials(self, **claims: object) -> dict[str, str]:
        self._count += 1
        now = int(self.world.clock.now().timestamp())
        times = {"iat": now, "exp": now + 60, "jti": f"assertion-{self._count}"}
        return form_of(assertion("fapi", **times | claims))

    def proof(self, path: str, key: ProofKey | None = None) -> dict[str, str]:
        now = self.world.clock.now()
        return {"dpop": (key or self.key).proof("POST", f"{ISSUER}{path}", now)}

    async def push(self, *, auth: dict[str, str] | None = None, **changes: str) -> httpx2.Response:
        form = {
            "response_type": "code",
            "redirect_uri": BANK_CALLBACK,
            "state": "st-1",
            "nonce": "n" * 64,
            "scope": "openid",
            "acr_values": "urn:stepup:acr:2",
            "code_challenge": PKCE_CHALLENGE,
            "code_challenge_method": "S256",
            "subject_token": self.world.subject_token(),
            "subject_token_type": ID_TOKEN,
        } | changes
        sent = {name: value for name, value in form.items() if value}
        sent |= self.credentials() if auth is None else auth
        return await self.http.post(PAR, data=sent, headers=self.proof(PAR))

    async def answered(self, **changes: str) -> httpx2.Response:
        pushed = await self.push(**changes)
        assert pushed.status_code == 201, pushed.text
        authorized = await self.flow.authorize(pushed.json()["request_uri"], "fapi")
        assert authorized.status_code == 303, authorized.text
        return await self.flow.type_code(authorized.headers["location"], self.world.code())

    async def code(self) -> str:
        return answer_in(await self.answered())["code"]

    async def redeem(
        self,
        code: str,
        *,
        auth: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        **changes: str,
    ) -> httpx2.Response:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": BANK_CALLBACK,
            "code_verifier": PKCE_VERIFIER,
        } | changes
        sent = {name: value for name, value in form.items() if value}
        sent |= self.credentials() if auth is None else auth
        sender = self.proof(TOKEN) if headers is None else headers
        return await self.http.post(TOKEN, data=sent, headers=sender)


@pytest.fixture
def fapi(flow: Flow) -> FapiClient:
    client = FapiClient(flow)
    client.register()
    return client


def refused(answer: httpx2.Response, *errors: str) -> bool:
    return answer.status_code in {400, 401} and answer.json()["error"] in errors


async def test_a_whole_fapi_client(fapi: FapiClient, world: World):
    answered = await fapi.answered()

    assert answered.status_code == 303
    returned = answer_in(answered)
    assert (returned["iss"], returned["state"]) == (ISSUER, "st-1")
    redeemed = await fapi.redeem(returned["code"])
    tokens = redeemed.json()
    assert (redeemed.status_code, tokens["token_type"]) == (200, "DPoP")
    assert "refresh_token" not in tokens
    claims = jwt.decode(tokens["id_token"], options={"verify_signature": False})
    assert (claims["aud"], claims["nonce"]) == ("fapi", "n" * 64)
    form = {"token": tokens["access_token"]} | fapi.credentials()
    told = (await fapi.http.post("/oauth2/introspect", data=form)).json()
    assert (told["active"], told["cnf"]) == (True, {"jkt": fapi.key.jkt})
    proof = fapi.key.proof(
        "GET",
        f"{ISSUER}/oauth2/userinfo",
        world.clock.now(),
        access_token=tokens["access_token"],
    )
    shown = {"authorization": f"DPoP {tokens['access_token']}", "dpop": proof}
    assert (await fapi.http.get("/oauth2/userinfo", headers=shown)).json()["sub"] == "alice"


# --- section 5.3.2.1 -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method", [None, AuthMethod.NONE, AuthMethod.SECRET_BASIC, AuthMethod.SECRET_POST]
)
async def test_fapi2_5_3_2_1_3_and_6_refuses_a_client_without_a_key(
    fapi: FapiClient, world: World, method: AuthMethod | None
):
    with_secret = world.add_client("any").secret_digests
    fapi.register(auth_method=method, secret_digests=with_secret)

    for auth in (
        {"client_id": "fapi"},
        {"client_id": "fapi", "client_secret": CLIENT_SECRET},
    ):
        assert refused(await fapi.push(auth=auth), "invalid_client")
    basic = await fapi.http.post(PAR, data={"a": "b"}, auth=("fapi", CLIENT_SECRET))
    assert refused(basic, "invalid_client")


async def test_fapi2_5_3_2_1_4_refuses_to_give_out_a_bearer_token(fapi: FapiClient):
    code = await fapi.code()

    assert refused(await fapi.redeem(code, headers={}), "invalid_dpop_proof")
    assert (await fapi.redeem(code)).status_code == 200


@pytest.mark.parametrize(
    "audience",
    [f"{ISSUER}/oauth2/token", f"{ISSUER}/oauth2/par", [ISSUER], [ISSUER, "x"], f"{ISSUER}/"],
    ids=str,
)
async def test_fapi2_5_3_2_1_8_refuses_another_audience_than_the_issuer_as_text(
    fapi: FapiClient, audience: object
):
    fapi.register(legacy_assertion_audience=True)

    assert refused(await fapi.push(auth=fapi.credentials(aud=audience)), "invalid_client")


async def test_fapi2_5_3_2_1_10_gives_no_refresh_token(fapi: FapiClient):
    given = {}
    for profile in Profile:
        fapi.register(refresh_tokens=True, profile=profile)
        asked = {"scope": "openid offline_access", "prompt": "consent login"}
        code = answer_in(await fapi.answered(**asked))["code"]
        given[profile] = (await fapi.redeem(code)).json()
        # Another code of the authenticator app for the next one.
        fapi.world.clock.advance(timedelta(minutes=1))

    assert "refresh_token" in given[Profile.OAUTH]
    assert "refresh_token" not in given[Profile.FAPI2]
    # And what introspection says of one is nothing: it is no access token.
    form = {"token": given[Profile.OAUTH]["refresh_token"]} | fapi.credentials()
    told = await fapi.http.post("/oauth2/introspect", data=form)
    assert told.json() == {"active": False}


async def test_fapi2_5_3_2_1_11_refuses_a_code_after_a_minute(fapi: FapiClient, world: World):
    assert timedelta(seconds=60) >= CODE_LIFETIME
    code = await fapi.code()
    world.clock.advance(timedelta(seconds=60))

    assert refused(await fapi.redeem(code), "invalid_grant")


async def test_fapi2_5_3_2_1_12_code_substitution_with_another_dpop_key_is_refused(
    fapi: FapiClient,
):
    code = await fapi.code()

    answer = await fapi.redeem(code, headers=fapi.proof(TOKEN, ProofKey()))

    assert refused(answer, "invalid_grant", "invalid_dpop_proof")
    assert (await fapi.redeem(code)).status_code == 200


@pytest.mark.parametrize(("seconds", "accepted"), [(10, True), (61, False)])
async def test_fapi2_5_3_2_1_13_a_clock_may_be_ten_seconds_ahead_and_not_a_minute(
    fapi: FapiClient, seconds: int, accepted: bool
):
    auth = fapi.credentials(iat=AT + seconds, nbf=AT + seconds, exp=AT + seconds + 30)

    assert ((await fapi.push(auth=auth)).status_code == 201) is accepted


# --- section 5.3.2.2 -----------------------------------------------------------------------------------


@pytest.mark.parametrize("response_type", ["token", "code id_token", "id_token", ""])
async def test_fapi2_5_3_2_2_1_refuses_another_response_type_than_code(
    fapi: FapiClient, response_type: str
):
    answer = await fapi.push(response_type=response_type)

    assert refused(answer, "unsupported_response_type", "invalid_request")


async def test_fapi2_5_3_2_2_2_and_4_refuses_a_request_that_was_not_pushed(
    fapi: FapiClient, world: World
):
    site = msgspec.structs.replace(world.site, pushed_requests_required=False)
    world.ports = world.ports._replace(site=site)
    fapi.register(pushed_only=False)
    query = {
        "client_id": "fapi",
        "response_type": "code",
        "redirect_uri": BANK_CALLBACK,
        "acr_values": "urn:stepup:acr:2",
        "code_challenge": PKCE_CHALLENGE,
        "code_challenge_method": "S256",
    }

    answer = await fapi.http.get("/oauth2/authorize", params=query)

    assert "code" not in answer.headers.get("location", "")
    assert answer.status_code == 400 or answer_in(answer)["error"] == "invalid_request"


async def test_fapi2_5_3_2_2_3_refuses_a_push_by_nobody(fapi: FapiClient):
    assert refused(await fapi.push(auth={"client_id": "fapi"}), "invalid_client")


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": ""},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": ""},
    ],
    ids=str,
)
async def test_fapi2_5_3_2_2_5_pkce_downgrade_is_refused(fapi: FapiClient, changes: dict):
    assert refused(await fapi.push(**changes), "invalid_request")


@pytest.mark.parametrize("verifier", ["", "A" * 43])
async def test_fapi2_5_3_2_2_5_a_code_needs_its_verifier(fapi: FapiClient, verifier: str):
    answer = await fapi.redeem(await fapi.code(), code_verifier=verifier)

    assert refused(answer, "invalid_grant", "invalid_request")


async def test_fapi2_5_3_2_2_6_refuses_a_push_without_redirect_uri(fapi: FapiClient):
    assert refused(await fapi.push(redirect_uri=""), "invalid_request")


async def test_fapi2_5_3_2_2_7_mix_up_is_told_by_the_issuer_in_every_answer(fapi: FapiClient):
    pushed = await fapi.push()
    authorized = await fapi.flow.authorize(pushed.json()["request_uri"], "fapi")
    where = authorized.headers["location"]
    page = await fapi.http.get(f"{where}/code")

    assert answer_in(await fapi.answered())["iss"] == ISSUER
    assert page.status_code == 200


async def test_fapi2_5_3_2_2_8_refuses_http(fapi: FapiClient):
    fapi.register(redirect_uris=("http://bank.example/callback", "http://127.0.0.1/callback"))

    answer = await fapi.push(redirect_uri="http://bank.example/callback")

    assert refused(answer, "invalid_request")
    native = await fapi.push(redirect_uri="http://127.0.0.1:4711/callback")
    assert native.status_code == 201


async def test_fapi2_5_3_2_2_9_a_code_is_good_once(fapi: FapiClient):
    code = await fapi.code()
    first = await fapi.redeem(code)

    assert first.status_code == 200
    assert refused(await fapi.redeem(code), "invalid_grant")


async def test_fapi2_5_3_2_2_10_and_11_redirects_are_303(fapi: FapiClient):
    assert (await fapi.answered()).status_code == 303


async def test_fapi2_5_3_2_2_12_a_pushed_request_lives_less_than_600_seconds(
    fapi: FapiClient, world: World
):
    pushed = await fapi.push()
    assert pushed.json()["expires_in"] < 600
    world.clock.advance(timedelta(seconds=600))

    answer = await fapi.flow.authorize(pushed.json()["request_uri"], "fapi")

    assert answer.status_code >= 400


async def test_fapi2_5_3_2_2_13_a_nonce_of_64_characters_comes_back(fapi: FapiClient):
    tokens = (await fapi.redeem(await fapi.code())).json()

    claims = jwt.decode(tokens["id_token"], options={"verify_signature": False})
    assert claims["nonce"] == "n" * 64


# --- section 5.4 -----------------------------------------------------------------------------------------


async def test_fapi2_5_4_1_refuses_an_assertion_by_rs256(fapi: FapiClient):
    rsa = keys.generate_signing_key("RS256")
    fapi.register(jwks=({**rsa.public_jwk, "kid": rsa.id},))
    now = int(fapi.world.clock.now().timestamp())
    claims = {
        "iss": "fapi",
        "sub": "fapi",
        "aud": ISSUER,
        "iat": now,
        "exp": now + 60,
        "jti": "rs256",
    }
    text = jwt.encode(claims, rsa.private_key, algorithm="RS256", headers={"kid": rsa.id})

    assert refused(await fapi.push(auth=form_of(text)), "invalid_client")


async def test_fapi2_5_4_1_refuses_a_proof_by_rs256(fapi: FapiClient):
    code = await fapi.code()
    answer = await fapi.redeem(code, headers=fapi.proof(TOKEN, ProofKey("RS256")))

    assert refused(answer, "invalid_dpop_proof")


async def test_fapi2_5_4_1_nothing_is_signed_for_it_by_rs256(fapi: FapiClient, world: World):
    rsa = keys.generate_signing_key("RS256", state=KeyState.ACTIVE)
    old = world.snapshot.held_keyring
    world.snapshot.held_keyring = msgspec.structs.replace(old, keys=(*old.keys, rsa))
    fapi.register(id_token_signed_response_alg="RS256", introspection_signed_response_alg="RS256")

    tokens = (await fapi.redeem(await fapi.code())).json()
    answer = await fapi.http.post(
        "/oauth2/introspect",
        data={"token": tokens["access_token"]} | fapi.credentials(),
        headers={"accept": "application/token-introspection+jwt"},
    )

    for text in (tokens["access_token"], tokens["id_token"], answer.text):
        assert jwt.get_unverified_header(text)["alg"] in {"ES256", "PS256", "EdDSA"}


async def test_fapi2_5_4_3_no_two_published_keys_have_one_name(fapi: FapiClient):
    published = (await fapi.http.get("/.well-known/jwks.json")).json()["keys"]

    assert len({key["kid"] for key in published}) == len(published)
