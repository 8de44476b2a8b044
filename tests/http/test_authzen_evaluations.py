"""AuthZEN 1.0 section 7 over HTTP: defaults, semantics, and items that fail alone."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import httpx2
import jsonschema_rs
import pytest

from stepup.domain.batch import MAX_EVALUATIONS
from stepup.http.authzen.evaluations import completed
from stepup.telemetry import REGISTRY
from stepup.usecases import evaluate_batch
from tests.http.conftest import app_over
from tests.http.flow import BANK, a_transfer
from tests.support.vectors import load
from tests.support.world import World

FIXTURE = Path(__file__).parent.parent / "fixtures" / "authzen-certification.yaml"
RESPONSE_SCHEMA = jsonschema_rs.validator_for(load("authzen-schemas/evaluation-response.schema"))
REQUEST_SCHEMA = jsonschema_rs.validator_for(load("authzen-schemas/evaluation-request.schema"))
EVALUATIONS = "/access/v1/evaluations"

ALICE = {"type": "user", "id": "alice"}
BOB = {"type": "user", "id": "bob"}
READ, WRITE = {"name": "read"}, {"name": "write"}
ACTIVE = {"type": "record", "id": "record-1", "properties": {"status": "active"}}
ARCHIVED = {"type": "record", "id": "record-2", "properties": {"status": "archived"}}


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    """The service with the certification's fixture."""
    async with app_over(World(document=FIXTURE.read_text()).ports) as client:
        yield client


async def send(http: httpx2.AsyncClient, body: object) -> httpx2.Response:
    return await http.post(EVALUATIONS, json=body, auth=BANK)


async def ask(http: httpx2.AsyncClient, **body: object) -> list[dict[str, Any]]:
    answer = await send(http, body)
    assert answer.status_code == 200, answer.text
    items = answer.json()["evaluations"]
    assert all(RESPONSE_SCHEMA.is_valid(item) for item in items)
    return items


def decisions(items: list[dict[str, Any]]) -> list[bool]:
    return [item["decision"] for item in items]


# --- section 7.1.1: defaults ------------------------------------------------------------------


async def test_7_1_1_what_an_item_lacks_comes_from_the_defaults_whole(http: httpx2.AsyncClient):
    answer = await ask(
        http,
        subject=ALICE,
        action=WRITE,
        resource=ARCHIVED,
        evaluations=[{}, {"resource": ACTIVE}, {"action": READ}],
    )

    assert decisions(answer) == [False, True, True]


async def test_7_1_1_an_item_s_entity_replaces_the_default_with_all_its_properties(
    http: httpx2.AsyncClient,
):
    """Were properties mixed, the default's `status` would still deny."""
    without = {"type": "record", "id": "record-3"}
    answer = await ask(
        http, subject=ALICE, action=WRITE, resource=ARCHIVED, evaluations=[{"resource": without}]
    )

    assert decisions(answer) == [True]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({}, {"resource": ARCHIVED, "context": {"a": 1}}),
        ({"resource": {"id": "9"}}, {"resource": {"type": "record", "id": "9"}}),
        ({"resource": {"type": "file"}}, {"resource": {"type": "file", "id": "record-2"}}),
        ({"resource": {}}, {"resource": {"type": "record", "id": "record-2"}}),
        ({"resource": None}, {"resource": None}),
        ({"resource": "record-2"}, {"resource": "record-2"}),
        ({"context": {}}, {"context": {}}),
        ({"context": {"b": 2}}, {"context": {"b": 2}}),
        ({"foo": "bar"}, {"resource": ARCHIVED}),
    ],
    ids=repr,
)
def test_only_a_missing_identifier_is_completed_and_properties_never(
    item: dict[str, Any], expected: dict[str, Any]
):
    """docs/divergences.md: one certification case wants a missing `type` completed."""
    defaults = {"resource": ARCHIVED, "context": {"a": 1}}

    assert completed(item, defaults).items() >= expected.items()


async def test_attack_large_defaults_are_taken_over_by_every_item(monkeypatch: pytest.MonkeyPatch):
    """One request of a quarter of a megabyte took 140 MB, and a second of everybody's time."""
    batch = AsyncMock(return_value=[])
    monkeypatch.setattr(evaluate_batch, "evaluate_batch", batch)
    large = {"tags": ["x"] * 20_000}
    own = {"type": "record", "id": "record-9"}
    body = {
        "subject": ALICE | {"properties": large},
        "action": READ | {"properties": large},
        "resource": ACTIVE | {"properties": {"x": 1}},
        "context": large,
        "evaluations": [{}, {}, {"resource": own}, {"context": {"a": 1}}],
    }
    async with app_over(World(document=FIXTURE.read_text()).ports) as http:
        assert (await send(http, body)).status_code == 200

    first, *others = [question.request for question in batch.await_args.args[2]]
    for other in others:
        assert other.subject is first.subject
        assert other.action_properties is first.action_properties
    assert others[0].context is others[1].context is first.context
    assert (others[1].resource_id, others[1].resource) == ("record-9", {})
    assert others[2].context == {"a": 1}


async def test_7_1_without_items_it_is_a_single_evaluation(http: httpx2.AsyncClient):
    single = {"subject": ALICE, "action": READ, "resource": ACTIVE}
    for body in (single, single | {"evaluations": []}):
        assert (await send(http, body)).json() == {"decision": True}


async def test_7_1_without_items_a_missing_entity_is_a_bad_request(http: httpx2.AsyncClient):
    answer = await send(http, {"subject": ALICE, "action": READ, "evaluations": []})

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


