import json

import pytest

from stepup.sdk import Requirement
from stepup.sdk.asgi import StepUpMiddleware
from stepup.sdk.transport import HttpAnswer
from tests.sdk.challenges import read_challenge
from tests.sdk.minting import (
    PLAIN,
    TRANSFER,
    VALUES,
    a_stepup,
    claims_of_level,
    details,
)

DELETION = Requirement("project.delete", level="phr", max_age=60, bind=("id",))
ROUTES = {"POST /payments": TRANSFER, "GET /payments": PLAIN, "DELETE /projects/{id}": DELETION}


async def application(scope, receive, send):
    body = (await receive()).get("body", b"") if scope["type"] == "http" else b""
    token = scope.get("state", {}).get("stepup")
    answer = {"body": body.decode(), "sub": token and token.subject}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


class Service:
    """Consumes each token once, as the real one does."""

    def __init__(self):
        self.consumed = {}
        self.down = False

    def __call__(self, request):
        if self.down:
            return HttpAnswer(503, {"retry-after": "60"})
        key = request.headers["Idempotency-Key"]
        first = self.consumed.setdefault(request.body, key)
        if first == key:
            return HttpAnswer(200, {}, b'{"active": true}')
        return HttpAnswer(409, {}, b'{"code": "token_already_consumed"}')


@pytest.fixture
def service():
    return Service()


@pytest.fixture
def guarded(issuer, sdk_clock, service):
    su = a_stepup(issuer, sdk_clock, client_id="rs", client_secret="s", transport=service)
    return StepUpMiddleware(application, su, ROUTES)


async def call(app, method, path, token=None, body=b"", **changes):
    headers = [(b"content-type", changes.pop("content_type", b"application/json"))]
    headers += [(b"authorization", f"Bearer {token}".encode())] if token else []
    scope = {"type": "http", "method": method, "path": path, "headers": headers} | changes
    pieces = [body[i : i + 7] for i in range(0, len(body), 7)] or [b""]
    incoming = [
        {"type": "http.request", "body": piece, "more_body": i < len(pieces) - 1}
        for i, piece in enumerate(pieces)
    ]
    sent = []

    async def receive():
        return incoming.pop(0)

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    if sent[0]["type"] == "websocket.close":
        return sent[0]["code"], {}, b""
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


JSON = json.dumps(VALUES).encode()
FORM = b"application/x-www-form-urlencoded"


async def test_lets_a_good_token_through_with_the_body_untouched(guarded, issuer):
    status, _, body = await call(guarded, "POST", "/payments", issuer.mint(), JSON)
    assert status == 200
    assert json.loads(body) == {"body": JSON.decode(), "sub": "alice"}


async def test_routes_outside_the_map_pass_untouched(guarded):
    assert (await call(guarded, "GET", "/"))[0] == 200
    assert (await call(guarded, "PUT", "/payments"))[0] == 200


async def test_rfc6750_3_1_answers_without_a_token_with_a_bare_challenge(guarded):
    status, headers, body = await call(guarded, "POST", "/payments", None, JSON)
    assert status == 401
    assert headers[b"www-authenticate"] == b"Bearer"
    assert headers[b"content-type"] == b"application/problem+json"
    assert b"phr" not in body


async def test_rfc9470_3_answers_a_weak_token_with_the_challenge(guarded, issuer):
    token = issuer.mint(acr="urn:stepup:acr:2")
    status, headers, body = await call(guarded, "POST", "/payments", token, JSON)
    assert status == 401
    scheme, parameters = read_challenge(headers[b"www-authenticate"].decode())
    assert (scheme, parameters["acr_values"], parameters["max_age"]) == ("Bearer", "phr", "0")
    assert json.loads(body)["action"] == "payments.transfer"


async def test_replay_of_a_once_only_token(guarded, issuer):
    token = issuer.mint()
    assert (await call(guarded, "POST", "/payments", token, JSON))[0] == 200
    assert (await call(guarded, "POST", "/payments", token, JSON))[0] == 409


async def test_a_service_that_does_not_answer_lets_nothing_through(guarded, issuer, service):
    service.down = True
    status, headers, _ = await call(guarded, "POST", "/payments", issuer.mint(), JSON)
    assert status == 503
    assert headers[b"retry-after"] == b"60"


