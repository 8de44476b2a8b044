"""`/v1/admin/policy/...`: drafts, approvals, activation, versions and the way back."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2
import msgspec
import pytest

from stepup.domain.administrator import DEVELOPER, Administrator
from stepup.domain.ids import AdministratorId
from stepup.policy_language.text_difference import text_difference
from stepup.usecases import drafts, policies
from stepup.usecases.drafts import NewDraft
from tests.http.conftest import app_over
from tests.support.memory_database import AwayDatabase
from tests.support.world import World

TOKEN = "an-administrators-token"
POLICY = "/v1/admin/policy"
DRAFTS = f"{POLICY}/drafts"
ALICE = Administrator(id=AdministratorId("alice"), name="Alice", scopes=frozenset())


def text_of(action: str) -> str:
    return f"apiVersion: stepup/v1\nactions:\n  {action}: {{default: allow}}\n"


@pytest.fixture
def world() -> World:
    """A deployment in which one other must approve, with the developer's token."""
    world = World()
    site = msgspec.structs.replace(
        world.site,
        policy_approvals=1,
        admin_token_digest=hashlib.sha256(TOKEN.encode()).digest(),
    )
    world.ports = world.ports._replace(site=site)
    return world


@pytest.fixture
async def admin(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    await policies.activate(world.ports, text_of("pay"), "first start")
    async with app_over(world.ports) as client:
        client.headers["authorization"] = f"Bearer {TOKEN}"
        yield client


async def drafted_by_alice(world: World, action: str = "sell") -> str:
    draft = await drafts.begin(world.ports, NewDraft("Alice's", text_of(action)), ALICE)
    return f"{DRAFTS}/{draft.id}"


async def approved(admin: httpx2.AsyncClient, draft: str) -> dict[str, str]:
    """Approve a draft; returns the headers with which it can be activated."""
    digest = (await admin.get(draft)).json()["digest"]
    answer = await admin.post(f"{draft}/approvals", json={"digest": digest})
    assert answer.status_code == 200, answer.text
    return {"if-match": answer.headers["etag"]}


async def test_a_draft_is_begun_read_and_changed_by_who_has_seen_it(admin: httpx2.AsyncClient):
    begun = await admin.post(DRAFTS, json={"name": "selling", "document": text_of("sell")})
    assert (begun.status_code, begun.headers["etag"]) == (201, '"1"')
    assert begun.headers["location"] == f"{DRAFTS}/1"

    read = await admin.get(begun.headers["location"])
    assert read.headers["etag"] == '"1"'
    assert read.json() == begun.json() | {"document": text_of("sell")}
    assert (read.json()["needed"], read.json()["approvals"]) == (1, [])

    change = {"name": "selling more", "document": text_of("more")}
    saved = await admin.put(begun.headers["location"], json=change, headers={"if-match": '"1"'})
    assert (saved.status_code, saved.headers["etag"]) == (200, '"2"')
    assert saved.json()["name"] == "selling more"


async def test_two_admins_who_save_at_once_one_wins_and_the_other_loses_nothing(
    admin: httpx2.AsyncClient,
):
    draft = (await admin.post(DRAFTS, json={"name": "x"})).headers["location"]
    answers = await asyncio.gather(
        *(
            admin.put(draft, json={"document": text_of(f"a{n}")}, headers={"if-match": '"1"'})
            for n in range(2)
        )
    )
    lost, won = sorted(answers, key=lambda answer: -answer.status_code)
    assert (won.status_code, lost.status_code) == (200, 412)
    assert (lost.headers["etag"], lost.json()["code"]) == ('"2"', "revision_stale")
    assert lost.json()["revision"] == 2


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST"])
async def test_who_names_no_revision_changes_nothing(admin: httpx2.AsyncClient, method: str):
    draft = (await admin.post(DRAFTS, json={"name": "x"})).headers["location"]
    path = f"{draft}/activation" if method == "POST" else draft
    for sent, status in ((None, 428), ("*", 400), ('"x"', 400), ('W/"1"', 400), ('"1", "2"', 400)):
        headers = {} if sent is None else {"if-match": sent}
        answer = await admin.request(method, path, json={}, headers=headers)
        assert answer.status_code == status, sent
    assert (await admin.get(draft)).headers["etag"] == '"1"'


async def test_approved_by_another_a_draft_becomes_a_version(
    admin: httpx2.AsyncClient, world: World
):
    draft = await drafted_by_alice(world)
    early = await admin.post(f"{draft}/activation", json={}, headers={"if-match": '"1"'})
    assert (early.status_code, early.json()["code"]) == (409, "approval_required")
    assert (early.json()["approvals"], early.json()["needed"]) == (0, 1)

    seen = await approved(admin, draft)
    active = await admin.post(f"{draft}/activation", json={}, headers=seen)
    assert (active.status_code, active.json()["version"]) == (200, 2)

    version = (await admin.get(f"{POLICY}/versions/2")).json()
    assert (version["document"], version["approvers"]) == (text_of("sell"), ["administrator"])
    assert version == (await admin.get(POLICY)).json()
    assert (await admin.get(draft)).json()["state"] == "activated"


async def test_nobody_approves_his_own_draft(admin: httpx2.AsyncClient):
    draft = (await admin.post(DRAFTS, json={"name": "x"})).headers["location"]
    digest = (await admin.get(draft)).json()["digest"]
    answer = await admin.post(f"{draft}/approvals", json={"digest": digest})
    assert (answer.status_code, answer.json()["code"]) == (403, "own_draft")


async def test_an_approval_of_an_old_text_is_told_the_new_digest(
    admin: httpx2.AsyncClient, world: World
):
    draft = await drafted_by_alice(world)
    answer = await admin.post(f"{draft}/approvals", json={"digest": "0" * 64})
    assert (answer.status_code, answer.json()["code"]) == (409, "digest_changed")
    assert answer.json()["digest"] == (await admin.get(draft)).json()["digest"]


async def test_a_version_activated_meanwhile_is_not_undone(admin: httpx2.AsyncClient, world: World):
    draft = await drafted_by_alice(world)
    seen = await approved(admin, draft)
    await policies.force(world.ports, text_of("urgent"), "host", "an incident")
    answer = await admin.post(f"{draft}/activation", json={}, headers=seen)
    assert (answer.status_code, answer.json()["code"]) == (409, "base_changed")
    assert (answer.json()["base"], answer.json()["active"]) == (1, 2)

    rebased = await admin.put(draft, json={"base": 2}, headers=seen)
    assert (rebased.json()["base"], rebased.json()["approvals"]) == (2, [])
    seen = await approved(admin, draft)
    assert (await admin.post(f"{draft}/activation", json={}, headers=seen)).status_code == 200


async def test_an_approval_can_be_taken_back(admin: httpx2.AsyncClient, world: World):
    draft = await drafted_by_alice(world)
    await approved(admin, draft)
    assert (await admin.delete(f"{draft}/approvals")).status_code == 204
    assert (await admin.get(draft)).json()["approvals"] == []


async def test_an_activation_is_scheduled_and_canceled(admin: httpx2.AsyncClient, world: World):
    draft = await drafted_by_alice(world)
    seen = await approved(admin, draft)
    at = (world.clock.now() + timedelta(hours=1)).isoformat()
    planned = await admin.post(f"{draft}/activation", json={"at": at}, headers=seen)
    assert planned.status_code == 200
    assert planned.json()["version"] is None
    shown = (await admin.get(draft)).json()
    assert (shown["state"], shown["scheduled_by"]) == ("scheduled", DEVELOPER.id)

    edit = await admin.put(draft, json={"name": "x"}, headers={"if-match": '"3"'})
    assert (edit.status_code, edit.json()["code"]) == (409, "draft_scheduled")
    assert (await admin.delete(f"{draft}/activation")).status_code == 204
    assert (await admin.get(draft)).json()["state"] == "open"

    for wrong in ("2020-01-01T00:00:00Z", "2026-11-22T12:00:00", "tomorrow"):
        body = {"at": wrong}
        answer = await admin.post(f"{draft}/activation", json=body, headers={"if-match": '"4"'})
        assert answer.status_code == 400, wrong


async def test_a_discarded_draft_can_be_read_and_nothing_else(admin: httpx2.AsyncClient):
    draft = (await admin.post(DRAFTS, json={"name": "x"})).headers["location"]
    assert (await admin.delete(draft, headers={"if-match": '"1"'})).status_code == 204
    assert (await admin.get(draft)).json()["state"] == "discarded"
    answer = await admin.put(draft, json={"name": "y"}, headers={"if-match": '"2"'})
    assert (answer.status_code, answer.json()["code"]) == (409, "draft_closed")


async def test_a_draft_is_marked_as_shadow_and_no_more(admin: httpx2.AsyncClient, world: World):
    draft = await drafted_by_alice(world)
    assert (await admin.put(f"{draft}/shadow")).status_code == 204
    async with world.ports.database.transaction() as stores:
        assert (await stores.policies.find_shadow()).document == text_of("sell")
    assert (await admin.delete(f"{draft}/shadow")).status_code == 204
    async with world.ports.database.transaction() as stores:
        assert await stores.policies.find_shadow() is None


async def test_a_copy_is_made_of_a_draft(admin: httpx2.AsyncClient, world: World):
    await drafted_by_alice(world)
    copy = await admin.post(DRAFTS, json={"name": "copy", "copy_of": 1})
    assert copy.json()["authors"] == ["alice", "development"]
    both = await admin.post(DRAFTS, json={"name": "copy", "copy_of": 1, "document": "x"})
    nothing = await admin.post(DRAFTS, json={"name": "copy", "copy_of": 99})
    assert (both.status_code, nothing.status_code) == (400, 404)


# --- differences ------------------------------------------------------------------------------


async def test_the_difference_to_the_active_version_is_a_unified_diff(
    admin: httpx2.AsyncClient, world: World
):
    draft = await drafted_by_alice(world)
    shown = (await admin.get(f"{draft}/diff")).json()
    assert shown["version"] == 1
    assert shown["text"].splitlines() == [
        "--- version 1",
        "+++ draft 1",
        "@@ -1,3 +1,3 @@",
        " apiVersion: stepup/v1",
        " actions:",
        "-  pay: {default: allow}",
        "+  sell: {default: allow}",
    ]
    assert [(each["direction"], each["text"]) for each in shown["meaning"]] == [
        ("weaker", "sell: new action: otherwise allowed"),
        ("stricter", "pay: no longer there, and so denied"),
    ]
    assert (await admin.get(f"{draft}/diff?against=1")).json() == shown
    for wrong in ("2", "0", "x", "-1", "9" * 30):
        assert (await admin.get(f"{draft}/diff?against={wrong}")).status_code == 404


async def test_what_cannot_be_read_has_no_meaning(admin: httpx2.AsyncClient):
    begun = await admin.post(DRAFTS, json={"name": "torn", "document": "apiVersion: ["})
    shown = (await admin.get(f"{DRAFTS}/{begun.json()['id']}/diff")).json()
    assert (shown["meaning"], "+apiVersion: [" in shown["text"]) == (None, True)


TEXTS = {
    "nothing": ("a\nb\n", "a\nb\n", ""),
    "no newline at the end": (
        "a",
        "a\n",
        "--- x\n+++ y\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n",
    ),
    "a form feed ends no line": (
        "a\x0cb\n",
        "a\x0cc\n",
        "--- x\n+++ y\n@@ -1 +1 @@\n-a\x0cb\n+a\x0cc\n",
    ),
    "the first document": ("", "a\n", "--- x\n+++ y\n@@ -0,0 +1 @@\n+a\n"),
}


@pytest.mark.parametrize(("before", "after", "expected"), TEXTS.values(), ids=TEXTS)
def test_texts_differ_by_lines(before: str, after: str, expected: str):
    assert text_difference(before, after, ("x", "y")) == expected


# --- versions ---------------------------------------------------------------------------------


async def test_versions_are_paged_and_a_new_one_moves_nothing(
    admin: httpx2.AsyncClient, world: World
):
    for number in range(4):
        await policies.force(world.ports, text_of(f"a{number}"), "host", "a test")
    first = (await admin.get(f"{POLICY}/versions?limit=2")).json()
    assert [one["version"] for one in first["versions"]] == [5, 4]
    assert "document" not in first["versions"][0]
    await policies.force(world.ports, text_of("meanwhile"), "host", "a test")

    path = f"{POLICY}/versions?limit=2&page_token="
    second = (await admin.get(path + first["next_token"])).json()
    third = (await admin.get(path + second["next_token"])).json()
    assert [one["version"] for one in second["versions"]] == [3, 2]
    assert [one["version"] for one in third["versions"]] == [1]
    assert third["next_token"] == ""


@pytest.mark.parametrize("kind", ["versions", "drafts"])
@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "page_token=x", "page_token=%00", "surprise=1"]
)
async def test_a_page_that_nobody_gave_out_is_refused(
    admin: httpx2.AsyncClient, kind: str, query: str
):
    assert (await admin.get(f"{POLICY}/{kind}?{query}")).status_code == 400


