"""A token that is bound to a key opens our own resources with that key alone."""

from datetime import timedelta

import httpx2
import msgspec
import pytest

from stepup.domain.administrator import AdminAction
from tests.http.admin_visit import DOCUMENT, POLICY, AdminVisit, bearer
from tests.http.conftest import app_over
from tests.http.flow import Flow
from tests.support.application import ISSUER
from tests.support.dpop import ProofKey
from tests.support.world import World

ACTIVATE = AdminAction.POLICY_ACTIVATE
ALGORITHMS = 'algs="ES256 PS256 EdDSA Ed25519"'
USERINFO = "/oauth2/userinfo"


@pytest.fixture
def key() -> ProofKey:
    return ProofKey()


# --- the administrators' API ----------------------------------------------------------------------


class BoundVisit:
    """Alice's visit with a token that is bound to a key of her console."""

    def __init__(self, visit: AdminVisit, key: ProofKey, token: str) -> None:
        self.visit, self.key, self.token = visit, key, token

    async def activate(self, key: ProofKey | None = None, **said: str) -> httpx2.Response:
        proof = self.visit.proof(
            key or self.key, "PUT", POLICY, **{"access_token": self.token} | said
        )
        headers = {"authorization": f"DPoP {self.token}"} | proof
        return await self.visit.http.put(POLICY, content=DOCUMENT, headers=headers)


@pytest.fixture
async def bound(http: httpx2.AsyncClient, world: World, key: ProofKey) -> BoundVisit:
    visit = await AdminVisit(http, world).arrive()
    asked = {"step_up_ticket": await visit.ticket(ACTIVATE)}
    return BoundVisit(visit, key, await visit.token_for(asked, bound_to=key))


def challenge(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.headers["www-authenticate"]


async def test_an_administrator_with_a_bound_token_and_its_key_is_let_in(bound: BoundVisit):
    assert (await bound.activate()).status_code == 200


async def test_rfc9449_7_2_refuses_a_bound_token_as_bearer(bound: BoundVisit):
    with_proof = bearer(bound.token) | bound.visit.proof(
        bound.key, "PUT", POLICY, access_token=bound.token
    )

    for headers in (bearer(bound.token), with_proof):
        answer = await bound.visit.http.put(POLICY, content=DOCUMENT, headers=headers)
        assert challenge(answer) == (401, 'Bearer realm="stepup", error="invalid_token"')


async def test_a_stolen_token_with_the_thief_s_key_is_refused(bound: BoundVisit):
    answer = await bound.activate(ProofKey())

    assert challenge(answer) == (401, f'DPoP {ALGORITHMS}, error="invalid_token"')


async def test_rfc9449_4_3_12_refuses_a_proof_without_the_token_s_hash(bound: BoundVisit):
    answer = await bound.activate(access_token="another")

    assert challenge(answer) == (401, f'DPoP {ALGORITHMS}, error="invalid_dpop_proof"')


async def test_rfc9449_7_1_refuses_a_bearer_token_as_dpop(bound: BoundVisit):
    bound.token = await bound.visit.token(ACTIVATE, prompt="login")

    assert challenge(await bound.activate()) == (401, f'DPoP {ALGORITHMS}, error="invalid_token"')


async def test_rfc9470_3_the_challenge_is_in_the_scheme_in_use(bound: BoundVisit):
    bound.visit.world.clock.advance(timedelta(minutes=5, seconds=1))

    status, told = challenge(await bound.activate())

    assert status == 401
    assert told.startswith(f'DPoP {ALGORITHMS}, error="insufficient_user_authentication"')


async def test_rfc9449_9_the_gate_asks_for_a_nonce(bound: BoundVisit, http: httpx2.AsyncClient):
    world = bound.visit.world
    site = msgspec.structs.replace(world.site, dpop_nonce_required=True)
    async with app_over(world.ports._replace(site=site)) as strict:
        bound.visit.http = strict
        refused = await bound.activate()
        assert challenge(refused) == (401, f'DPoP {ALGORITHMS}, error="use_dpop_nonce"')
        [nonce] = refused.headers.get_list("dpop-nonce")
        assert (await bound.activate(nonce=nonce)).status_code == 200


# --- userinfo ---------------------------------------------------------------------------------------


@pytest.fixture
async def token(flow: Flow, key: ProofKey) -> str:
    pushed = await flow.push(await flow.ticket(), scope="openid")
    where = (await flow.authorize(pushed.json()["request_uri"])).headers["location"]
    answered = await flow.type_code(where, flow.world.code())
    code = answered.headers["location"].partition("code=")[2].partition("&")[0]
    proof = key.proof("POST", f"{ISSUER}/oauth2/token", flow.world.clock.now())
    return (await flow.redeem(code, headers={"dpop": proof})).json()["access_token"]


def shown(flow: Flow, key: ProofKey, token: str, method: str = "GET") -> dict[str, str]:
    now = flow.world.clock.now()
    proof = key.proof(method, f"{ISSUER}{USERINFO}", now, access_token=token)
    return {"authorization": f"DPoP {token}", "dpop": proof}


async def test_userinfo_answers_who_holds_the_key(flow: Flow, key: ProofKey, token: str):
    for method in ("GET", "POST"):
        answer = await flow.http.request(method, USERINFO, headers=shown(flow, key, token, method))
        assert (answer.status_code, answer.json()["sub"]) == (200, "alice")


async def test_replay_of_a_request_to_userinfo_is_refused(flow: Flow, key: ProofKey, token: str):
    headers = shown(flow, key, token)
    assert (await flow.http.get(USERINFO, headers=headers)).status_code == 200

    answer = await flow.http.get(USERINFO, headers=headers)

    assert challenge(answer) == (401, f'DPoP {ALGORITHMS}, error="invalid_dpop_proof"')


async def test_userinfo_refuses_a_bound_token_as_bearer_and_for_another_key(flow: Flow, token: str):
    for headers in (bearer(token), shown(flow, ProofKey(), token)):
        answer = await flow.http.get(USERINFO, headers=headers)
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_rfc9449_9_scripts_may_read_what_a_refusal_says(flow: Flow, token: str):
    answer = await flow.http.get(USERINFO, headers=bearer(token))

    exposed = answer.headers["access-control-expose-headers"].lower()
    assert "dpop-nonce" in exposed
    assert "www-authenticate" in exposed
