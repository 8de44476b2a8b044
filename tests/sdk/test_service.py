import base64
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from stepup.sdk import (
    ActionRequest,
    CallbackError,
    Pending,
    Pkce,
    ServiceError,
    StepUp,
    StepUpRequired,
    UnavailableError,
)
from stepup.sdk.transport import HttpAnswer
from tests.sdk.minting import ISSUER, TRANSFER, VALUES, a_stepup

CALLBACK = "https://bank/callback"
REQUEST = ActionRequest(
    action="payments.transfer", subject="alice", properties=VALUES, resource_id="account-1"
)


class Wire:
    """Answers with what it was given, and keeps what was asked."""

    def __init__(self):
        self.requests = []
        self.answers = []

    def answer(self, status, document=None, **headers):
        body = b"" if document is None else json.dumps(document).encode()
        self.answers.append(HttpAnswer(status, headers, body))

    def __call__(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def sent(self):
        request = self.requests[-1]
        text = request.body.decode()
        if request.headers["Content-Type"] == "application/json":
            return json.loads(text)
        return {name: value for name, [value] in parse_qs(text, strict_parsing=True).items()}


@pytest.fixture
def wire(monkeypatch):
    monkeypatch.setattr("stepup.sdk.service.PAUSE", 0)
    return Wire()


@pytest.fixture
def app(issuer, sdk_clock, wire):
    return a_stepup(issuer, sdk_clock, client_id="b:nk", client_secret="s/ cret", transport=wire)


async def test_decides(app, wire):
    wire.answer(
        200,
        {
            "decision": False,
            "context": {
                "acr_values": "phr",
                "max_age": 0,
                "methods": ["webauthn"],
                "step_up_ticket": "t",
                "rule": "large",
                "policy_version": 3,
            },
        },
    )
    decision = await app.decide(REQUEST, token="elevated")

    assert (decision.outcome, decision.level, decision.max_age) == ("step_up", "phr", 0)
    assert (decision.methods, decision.ticket, decision.rule) == (("webauthn",), "t", "large")
    assert wire.requests[0].url == f"{ISSUER}/access/v1/evaluation"
    assert wire.sent == {
        "subject": {"type": "user", "id": "alice"},
        "action": {"name": "payments.transfer", "properties": VALUES},
        "resource": {"type": "service", "id": "account-1"},
        "context": {"elevated_token": "elevated"},
    }


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ({"decision": True}, "allow"),
        ({"decision": False}, "deny"),
        ({"decision": "true"}, "deny"),
        ({"decision": 1, "context": []}, "deny"),
        ({}, "deny"),
    ],
    ids=str,
)
async def test_what_is_not_clearly_an_allow_is_none(app, wire, answer, outcome):
    wire.answer(200, answer)
    assert (await app.decide(REQUEST)).outcome == outcome


async def test_authenticates_with_encoded_basic_credentials(app, wire):
    wire.answer(200, {"decision": True})
    await app.decide(REQUEST)
    scheme, _, value = wire.requests[0].headers["Authorization"].partition(" ")
    assert (scheme, base64.b64decode(value)) == ("Basic", b"b%3Ank:s%2F%20cret")
    assert "cret" not in repr(wire.requests[0])


async def test_starts_a_step_up(app, wire):
    wire.answer(
        201,
        {"outcome": "step_up", "authorization_url": "https://s/authorize?x", "expires_in": 600,
         "acr": "phr", "max_age": 0, "methods": ["webauthn"]},
    )  # fmt: skip
    started = await app.start(
        REQUEST, redirect_uri=CALLBACK, subject_token="id-token", audience="bank-transfers"
    )
    pending = started.pending
    assert (started.outcome, started.level) == ("step_up", "phr")
    assert wire.sent["code_challenge"] == pending.pkce.challenge
    assert wire.sent["code_challenge_method"] == "S256"
    assert wire.sent["state"] == pending.state
    assert wire.sent["audience"] == "bank-transfers"
    assert wire.sent["subject_token_type"] == "urn:ietf:params:oauth:token-type:id_token"
    assert pending.pkce.verifier not in json.dumps(wire.sent)
    assert pending.state not in repr(started)


@pytest.mark.parametrize("outcome", ["allow", "deny"])
async def test_starts_nothing_when_none_is_needed(app, wire, outcome):
    wire.answer(200, {"outcome": outcome, "reason": "why"})
    started = await app.start(REQUEST, redirect_uri=CALLBACK)
    assert (started.outcome, started.reason, started.pending) == (outcome, "why", None)


@pytest.mark.parametrize("document", [{}, {"outcome": "step_up"}, {"outcome": "yes"}], ids=str)
async def test_an_answer_without_sense_is_an_error(app, wire, document):
    wire.answer(200, document)
    with pytest.raises(ServiceError):
        await app.start(REQUEST, redirect_uri=CALLBACK)


async def test_redeems_and_verifies(app, wire, issuer):
    pending = Pending(redirect_uri=CALLBACK)
    wire.answer(200, {"access_token": issuer.mint(), "token_type": "Bearer"})
    callback = {"code": "c", "state": pending.state, "iss": ISSUER}

    token = await app.redeem(pending, callback, TRANSFER, VALUES)

    assert token.subject == "alice"
    assert wire.sent == {
        "grant_type": "authorization_code",
        "code": "c",
        "redirect_uri": CALLBACK,
        "code_verifier": pending.pkce.verifier,
    }