async def test_drafts_are_paged(admin: httpx2.AsyncClient):
    for number in range(3):
        await admin.post(DRAFTS, json={"name": f"draft {number}"})
    first = (await admin.get(f"{DRAFTS}?limit=2")).json()
    rest = (await admin.get(f"{DRAFTS}?page_token={first['next_token']}")).json()
    assert [one["id"] for one in (*first["drafts"], *rest["drafts"])] == [3, 2, 1]
    assert rest["next_token"] == ""


async def test_a_rollback_is_a_new_version(admin: httpx2.AsyncClient, world: World):
    for action in ("first", "second"):
        draft = await drafted_by_alice(world, action)
        seen = await approved(admin, draft)
        await admin.post(f"{draft}/activation", json={}, headers=seen)
    answer = await admin.post(f"{POLICY}/versions/2/rollback", json={"note": "a mistake"})
    assert answer.status_code == 200
    assert (answer.json()["version"], answer.json()["rolled_back_from"]) == (4, 2)
    assert (await admin.get(POLICY)).json()["document"] == text_of("first")

    # The very first version was approved by nobody.
    refused = await admin.post(f"{POLICY}/versions/1/rollback", json={"note": "a mistake"})
    assert (refused.status_code, refused.json()["code"]) == (409, "approval_required")


