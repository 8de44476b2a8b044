"""Proofs of possession in requests: which headers are read, and how a refusal looks."""

from datetime import timedelta

import msgspec
import pytest
from litestar import Router, get, post
from litestar.di import NamedDependency

from stepup.domain.confirmation import Confirmation
from stepup.http.app import create_app
from stepup.http.client_certificate import CertificatesFromProxies
from stepup.http.health import Readiness
from stepup.http.proofs import ShownToken
from tests.support.application import CLIENT_SECRET, ISSUER, calling
from tests.support.dpop import ProofKey
from tests.support.vectors import load
from tests.support.world import World
from tests.usecases.steps import issued

BANK = ("bank", CLIENT_SECRET)
CERTIFICATE_HEADER = "x-client-cert"
MTLS = load("oauth-rfc-examples")["mtls_rfc8705_appendix_a"]
ALGORITHMS = 'algs="ES256 PS256 EdDSA Ed25519"'


@post("/oauth2/bound", status_code=200)
async def bound(proof: NamedDependency[Confirmation | None]) -> dict[str, object]:
    return {} if proof is None else {"jkt": proof.jkt, "x5t": proof.x5t_s256}


@get("/resource")
async def resource(shown_token: NamedDependency[ShownToken]) -> dict[str, object]:
    shown = shown_token.possession
    return {"text": shown_token.text, "jkt": shown.jkt, "x5t": shown.x5t_s256}


class Calls:
    """A client with a key, at an endpoint of the server and at a resource."""

    def __init__(self, world: World, token: str) -> None:
        self.world = world
        self.token = token
        self.key = ProofKey()

    def proof(self, method: str, path: str, **changes: object) -> str:
        return self.key.proof(method, f"{ISSUER}{path}", self.world.clock.now(), **changes)

    async def _send(self, method: str, path: str, **options):
        routes = [Router("/", route_handlers=[bound, resource])]
        app = create_app(self.world.ports, readiness=Readiness({}), routers=routes)
        seen = CertificatesFromProxies(app, CERTIFICATE_HEADER, ["127.0.0.1/32"])
        async with calling(seen) as client:
            return await client.request(method, path, **options)

    async def bound(self, *proofs: str, auth=BANK, certificate: str | None = None):
        headers = [("dpop", proof) for proof in proofs]
        if certificate is not None:
            headers.append((CERTIFICATE_HEADER, certificate))
        return await self._send(
            "POST", "/oauth2/bound", auth=auth, data={"a": "b"}, headers=headers
        )

    async def resource(
        self,
        authorization: str | None,
        *proofs: str,
        path: str = "/resource",
        certificate: str | None = None,
    ):
        headers = [("dpop", proof) for proof in proofs]
        if certificate is not None:
            headers.append((CERTIFICATE_HEADER, certificate))
        if authorization is not None:
            headers.append(("authorization", authorization))
        return await self._send("GET", path, headers=headers)

    def require_nonces(self) -> None:
        site = msgspec.structs.replace(self.world.site, dpop_nonce_required=True)
        self.world.ports = self.world.ports._replace(site=site)


@pytest.fixture
async def calls() -> Calls:
    world = World()
    await world.enroll_app()
    return Calls(world, (await issued(world)).text)


# --- at the authorization server --------------------------------------------------------------------


async def test_a_proof_gives_the_thumbprint_of_its_key(calls: Calls):
    answer = await calls.bound(calls.proof("POST", "/oauth2/bound"))

    assert answer.json() == {"jkt": calls.key.jkt, "x5t": None}
    assert "dpop-nonce" not in answer.headers


async def test_without_a_proof_nothing_is_bound(calls: Calls):
    assert (await calls.bound()).json() == {}


async def test_rfc9449_4_3_1_refuses_two_headers(calls: Calls):
    answer = await calls.bound(*(calls.proof("POST", "/oauth2/bound") for _ in range(2)))

    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_dpop_proof"


async def test_rfc9449_5_a_proof_that_does_not_hold_is_invalid_dpop_proof(calls: Calls):
    for proof in ("", "x", calls.proof("GET", "/oauth2/bound"), calls.proof("POST", "/oauth2/par")):
        answer = await calls.bound(proof)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")


async def test_replay_a_proof_is_taken_once(calls: Calls):
    proof = calls.proof("POST", "/oauth2/bound")
    await calls.bound(proof)

    assert (await calls.bound(proof)).json()["error"] == "invalid_dpop_proof"


async def test_a_stranger_makes_us_remember_nothing(calls: Calls):
    proof = calls.proof("POST", "/oauth2/bound")
    assert (await calls.bound(proof, auth=("bank", "wrong"))).status_code == 401

    assert (await calls.bound(proof)).status_code == 200


async def test_rfc9449_8_a_missing_nonce_is_use_dpop_nonce_with_one_header(calls: Calls):
    calls.require_nonces()
    answer = await calls.bound(calls.proof("POST", "/oauth2/bound"))

    assert (answer.status_code, answer.json()["error"]) == (400, "use_dpop_nonce")
    [nonce] = answer.headers.get_list("dpop-nonce")
    assert answer.headers["cache-control"] == "no-store"
    assert (await calls.bound(calls.proof("POST", "/oauth2/bound", nonce=nonce))).status_code == 200


