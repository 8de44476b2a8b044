"""`POST /v1/admin/policy/explain`."""

import hashlib
from collections.abc import AsyncIterator

import httpx2
import msgspec
import pytest

from stepup.domain.administrator import Scope
from stepup.usecases import api_keys, policies
from tests.contracts.decisions import a_record
from tests.http.conftest import app_over
from tests.support.builders import a_decision_request, an_approval
from tests.support.determinism import NOON
from tests.support.world import World

TOKEN = "an-administrators-token"
EXPLAIN = "/v1/admin/policy/explain"
ALLOWS = "apiVersion: stepup/v1\nactions:\n  payments.transfer: {default: allow}\n"
SECRETIVE = """
apiVersion: stepup/v1
actions:
  payments.transfer:
    attributes:
      iban: {type: string, sensitive: true, required: true}
    bind: [iban]
    rules:
      - {id: abroad, when: "!action.iban.startsWith('DE')", require: {level: phr}}
    default: {level: urn:stepup:acr:2}
"""


@pytest.fixture
async def admin(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    digest = hashlib.sha256(TOKEN.encode()).digest()
    site = msgspec.structs.replace(world.site, admin_token_digest=digest)
    async with app_over(world.ports._replace(site=site)) as client:
        client.headers["authorization"] = f"Bearer {TOKEN}"
        yield client


def asked(amount: str = "1500.00", **members: object) -> dict:
    return {
        "subject": {"type": "user", "id": "alice"},
        "action": {
            "name": "payments.transfer",
            "properties": {"amount": amount, "currency": "EUR", "payee": "Carol"},
        },
        **members,
    }


async def test_a_decision_is_told_with_everything_it_rests_on(
    admin: httpx2.AsyncClient, world: World
):
    await world.enroll_app()
    await world.enroll_passkey()
    answer = await admin.post(EXPLAIN, json=asked())

    assert answer.status_code == 200
    assert answer.headers["x-stepup-simulation"] == "true"
    told = answer.json()
    assert (told["decision"], told["rule"], told["policy_version"]) == ("step_up", "large", 1)
    small, large, default = told["rules"]
    assert (small["verdict"], large["verdict"], default["verdict"]) == (
        "not_matched",
        "matched",
        "not_reached",
    )
    assert [(part["condition"], part["value"]) for part in small["parts"]] == [
        ("action.amount > 0", True),
        ("action.amount <= 10000", False),
    ]
    amount = next(a for a in told["attributes"] if a["name"] == "action.amount")
    assert (amount["value"], amount["sent"]) == (150000, "1500.00")
    assert told["demand"]["required"]["level"] == "phr"
    assert told["demand"]["required"]["bind"] == ["amount", "currency", "payee"]
    assert told["demand"]["satisfied_by"] == [
        {"text": "a passkey that verified its user", "methods": ["webauthn"]}
    ]
    assert [(a["type"], a["usable"], a["why_not"]) for a in told["authenticators"]] == [
        ("totp", False, ["method_not_allowed"]),
        ("webauthn", True, []),
    ]


async def test_an_imagined_authentication_is_compared(admin: httpx2.AsyncClient):
    authentication = {"acr": "phr", "age": 3600, "for_this": True}
    told = (await admin.post(EXPLAIN, json=asked(authentication=authentication))).json()
    assert told["decision"] == "step_up"
    assert {each["point"]: each["met"] for each in told["demand"]["compared"]} == {
        "level": True,
        "methods": True,
        "own_ceremony": True,
        "bound_values": True,
        "once": True,
        "max_age": False,
    }
    age = told["demand"]["compared"][-1]
    assert (age["wanted"], age["found"]) == (21 * 60, 3600)


async def test_a_document_sent_along_is_explained_instead(admin: httpx2.AsyncClient):
    told = (await admin.post(EXPLAIN, json=asked(document=ALLOWS))).json()
    assert (told["decision"], told["reason"], told["policy_version"]) == (
        "allow",
        "not_required",
        None,
    )


async def test_a_version_is_explained_at_a_time(admin: httpx2.AsyncClient, world: World):
    await policies.activate(world.ports, ALLOWS, "carol")
    told = (await admin.post(EXPLAIN, json=asked(version=1, at="2027-01-31T12:00:00+02:00"))).json()
    assert (told["decision"], told["at"]) == ("allow", "2027-01-31T10:00:00Z")


async def test_a_run_time_error_names_the_condition_that_failed(admin: httpx2.AsyncClient):
    failing = ALLOWS.replace(
        "{default: allow}",
        "{rules: [{id: odd, when: 'size(subject.id) == 5 && 1 / 0 == 1', allow: true}], default: allow}",
    )
    told = (await admin.post(EXPLAIN, json=asked(document=failing))).json()
    assert told["error"] == "odd: divide by zero"
    assert told["rules"][0]["verdict"] == "failed"
    assert [part["error"] for part in told["rules"][0]["parts"]] == [None, "divide by zero"]
    assert told["demand"]["required"]["level"] == "phrh"


async def test_what_is_sensitive_does_not_come_back(admin: httpx2.AsyncClient):
    iban = "FR7630006000011234567890189"
    request = asked(document=SECRETIVE)
    request["action"]["properties"] = {"iban": iban}
    answer = await admin.post(EXPLAIN, json=request)
    assert answer.json()["rule"] == "abroad"
    assert iban not in answer.text


async def test_an_action_that_nobody_named_is_told_as_such(admin: httpx2.AsyncClient):
    request = asked() | {"action": {"name": "payments.steal"}}
    told = (await admin.post(EXPLAIN, json=request)).json()
    assert (told["decision"], told["reason"], told["named"]) == ("deny", "unknown_action", False)


@pytest.mark.parametrize(
    ("members", "status", "code"),
    [
        ({"version": 7}, 404, "version_not_found"),
        ({"draft": 7}, 404, "draft_not_found"),
        ({"version": 0}, 400, "invalid_request"),
        ({"version": 2**40}, 400, "invalid_request"),
        ({"version": 1, "document": ALLOWS}, 400, "invalid_request"),
        ({"document": "surprise: 1"}, 422, "policy_invalid"),
        ({"document": "[" * 5000}, 422, "policy_invalid"),
        ({"document": "x" * (4 * 1024 * 1024)}, 413, "body_too_large"),
        ({"at": "yesterday"}, 400, "invalid_request"),
        ({"at": "2027-01-31T12:00:00"}, 400, "invalid_request"),
        ({"at": "0001-01-01T00:00:00+01:00"}, 400, "invalid_request"),
        ({"at": "9999-12-31T23:59:59-01:00"}, 400, "invalid_request"),
        ({"authentication": {"acr": "phr", "age": 1, "auth_time": 1}}, 400, "invalid_request"),
        ({"authentication": {"acr": "phr", "age": 10**12}}, 400, "invalid_request"),
        ({"authentication": {"acr": "phr", "surprise": 1}}, 400, "invalid_request"),
        ({"surprise": 1}, 400, "invalid_request"),
    ],
)
async def test_what_cannot_be_explained_is_refused(
    admin: httpx2.AsyncClient, members: dict, status: int, code: str
):
    answer = await admin.post(EXPLAIN, json=asked(**members))
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_errors_of_a_document_say_where(admin: httpx2.AsyncClient):
    answer = await admin.post(EXPLAIN, json=asked(document=ALLOWS.replace("default", "defualt")))
    assert answer.status_code == 422
    assert any("did you mean" in finding["message"] for finding in answer.json()["findings"])


@pytest.mark.parametrize("sub", ["a\0b", "\u0430", "x" * 1024])
async def test_subjects_may_have_any_name(admin: httpx2.AsyncClient, sub: str):
    request = asked() | {"subject": {"type": "user", "id": sub}}
    assert (await admin.post(EXPLAIN, json=request)).status_code == 200


# --- decisions that were made -----------------------------------------------------------------


async def kept(world: World, **changes: object) -> str:
    """A record of the transfer that `asked` asks about, by the first version."""
    version = await policies.activate(world.ports, world.document, "carol")
    request = a_decision_request(
        action_properties={"amount": "1500.00", "currency": "EUR", "payee": "Carol"}
    )
    record = a_record(
        NOON,
        request=request,
        approval=an_approval("phrh"),
        policy_version=version.version,
        rule="large",
        **changes,
    )
    async with world.ports.database.transaction() as stores:
        await stores.decisions.add_all([record])
    await policies.activate(world.ports, ALLOWS, "carol")
    return f"/v1/admin/decisions/{record.id}/explanation"


async def test_a_recorded_decision_is_explained_by_the_version_that_made_it(
    admin: httpx2.AsyncClient, world: World
):
    answer = await admin.get(await kept(world))
    assert answer.status_code == 200
    assert "x-stepup-simulation" not in answer.headers
    told = answer.json()
    assert (told["decision"], told["rule"], told["policy_version"]) == ("step_up", "large", 1)
    assert told["at"] == "2026-11-21T12:00:00Z"
    assert [each["point"] for each in told["demand"]["compared"] if not each["met"]] == [
        "own_ceremony"
    ]
    assert told["authenticators"] is None


async def test_into_a_digest_nobody_looks(admin: httpx2.AsyncClient, world: World):
    answer = await admin.get(await kept(world, digested=frozenset({"action.payee"})))
    assert (answer.status_code, answer.json()["code"]) == (422, "decision_digested")


async def test_a_decision_that_is_not_recorded_cannot_be_explained(admin: httpx2.AsyncClient):
    answer = await admin.get("/v1/admin/decisions/made-up/explanation")
    assert (answer.status_code, answer.json()["code"]) == (404, "decision_not_found")


# --- who may ask ------------------------------------------------------------------------------


async def a_key(world: World, *scopes: Scope) -> dict[str, str]:
    made = await api_keys.create(
        world.ports, world.keyring, "ci", scopes, expires_at=None, by="host:root"
    )
    return {"authorization": f"Bearer {made.text}"}


async def test_who_may_not_read_subjects_sees_no_authenticators(
    http: httpx2.AsyncClient, world: World
):
    await world.enroll_app()
    headers = await a_key(world, Scope.POLICY_READ)
    answer = await http.post(EXPLAIN, json=asked(), headers=headers)
    assert (answer.status_code, answer.json()["authenticators"]) == (200, None)


async def test_who_may_not_read_policies_is_told_nothing(http: httpx2.AsyncClient, world: World):
    path = await kept(world)
    headers = await a_key(world, Scope.DECISIONS_READ)
    for answer in (
        await http.post(EXPLAIN, json=asked(), headers=headers),
        await http.get(path, headers=headers),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")


async def test_a_client_cannot_ask(http: httpx2.AsyncClient):
    answer = await http.post(EXPLAIN, json=asked(), auth=("bank", "a-secret-of-full-entropy"))
    assert answer.status_code == 401


async def test_an_authzen_answer_holds_nothing_of_an_explanation(http: httpx2.AsyncClient):
    request = asked() | {"resource": {"type": "account", "id": "1"}}
    answer = await http.post(
        "/access/v1/evaluation", json=request, auth=("bank", "a-secret-of-full-entropy")
    )
    assert answer.json()["context"].keys() <= {
        "acr_values", "amr_values", "decision_id", "guardrails", "max_age", "methods", "obligations",
        "policy_version", "rule", "step_up_ticket", "step_up_uri",
    }  # fmt: skip