async def test_redeems_no_token_of_a_lowered_level(app, wire, issuer):
    pending = Pending(redirect_uri=CALLBACK)
    wire.answer(200, {"access_token": issuer.mint(acr="urn:stepup:acr:1")})
    callback = {"code": "c", "state": pending.state, "iss": ISSUER}
    with pytest.raises(StepUpRequired):
        await app.redeem(pending, callback, TRANSFER, VALUES)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"state": "other"}, "invalid_state"),
        ({"state": ""}, "invalid_state"),
        ({"state": None}, "invalid_state"),
        ({"state": "é"}, "invalid_state"),
        ({"iss": "https://evil.example"}, "invalid_issuer"),
        ({"iss": None}, "invalid_issuer"),
        ({"code": ""}, "invalid_request"),
        ({"code": None}, "invalid_request"),
        ({"error": "access_denied"}, "access_denied"),
        ({"error": "access_denied", "state": "other"}, "invalid_state"),
    ],
    ids=str,
)
async def test_asks_for_no_token_with_a_wrong_callback(app, wire, changes, error):
    pending = Pending(redirect_uri=CALLBACK)
    callback = {"code": "c", "state": pending.state, "iss": ISSUER} | changes
    callback = {name: value for name, value in callback.items() if value is not None}

    with pytest.raises(CallbackError) as caught:
        await app.redeem(pending, callback, TRANSFER, VALUES)

    assert caught.value.error == error
    assert caught.value.is_cancelled == (error == "access_denied")
    assert not wire.requests


async def test_consumes_for_one_caller_only(app, wire):
    wire.answer(200, {"active": True})
    wire.answer(409, {"code": "token_already_consumed"})
    assert await app.consume("raw", TRANSFER, VALUES)
    assert wire.sent["action"] == "payments.transfer"
    assert len(wire.sent["bound_digest"]) == 43
    assert not await app.consume("raw")
    assert wire.sent == {"token": "raw"}


@pytest.mark.parametrize("document", [{"active": False}, {}, {"active": "true"}, {"active": 1}])
async def test_an_answer_that_is_not_active_consumed_nothing(app, wire, document):
    wire.answer(200, document)
    assert not await app.consume("raw")


async def test_the_same_attempt_is_repeated_with_the_same_key(app, wire):
    wire.answers.append(UnavailableError("reset"))
    wire.answer(503, {"error": "temporarily_unavailable"}, **{"retry-after": "0"})
    wire.answer(200, {"active": True})

    assert await app.consume("raw")

    assert len({request.headers["Idempotency-Key"] for request in wire.requests}) == 1
    assert len(wire.requests) == 3


async def test_gives_up_after_three_attempts(app, wire):
    wire.answers += [UnavailableError("reset")] * 3
    with pytest.raises(UnavailableError):
        await app.consume("raw")


async def test_does_not_wait_for_a_service_that_asks_for_long(app, wire):
    wire.answer(503, {"error": "temporarily_unavailable"}, **{"retry-after": "30"})
    with pytest.raises(UnavailableError) as caught:
        await app.consume("raw")
    assert caught.value.retry_after == 30


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({"error": "invalid_grant", "error_description": "no"}, "invalid_grant"),
        ({"code": "invalid_ticket", "detail": "no"}, "invalid_ticket"),
        (None, "http_400"),
    ],
    ids=str,
)
async def test_a_refusal_keeps_its_code(app, wire, document, error):
    wire.answer(400, document)
    with pytest.raises(ServiceError) as caught:
        await app.introspect("raw")
    assert (caught.value.error, caught.value.service_status) == (error, 400)
    assert error not in json.dumps(caught.value.problem)


async def test_introspects_and_revokes(app, wire):
    wire.answer(200, {"active": False})
    wire.answer(200)
    assert await app.introspect("raw") == {"active": False}
    await app.revoke("raw")
    assert [urlsplit(r.url).path for r in wire.requests] == [
        "/oauth2/introspect",
        "/oauth2/revoke",
    ]


async def test_calls_need_client_credentials(issuer, sdk_clock, wire):
    with pytest.raises(ValueError, match="client_id"):
        await a_stepup(issuer, sdk_clock, transport=wire).introspect("raw")


def test_pkce_is_that_of_rfc_7636():
    pkce = Pkce("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert pkce.challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_every_pkce_is_new():
    assert len({Pkce.generate().verifier for _ in range(100)}) == 100
    assert 43 <= len(Pkce.generate().verifier) <= 128


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "http://stepup.example"},
        {"issuer": "https://stepup.example/"},
        {"issuer": "https://stepup.example?x"},
        {"issuer": "stepup.example"},
        {"audience": ""},
        {"levels": []},
        {"levels": ["phr", "phr"]},
    ],
    ids=str,
)
def test_a_setting_without_sense_stops_the_start(changes):
    with pytest.raises(ValueError, match=r"issuer|audience|levels"):
        StepUp(**({"issuer": "https://stepup.example", "audience": "a"} | changes))


@pytest.mark.parametrize("name", ["levels", "algorithms"])
def test_a_list_that_is_one_word_stops_the_start(name):
    with pytest.raises(TypeError):
        StepUp(issuer="https://stepup.example", audience="a", **{name: "phr"})


def test_an_unknown_setting_stops_the_start():
    with pytest.raises(TypeError):
        StepUp(issuer="https://stepup.example", audience="a", levles=["phr"])