# --- section 7.2.1: errors --------------------------------------------------------------------


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"resource": None},
        {"resource": "record-1"},
        {"resource": {"type": "record", "id": ""}},
        {"resource": ACTIVE, "context": None},
        {"resource": ACTIVE, "context": {"authentication": "phr"}},
        {"resource": ACTIVE, "subject": ALICE | {"properties": {"issuer": "https://else.example"}}},
    ],
    ids=[
        "nothing",
        "null",
        "text",
        "an empty id",
        "context null",
        "a malformed report",
        "nobody's issuer",
    ],
)
async def test_7_2_1_a_faulty_item_is_a_denial_of_its_own_that_says_why(
    http: httpx2.AsyncClient, item: dict[str, Any]
):
    answer = await ask(
        http, subject=ALICE, action=READ, evaluations=[{"resource": ACTIVE}, item, item]
    )

    assert decisions(answer) == [True, False, False]
    error = answer[1]["context"]["error"]
    assert error["status"] == 400
    assert error["message"].endswith(".")


@pytest.mark.parametrize(
    "body",
    [
        {"evaluations": {}},
        {"evaluations": None},
        {"evaluations": [1]},
        {"evaluations": [None]},
        {"evaluations": [[]]},
        {"evaluations": [{}], "subject": "alice"},
        {"evaluations": [{}], "subject": {"type": 5}},
        {"evaluations": [{}], "action": None},
        {"evaluations": [{}], "context": []},
        {"evaluations": [{}], "options": None},
        {"evaluations": [{}], "options": {"evaluations_semantic": "bogus"}},
        {"evaluations": [{}], "options": {"evaluations_semantic": None}},
        {"evaluations": [{}], "options": {"evaluations_semantic": "EXECUTE_ALL"}},
        [],
    ],
    ids=repr,
)
async def test_7_2_1_a_fault_of_the_whole_payload_is_a_bad_request(
    http: httpx2.AsyncClient, body: object
):
    answer = await send(http, body)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "text",
    [
        b'{"evaluations": [{"subject": {"type": "user", "id": "a", "id": "b"}}]}',
        b'{"evaluations": [{"subject": {"type": "user", "\\u0069d": "a", "id": "b"}}]}',
        b'{"evaluations": [{"subject": {"type": "user", "id": "\\ud800"}}]}',
        b'{"evaluations": ' + b"[" * 40 + b"]" * 40 + b"}",
    ],
    ids=["a member twice", "twice in two spellings", "half a character", "nested too deeply"],
)
async def test_11_5_what_two_readers_could_understand_differently_is_refused(
    http: httpx2.AsyncClient, text: bytes
):
    headers = {"content-type": "application/json"}
    answer = await http.post(EVALUATIONS, content=text, headers=headers, auth=BANK)

    assert answer.status_code == 400


async def test_so_many_items_fit_and_one_more_is_refused_with_the_limit(http: httpx2.AsyncClient):
    item = {"subject": ALICE, "action": READ, "resource": ACTIVE}
    fits = await send(http, {"evaluations": [item] * MAX_EVALUATIONS})
    refused = await send(http, {"evaluations": [item] * (MAX_EVALUATIONS + 1)})

    assert len(fits.json()["evaluations"]) == MAX_EVALUATIONS
    assert refused.status_code == 400
    assert f"at most {MAX_EVALUATIONS} evaluations" in refused.json()["detail"]


async def test_a_body_that_is_too_large_is_refused(http: httpx2.AsyncClient):
    padded = ALICE | {"properties": {"note": "x" * 300_000}}
    answer = await send(http, {"subject": padded, "evaluations": [{}]})

    assert answer.status_code == 413


async def test_10_1_3_the_request_identifier_comes_back_with_errors_too(http: httpx2.AsyncClient):
    headers = {"x-request-id": "batch-1"}
    for body, status in (({"evaluations": [{}]}, 200), ({"evaluations": 1}, 400)):
        answer = await http.post(EVALUATIONS, json=body, auth=BANK, headers=headers)
        assert (answer.status_code, answer.headers["x-request-id"]) == (status, "batch-1")


# --- each item is a decision like any other ---------------------------------------------------


async def test_each_item_says_what_would_lift_its_denial(world: World):
    async with app_over(world.ports) as http:
        answer = await ask(
            http, evaluations=[a_transfer("5.00"), a_transfer("500.00"), a_transfer("5000.00")]
        )

    assert decisions(answer) == [True, False, False]
    assert "context" not in answer[0]
    levels = [i["context"]["obligations"][0]["properties"]["acr_value"] for i in answer[1:]]
    assert levels == ["urn:stepup:acr:2", "phr"]
    first, second = (item["context"]["step_up_ticket"] for item in answer[1:])
    assert first != second


async def test_each_item_counts_as_a_decision(http: httpx2.AsyncClient):
    def counted(outcome: str) -> float:
        labels = {"action": "write", "outcome": outcome}
        return REGISTRY.get_sample_value("stepup_decisions_total", labels) or 0.0

    before = counted("allow"), counted("deny")
    items = [{"resource": ACTIVE}, {"resource": ARCHIVED}, {"resource": ARCHIVED}, {}]
    await ask(http, subject=ALICE, action=WRITE, evaluations=items)

    assert (counted("allow") - before[0], counted("deny") - before[1]) == (1, 2)


async def test_what_the_schema_of_an_evaluation_refuses_fails_as_an_item_too(
    http: httpx2.AsyncClient,
):
    cases = load("authzen-certification-cases")["cases"]
    requests = [
        case["request_json"]
        for case in cases
        if case["endpoint"] == "evaluation" and isinstance(case["request_json"], dict)
    ]
    answer = await ask(http, evaluations=requests)

    failed = ["error" in item.get("context", {}) for item in answer]
    assert failed == [not REQUEST_SCHEMA.is_valid(request) for request in requests]
