"""`GET /v1/admin/policy/shadow`: what the shadow would have answered."""

import hashlib
from collections.abc import AsyncIterator

import httpx2
import msgspec
import pytest

from stepup.domain.ids import AdministratorId, DraftId
from stepup.policy_language import document
from stepup.ports import Shadow, ShadowPolicy
from stepup.usecases import decide, shadow
from tests.http.conftest import app_over
from tests.support.determinism import NOON
from tests.support.world import World
from tests.usecases.steps import a_question

TOKEN = "an-administrators-token"
SHADOW = "/v1/admin/policy/shadow"
OTHER = "apiVersion: stepup/v1\nactions:\n  payments.transfer: {default: deny}\n"


@pytest.fixture
async def admin(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    site = msgspec.structs.replace(
        world.site, admin_token_digest=hashlib.sha256(TOKEN.encode()).digest()
    )
    async with app_over(world.ports._replace(site=site)) as client:
        client.headers["authorization"] = f"Bearer {TOKEN}"
        yield client


async def test_without_a_shadow_there_is_none(admin: httpx2.AsyncClient):
    answer = await admin.get(SHADOW)
    assert (answer.status_code, answer.json()["code"]) == (404, "shadow_not_found")


async def test_says_how_often_and_how_it_differs(admin: httpx2.AsyncClient, world: World):
    marked = ShadowPolicy(
        draft=DraftId(7), digest="d", document=OTHER, by=AdministratorId("carol"), at=NOON
    )
    async with world.ports.database.transaction() as stores:
        await stores.policies.put_shadow(marked)
    policy = document.parse(OTHER, version=0)
    world.snapshot.held_shadow = Shadow(draft=marked.draft, digest="d", policy=policy)
    await decide.decide(world.ports, world.bank, a_question("50.00"))
    follower = shadow.Follower(world.ports)
    await follower.evaluate()
    await follower.count()

    told = (await admin.get(SHADOW)).json()

    assert (told["draft"], told["decisions"], told["differing"]) == (7, 1, 1)
    assert told["differences"] == [
        {"action": "payments.transfer", "difference": "allow_to_deny", "decisions": 1}
    ]
    assert told["examples"][0]["after"]["outcome"] == "deny"
