"""AuthZEN 1.0 section 6 over HTTP: shapes, how a step-up is asked for, and what is refused.

The certification cases run in `tests/e2e/test_authzen_certification.py`.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import jsonschema_rs
import pytest

from stepup.telemetry import REGISTRY
from tests.http.conftest import app_over
from tests.http.flow import BANK, Flow, a_transfer
from tests.support.application import CLIENT_SECRET
from tests.support.vectors import load
from tests.support.world import World

FIXTURE = Path(__file__).parent.parent / "fixtures" / "authzen-certification.yaml"
CASES = [c for c in load("authzen-certification-cases")["cases"] if c["endpoint"] == "evaluation"]
REQUEST_SCHEMA = jsonschema_rs.validator_for(load("authzen-schemas/evaluation-request.schema"))
RESPONSE_SCHEMA = jsonschema_rs.validator_for(load("authzen-schemas/evaluation-response.schema"))
EVALUATION = "/access/v1/evaluation"
WRITE_ARCHIVED = {
    "subject": {"type": "user", "id": "alice"},
    "action": {"name": "write"},
    "resource": {"type": "record", "id": "2", "properties": {"status": "archived"}},
}


@pytest.fixture
async def decision_point() -> AsyncIterator[httpx2.AsyncClient]:
    """The service with the certification's fixture."""
    world = World(document=FIXTURE.read_text())
    async with app_over(world.ports) as client:
        yield client


@pytest.mark.parametrize(
    "case",
    [c for c in CASES if c["method"] == "POST" and isinstance(c["request_json"], dict)],
    ids=lambda c: c["id"].removeprefix("authzen-pdp-evaluation-"),
)
async def test_what_the_request_schema_refuses_we_refuse_too(
    decision_point: httpx2.AsyncClient, case: dict[str, Any]
):
    answer = await decision_point.post(EVALUATION, json=case["request_json"], auth=BANK)

    assert (answer.status_code == 200) is REQUEST_SCHEMA.is_valid(case["request_json"])


# --- saying that a step-up would help ---------------------------------------------------------


async def ask(http: httpx2.AsyncClient, amount: str, **changes: Any) -> dict[str, Any]:
    answer = await http.post(EVALUATION, json=a_transfer(amount) | changes, auth=BANK)
    assert answer.status_code == 200, answer.text
    assert RESPONSE_SCHEMA.is_valid(answer.json())
    told: dict[str, Any] = answer.json()
    # Another one every time; `test_a_refusal_names_its_record` looks at it.
    told.get("context", {}).pop("decision_id", None)
    return told


async def test_a_denial_that_a_step_up_lifts_says_how_in_both_forms(http: httpx2.AsyncClient):
    answer = await ask(http, "5000.00")
    ticket = answer["context"].pop("step_up_ticket")

    assert ticket.count(".") == 2
    assert answer == {
        "decision": False,
        "context": {
            # AuthZEN 1.0 section 5.5.2.3: strings, separated by spaces.
            "acr_values": "phr",
            "amr_values": "user mfa",
            "max_age": 0,
            "methods": ["webauthn"],
            # The obligations profile: one value, and an array.
            "obligations": [
                {
                    "id": "step-up",
                    "type": "step-up",
                    "properties": {"acr_value": "phr", "amr_values": ["user", "mfa"]},
                }
            ],
            "step_up_uri": "https://stepup.example/oauth2/par",
            "policy_version": 1,
            "rule": "large",
            "guardrails": [],
        },
    }


async def test_a_level_with_several_ways_calls_for_no_way_in_particular(http: httpx2.AsyncClient):
    context = (await ask(http, "500.00"))["context"]

    assert context["methods"] == ["webauthn", "totp", "hotp"]
    assert context["obligations"][0]["properties"] == {"acr_value": "urn:stepup:acr:2"}
    assert context.keys().isdisjoint({"amr_values", "rule"})


