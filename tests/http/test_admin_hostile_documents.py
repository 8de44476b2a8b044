"""Hostile policy documents over HTTP: a problem of some size, and nothing is activated."""

import hashlib
from collections.abc import AsyncIterator

import httpx2
import msgspec
import pytest

from tests.http.conftest import app_over
from tests.policy_language.hostile import ANYTHING, HOSTILE
from tests.support.world import World

TOKEN = "an-administrators-token"
POLICY = "/v1/admin/policy"


@pytest.fixture
async def admin(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    """An administrator of the world."""
    site = msgspec.structs.replace(
        world.site, admin_token_digest=hashlib.sha256(TOKEN.encode()).digest()
    )
    async with app_over(world.ports._replace(site=site)) as client:
        client.headers.update({"authorization": f"Bearer {TOKEN}"})
        yield client


@pytest.mark.parametrize("name", HOSTILE)
async def test_is_a_problem_and_nothing_is_activated(admin: httpx2.AsyncClient, name: str):
    text, code = HOSTILE[name]
    answer = await admin.put(POLICY, content=text.encode("utf-8", "surrogatepass"))
    assert len(answer.content) < 200_000
    if code is ANYTHING:
        assert answer.status_code == 200
        return
    assert answer.status_code in {400, 413, 422}
    assert answer.headers["content-type"] == "application/problem+json"
    if answer.status_code == 422:
        assert code in {finding["code"] for finding in answer.json()["findings"]}
    assert (await admin.get(POLICY)).json()["code"] == "policy_not_found"


async def test_bytes_that_are_no_text_are_a_problem(admin: httpx2.AsyncClient):
    answer = await admin.put(POLICY, content=b"apiVersion: \xc3\x28\n")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