async def test_whoever_must_be_approved_does_not_activate_at_once(admin: httpx2.AsyncClient):
    answer = await admin.put(POLICY, content=text_of("alone"))
    assert (answer.status_code, answer.json()["code"]) == (409, "approval_required")
    assert (await admin.get(POLICY)).json()["version"] == 1


# --- checks and bad input ---------------------------------------------------------------------


async def test_a_text_is_checked_and_its_tests_are_run(admin: httpx2.AsyncClient):
    good = (await admin.post(f"{POLICY}/check", content=text_of("pay"))).json()
    assert (good["valid"], [f for f in good["findings"] if f["severity"] == "error"]) == (True, [])
    failing = text_of("pay").replace(
        "{default: allow}",
        "{default: allow, tests: [{name: never, request: {}, expect: deny}]}",
    )
    found = (await admin.post(f"{POLICY}/check", content=failing)).json()
    assert (found["valid"], found["findings"][-1]["code"]) == (False, "SU040")
    [test] = found["tests"]
    assert (test["action"], test["name"], len(test["failures"])) == ("pay", "never", 1)
    passing = failing.replace("expect: deny", "expect: allow")
    found = (await admin.post(f"{POLICY}/check", content=passing)).json()
    assert found["tests"] == [{"action": "pay", "name": "never", "failures": []}]
    mistyped = (
        await admin.post(f"{POLICY}/check", content=text_of("pay") + "guardrail: []")
    ).json()
    assert "did you mean `guardrails`" in mistyped["findings"][0]["message"]