async def test_a_final_denial_says_why_and_offers_nothing():
    document = """
apiVersion: stepup/v1
actions:
  write: {rules: [{id: archived, deny: the record is archived}], default: allow}
"""
    async with app_over(World(document=document).ports) as http:
        answer = await http.post(EVALUATION, json=WRITE_ARCHIVED, auth=BANK)

    context = answer.json()["context"]
    assert answer.json()["decision"] is False
    assert context.keys() == {"reason", "reason_text", "decision_id"}
    assert (context["reason"], context["reason_text"]) == ("rule", "the record is archived")


async def test_a_denial_without_a_reason_is_the_word_no(decision_point: httpx2.AsyncClient):
    """Interoperability runners compare denials word for word."""
    answer = await decision_point.post(EVALUATION, json=WRITE_ARCHIVED, auth=BANK)

    assert answer.content == b'{"decision":false}'


async def test_a_refusal_names_its_record(http: httpx2.AsyncClient, world: World):
    for amount in ("5000.00", "50.00"):
        await http.post(EVALUATION, json=a_transfer(amount), auth=BANK)
    refused = await http.post(
        EVALUATION, json=a_transfer("1.00") | {"action": {"name": "payments.forget"}}, auth=BANK
    )
    log = world.ports.state.decisions
    await log.flush()
    names = [record.id for _, record in await log.read(9)]
    assert len(names) == 3
    assert refused.json()["context"]["decision_id"] == names[2]


async def test_an_unknown_action_is_denied(http: httpx2.AsyncClient):
    answer = await ask(http, "1.00", action={"name": "payments.forget"})

    assert answer == {"decision": False, "context": {"reason": "unknown_action"}}


async def test_an_unadvertised_obligation_is_ignored(http: httpx2.AsyncClient):
    answer = await ask(http, "5000.00", context={"supported_obligations": ["notification"]})

    assert answer["context"]["obligations"][0]["type"] == "step-up"


@pytest.mark.parametrize(
    ("supported", "expected"),
    [
        (None, True),
        (["step-up", "consume"], True),
        (["consume", "notification"], True),
        (["step-up"], False),
        ([], False),
    ],
    ids=repr,
)
async def test_who_cannot_consume_is_not_allowed_what_rests_on_a_once_only_token(
    flow: Flow, supported: list[str] | None, expected: bool
):
    """Obligations profile, "Negotiation": a permit that the caller cannot enforce is none."""
    context: dict[str, Any] = {"elevated_token": await flow.token()}
    if supported is not None:
        context["supported_obligations"] = supported
    answer = await ask(flow.http, "500.00", context=context)

    assert answer["decision"] is expected
    if expected:
        (obligation,) = answer["context"]["obligations"]
        assert obligation["type"] == "consume"
        assert obligation["properties"]["endpoint"].endswith("/oauth2/consume")
    else:
        assert answer["context"]["reason"] == "obligation_not_supported"


async def test_every_obligation_that_is_sent_was_advertised(http: httpx2.AsyncClient):
    metadata = (await http.get("/.well-known/authzen-configuration")).json()
    sent = (await ask(http, "5000.00"))["context"]["obligations"]

    assert {obligation["type"] for obligation in sent} <= set(metadata["supported_obligations"])


async def test_the_ticket_opens_a_challenge_at_the_address_beside_it(flow: Flow):
    assert (await flow.push(await flow.ticket())).status_code == 201


# --- whose authentication ---------------------------------------------------------------------


async def test_an_authentication_is_believed_of_a_client_that_may_report_it():
    document = "apiVersion: stepup/v1\nactions:\n  see: {default: {level: phr, max_age: 5m}}\n"
    careful = World(document=document)
    careful.add_client("gateway", asserts_authentication=True)
    reported = {"acr": "phr", "amr": ["hwk"], "auth_time": int(careful.clock.now().timestamp())}
    request = a_transfer() | {
        "action": {"name": "see"},
        "context": {"authentication": reported},
    }
    async with app_over(careful.ports) as http:
        believed = await http.post(EVALUATION, json=request, auth=("gateway", CLIENT_SECRET))
        other = await http.post(EVALUATION, json=request, auth=BANK)

    assert believed.json() == {"decision": True}
    assert other.json()["decision"] is False


