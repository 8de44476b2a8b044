"""`/v1/admin/policy/replay`: what a document would have made of recorded decisions."""

import hashlib
from collections.abc import AsyncIterator

import httpx2
import msgspec
import pytest

from stepup.usecases import policies, replay
from tests.http.conftest import app_over
from tests.support.builders import a_decision_request, a_recorded_decision
from tests.support.world import World

TOKEN = "an-administrators-token"
REPLAY = "/v1/admin/policy/replay"
OPEN = "apiVersion: stepup/v1\nactions:\n  pay: {default: allow}\n"
CLOSED = "apiVersion: stepup/v1\nactions:\n  pay: {default: {level: phr}}\n"


@pytest.fixture
async def admin(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    """An administrator of a world in which something was decided."""
    site = msgspec.structs.replace(
        world.site, admin_token_digest=hashlib.sha256(TOKEN.encode()).digest()
    )
    await policies.activate(world.ports, OPEN, "carol")
    async with world.ports.database.transaction() as stores:
        request = a_decision_request(action="pay", action_properties={})
        await stores.decisions.add_all(
            [
                a_recorded_decision(request=request, policy_version=1, rule=None, id=f"{n:012x}.r")
                for n in range(3)
            ]
        )
    async with app_over(world.ports._replace(site=site)) as client:
        client.headers["authorization"] = f"Bearer {TOKEN}"
        yield client


async def test_says_what_would_change(admin: httpx2.AsyncClient):
    answer = await admin.post(REPLAY, json={"document": CLOSED, "limit": 2})

    assert answer.status_code == 200
    report = answer.json()
    assert (report["active_version"], report["recorded"], report["is_complete"]) == (1, 2, False)
    assert report["actions"][0]["differences"] == {"allow_to_step_up": 2}
    assert report["examples"][0]["after"]["acr"] == "phr"
    assert report["subjects"]["cannot_pass"] == 2


async def test_only_of_the_time_and_the_actions_that_are_asked_about(admin: httpx2.AsyncClient):
    for only in ({"actions": ["other"]}, {"until": "2020-01-01T00:00:00Z"}):
        answer = await admin.post(REPLAY, json={"document": CLOSED, **only})
        assert answer.json()["recorded"] == 0


async def test_a_document_with_errors_comes_back_with_its_findings(admin: httpx2.AsyncClient):
    answer = await admin.post(REPLAY, json={"document": CLOSED + "surprise: 1\n"})

    assert (answer.status_code, answer.json()["code"]) == (422, "policy_invalid")
    assert answer.json()["findings"][0]["path"] == "surprise"


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"document": OPEN, "limit": 0},
        {"document": OPEN, "limit": 100_001},
        {"document": OPEN, "since": "2026-01-01T00:00:00"},
        {"document": OPEN, "sinse": "2026-01-01T00:00:00Z"},
    ],
)
async def test_a_malformed_question_is_a_400(admin: httpx2.AsyncClient, wrong: dict):
    assert (await admin.post(REPLAY, json=wrong)).status_code == 400


async def test_a_second_one_is_asked_to_wait(
    admin: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(replay, "_turn", Taken())
    answer = await admin.post(REPLAY, json={"document": CLOSED})

    assert (answer.status_code, answer.json()["code"]) == (429, "replay_running")
    assert answer.headers["retry-after"] == "15"


async def test_nobody_replays_without_being_an_administrator(admin: httpx2.AsyncClient):
    answer = await admin.post(
        REPLAY, json={"document": OPEN}, headers={"authorization": "Bearer x"}
    )
    assert answer.status_code == 401


async def test_a_draft_that_is_not_there(admin: httpx2.AsyncClient):
    answer = await admin.post("/v1/admin/policy/drafts/7/replay", json={})
    assert (answer.status_code, answer.json()["code"]) == (404, "draft_not_found")


class Taken:
    """A turn that somebody has."""

    def acquire(self, *, blocking: bool) -> bool:
        return blocking
