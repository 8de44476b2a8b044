"""`/v1/admin`: provision, list and remove authenticators; read and activate the policy."""

import hashlib
from base64 import b32encode
from collections.abc import AsyncIterator

import httpx2
import msgspec
import pytest

from stepup.domain.assurance import Method
from stepup.domain.audit import AuditKind
from tests.http.conftest import app_over
from tests.support.authenticator import SoftwareAuthenticator, encode
from tests.support.world import TOTP_SECRET, World
from tests.usecases.steps import last_audited, methods_of, opened, recovery_codes, touch, type_code

TOKEN = "an-administrators-token"
HEADERS = {"authorization": f"Bearer {TOKEN}"}
ALICE = "/v1/admin/subjects/alice/authenticators"
POLICY = "/v1/admin/policy"
SECRET = b32encode(TOTP_SECRET).decode()
DOCUMENT = "apiVersion: stepup/v1\nactions:\n  pay: {default: allow}\n"


@pytest.fixture
async def admin(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    """An administrator of the world."""
    site = msgspec.structs.replace(
        world.site, admin_token_digest=hashlib.sha256(TOKEN.encode()).digest()
    )
    async with app_over(world.ports._replace(site=site)) as client:
        client.headers.update(HEADERS)
        yield client


# --- authenticators ---------------------------------------------------------------------------


async def test_a_provisioned_app_is_shown_without_its_secret_and_answers(
    admin: httpx2.AsyncClient, world: World
):
    answer = await admin.post(ALICE, json={"type": "totp", "secret": SECRET, "name": "Phone"})
    assert answer.status_code == 201
    enrolled = answer.json()
    assert enrolled.keys() == {"id", "type", "name", "created_at", "last_used_at"}
    assert (enrolled["type"], enrolled["name"], enrolled["last_used_at"]) == (
        "totp",
        "Phone",
        None,
    )

    assert (await admin.get(ALICE)).json() == {"authenticators": [enrolled]}
    await type_code(world, await opened(world))


async def test_a_provisioned_passkey_answers(admin: httpx2.AsyncClient, world: World):
    passkey = SoftwareAuthenticator(origin=world.site.origins[0])
    answer = await admin.post(ALICE, json=passkey.provisioning())

    assert answer.status_code == 201
    await touch(world, await opened(world, "5000.00"), passkey)


async def test_an_imported_passkey_answers_under_the_handle_it_was_made_with(
    admin: httpx2.AsyncClient, world: World
):
    passkey = SoftwareAuthenticator(
        origin=world.site.origins[0], backup_eligible=True, user_handle=b"theirs"
    )
    described = passkey.provisioning() | {"backed_up": True, "user_handle": encode(b"theirs")}
    assert (await admin.post(ALICE, json=described)).status_code == 201
    await touch(world, await opened(world, "5000.00"), passkey)


async def test_a_passkey_of_somebody_is_nobody_else_s(admin: httpx2.AsyncClient, world: World):
    described = SoftwareAuthenticator(origin=world.site.origins[0]).provisioning()
    assert (await admin.post(ALICE, json=described)).status_code == 201
    answer = await admin.post(ALICE.replace("alice", "bob"), json=described)

    assert (answer.status_code, answer.json()["code"]) == (409, "authenticator_exists")


@pytest.mark.parametrize(
    "described",
    [
        {},
        {"type": ""},
        {"type": "totp"},
        {"type": "totp", "secret": "n0t-b4s3-32"},
        {"type": "totp", "secret": "GEZA"},
        {"type": "totp", "secret": SECRET, "digits": 3},
        {"type": "totp", "secret": SECRET, "digits": "6"},
        {"type": "totp", "secret": SECRET, "surprise": 1},
        {"type": "webauthn", "credential_id": "AAAA"},
        {"type": "palm"},
    ],
)
async def test_a_bad_description_is_refused_without_repeating_it(
    admin: httpx2.AsyncClient, described: dict
):
    answer = await admin.post(ALICE, json=described)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert SECRET not in answer.text
    assert "n0t-b4s3" not in answer.text


async def test_counter_based_tokens_are_not_supported_yet(admin: httpx2.AsyncClient):
    answer = await admin.post(
        ALICE, json={"type": "hotp", "secret": SECRET, "digits": 6, "counter": 0}
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "not_supported_yet")


async def test_two_issuers_with_one_sub_are_two_subjects(admin: httpx2.AsyncClient):
    other = {"issuer": "https://other.example"}
    await admin.post(ALICE, params=other, json={"type": "totp", "secret": SECRET})

    assert (await admin.get(ALICE)).json() == {"authenticators": []}
    assert len((await admin.get(ALICE, params=other)).json()["authenticators"]) == 1


@pytest.mark.parametrize("sub", ["auth0%7C123", "alice%40example.com", "%D0%B0%D0%BB%D0%B8"])
async def test_subjects_may_have_any_name(admin: httpx2.AsyncClient, sub: str):
    path = ALICE.replace("alice", sub)
    assert (await admin.post(path, json={"type": "totp", "secret": SECRET})).status_code == 201

    assert len((await admin.get(path)).json()["authenticators"]) == 1


async def test_a_removed_authenticator_is_gone(admin: httpx2.AsyncClient, world: World):
    app = await world.enroll_app()
    bobs = await world.enroll_app("bob")
    answer = await admin.delete(f"{ALICE}/{app.id}")
    assert (answer.status_code, answer.content) == (204, b"")

    for gone in (app.id, bobs.id, "made-up"):
        answer = await admin.delete(f"{ALICE}/{gone}")
        assert (answer.status_code, answer.json()["code"]) == (404, "authenticator_not_found")
    assert await methods_of(world, "bob") == [Method.TOTP]


async def test_recovery_codes_are_listed_and_not_shown(admin: httpx2.AsyncClient, world: World):
    await world.enroll_app()
    codes = await recovery_codes(world)
    listed = await admin.get(ALICE)

    types = [a["type"] for a in listed.json()["authenticators"]]
    assert sorted(types) == ["recovery_code", "totp"]
    assert all(code not in listed.text for code in codes)


# --- policy -----------------------------------------------------------------------------------


async def test_before_the_first_policy_there_is_none(admin: httpx2.AsyncClient):
    answer = await admin.get(POLICY)

    assert (answer.status_code, answer.json()["code"]) == (404, "policy_not_found")


async def test_an_activated_document_is_returned_as_it_was_sent(admin: httpx2.AsyncClient):
    put = await admin.put(POLICY, content=DOCUMENT)
    assert put.status_code == 200
    assert put.json()["version"] == 1
    assert put.headers["etag"] == '"1"'
    got = await admin.get(POLICY)

    assert got.json()["document"] == DOCUMENT
    assert got.json()["author"] == "administrator"
    assert got.headers["etag"] == '"1"'
    assert (await admin.put(POLICY, content=DOCUMENT)).json()["version"] == 2


async def test_a_document_with_errors_says_where(admin: httpx2.AsyncClient):
    answer = await admin.put(POLICY, content=DOCUMENT.replace("default: allow", "defualt: allow"))

    assert (answer.status_code, answer.json()["code"]) == (422, "policy_invalid")
    findings = answer.json()["findings"]
    misspelt = next(f for f in findings if "defualt" in f["message"])
    assert (misspelt["line"], misspelt["column"]) == (3, 9)
    assert (await admin.get(POLICY)).status_code == 404


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 422, "policy_invalid"),
        (b"\xff", 400, "invalid_request"),
        (b"\x00", 422, "policy_invalid"),
        (b"[" * 5000, 422, "policy_invalid"),
        (b"a: &a [*a, *a]", 422, "policy_invalid"),
        (b"shadow: true", 422, "policy_invalid"),
        (b"x" * (1024 * 1024 + 1), 422, "policy_invalid"),
        (b"x" * (1024 * 1024 + 5000), 413, "body_too_large"),
    ],
    ids=["empty", "no UTF-8", "NUL", "deep", "alias", "not yet", "large", "too large"],
)
async def test_what_is_no_document_is_refused(
    admin: httpx2.AsyncClient, content: bytes, status: int, code: str
):
    answer = await admin.put(POLICY, content=content)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


