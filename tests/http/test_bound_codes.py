"""A code is bound to the key that was promised, or proved, for it (RFC 9449 section 10)."""

import httpx2
import pytest

from stepup.domain.ids import Handle
from tests.http.flow import BANK, Flow
from tests.support.application import ISSUER
from tests.support.dpop import ProofKey
from tests.support.world import World

PAR = "/oauth2/par"


@pytest.fixture
def key() -> ProofKey:
    return ProofKey()


async def push(flow: Flow, key: ProofKey | None = None, **changes: str) -> httpx2.Response:
    form = flow.push_form(await flow.ticket()) | changes
    now = flow.world.clock.now()
    headers = {} if key is None else {"dpop": key.proof("POST", f"{ISSUER}{PAR}", now)}
    return await flow.http.post(PAR, data=form, auth=BANK, headers=headers)


async def bound_to(world: World, pushed: httpx2.Response) -> str | None:
    handle = Handle.parse(pushed.json()["request_uri"].rpartition(":")[2])
    assert handle is not None
    challenge = await world.ports.state.challenges.find(handle.challenge_id)
    assert challenge is not None
    return challenge.authorization.dpop_jkt


async def test_rfc9449_10_dpop_jkt_binds_the_code(flow: Flow, world: World, key: ProofKey):
    assert await bound_to(world, await push(flow, dpop_jkt=key.jkt)) == key.jkt


async def test_rfc9449_10_1_a_proof_binds_the_code_like_dpop_jkt(
    flow: Flow, world: World, key: ProofKey
):
    assert await bound_to(world, await push(flow, key)) == key.jkt
    assert await bound_to(world, await push(flow, key, dpop_jkt=key.jkt)) == key.jkt


async def test_without_either_the_code_is_bound_to_no_key(flow: Flow, world: World):
    assert await bound_to(world, await push(flow)) is None


async def test_rfc9449_10_1_refuses_a_proof_of_another_key_than_dpop_jkt(flow: Flow, key: ProofKey):
    answer = await push(flow, key, dpop_jkt=ProofKey().jkt)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("jkt", ["x", "é" * 43, "A" * 42, "A" * 44, "A" * 42 + "="])
async def test_a_thumbprint_that_no_key_has_is_refused(flow: Flow, jkt: str):
    answer = await push(flow, dpop_jkt=jkt)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_proof_that_does_not_hold_opens_nothing(flow: Flow, key: ProofKey):
    form = flow.push_form(await flow.ticket())
    wrong = key.proof("POST", f"{ISSUER}/oauth2/token", flow.world.clock.now())

    answer = await flow.http.post(PAR, data=form, auth=BANK, headers={"dpop": wrong})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")
