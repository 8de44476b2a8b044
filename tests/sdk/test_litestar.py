import pytest
from litestar import Litestar, Request, get, post
from litestar.params import JSONBody
from litestar.testing import TestClient

from stepup.sdk import Requirement
from stepup.sdk.litestar import exception_handlers, step_up, verified_token
from stepup.sdk.transport import HttpAnswer
from tests.sdk.challenges import read_challenge
from tests.sdk.minting import PLAIN, TRANSFER, VALUES, a_stepup, claims_of_level


@pytest.fixture
def routes(issuer, sdk_clock):
    seen = set()

    def consume(request):
        first = request.body not in seen
        seen.add(request.body)
        return HttpAnswer(200 if first else 409, {}, b'{"active": true}')

    su = a_stepup(issuer, sdk_clock, client_id="rs", client_secret="s", transport=consume)

    @post("/payments", guards=[step_up(su, TRANSFER)])
    async def pay(request: Request, data: JSONBody[dict[str, str]]) -> dict[str, str]:
        return {"by": verified_token(request).subject, "amount": data["amount"]}

    @get("/payments", guards=[step_up(su, PLAIN)])
    async def payments() -> list[str]:
        return []

    @get("/open")
    async def unguarded(request: Request) -> str:
        return verified_token(request).subject

    return [pay, payments, unguarded]


@pytest.fixture
def client(routes):
    with TestClient(Litestar(routes, exception_handlers=exception_handlers)) as client:
        yield client


def bearing(token):
    return {"Authorization": f"Bearer {token}"}


def test_lets_a_good_token_through_once(client, issuer):
    token = issuer.mint()
    answer = client.post("/payments", json=VALUES, headers=bearing(token))
    assert (answer.status_code, answer.json()) == (201, {"by": "alice", "amount": "5000.00"})
    assert client.post("/payments", json=VALUES, headers=bearing(token)).status_code == 409


def test_changed_amount(client, issuer):
    changed = VALUES | {"amount": "50000.00"}
    answer = client.post("/payments", json=changed, headers=bearing(issuer.mint()))
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["acr_values"] == "phr"
    assert read_challenge(answer.headers["www-authenticate"])[1]["acr_values"] == "phr"


@pytest.mark.parametrize("field", ["", "Basic YTpi", "Bearer", "Bearer  ", "Token x"])
def test_no_bearer_token(client, field):
    answer = client.get("/payments", headers={"Authorization": field})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_a_general_level_is_enough_where_nothing_is_bound(client, issuer):
    answer = client.get("/payments", headers=bearing(issuer.mint(**claims_of_level())))
    assert answer.status_code == 200


def test_a_refusal_is_right_even_without_our_handlers(routes):
    with TestClient(Litestar(routes)) as client:
        answer = client.get("/payments")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_a_route_that_forgot_its_guard_gets_no_token(routes):
    with TestClient(Litestar(routes), raise_server_exceptions=False) as client:
        assert client.get("/open").status_code == 500


def test_a_requirement_may_depend_on_the_values(issuer, sdk_clock):
    su = a_stepup(issuer, sdk_clock, client_id="rs", client_secret="s", transport=accept)

    def choose(values):
        return TRANSFER if float(values["amount"]) > 100 else None

    @post("/payments", guards=[step_up(su, choose, among=[TRANSFER])])
    async def pay(request: Request) -> str:
        return "stepped up" if request.state.get("stepup") else "as it was"

    with TestClient(Litestar([pay], exception_handlers=exception_handlers)) as client:
        small = client.post("/payments", json={"amount": "5.00"}, headers=bearing("base-token"))
        large = client.post("/payments", json=VALUES, headers=bearing(issuer.mint()))
        weak = client.post("/payments", json=VALUES, headers=bearing("base-token"))
        none = client.post("/payments", json={"amount": "5.00"})

    assert [small.text, large.text] == ["as it was", "stepped up"]
    assert [weak.status_code, none.status_code] == [401, 401]


def accept(request):
    return HttpAnswer(200, {}, b'{"active": true}')


def test_a_level_that_is_not_on_the_ladder_stops_the_start(su):
    with pytest.raises(ValueError, match="levels"):
        step_up(su, Requirement("a", level="gold"))
    with pytest.raises(ValueError, match="levels"):
        step_up(su, {}.get, among=[Requirement("a", level="gold")])