# --- development only -------------------------------------------------------------------------


async def test_the_outbox_is_there_in_development_only(world: World, http: httpx2.AsyncClient):
    assert (await http.get("/dev/outbox")).status_code == 404
    site = msgspec.structs.replace(world.site, development=True)
    async with app_over(world.ports._replace(site=site)) as client:
        assert (await client.get("/dev/outbox")).json() == []


# --- who has seen which version ------------------------------------------------------------------


async def test_a_version_that_nobody_has_seen_is_not_undone(admin: httpx2.AsyncClient):
    first = await admin.put(POLICY, content=DOCUMENT, headers={"if-none-match": "*"})
    assert first.status_code == 200
    for unseen in ({"if-none-match": "*"}, {"if-match": '"2"'}):
        answer = await admin.put(POLICY, content=DOCUMENT, headers=unseen)
        assert (answer.status_code, answer.json()["code"]) == (412, "version_stale")
        assert (answer.headers["etag"], answer.json()["active"]) == ('"1"', 1)
    seen = {"if-match": first.headers["etag"]}
    assert (await admin.put(POLICY, content=DOCUMENT, headers=seen)).json()["version"] == 2


@pytest.mark.parametrize(
    "unclear",
    [
        {"if-match": "*"},
        {"if-match": 'W/"1"'},
        {"if-match": '"1", "2"'},
        {"if-none-match": '"1"'},
        {"if-match": '"1"', "if-none-match": "*"},
    ],
)
async def test_an_unclear_condition_is_no_permission(
    admin: httpx2.AsyncClient, unclear: dict[str, str]
):
    answer = await admin.put(POLICY, content=DOCUMENT, headers=unclear)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


async def test_the_log_says_who_activated_at_once(admin: httpx2.AsyncClient, world: World):
    await admin.put(POLICY, content=DOCUMENT)
    event = await last_audited(world.ports, AuditKind.POLICY_ACTIVATED)
    assert event.details["by"] == "development"