@pytest.fixture
def form_guarded(issuer, sdk_clock, service):
    su = a_stepup(issuer, sdk_clock, client_id="rs", client_secret="s", transport=service)
    return StepUpMiddleware(application, su, ROUTES, forms={"POST /payments"})


async def test_a_form_is_read_where_the_route_takes_one(form_guarded, issuer):
    status, _, _ = await call(
        form_guarded,
        "POST",
        "/payments",
        issuer.mint(),
        b"amount=5000.00&payee=DE89+3704&note=x",
        content_type=b"application/x-www-form-urlencoded; charset=utf-8",
    )
    assert status == 200


async def test_binds_the_parameters_of_the_path(guarded, issuer):
    token = issuer.mint(authorization_details=details("project.delete", {"id": "7"}, once=False))
    assert (await call(guarded, "DELETE", "/projects/7", token))[0] == 200
    assert (await call(guarded, "DELETE", "/projects/8", token))[0] == 401
    assert (await call(guarded, "DELETE", "/projects/7/", token))[0] == 200
    assert (await call(guarded, "DELETE", "/projects/7", token, b'{"id": "7"}'))[0] == 400


async def test_the_path_is_found_behind_a_mount(guarded):
    assert (await call(guarded, "POST", "/api/payments", root_path="/api"))[0] == 401


async def test_a_method_in_small_letters(guarded):
    assert (await call(guarded, "post", "/payments", None, JSON))[0] == 401


async def test_head_is_get(guarded, issuer):
    assert (await call(guarded, "HEAD", "/payments"))[0] == 401
    token = issuer.mint(**claims_of_level())
    assert (await call(guarded, "HEAD", "/payments", token))[0] == 200


@pytest.mark.parametrize(
    "path",
    ["//payments", "/x/../payments", "/./payments", "/projects%2F7", "/pay\\ments", "/payments;a",
     "/%2e/payments", "/payments/..", "/pay\nments"],
)  # fmt: skip
async def test_a_path_with_two_readings(guarded, issuer, path):
    assert (await call(guarded, "POST", path, issuer.mint(), JSON))[0] == 400


async def test_an_encoded_slash_that_the_server_decoded(guarded):
    status, _, _ = await call(guarded, "POST", "/x/payments", raw_path=b"/x%2Fpayments")
    assert status == 400


@pytest.mark.parametrize(
    "body",
    [
        b'{"amount": "5000.00", "amount": "1.00", "payee": "DE89 3704"}',
        b'{"amount": 5000.0, "payee": "DE89 3704"}',
        b'{"amount": "5000.00"}',
        b"[]",
        b"{",
        b"\xff",
        b"",
        b'{"amount": NaN, "payee": "DE89 3704"}',
        b"[" * 30_000,
        b'{"note": "' + b"x" * 70_000 + b'"}',
    ],
    ids=lambda body: body[:30].decode("latin-1") + str(len(body)),
)
async def test_a_body_with_two_readings_or_none(guarded, issuer, body):
    assert (await call(guarded, "POST", "/payments", issuer.mint(), body))[0] == 400


@pytest.mark.parametrize("body", [b"amount=1&amount=5000.00&payee=DE89+3704", b"amount", b"%ff=1"])
async def test_a_form_with_two_readings_or_none(form_guarded, issuer, body):
    status, _, _ = await call(
        form_guarded, "POST", "/payments", issuer.mint(), body, content_type=FORM
    )
    assert status == 400


# A good JSON object of one transfer, and a form of the one that was confirmed.
POLYGLOT = b'{"amount":"9.00","payee":"M","x":"=&amount=5000.00&payee=DE89+3704&z="}'


async def test_polyglot_body_sent_as_a_form(guarded, issuer, service):
    token = issuer.mint()
    for kind in (FORM, b"text/plain", b"application/json; charset=utf-7", b""):
        status, _, body = await call(
            guarded, "POST", "/payments", token, POLYGLOT, content_type=kind
        )
        assert status == 415
        assert json.loads(body)["code"] == "unsupported_media_type"
    assert service.consumed == {}


