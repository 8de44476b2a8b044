"""Pipelines with keys: what lets them in, and what must not."""

from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from stepup.crypto import api_keys as crypto
from stepup.domain.admin_errors import InsufficientScopeError
from stepup.domain.administrator import (
    SCOPES_OF_KEYS,
    AdminAction,
    AdministratorKind,
    ApiKey,
    Scope,
)
from stepup.domain.errors import InvalidRequestError
from stepup.domain.ids import ApiKeyId
from stepup.usecases import admin, api_keys
from tests.http.admin_visit import DOCUMENT, POLICY, bearer
from tests.http.conftest import app_over
from tests.support.memory_database import AwayDatabase
from tests.support.world import World

READER = (Scope.POLICY_READ,)


async def made(world: World, *scopes: Scope, name: str = "ci", **more: Any) -> api_keys.MadeKey:
    terms: dict[str, Any] = {"expires_at": None, "by": "host:root"} | more
    return await api_keys.create(world.ports, world.keyring, name, scopes or READER, **terms)


async def look(http: httpx2.AsyncClient, key: str) -> httpx2.Response:
    """Read the policy, of which there is none yet: 404 is behind the gate."""
    return await http.get(POLICY, headers=bearer(key))


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


BEHIND_THE_GATE = (404, "policy_not_found")
REFUSED = (401, "not_authorized")


async def test_a_key_opens_what_it_was_made_for_and_nothing_else(
    world: World, http: httpx2.AsyncClient
):
    key = (await made(world)).text

    assert code_of(await look(http, key)) == BEHIND_THE_GATE
    put = await http.put(POLICY, content=DOCUMENT, headers=bearer(key))
    assert code_of(put) == (403, "insufficient_scope")
    assert put.json()["scope"] == "policy:activate"
    assert put.headers["www-authenticate"].endswith('scope="policy:activate"')


async def test_a_key_made_for_it_activates(world: World, http: httpx2.AsyncClient):
    key = (await made(world, Scope.POLICY_ACTIVATE)).text

    assert (await http.put(POLICY, content=DOCUMENT, headers=bearer(key))).status_code == 200


async def test_no_key_can_be_made_that_approves(world: World):
    for scopes in ((Scope.POLICY_APPROVE,), tuple(Scope), ()):
        with pytest.raises(InvalidRequestError):
            await api_keys.create(
                world.ports, world.keyring, "ci", scopes, expires_at=None, by="host:root"
            )
    with pytest.raises(ValueError, match="approves nothing"):
        ApiKey(
            id=ApiKeyId("ff"),
            name="ci",
            digest=b"",
            scopes=frozenset({Scope.POLICY_APPROVE}),
            created_by="host:root",
            created_at=world.clock.now(),
        )


async def test_a_stolen_key_opens_nothing_once_it_is_revoked(
    world: World, http: httpx2.AsyncClient
):
    key = (await made(world)).text
    assert code_of(await look(http, key)) == BEHIND_THE_GATE

    assert await api_keys.revoke(world.ports, "ci", "host:root") is not None

    assert code_of(await look(http, key)) == REFUSED
    assert await api_keys.revoke(world.ports, "ci", "host:root") is None


async def test_an_expired_key_opens_nothing(world: World, http: httpx2.AsyncClient):
    key = (await made(world, expires_at=world.clock.now() + timedelta(days=90))).text

    world.clock.advance(timedelta(days=90, seconds=-1))
    assert code_of(await look(http, key)) == BEHIND_THE_GATE
    world.clock.advance(timedelta(seconds=1))
    assert code_of(await look(http, key)) == REFUSED


async def test_forged_prefix_a_secret_of_one_s_own_opens_nothing(
    world: World, http: httpx2.AsyncClient
):
    ours = (await made(world)).key
    for forged in (
        crypto.write(ours.id, bytes(32)),
        crypto.write(ApiKeyId("00112233445566aa"), bytes(32)),
        f"suk_{ours.id}_",
        "suk_",
        f"suk_{world.subject_token()}",
    ):
        assert code_of(await look(http, forged)) == REFUSED