@pytest.mark.parametrize(
    "reported",
    [
        "phr",
        {},
        {"acr": "phr"},
        {"acr": "", "auth_time": 0},
        {"acr": "phr", "auth_time": "now"},
        {"acr": "phr", "auth_time": 0, "amr": ["otp"] * 33},
        {"acr": "phr", "auth_time": 0, "amr": ["x" * 129]},
    ],
    ids=lambda reported: str(reported)[:44],
)
async def test_a_malformed_report_is_refused(http: httpx2.AsyncClient, reported: object):
    request = a_transfer() | {"context": {"authentication": reported}}
    answer = await http.post(EVALUATION, json=request, auth=BANK)

    assert answer.status_code == 400
    assert "phr" not in answer.json()["detail"]


async def test_the_subject_s_issuer_may_stand_in_its_properties(http: httpx2.AsyncClient):
    subject = {"type": "user", "id": "alice", "properties": {"issuer": "https://other.example"}}
    context = (await ask(http, "500.00", subject=subject))["context"]
    world_subject = await ask(http, "500.00")

    assert context["step_up_ticket"] != world_subject["context"]["step_up_ticket"]


# --- numbers that are too large ---------------------------------------------------------------


@pytest.mark.parametrize(
    "amount", [10**30, -(10**30), 1e308, "9" * 2000, True, None, [], {}], ids=lambda a: repr(a)[:12]
)
async def test_an_amount_out_of_all_proportion_is_answered(
    http: httpx2.AsyncClient, amount: object
):
    request = a_transfer()
    request["action"]["properties"]["amount"] = amount
    answer = await http.post(EVALUATION, json=request, auth=BANK)

    assert answer.status_code == 200
    assert answer.json()["decision"] is False


# --- section 10.1: what is refused ------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    ["null", "1", '"x"', "true", "[]", "{}", "", " ", "\ufeff{}", "{} {}", "{'a': 1}"],
    ids=repr,
)
async def test_10_1_1_the_top_level_is_one_json_object(http: httpx2.AsyncClient, body: str):
    headers = {"content-type": "application/json"}
    answer = await http.post(EVALUATION, content=body.encode(), headers=headers, auth=BANK)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("subject", None),
        ("subject", {"type": None, "id": "alice"}),
        ("subject", {"type": "user", "id": None}),
        ("subject", {"type": "user", "id": "alice", "properties": None}),
        ("subject", {"type": "user", "id": 5}),
        ("subject", {"type": "user", "id": ""}),
        ("action", {"name": ["see"]}),
        ("action", {"name": "see", "properties": []}),
        ("resource", "account"),
        ("context", None),
        ("context", "now"),
    ],
    ids=repr,
)
async def test_5_entities_are_objects_of_strings_and_null_is_neither(
    http: httpx2.AsyncClient, member: str, value: object
):
    answer = await http.post(EVALUATION, json=a_transfer() | {member: value}, auth=BANK)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json;charset=UTF-8", 200),
        ("APPLICATION/JSON", 200),
        ("application/jsonp", 400),
        ("application/problem+json", 400),
        ("application/x-www-form-urlencoded", 400),
        ("", 400),
        (None, 400),
    ],
)
async def test_10_1_the_content_type_is_application_json(
    http: httpx2.AsyncClient, content_type: str | None, status: int
):
    headers = {} if content_type is None else {"content-type": content_type}
    body = json.dumps(a_transfer()).encode()
    answer = await http.post(EVALUATION, content=body, headers=headers, auth=BANK)

    assert answer.status_code == status


