"""AuthZEN 1.0 section 8 over HTTP: shapes, pages, obligations, and what is refused."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from stepup.telemetry import REGISTRY
from tests.http.conftest import app_over
from tests.http.flow import BANK
from tests.support.application import CLIENT_SECRET
from tests.support.world import World

FIXTURE = Path(__file__).parent.parent / "fixtures" / "authzen-certification.yaml"
SEARCH = "/access/v1/search/"
ALICE, BOB = {"type": "user", "id": "alice"}, {"type": "user", "id": "bob"}
RECORD_1, RECORD_2 = {"type": "record", "id": "record-1"}, {"type": "record", "id": "record-2"}
READ, WRITE = {"name": "read"}, {"name": "write"}
SUBJECTS = {"subject": {"type": "user"}, "action": READ, "resource": RECORD_1}

VAULT = """
apiVersion: stepup/v1
entities:
  subjects: [{type: user, id: alice}]
  resources: [{type: vault, id: "1"}, {type: vault, id: "2", properties: {open: true}}]
actions:
  look:
    attributes: {open: {type: bool, in: resource, default: false}}
    rules: [{id: open, when: resource.open, allow: true}]
    default: {level: phr, max_age: 5m}
"""


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    """The service with the certification's fixture."""
    async with app_over(World(document=FIXTURE.read_text()).ports) as client:
        yield client


async def find(http: httpx2.AsyncClient, what: str, body: object) -> dict[str, Any]:
    answer = await http.post(f"{SEARCH}{what}", json=body, auth=BANK)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_8_3_who_did_not_ask_for_pages_and_gets_everything_gets_no_page(
    http: httpx2.AsyncClient,
):
    assert await find(http, "subject", SUBJECTS) == {"results": [ALICE, BOB]}


async def test_8_3_the_page_is_the_first_member(http: httpx2.AsyncClient):
    answer = await find(http, "subject", SUBJECTS | {"page": {"limit": 1}})

    assert list(answer) == ["page", "results"]
    assert answer["page"]["count"] == 1
    assert answer["results"] == [ALICE]
    page = {"limit": 1, "token": answer["page"]["next_token"]}
    rest = await find(http, "subject", SUBJECTS | {"page": page})
    assert rest == {"page": {"next_token": "", "count": 1}, "results": [BOB]}


async def test_decision_4_and_the_searches_agree_about_what_is_known(http: httpx2.AsyncClient):
    """Bob is known as an administrator, and may not write record-1 in either of them."""
    writers = {"subject": {"type": "user"}, "action": WRITE}

    found = await find(http, "subject", writers | {"resource": RECORD_1})
    assert found["results"] == [ALICE]
    found = await find(http, "subject", writers | {"resource": RECORD_2})
    assert found["results"] == [BOB]
    asked = {"subject": BOB, "action": WRITE}
    for record, expected in ((RECORD_1, False), (RECORD_2, True)):
        answer = await http.post(
            "/access/v1/evaluation", json=asked | {"resource": record}, auth=BANK
        )
        assert answer.json()["decision"] is expected


async def test_s3_action_search_knows_nothing_of_an_action_s_properties(http: httpx2.AsyncClient):
    """Scenario, S6: `delete` needs `soft`, which no action search can send."""
    body = {"subject": ALICE, "resource": RECORD_1, "action": "ignored"}

    assert (await find(http, "action", body))["results"] == [READ, WRITE]


# --- the obligations profile ------------------------------------------------------------------


@pytest.fixture
async def vault() -> AsyncIterator[httpx2.AsyncClient]:
    async with app_over(World(document=VAULT).ports) as client:
        yield client


