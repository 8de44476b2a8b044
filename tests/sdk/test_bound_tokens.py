"""Bound tokens at a service: good with the key alone, in every guard."""

import base64
import hashlib

import pytest
from litestar import Litestar, Request, get
from litestar.testing import TestClient

from stepup.sdk import InvalidToken, Shown, StepUpRequired
from stepup.sdk.asgi import StepUpMiddleware
from stepup.sdk.litestar import exception_handlers, step_up, verified_token
from tests.sdk.minting import PLAIN, TRANSFER, VALUES, a_stepup, claims_of_level
from tests.sdk.proving import BASE, Prover
from tests.support.vectors import load

MTLS = load("oauth-rfc-examples")["mtls_rfc8705_appendix_a"]
CERTIFICATE = base64.b64decode(MTLS["certificate_der_b64"])
ALGS = 'algs="ES256 PS256 EdDSA Ed25519"'
LIST_URL = f"{BASE}/payments"


def certificate_of(scope):
    return dict(scope["headers"]).get(b"x-der") and CERTIFICATE


@pytest.fixture(scope="module")
def prover():
    return Prover()


@pytest.fixture
def su(issuer, sdk_clock):
    return a_stepup(issuer, sdk_clock, base_url=BASE, certificate_of=certificate_of)


@pytest.fixture
def bound(issuer, prover):
    return issuer.mint(**claims_of_level(), cnf={"jkt": prover.jkt})


async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["state"]["stepup"].subject.encode()})


def by_middleware(su):
    return StepUpMiddleware(application, su, {"GET /payments": PLAIN})


def by_litestar(su):
    @get("/payments", guards=[step_up(su, PLAIN)], sync_to_thread=False, media_type="text/plain")
    def payments(request: Request) -> str:
        return verified_token(request).subject

    return Litestar([payments], exception_handlers=exception_handlers)


@pytest.fixture(params=[by_middleware, by_litestar], ids=["asgi", "litestar"])
def client(su, request):
    with TestClient(request.param(su)) as client:
        yield client


def call(client, authorization, *proofs, **fields):
    headers = [("authorization", authorization), *(("dpop", proof) for proof in proofs)]
    return client.get("/payments", headers=[*headers, *fields.items()])


def refused(answer, error, scheme=f"DPoP {ALGS}, "):
    challenge = answer.headers["www-authenticate"]
    return answer.status_code == 401 and challenge == f'{scheme}error="{error}"'


def test_rfc9449_7_1_a_bound_token_with_its_proof_is_let_through(client, bound, prover):
    answer = call(client, f"DPoP {bound}", prover.prove(bound, "GET", LIST_URL))

    assert (answer.status_code, answer.text) == (200, "alice")


def test_replay_of_a_whole_request_is_refused(client, bound, prover):
    proof = prover.prove(bound, "GET", LIST_URL)
    assert call(client, f"DPoP {bound}", proof).status_code == 200

    assert refused(call(client, f"DPoP {bound}", proof), "invalid_dpop_proof")


def test_rfc9449_7_2_a_bound_token_as_bearer_is_refused(client, bound, prover):
    proof = prover.prove(bound, "GET", LIST_URL)

    for proofs in ((), (proof,)):
        assert refused(call(client, f"Bearer {bound}", *proofs), "invalid_token", "Bearer ")


def test_rfc9449_7_1_a_stolen_token_with_the_thief_s_key_is_refused(client, bound):
    answer = call(client, f"DPoP {bound}", Prover().prove(bound, "GET", LIST_URL))

    assert refused(answer, "invalid_token")


@pytest.mark.parametrize("count", [0, 2])
def test_rfc9449_4_3_1_exactly_one_proof(client, bound, prover, count):
    proofs = [prover.prove(bound, "GET", LIST_URL) for _ in range(count)]

    assert refused(call(client, f"DPoP {bound}", *proofs), "invalid_dpop_proof")


def test_rfc9449_7_1_a_bearer_token_is_no_dpop_token(client, issuer, prover):
    token = issuer.mint(**claims_of_level())

    assert call(client, f"Bearer {token}").status_code == 200
    answer = call(client, f"DPoP {token}", prover.prove(token, "GET", LIST_URL))
    assert refused(answer, "invalid_token")


