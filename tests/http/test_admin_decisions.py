"""`/v1/admin/decisions`: recorded decisions found, shown, and saved as tests."""

import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2
import msgspec
import pytest

from stepup.domain.ids import ActionName, ClientId
from stepup.domain.policy import Mode
from stepup.domain.recorded_decision import Outcome
from stepup.policy_language import document
from tests.contracts.decisions import a_record
from tests.http.conftest import app_over
from tests.support.builders import a_decision_request, an_approval_of
from tests.support.determinism import NOON
from tests.support.world import World

TOKEN = "an-administrators-token"
DECISIONS = "/v1/admin/decisions"
MINUTE = timedelta(minutes=1)
DIGEST = "digest:AAAAAAAAAAAAAAAAAAAAAA"


@pytest.fixture
def records(world: World):
    subject = world.subject("alice")
    return [
        a_record(NOON, action="pay", subject_id=subject.id, outcome=Outcome.ALLOW, sampled_as=10),
        a_record(NOON - MINUTE, action="pay", rule="large", max_age=timedelta(minutes=5)),
        a_record(NOON - 2 * MINUTE, action="close", client_id=ClientId("shop")),
        a_record(NOON - 3 * MINUTE, action="close", outcome=Outcome.DENY, reason="rule", rule=None),
    ]


@pytest.fixture
async def admin(world: World, records) -> AsyncIterator[httpx2.AsyncClient]:
    site = msgspec.structs.replace(
        world.site, admin_token_digest=hashlib.sha256(TOKEN.encode()).digest()
    )
    async with world.ports.database.transaction() as stores:
        await stores.decisions.add_all(records)
    async with app_over(world.ports._replace(site=site)) as client:
        client.headers["authorization"] = f"Bearer {TOKEN}"
        yield client


async def listed(admin: httpx2.AsyncClient, **query: str) -> list[str]:
    answer = await admin.get(DECISIONS, params=query)
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["decisions"]]


async def test_lists_them_newest_first(admin, records):
    assert await listed(admin) == [record.id for record in records]


async def test_shows_what_was_asked_and_what_was_answered(admin, records):
    shown = (await admin.get(f"{DECISIONS}/{records[1].id}")).json()

    assert shown["outcome"] == "step_up"
    assert shown["action"] == {
        "name": "pay",
        "properties": records[1].request.action_properties,
    }
    assert shown["subject"]["id"] == "alice"
    assert (shown["rule"], shown["guardrails"], shown["max_age"]) == ("large", ["money"], 300)
    assert shown["authentication"]["acr"] == "urn:stepup:acr:2"
    assert shown["sampled_as"] == 1


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ({"action": "close"}, [2, 3]),
        ({"outcome": "deny"}, [3]),
        ({"client": "shop"}, [2]),
        ({"rule": "large", "action": "pay"}, [0, 1]),
        ({"subject": "alice"}, [0]),
        ({"subject": "alice", "issuer": "https://other.example"}, []),
        ({"since": "2026-11-21T11:59:00Z"}, [0, 1]),
        ({"until": "2026-11-21T12:59:00+01:00"}, [2, 3]),
        ({"action": "forgotten"}, []),
        ({"limit": "2"}, [0, 1]),
    ],
    ids=str,
)
async def test_finds_them_by_what_they_are_about(admin, records, query, places):
    assert await listed(admin, **query) == [records[place].id for place in places]


async def test_says_what_was_only_reported(admin, world: World):
    record = a_record(outcome=Outcome.ALLOW, mode=Mode.REPORT, reported=Outcome.STEP_UP)
    async with world.ports.database.transaction() as stores:
        await stores.decisions.add_all([record])
    shown = (await admin.get(f"{DECISIONS}/{record.id}")).json()
    assert (shown["outcome"], shown["mode"], shown["reported"]) == ("allow", "report", "step_up")


