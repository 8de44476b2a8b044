"""`/v1/admin/revocations`: by token, ceremony, subject, client, authenticator and key."""

import hashlib
import json
from datetime import timedelta

import msgspec
import pytest

from stepup.crypto import digests
from stepup.domain.audit import AuditKind
from tests.http.conftest import app_over
from tests.http.flow import BANK, Flow
from tests.http.test_status_lists import said
from tests.support.world import World
from tests.usecases.steps import last_audited

TOKEN = "admin-token"
PATH = "/v1/admin/revocations"
REASON = "lost phone, ticket 4711"


@pytest.fixture
async def admin(world: World):
    digest = hashlib.sha256(TOKEN.encode()).digest()
    site = msgspec.structs.replace(world.ports.site, admin_token_digest=digest)
    async with app_over(world.ports._replace(site=site)) as client:
        client.headers["authorization"] = f"Bearer {TOKEN}"
        yield client


@pytest.fixture
async def token(flow: Flow) -> str:
    return await flow.token()


def claims_of(token: str) -> dict:
    return json.loads(digests.decode(token.split(".")[1]))


async def authenticator_of_alice(world: World) -> str:
    async with world.ports.database.transaction() as stores:
        [app] = await stores.authenticators.of_subject(world.subject())
    return app.id


async def named(what: str, token: str, world: World) -> dict:
    claims = claims_of(token)
    return {
        "token": {"value": claims["jti"]},
        "grant": {"value": claims["txn"]},
        "subject": {"subject": "alice"},
        "client": {"value": claims["client_id"]},
        "authenticator": {"value": await authenticator_of_alice(world), "subject": "alice"},
        "key": {"value": world.keyring.active.id},
    }[what]


@pytest.mark.parametrize("what", ["token", "grant", "subject", "client", "authenticator", "key"])
async def test_it_ends_everywhere_and_is_on_record(admin, flow, world, token, what):
    listed = claims_of(token)["status"]["status_list"]
    path = "/" + listed["uri"].split("/", 3)[3]
    assert await flow.is_active(token)
    assert await said(flow.http, path, listed["idx"]) == 0

    made = await admin.post(
        PATH, json={"what": what, "reason": REASON} | await named(what, token, world)
    )

    assert made.status_code == 201, made.text
    assert not await flow.is_active(token)
    assert await said(flow.http, path, listed["idx"]) == 1
    assert (await flow.consume(token)).status_code == 400
    assert (await admin.get(PATH)).json()["revocations"] == [made.json()]
    kind = AuditKind.SUBJECT_REVOKED if what == "subject" else AuditKind.REVOCATION_MADE
    details = (await last_audited(world.ports, kind)).details
    assert (details["by"], details["why"]) == ("development", REASON)


@pytest.mark.parametrize(
    "other",
    [
        {"what": "token", "value": "r1.other.jti"},
        {"what": "grant", "value": "r1.other"},
        {"what": "subject", "subject": "bob"},
        {"what": "subject", "subject": "alice", "issuer": "https://other.example"},
        {"what": "client", "value": "shop"},
        {"what": "authenticator", "value": "other", "subject": "alice"},
        {"what": "key", "value": "other"},
    ],
)
async def test_what_is_somebody_else_s_goes_on(admin, flow, token, other):
    made = await admin.post(PATH, json=other | {"reason": REASON})
    assert made.status_code == 201, made.text
    assert await flow.is_active(token)


async def test_what_is_proved_afterwards_counts(admin, flow, world, token):
    await admin.post(PATH, json={"what": "subject", "subject": "alice", "reason": REASON})
    world.clock.advance(timedelta(seconds=60))
    again = await flow.token()
    assert await flow.is_active(again)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"what": "token", "value": "x"},
        {"what": "token", "reason": REASON},
        {"what": "subject", "reason": REASON},
        {"what": "subject", "value": "alice", "reason": REASON},
        {"what": "authenticator", "value": "a", "reason": REASON},
        {"what": "planet", "value": "mars", "reason": REASON},
        {"what": "token", "value": "", "reason": REASON},
        {"what": "token", "value": "x" * 600, "reason": REASON},
        {"what": "token", "value": "x", "reason": ""},
        {"what": "token", "value": "x\0", "reason": REASON},
        {"what": "token", "value": "x", "reason": "no row \0 of it can be written"},
        {"what": "token", "value": "x", "reason": REASON, "until": "never"},
    ],
)
async def test_what_does_not_say_what_and_why_is_refused(admin, body):
    assert (await admin.post(PATH, json=body)).status_code == 400


async def test_a_backslash_is_no_nul(admin):
    body = {"what": "token", "value": "x", "reason": r"\u0000 in their log"}
    assert (await admin.post(PATH, json=body)).status_code == 201


@pytest.mark.parametrize("credentials", [{}, {"authorization": "Bearer wrong"}])
async def test_nobody_else_gets_in(http, credentials):
    body = {"what": "token", "value": "x", "reason": REASON}
    assert (await http.post(PATH, json=body, headers=credentials)).status_code == 401
    assert (await http.get(PATH, headers=credentials)).status_code == 401
    assert (await http.post(PATH, json=body, auth=BANK)).status_code == 401