def test_a_host_that_the_caller_names_is_not_where_a_proof_is_good(client, bound, prover):
    elsewhere = prover.prove(bound, "GET", "https://evil.example/payments")

    answer = call(client, f"DPoP {bound}", elsewhere, host="evil.example")

    assert refused(answer, "invalid_dpop_proof")


def test_rfc9470_3_the_challenge_is_in_the_scheme_in_use(client, issuer, prover):
    weak = issuer.mint(**claims_of_level("urn:stepup:acr:1"), cnf={"jkt": prover.jkt})

    answer = call(client, f"DPoP {weak}", prover.prove(weak, "GET", LIST_URL))

    assert answer.headers["www-authenticate"].startswith(
        f'DPoP {ALGS}, error="insufficient_user_authentication"'
    )


def test_who_does_not_hold_the_key_is_not_told_what_would_do(client, issuer, prover):
    weak = issuer.mint(**claims_of_level("urn:stepup:acr:1"), cnf={"jkt": prover.jkt})

    for answer in (call(client, f"Bearer {weak}"), call(client, f"DPoP {weak}")):
        assert "acr_values" not in answer.headers["www-authenticate"]


def test_rfc9449_7_2_who_shows_nothing_is_told_of_both_schemes(client):
    answer = client.get("/payments")

    assert answer.headers["www-authenticate"] == f"Bearer, DPoP {ALGS}"


# --- certificates (RFC 8705 section 3) ------------------------------------------------------------------


def test_rfc8705_3_1_a_token_of_this_certificate_is_let_through(client, issuer):
    token = issuer.mint(**claims_of_level(), cnf={"x5t#S256": MTLS["x5t#S256"]})

    assert call(client, f"Bearer {token}", **{"x-der": "yes"}).status_code == 200
    assert refused(call(client, f"Bearer {token}"), "invalid_token", "Bearer ")


def test_rfc8705_3_1_another_certificate_is_refused(client, issuer):
    other = base64.urlsafe_b64encode(hashlib.sha256(b"other").digest()).rstrip(b"=").decode()
    token = issuer.mint(**claims_of_level(), cnf={"x5t#S256": other})

    assert refused(call(client, f"Bearer {token}", **{"x-der": "yes"}), "invalid_token", "Bearer ")


# --- without a framework --------------------------------------------------------------------------------


def test_a_bound_token_is_refused_where_nothing_is_said_of_how_it_was_shown(su, bound):
    with pytest.raises(InvalidToken, match="key"):
        su.verify(bound, PLAIN)


def test_a_bound_token_is_refused_where_no_url_of_ours_is_known(issuer, sdk_clock, bound, prover):
    su = a_stepup(issuer, sdk_clock)
    shown = Shown(
        scheme="DPoP",
        proofs=(prover.prove(bound, "GET", LIST_URL),),
        method="GET",
        url=LIST_URL,
    )

    with pytest.raises(InvalidToken, match="does not accept"):
        su.verify(bound, PLAIN, None, shown)


@pytest.mark.parametrize(
    "cnf",
    [
        None,
        {},
        "x",
        {"jkt": ""},
        {"jkt": 7},
        {"jkt": "é"},
        {"kid": "x"},
        {"jwk": {}},
        {"jkt": "a", "x5t#S256": "b"},
    ],
    ids=str,
)
def test_a_binding_that_is_not_understood_is_no_bearer_token(su, issuer, cnf):
    with pytest.raises(InvalidToken, match="cnf"):
        su.verify(issuer.mint(**claims_of_level(), cnf=cnf), PLAIN)


async def test_seen_before_a_bound_token_still_needs_its_proof(su, bound, prover):
    shown = Shown(
        scheme="DPoP",
        proofs=(prover.prove(bound, "GET", LIST_URL),),
        method="GET",
        url=LIST_URL,
    )
    token = await su.verify_async(bound, PLAIN, None, shown)

    assert token.confirmation.jkt == prover.jkt
    with pytest.raises(InvalidToken):
        await su.verify_async(bound, PLAIN)


def test_a_bound_token_for_an_action_is_held_to_the_action(su, issuer, prover):
    token = issuer.mint(cnf={"jkt": prover.jkt})
    shown = Shown(scheme="DPoP", proofs=(prover.prove(token),), method="POST", url=LIST_URL)

    with pytest.raises(StepUpRequired, match="values"):
        su.verify(token, TRANSFER, VALUES | {"amount": "1.00"}, shown)
