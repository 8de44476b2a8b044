"""What may not wait for PostgreSQL is refused: 503, when to come again, and what is away."""

import hashlib
from base64 import b32encode
from collections.abc import AsyncIterator

import httpx2
import msgspec
import pytest

from stepup.domain.ids import AuthenticatorId
from tests.http.account_visit import HTML, AccountVisit
from tests.http.conftest import app_over
from tests.http.flow import hidden_fields
from tests.support.memory_database import AWAY, AwayDatabase
from tests.support.world import TOTP_SECRET, World

TOKEN = "an-administrators-token"
SUBJECT = "/v1/admin/subjects/alice/authenticators"
DOCUMENT = "apiVersion: stepup/v1\nactions:\n  pay: {default: allow}\n"
AN_APP = {"type": "totp", "secret": b32encode(TOTP_SECRET).decode()}


@pytest.fixture
async def admin(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    """An administrator while PostgreSQL is away."""
    site = msgspec.structs.replace(
        world.site, admin_token_digest=hashlib.sha256(TOKEN.encode()).digest()
    )
    ports = world.ports._replace(site=site, database=AwayDatabase(world.clock))
    async with app_over(ports) as client:
        client.headers["authorization"] = f"Bearer {TOKEN}"
        yield client


@pytest.fixture
async def alice(http: httpx2.AsyncClient, world: World) -> AsyncIterator[AccountVisit]:
    """Alice, who signed in before PostgreSQL went away."""
    await world.enroll_app()
    before = AccountVisit(http, world)
    await before.sign_in()
    ports = world.ports._replace(database=AwayDatabase(world.clock))
    async with app_over(ports) as client:
        client.cookies = http.cookies
        yield AccountVisit(client, world)


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        pytest.param("POST", SUBJECT, {"json": AN_APP}, id="provision"),
        pytest.param("GET", SUBJECT, {}, id="list"),
        pytest.param("DELETE", f"{SUBJECT}/some", {}, id="remove"),
        pytest.param("GET", "/v1/admin/policy", {}, id="read the policy"),
        pytest.param(
            "PUT",
            "/v1/admin/policy",
            {"content": DOCUMENT, "headers": {"content-type": "application/yaml"}},
            id="activate a policy",
        ),
    ],
)
async def test_administration_is_a_problem_that_says_what_is_away(
    admin: httpx2.AsyncClient, method: str, path: str, sent: dict
):
    answer = await admin.request(method, path, **sent)

    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "dependency_unavailable"
    assert answer.json()["detail"] == AWAY


@pytest.mark.parametrize(
    "path",
    [
        "/account",
        "/account/add/app",
        "/account/add/passkey",
        "/account/authenticators/{id}/rename",
        "/account/authenticators/{id}/remove",
    ],
)
async def test_the_account_pages_say_to_come_again(alice: AccountVisit, world: World, path: str):
    held = next(iter(world.ports.database.tables.authenticators))
    shown = await alice.get(path.format(id=held))

    assert shown.status_code == 503
    assert int(shown.headers["retry-after"]) >= 1
    assert shown.headers["content-type"].startswith("text/html")


async def test_what_was_typed_into_a_form_is_refused_and_nothing_is_changed(
    http: httpx2.AsyncClient, world: World
):
    app = await world.enroll_app(name="Phone")
    visit = AccountVisit(http, world)
    await visit.sign_in()
    path = f"/account/authenticators/{app.id}/rename"
    await visit.elevated(path)
    form = hidden_fields((await visit.get(path)).text)
    async with app_over(world.ports._replace(database=AwayDatabase(world.clock))) as client:
        client.cookies = http.cookies
        refused = await client.post(path, data=form | {"name": "Mine"}, headers=HTML)

    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert world.ports.database.tables.authenticators[AuthenticatorId(app.id)].name == "Phone"


async def test_signing_in_and_out_need_no_database(alice: AccountVisit):
    assert (await alice.sign_in()).status_code == 303
    assert (await alice.get("/account/add")).status_code in {200, 303}