LOOK = {"subject": ALICE, "action": {"name": "look"}, "resource": {"type": "vault"}}
OPEN = {"type": "vault", "id": "2"}
CLOSED = {
    "type": "vault",
    "id": "1",
    "obligations": [
        {
            "id": "step-up",
            "type": "step-up",
            "properties": {"acr_value": "phr", "amr_values": ["user", "mfa"]},
        }
    ],
}


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({}, [CLOSED, OPEN]),
        ({"supported_obligations": ["step-up"]}, [CLOSED, OPEN]),
        ({"supported_obligations": ["step-up", "notification"]}, [CLOSED, OPEN]),
        ({"supported_obligations": ["notification"]}, [OPEN]),
        ({"supported_obligations": []}, [OPEN]),
        ({"supported_obligations": "step-up"}, [CLOSED, OPEN]),
    ],
    ids=repr,
)
async def test_a_result_that_needs_a_step_up_says_so_and_is_left_out_for_who_cannot(
    vault: httpx2.AsyncClient, context: dict[str, Any], expected: list[dict[str, Any]]
):
    """Obligations profile, "Obligations and Search Requests" and "Negotiation"."""
    answer = await find(vault, "resource", LOOK | {"context": context})

    assert answer == {"results": expected}


async def test_an_action_that_needs_a_step_up_says_so(vault: httpx2.AsyncClient):
    answer = await find(
        vault, "action", {"subject": ALICE, "resource": {"type": "vault", "id": "1"}}
    )

    assert answer == {"results": [{"name": "look", "obligations": CLOSED["obligations"]}]}


async def test_a_search_counts_as_no_decision(vault: httpx2.AsyncClient):
    """What nobody was granted must not raise an alarm about decisions."""
    await find(vault, "resource", LOOK)

    labels = {"action": "look", "outcome": "step_up"}
    assert REGISTRY.get_sample_value("stepup_decisions_total", labels) is None


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("subject", SUBJECTS | {"page": {"token": "changed"}}),
        ("subject", SUBJECTS | {"page": {"token": 5}}),
        ("subject", SUBJECTS | {"page": {"limit": -1}}),
        ("subject", SUBJECTS | {"page": {"limit": "1"}}),
        ("subject", SUBJECTS | {"page": {"limit": 1.5}}),
        ("subject", SUBJECTS | {"page": None}),
        ("subject", SUBJECTS | {"page": []}),
        ("subject", SUBJECTS | {"subject": {"id": "alice"}}),
        ("subject", SUBJECTS | {"subject": {"type": "user", "properties": None}}),
        ("subject", SUBJECTS | {"context": None}),
        ("resource", {"subject": ALICE, "action": READ, "resource": {"type": ""}}),
        ("action", {"subject": ALICE, "resource": {"type": "record"}}),
    ],
    ids=repr,
)
async def test_10_1_2_what_is_missing_or_wrong_is_a_bad_request(
    http: httpx2.AsyncClient, what: str, body: object
):
    headers = {"x-request-id": "search-1"}
    answer = await http.post(f"{SEARCH}{what}", json=body, auth=BANK, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert answer.headers["x-request-id"] == "search-1"


async def test_8_2_a_page_token_is_bound_to_everything_that_was_asked(http: httpx2.AsyncClient):
    first = await find(http, "subject", SUBJECTS | {"page": {"limit": 1}})
    page = {"limit": 1, "token": first["page"]["next_token"]}
    answer = await http.post(
        f"{SEARCH}subject", json=SUBJECTS | {"action": WRITE, "page": page}, auth=BANK
    )

    assert answer.status_code == 400
    assert "begin again" in answer.json()["detail"]


@pytest.mark.parametrize("what", ["subject", "resource", "action"])
async def test_a_search_needs_what_an_evaluation_needs(what: str):
    """Searches answer many questions at once, so nobody asks here who may not ask there."""
    world = World(document=FIXTURE.read_text())
    world.add_client("shop", roles=frozenset())
    body = SUBJECTS | {"subject": ALICE}
    async with app_over(world.ports) as http:
        nobody = await http.post(f"{SEARCH}{what}", json=body)
        shop = await http.post(f"{SEARCH}{what}", json=body, auth=("shop", CLIENT_SECRET))

    assert (nobody.status_code, shop.status_code) == (401, 403)
    assert nobody.headers["www-authenticate"].startswith("Basic")


async def test_8_4_an_identifier_of_what_is_searched_for_is_ignored_whatever_it_is(
    http: httpx2.AsyncClient,
):
    for identifier in ("alice", "", 5, None):
        body = SUBJECTS | {"subject": {"type": "user", "id": identifier}}
        assert (await find(http, "subject", body))["results"] == [ALICE, BOB]