@pytest.mark.parametrize(
    ("accept", "is_text"),
    [
        ("text/plain", True),
        ("Text/Plain;q=0.9, */*", True),
        ("application/json, text/plain, */*", False),
        ("*/*", False),
        ("text/plainest", False),
    ],
)
async def test_10_1_2_an_error_is_the_plain_string_for_who_asks_for_one(
    http: httpx2.AsyncClient, accept: str, is_text: bool
):
    answer = await http.post(EVALUATION, json={}, auth=BANK, headers={"accept": accept})
    refused = await http.post(EVALUATION, json={}, headers={"accept": accept})

    assert (answer.status_code, refused.status_code) == (400, 401)
    assert refused.headers["www-authenticate"].startswith("Basic")
    if is_text:
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.text == "Object missing required field `subject`."
    else:
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["evaluation", "evaluations", "search/subject"])
async def test_10_1_everything_but_post_is_405_and_says_so(
    http: httpx2.AsyncClient, method: str, path: str
):
    answer = await http.request(method, f"/access/v1/{path}", auth=BANK)

    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]


@pytest.mark.parametrize(
    "text",
    [
        '{"subject": {"type": "user", "id": "bob"}, "subject": {"type": "user", "id": "alice"}}',
        '{"subject": {"type": "user", "id": "bob", "i\\u0064": "alice"}}',
        '{"subject": {"type": "user", "id": "\\ud800"}}',
        '{"subject": {"type": "user", "id": "a", "properties": {"\\udc00": 1}}}',
        '{"foo": {"a": 1, "a": 2}}',
        '{"foo": ' + "[" * 33 + "]" * 33 + "}",
    ],
    ids=["twice", "twice in two spellings", "half", "half in a name", "where nobody looks", "deep"],
)
async def test_11_5_what_two_readers_could_understand_differently_is_refused(
    http: httpx2.AsyncClient, text: str
):
    """I-JSON (RFC 7493), also in members that are ignored otherwise."""
    whole = text[:-1] + ', "action": {"name": "see"}, "resource": {"type": "a", "id": "1"}}'
    headers = {"content-type": "application/json"}
    answer = await http.post(EVALUATION, content=whole.encode(), headers=headers, auth=BANK)

    assert answer.status_code == 400
    assert not answer.json()["detail"].startswith("Object missing")


@pytest.mark.parametrize("amount", ["5.00", "500.00", "5000.00"])
async def test_11_5_no_answer_has_a_null(http: httpx2.AsyncClient, amount: str):
    answer = await http.post(EVALUATION, json=a_transfer(amount), auth=BANK)

    assert b"null" not in answer.content


# --- every answer -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auth", "body", "status"),
    [(BANK, b"{", 400), (None, b"{}", 401), (BANK, b"x" * 70_000, 413)],
)
async def test_a_request_identifier_comes_back_on_errors_too(
    http: httpx2.AsyncClient, auth: tuple[str, str] | None, body: bytes, status: int
):
    headers = {"content-type": "application/json", "x-request-id": "req-1"}
    answer = await http.post(EVALUATION, content=body, headers=headers, auth=auth)

    assert answer.status_code == status
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "req-1"


async def test_names_that_anybody_can_invent_share_one_series():
    document = "apiVersion: stepup/v1\nunknown_action: allow\nactions:\n  see: {default: allow}\n"
    world = World(document=document)
    async with app_over(world.ports) as http:
        for name in ("see", "invented-1", "invented-2"):
            request = a_transfer() | {"action": {"name": name}}
            assert (await http.post(EVALUATION, json=request, auth=BANK)).json()["decision"]

    def counted(action: str) -> float | None:
        labels = {"action": action, "outcome": "allow"}
        return REGISTRY.get_sample_value("stepup_decisions_total", labels)

    assert counted("see")
    assert counted("unknown")
    assert counted("invented-1") is None