async def test_a_secret_of_another_key_does_not_open_this_one(
    world: World, http: httpx2.AsyncClient
):
    weak, strong = await made(world), await made(world, *SCOPES_OF_KEYS, name="strong")
    secret = crypto.read(weak.text).secret

    assert code_of(await look(http, crypto.write(strong.key.id, secret))) == REFUSED


@pytest.mark.parametrize("where", ["?access_token={}", "?api_key={}", "?key={}"])
async def test_a_key_in_the_query_opens_nothing(
    world: World, http: httpx2.AsyncClient, where: str, log_lines: list[dict]
):
    key = (await made(world)).text

    assert code_of(await http.get(POLICY + where.format(key))) == REFUSED
    assert key not in str(log_lines)


async def test_a_key_as_a_basic_password_opens_nothing(world: World, http: httpx2.AsyncClient):
    key = (await made(world)).text

    assert code_of(await http.get(POLICY, auth=("ci", key))) == REFUSED


async def test_two_authorization_headers_open_nothing(world: World, http: httpx2.AsyncClient):
    key = (await made(world)).text
    twice = [("authorization", f"Bearer {key}"), ("authorization", f"Bearer {key}")]

    assert code_of(await http.get(POLICY, headers=twice)) == REFUSED


async def test_a_key_is_never_logged_and_who_came_is(
    world: World, http: httpx2.AsyncClient, log_lines: list[dict]
):
    both = await made(world)
    await look(http, both.text)
    secret = crypto.read(both.text).secret.hex()

    assert [line["administrator"] for line in log_lines] == [f"key:{both.key.id}"]
    assert secret not in str(log_lines)
    assert secret not in repr((both, world.ports.database.tables))


async def test_nothing_that_is_kept_is_the_secret(world: World):
    both = await made(world)
    secret = crypto.read(both.text).secret

    async with world.ports.database.transaction() as stores:
        kept = await stores.api_keys.find(both.key.id)
    assert secret not in {kept.digest, kept.id.encode()}
    assert secret.hex() not in str([e.details for e in world.ports.database.tables.events()])


async def test_the_last_use_is_noted_every_few_minutes(world: World, http: httpx2.AsyncClient):
    both = await made(world)
    noted = []
    for _ in range(4):
        await look(http, both.text)
        async with world.ports.database.transaction() as stores:
            noted.append((await stores.api_keys.find(both.key.id)).last_used_at)
        world.clock.advance(timedelta(minutes=2))
    first = noted[0]
    assert noted == [first, first, first, first + timedelta(minutes=6)]


async def test_making_and_revoking_are_in_the_audit_log(world: World):
    both = await made(world, Scope.POLICY_DRAFT, Scope.POLICY_READ)
    await api_keys.revoke(world.ports, both.key.id, "host:eve")

    told = [(e.kind.value, e.details) for e in world.ports.database.tables.events()]
    assert told == [
        (
            "api_key.created",
            {
                "key": both.key.id,
                "name": "ci",
                "scopes": "policy:draft policy:read",
                "by": "host:root",
            },
        ),
        ("api_key.revoked", {"key": both.key.id, "by": "host:eve"}),
    ]


@pytest.mark.parametrize("action", list(AdminAction))
async def test_a_key_with_all_its_scopes_does_everything_but_approve(
    world: World, action: AdminAction
):
    both = await made(world, *SCOPES_OF_KEYS)
    refused = pytest.raises(InsufficientScopeError)

    with refused if action is AdminAction.POLICY_APPROVE else nullcontext():
        let_in = await admin.authenticate(world.ports, both.text, action)
        assert let_in.kind is AdministratorKind.KEY


async def test_with_the_database_away_a_key_is_unknown_and_not_refused(world: World):
    key = (await made(world)).text
    async with app_over(world.ports._replace(database=AwayDatabase(world.clock))) as http:
        answer = await look(http, key)

    assert code_of(answer) == (503, "dependency_unavailable")
    assert answer.headers["retry-after"]