async def test_finds_a_subject_by_the_digest_in_the_logs(admin, records):
    assert await listed(admin, subject_id=records[0].subject_id) == [records[0].id]


async def test_goes_on_where_a_page_ended(admin, records):
    seen, token = [], ""
    for _ in range(2):
        answer = (await admin.get(DECISIONS, params={"limit": "3", "page_token": token})).json()
        seen += [each["id"] for each in answer["decisions"]]
        token = answer["next_token"]
    assert seen == [record.id for record in records]
    assert token == ""


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "201"},
        {"limit": "many"},
        {"outcome": "perhaps"},
        {"since": "yesterday"},
        {"since": "2026-11-21T12:00:00"},
        {"page_token": "x"},
        {"page_token": "MjAyNi0xMS0yMVQxMjowMDowMCB4"},
        {"surprise": "1"},
        {"rule": "\0"},
    ],
    ids=str,
)
async def test_a_malformed_question_is_refused(admin, query):
    answer = await admin.get(DECISIONS, params=query)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("name", ["unheard", "000000000000.x", "0" * 12 + ".x/test"])
async def test_what_was_not_recorded_is_not_found(admin, name):
    answer = await admin.get(f"{DECISIONS}/{name}")
    assert (answer.status_code, answer.json()["code"]) == (404, "decision_not_found")


# --- as a test ----------------------------------------------------------------------------------

POLICY = """
apiVersion: stepup/v1
actions:
  pay:
    attributes:
      amount: {type: decimal, required: true}
      owner: {type: string, in: resource}
      iban: {type: string, in: resource, sensitive: true}
    rules:
      - id: own
        when: has(resource.owner) && resource.owner == subject.id
        allow: true
      - id: large
        when: action.amount > 100000
        require: {level: phr, max_age: 0s, bind: [amount]}
    default: {level: "urn:stepup:acr:2", max_age: 15m}
"""


async def saved(admin, world: World, record) -> dict:
    world.snapshot.held_policy = document.parse(POLICY, version=1)
    async with world.ports.database.transaction() as stores:
        await stores.decisions.add_all([record])
    answer = await admin.get(f"{DECISIONS}/{record.id}/test")
    assert answer.status_code == 200, answer.text
    return answer.json()


def with_test(test: dict) -> str:
    text = msgspec.json.encode([test]).decode()
    return POLICY.rstrip() + f"\n    tests: {text}\n"


async def test_a_saved_decision_is_a_test_that_passes(admin, world: World):
    approval = an_approval_of("pay", {"amount": "5000.00"})
    request = a_decision_request(
        action=ActionName("pay"),
        action_properties={"amount": "5000.00"},
        resource={"iban": DIGEST},
    )
    record = a_record(
        request=request,
        approval=approval,
        digested=frozenset({"resource.iban"}),
        outcome=Outcome.ALLOW,
        reason="already_satisfied",
        rule="large",
    )
    found = await saved(admin, world, record)

    assert (found["action"], found["left_out"]) == ("pay", ["resource.iban"])
    assert DIGEST not in str(found["test"])
    assert found["test"]["auth"]["for_this"] is True
    # It names nobody but where a rule looks: `subject.id`.
    assert found["test"]["request"]["subject"]["id"] == "alice"
    assert "id" not in found["test"]["request"]["resource"]
    assert document.parse(with_test(found["test"]), version=2)


async def test_a_saved_step_up_expects_what_was_asked_for(admin, world: World):
    record = a_record(
        action="pay",
        approval=None,
        request=a_decision_request(
            action=ActionName("pay"), action_properties={"amount": "7.00"}, resource={}
        ),
        rule=None,
        acr="urn:stepup:acr:2",
        max_age=timedelta(minutes=15),
    )
    test = (await saved(admin, world, record))["test"]

    assert (test["expect"], test["rule"], test["acr"]) == ("step_up", "default", "urn:stepup:acr:2")
    assert test["max_age"] == "15m"
    assert document.parse(with_test(test), version=2)