async def test_rfc9449_8_2_a_new_nonce_comes_with_success(calls: Calls):
    calls.require_nonces()
    refused = await calls.bound(calls.proof("POST", "/oauth2/bound"))
    old = refused.headers["dpop-nonce"]
    calls.world.clock.advance(timedelta(seconds=60))

    answer = await calls.bound(calls.proof("POST", "/oauth2/bound", nonce=old))

    assert answer.status_code == 200
    [new] = answer.headers.get_list("dpop-nonce")
    assert new != old


# --- at a resource of ours ----------------------------------------------------------------------------


async def test_a_dpop_token_comes_with_a_proof_of_it(calls: Calls):
    proof = calls.proof("GET", "/resource", access_token=calls.token)

    answer = await calls.resource(f"DPoP {calls.token}", proof)

    assert answer.json() == {"text": calls.token, "jkt": calls.key.jkt, "x5t": None}


async def test_a_bearer_token_proves_nothing_whatever_comes_with_it(calls: Calls):
    answer = await calls.resource(f"Bearer {calls.token}", calls.proof("GET", "/resource"))

    assert answer.json() == {"text": calls.token, "jkt": None, "x5t": None}


@pytest.mark.parametrize("authorization", [None, "Basic eA==", "DPoP", "Bearer ", "Token x"])
async def test_rfc9449_7_2_who_shows_no_token_is_told_of_both_schemes(
    calls: Calls, authorization: str | None
):
    answer = await calls.resource(authorization)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == f'Bearer realm="stepup", DPoP {ALGORITHMS}'


async def test_rfc9449_7_1_a_dpop_token_without_a_proof_is_refused(calls: Calls):
    answer = await calls.resource(f"DPoP {calls.token}")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == f'DPoP {ALGORITHMS}, error="invalid_token"'


@pytest.mark.parametrize("token", [None, "token-2"])
async def test_rfc9449_7_1_a_proof_for_another_token_is_refused(calls: Calls, token: str | None):
    proof = calls.proof("GET", "/resource", access_token=token)

    answer = await calls.resource(f"DPoP {calls.token}", proof)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == f'DPoP {ALGORITHMS}, error="invalid_dpop_proof"'
    assert answer.json()["code"] == "invalid_dpop_proof"


async def test_what_is_no_token_of_ours_makes_us_remember_nothing(calls: Calls):
    for token in ("x", calls.token[:-4] + "AAAA"):
        proof = calls.proof("GET", "/resource", access_token=token, jti="mine")
        answer = await calls.resource(f"DPoP {token}", proof)
        assert answer.headers["www-authenticate"] == f'DPoP {ALGORITHMS}, error="invalid_token"'

    proof = calls.proof("GET", "/resource", access_token=calls.token, jti="mine")
    assert (await calls.resource(f"DPoP {calls.token}", proof)).status_code == 200


async def test_rfc9449_4_3_1_two_proofs_of_one_token_are_refused(calls: Calls):
    proofs = [calls.proof("GET", "/resource", access_token=calls.token) for _ in range(2)]

    assert (await calls.resource(f"DPoP {calls.token}", *proofs)).status_code == 401


async def test_rfc9449_9_a_missing_nonce_is_401_with_the_challenge_and_the_nonce(calls: Calls):
    calls.require_nonces()
    proof = calls.proof("GET", "/resource", access_token=calls.token)

    answer = await calls.resource(f"DPoP {calls.token}", proof)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == f'DPoP {ALGORITHMS}, error="use_dpop_nonce"'
    [nonce] = answer.headers.get_list("dpop-nonce")
    again = calls.proof("GET", "/resource", access_token=calls.token, nonce=nonce)
    assert (await calls.resource(f"dpop {calls.token}", again)).status_code == 200


async def test_the_query_is_not_part_of_what_a_proof_is_for(calls: Calls):
    proof = calls.proof("GET", "/resource", access_token=calls.token)

    assert (
        await calls.resource(f"DPoP {calls.token}", proof, path="/resource?a=b")
    ).status_code == 200


# --- certificates (RFC 8705 section 3) ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "is_bound"),
    [
        ({}, False),
        ({"tls_bound": True}, True),
    ],
    ids=["a client that binds nothing to it", "a bound client"],
)
async def test_rfc8705_3_the_certificate_of_a_bound_client_is_its_proof(
    calls: Calls, changes: dict, is_bound: bool
):
    calls.world.add_client("bank", **changes)

    answer = await calls.bound(certificate=MTLS["certificate_der_b64"])

    expected = {"jkt": None, "x5t": MTLS["x5t#S256"]} if is_bound else {}
    assert answer.json() == expected


async def test_rfc8705_3_1_a_token_is_shown_with_the_certificate_of_its_connection(calls: Calls):
    answer = await calls.resource(f"Bearer {calls.token}", certificate=MTLS["certificate_der_b64"])

    assert answer.json()["x5t"] == MTLS["x5t#S256"]


async def test_a_dpop_proof_binds_before_a_certificate_does(calls: Calls):
    calls.world.add_client("bank", tls_bound=True)
    proof = calls.proof("POST", "/oauth2/bound")

    answer = await calls.bound(proof, certificate=MTLS["certificate_der_b64"])

    assert answer.json() == {"jkt": calls.key.jkt, "x5t": None}