async def test_polyglot_body_sent_as_json(guarded, form_guarded, issuer, service):
    token = issuer.mint()
    assert (await call(guarded, "POST", "/payments", token, POLYGLOT))[0] == 401
    assert (await call(form_guarded, "POST", "/payments", token, POLYGLOT))[0] == 415
    assert (await call(form_guarded, "POST", "/payments", token, JSON))[0] == 415
    status, _, _ = await call(form_guarded, "POST", "/payments", token, POLYGLOT, content_type=FORM)
    assert status == 400
    assert service.consumed == {}


async def test_a_body_without_a_type_or_with_two(guarded, issuer):
    bearer = (b"authorization", f"Bearer {issuer.mint()}".encode())
    json_type, form_type = (b"content-type", b"application/json"), (b"content-type", FORM)
    for headers in ([bearer], [bearer, json_type, form_type], [bearer, form_type, json_type]):
        assert (await call(guarded, "POST", "/payments", None, JSON, headers=headers))[0] == 415


async def test_a_compressed_body(guarded, issuer):
    bearer = (b"authorization", f"Bearer {issuer.mint()}".encode())
    headers = [bearer, (b"content-type", b"application/json"), (b"content-encoding", b"gzip")]
    assert (await call(guarded, "POST", "/payments", None, JSON, headers=headers))[0] == 415


@pytest.mark.parametrize("query", [b"amount=9.00", b"%61mount=9.00", b"x=1&payee", b"id=8"])
async def test_a_value_from_the_query_is_never_mixed_in(guarded, issuer, query):
    values = {"amount": "5000.00", "payee": "DE89 3704", "id": "7"}
    answers = [
        await call(guarded, "POST", "/payments", issuer.mint(), body, query_string=query)
        for body in (json.dumps(values).encode(), b"{}", b"")
    ]
    assert [status for status, _, _ in answers] == [400, 400, 400]


async def test_a_query_beside_the_body_is_left_alone(guarded, issuer):
    status, _, _ = await call(
        guarded, "POST", "/payments", issuer.mint(), JSON, query_string=b"lang=de&%ff=x"
    )
    assert status == 200


async def test_a_path_value_that_the_query_has_too(guarded, issuer):
    token = issuer.mint(authorization_details=details("project.delete", {"id": "7"}, once=False))
    status, _, _ = await call(guarded, "DELETE", "/projects/7", token, query_string=b"id=8")
    assert status == 400


@pytest.mark.parametrize("forms", ["POST /payments", ["POST /other"], ["/payments"]], ids=str)
def test_a_form_of_no_route_stops_the_start(su, forms):
    with pytest.raises(ValueError, match="forms"):
        StepUpMiddleware(application, su, ROUTES, forms=forms)


async def test_two_authorization_fields(guarded, issuer):
    field = (b"authorization", f"Bearer {issuer.mint()}".encode())
    assert (await call(guarded, "GET", "/payments", headers=[field, field]))[0] == 400


async def test_a_websocket_on_a_guarded_path_is_closed(guarded):
    assert (await call(guarded, "GET", "/payments", type="websocket"))[0] == 1008


async def test_a_lifespan_passes(guarded):
    seen = []

    async def receive():
        return {}

    async def send(message):
        seen.append(message)

    await guarded({"type": "lifespan"}, receive, send)
    assert seen


@pytest.mark.parametrize(
    "routes",
    [
        ["POST payments"],
        ["post /payments"],
        ["/payments"],
        ["HEAD /payments"],
        ["POST /a//b"],
        ["POST /a/{id}x"],
        ["POST /a/{}"],
        ["POST /a/{id}", "POST /a/{name}"],
        ["POST /a/{id}", "POST /a/b"],
        ["POST /{x}/b", "POST /a/{y}"],
        ["POST /a", "POST /a/"],
    ],
    ids=str,
)
def test_a_map_that_is_not_clear_stops_the_start(su, routes):
    with pytest.raises(ValueError, match=r"route|parameter"):
        StepUpMiddleware(application, su, dict.fromkeys(routes, PLAIN))


def test_a_level_that_is_not_on_the_ladder_stops_the_start(su):
    with pytest.raises(ValueError, match="levels"):
        StepUpMiddleware(application, su, {"GET /": Requirement("a", level="gold")})
