"""The AuthZEN 1.0 certification scenario, all of its cases, against the service as it is started.

The cases are those of the public conformance suite, the fixture is a policy in our own language.
How an answer is compared is said in `tests/vectors/README.md`.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import jsonschema_rs
import pytest

from tests.support.service import RunningService, running_service
from tests.support.vectors import load

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis]

FIXTURE = Path(__file__).parent.parent / "fixtures" / "authzen-certification.yaml"
CASES: list[dict[str, Any]] = load("authzen-certification-cases")["cases"]
DECISION = jsonschema_rs.validator_for(load("authzen-schemas/evaluation-response.schema"))
METADATA = "/.well-known/authzen-configuration"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """The service with the certification's fixture, as `stepup dev --policy` loads it."""
    folder = tmp_path_factory.mktemp("authzen")
    with running_service(folder, "--no-demo", "--policy", str(FIXTURE)) as running:
        yield running


@pytest.fixture(scope="module")
def http(service: RunningService) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=service.origin, timeout=10, trust_env=False) as client:
        yield client


def readable(case: dict[str, Any]) -> str:
    """Name a case by its API and what it does."""
    return f"{case['endpoint']}: {case['id'].removeprefix('authzen-pdp-')}"


def send(http: httpx2.Client, service: RunningService, case: dict[str, Any]) -> httpx2.Response:
    headers = {"content-type": case["content_type"]}
    if case["x_request_id_echo"]:
        headers["x-request-id"] = "certification-1"
    client_id, secret = service.client()
    auth = (client_id, "corrupt" if case["corrupt_auth"] else secret)
    body: dict[str, Any] = {"json": case["request_json"]}
    if case["raw_body"] is not None:
        body = {"content": case["raw_body"].encode()}
    return http.request(
        case["method"],
        f"/access/v1/{case['endpoint']}",
        headers=headers,
        auth=None if case["skip_auth"] else auth,
        **body,
    )


def whole(
    http: httpx2.Client, service: RunningService, case: dict[str, Any], body: dict[str, Any]
) -> dict[str, Any]:
    """Follow the pages of a search; each is asked for as the first one, with the token added."""
    pages = [body]
    while token := pages[-1].get("page", {}).get("next_token"):
        page = case["request_json"].get("page", {}) | {"token": token}
        answer = send(http, service, case | {"request_json": case["request_json"] | {"page": page}})
        check_form(case, answer)
        pages.append(answer.json())
    if "Paginated" in case["base_class"]:
        assert len(pages) > 1
        # Section 8.2.2: the last page has the token too, and it is empty.
        assert pages[-1]["page"]["next_token"] == ""
    if len(pages) == 1:
        return body
    return {"results": [entity for page in pages for entity in page["results"]]}


def check_form(case: dict[str, Any], answer: httpx2.Response) -> None:
    assert answer.status_code in case["expect_status"], answer.text
    if case["x_request_id_echo"]:
        assert answer.headers["x-request-id"] == "certification-1"
    if answer.status_code == 200:
        assert answer.headers["content-type"] == "application/json"
    else:
        # docs/divergences.md: errors are problems; section 10.1.2 leaves their form open.
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"]
    if answer.status_code == 401:
        # Section 11.3.
        assert answer.headers["www-authenticate"].startswith("Basic")


def check_decision(body: dict[str, Any]) -> None:
    DECISION.validate(body)
    # Interoperability runners compare whole items, so a plain answer has nothing beside it.
    assert body.keys() == {"decision"} or body["context"].keys() == {"error"}


def check_evaluations(case: dict[str, Any], body: dict[str, Any]) -> None:
    if "BackwardCompat" in case["base_class"]:
        # Section 7.1: without items, the answer is that of a single evaluation.
        assert body == {"decision": True}
        return
    for item in body["evaluations"]:
        check_decision(item)
    expected = [item["decision"] for item in case["expect_json"]["evaluations"]]
    assert [item["decision"] for item in body["evaluations"]] == expected
    # Section 7.2: the top-level decision is better left out.
    assert "decision" not in body


def check_results(case: dict[str, Any], results: list[dict[str, Any]]) -> None:
    expected = case["expect_json"]["results"]
    assert [entity for entity in expected if entity not in results] == []
    if not expected:
        assert results == []
    searched = case["endpoint"].removeprefix("search/")
    if searched != "action":
        # Section 8.3: entities of the type that is searched for, and no others.
        assert {r["type"] for r in results} <= {case["request_json"][searched]["type"]}


def check_body(case: dict[str, Any], body: dict[str, Any]) -> None:
    match case["endpoint"]:
        case "evaluation":
            check_decision(body)
            assert body["decision"] is case["expect_json"]["decision"]
        case "evaluations":
            check_evaluations(case, body)
        case _:
            check_results(case, body["results"])


def test_all_127_cases_are_here():
    assert Counter(case["endpoint"] for case in CASES) == {
        "evaluation": 33,
        "evaluations": 27,
        "search/subject": 25,
        "search/action": 22,
        "search/resource": 20,
    }


@pytest.mark.parametrize("case", CASES, ids=readable)
def test_certification(http: httpx2.Client, service: RunningService, case: dict[str, Any]):
    for _ in range(3 if case["idempotency"] else 1):
        answer = send(http, service, case)

        check_form(case, answer)
        if answer.status_code == 200:
            check_body(case, whole(http, service, case, answer.json()))


def test_discovery(http: httpx2.Client, service: RunningService):
    """Scenario, "Metadata Validation"; https is for whoever puts TLS before a real service."""
    answer = http.get(METADATA)
    metadata = answer.json()

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert metadata["policy_decision_point"] == service.issuer
    endpoints = {name: url for name, url in metadata.items() if name.endswith("_endpoint")}
    assert sorted(endpoints) == [
        "access_evaluation_endpoint",
        "access_evaluations_endpoint",
        "search_action_endpoint",
        "search_resource_endpoint",
        "search_subject_endpoint",
    ]
    for url in endpoints.values():
        # There: it asks who is calling.
        assert httpx2.post(url, json={}, trust_env=False).status_code == 401


def test_another_tenant_s_metadata_is_not_here(http: httpx2.Client):
    assert http.get(f"{METADATA}/tenant1").status_code == 404
