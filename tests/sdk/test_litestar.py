import httpx2
import pytest
from litestar import Litestar, Request, get, post
from litestar.params import JSONBody, URLEncodedBody
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

    @post("/form", guards=[step_up(su, TRANSFER, body="form")])
    async def pay_by_form(data: URLEncodedBody[dict[str, str]]) -> dict[str, str]:
        return data

    @get("/payments", guards=[step_up(su, PLAIN)])
    async def payments() -> list[str]:
        return []

    @get("/open")
    async def unguarded(request: Request) -> str:
        return verified_token(request).subject

    return [pay, pay_by_form, payments, unguarded]


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


FORM = "application/x-www-form-urlencoded"
# A good JSON object of one transfer, and a form of the one that was confirmed; and the reverse.
POLYGLOT = b'{"amount":"9.00","payee":"M","x":"=&amount=5000.00&payee=DE89+3704&z="}'
REVERSE = b'{"amount":"5000.00","payee":"DE89 3704","x":"=&amount=9.00&payee=M&z="}'


@pytest.mark.parametrize("kind", [FORM, "text/plain", "multipart/form-data; boundary=x", None])
def test_polyglot_body_sent_as_something_else(client, issuer, kind):
    headers = bearing(issuer.mint()) | ({"Content-Type": kind} if kind else {})
    for body in (POLYGLOT, REVERSE):
        answer = client.post("/payments", content=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(("kind", "status"), [(FORM, 400), ("application/json", 415)])
def test_polyglot_body_sent_to_a_form(client, issuer, kind, status):
    headers = bearing(issuer.mint()) | {"Content-Type": kind}
    for body in (POLYGLOT, REVERSE):
        assert client.post("/form", content=body, headers=headers).status_code == status


def test_a_form_is_read_where_the_route_takes_one(client, issuer):
    answer = client.post("/form", data=VALUES, headers=bearing(issuer.mint()))
    assert (answer.status_code, answer.json()) == (201, VALUES)


async def test_two_fields_of_one_name(routes, issuer):
    app = Litestar(routes, exception_handlers=exception_handlers)
    bearer = ("Authorization", f"Bearer {issuer.mint()}")
    kinds = [("Content-Type", "application/json"), ("Content-Type", FORM)]
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app)) as http:
        for fields, status in (([bearer, bearer, kinds[0]], 400), ([bearer, *kinds], 415)):
            answer = await http.post("http://x/payments", content=POLYGLOT, headers=fields)
            assert answer.status_code == status


@pytest.mark.parametrize("query", ["amount=9.00", "%61mount=9", "payee"])
def test_a_value_from_the_query_is_never_mixed_in(client, issuer, query):
    answer = client.post(f"/payments?{query}", json=VALUES, headers=bearing(issuer.mint()))
    assert answer.status_code == 400


def test_a_kind_of_body_that_there_is_not_stops_the_start(su):
    with pytest.raises(ValueError, match="json"):
        step_up(su, TRANSFER, body="xml")


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