@pytest.mark.parametrize("number", ["0", "x", "-1", "1.0", "٣", "9" * 40])
async def test_what_is_no_number_is_not_found(admin: httpx2.AsyncClient, number: str):
    assert (await admin.get(f"{POLICY}/versions/{number}")).status_code == 404
    assert (await admin.get(f"{DRAFTS}/{number}")).status_code == 404


BAD_BODIES = {
    "no name": {},
    "an empty name": {"name": ""},
    "a name with a line break": {"name": "a\nb"},
    "a name without an end": {"name": "x" * 201},
    "an unknown member": {"name": "x", "text": "y"},
    "NUL in the text": {"name": "x", "document": "\0"},
    "a copy of nothing": {"name": "x", "copy_of": "1"},
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
async def test_a_draft_that_cannot_be_is_refused(admin: httpx2.AsyncClient, body: dict):
    assert (await admin.post(DRAFTS, json=body)).status_code == 400


async def test_a_document_of_a_mebibyte_is_kept_and_one_byte_more_is_not(
    admin: httpx2.AsyncClient,
):
    longest = "#" + '"' * (1024 * 1024 - 1)
    kept = await admin.post(DRAFTS, json={"name": "long", "document": longest})
    assert kept.status_code == 201
    more = await admin.post(DRAFTS, json={"name": "long", "document": longest + "#"})
    assert (more.status_code, more.json()["code"]) == (413, "body_too_large")
    endless = await admin.post(DRAFTS, json={"name": "long", "document": '"' * 3_000_000})
    assert endless.status_code == 413


async def test_a_document_of_a_mebibyte_may_come_as_ascii(admin: httpx2.AsyncClient):
    umlauts = "#" + "ü" * (512 * 1024 - 1)
    body = json.dumps({"name": "long", "document": umlauts})

    kept = await admin.post(
        DRAFTS, content=body.encode(), headers={"content-type": "application/json"}
    )

    assert kept.status_code == 201


async def test_while_the_database_is_away_everything_is_to_be_tried_again(world: World):
    away = world.ports._replace(database=AwayDatabase(world.clock))
    async with app_over(away) as client:
        client.headers["authorization"] = f"Bearer {TOKEN}"
        for method, path, body in (
            ("GET", DRAFTS, None),
            ("POST", DRAFTS, {"name": "x", "document": text_of("x")}),
            ("PUT", f"{DRAFTS}/1", {"name": "x"}),
            ("POST", f"{DRAFTS}/1/approvals", {"digest": "0" * 64}),
            ("POST", f"{DRAFTS}/1/activation", {}),
            ("GET", f"{POLICY}/versions", None),
            ("POST", f"{POLICY}/versions/1/rollback", {"note": "x"}),
        ):
            answer = await client.request(method, path, json=body, headers={"if-match": '"1"'})
            assert (answer.status_code, answer.headers.get("retry-after")) == (503, "1"), path


@pytest.mark.parametrize("name", ["a\n", "\x1b[2K", "\x9b2K", "good \u202edab", ""])
async def test_no_name_moves_a_cursor_or_ends_a_line(admin: httpx2.AsyncClient, name: str):
    answer = await admin.post(DRAFTS, json={"name": name})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
