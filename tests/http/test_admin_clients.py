"""`/v1/admin/clients`: registered, changed, rotated, disabled, by whoever may."""

import hashlib
from datetime import timedelta

import httpx2
import msgspec
import pytest

from stepup.domain.ids import ClientId
from tests.http.conftest import app_over
from tests.support.assertions import JWK
from tests.support.world import World

TOKEN = "admin-token"
PATH = "/v1/admin/clients"
SHOP = {"client_id": "shop", "redirect_uris": ["https://shop.example/back"], "roles": ["rp"]}


@pytest.fixture
async def admin(world: World):
    digest = hashlib.sha256(TOKEN.encode()).digest()
    site = msgspec.structs.replace(world.ports.site, admin_token_digest=digest)
    async with app_over(world.ports._replace(site=site)) as client:
        client.headers["authorization"] = f"Bearer {TOKEN}"
        yield client


async def is_known(world: World, http: httpx2.AsyncClient, secret: str) -> bool:
    async with world.ports.database.transaction() as stores:
        world.snapshot.clients[ClientId("shop")] = await stores.clients.find(ClientId("shop"))
    answer = await http.post("/oauth2/revoke", data={"token": "x"}, auth=("shop", secret))
    return answer.status_code == 200


async def test_a_client_is_registered_and_its_secret_shown_once(admin, http, world, log_lines):
    made = await admin.post(PATH, json=SHOP)

    assert (made.status_code, made.headers["location"]) == (201, f"{PATH}/shop")
    assert made.headers["etag"] == '"1"'
    assert made.headers["cache-control"] == "no-store"
    secret = made.json()["client_secret"]
    assert await is_known(world, http, secret)
    shown = await admin.get(f"{PATH}/shop")
    assert shown.json() == {k: v for k, v in made.json().items() if k != "client_secret"}
    assert secret not in str(log_lines)
    again = await admin.post(PATH, json=SHOP)
    assert (again.status_code, again.json()["code"]) == (409, "client_exists")


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"profile": "fapi2"}, ["token_endpoint_auth_method"]),
        ({"token_endpoint_auth_method": "private_key_jwt"}, ["jwks"]),
        (
            {"redirect_uris": ["http://shop.example/", "https://shop.example/#x"]},
            ["redirect_uris", "redirect_uris"],
        ),
        ({"jwks": {"keys": [JWK | {"d": "AAAA"}]}}, ["jwks"]),
        ({"jwks_uri": "http://169.254.169.254/"}, ["jwks_uri"]),
    ],
    ids=str,
)
async def test_what_cannot_work_is_refused_with_all_that_is_wrong(admin, changes, names):
    refused = await admin.post(PATH, json=SHOP | changes)

    assert (refused.status_code, refused.json()["code"]) == (422, "client_invalid")
    assert [each["name"] for each in refused.json()["invalid"]] == names


@pytest.mark.parametrize(
    "body",
    [
        SHOP | {"unknown": 1},
        SHOP | {"token_endpoint_auth_method": "client_secret_jwt"},
        SHOP | {"roles": ["admin"]},
        {"redirect_uris": []},
        SHOP | {"jwks": []},
        SHOP | {"jwks": {"keys": [{"kty": "EC", "note": "no row \0 of it"}]}},
        SHOP | {"subject_issuer": "https://idp.example/\0"},
        [],
    ],
    ids=str,
)
async def test_what_is_no_registration_is_a_malformed_request(admin, body):
    assert (await admin.post(PATH, json=body)).status_code == 400


async def test_a_change_names_its_revision(admin):
    await admin.post(PATH, json=SHOP)
    wanted = {name: value for name, value in SHOP.items() if name != "client_id"}
    wanted["client_name"] = "The shop"

    bare = await admin.put(f"{PATH}/shop", json=wanted)
    assert (bare.status_code, bare.json()["code"]) == (428, "revision_required")
    changed = await admin.put(f"{PATH}/shop", json=wanted, headers={"if-match": '"1"'})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert changed.json()["client_name"] == "The shop"
    assert "client_secret" not in changed.json()
    stale = await admin.put(f"{PATH}/shop", json=wanted, headers={"if-match": '"1"'})
    assert (stale.status_code, stale.headers["etag"]) == (412, '"2"')


async def test_a_secret_is_rotated(admin, http, world):
    old = (await admin.post(PATH, json=SHOP)).json()["client_secret"]
    rotated = await admin.post(f"{PATH}/shop/secrets", json={"overlap": 3600})

    assert rotated.status_code == 201
    new = rotated.json()["client_secret"]
    assert len(rotated.json()["secrets_ending"]) == 1
    assert [await is_known(world, http, each) for each in (old, new)] == [True, True]
    world.clock.advance(timedelta(hours=1))
    assert [await is_known(world, http, each) for each in (old, new)] == [False, True]
    for overlap in (-1, 31 * 86_400, "1h"):
        refused = await admin.post(f"{PATH}/shop/secrets", json={"overlap": overlap})
        assert refused.status_code == 400


async def test_a_client_is_taken_out_of_service_at_once(admin, http, world):
    secret = (await admin.post(PATH, json=SHOP)).json()["client_secret"]
    assert (await admin.post(f"{PATH}/shop/disable")).json()["disabled"] is True
    assert not await is_known(world, http, secret)
    assert (await admin.post(f"{PATH}/shop/enable")).json()["disabled"] is False
    assert await is_known(world, http, secret)


async def test_clients_come_in_pages(admin):
    names = [f"shop-{n}" for n in range(5)]
    for name in names:
        await admin.post(PATH, json=SHOP | {"client_id": name})
    found, token = [], ""
    while True:
        page = (await admin.get(PATH, params={"limit": 2, "page_token": token})).json()
        found += [each["client_id"] for each in page["clients"]]
        token = page["next_token"]
        if not token:
            break
    assert found == names
    for wrong in ({"limit": 0}, {"limit": 201}, {"page_token": "AA"}, {"page_token": "é"}):
        assert (await admin.get(PATH, params=wrong)).status_code == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nobody"),
        ("POST", "/nobody/secrets"),
        ("POST", "/nobody/disable"),
        ("POST", "/nobody/enable"),
        ("PUT", "/nobody"),
    ],
)
async def test_an_unknown_client_is_not_found(admin, method, path):
    answer = await admin.request(method, f"{PATH}{path}", json={}, headers={"if-match": '"1"'})
    assert (answer.status_code, answer.json()["code"]) == (404, "client_not_found")
