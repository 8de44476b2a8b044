"""Who may call: clients by secret, administrators by token."""

import hashlib
from base64 import b64encode

import pytest

from stepup.http.app import create_app
from stepup.http.health import Readiness
from tests.http.probe_routes import FRAME
from tests.support.application import CLIENT_SECRET, a_site, calling, memory_ports

FORM = {"content-type": "application/x-www-form-urlencoded"}
BANK = ("bank", CLIENT_SECRET)


def basic(text: bytes) -> dict[str, str]:
    return {"authorization": f"Basic {b64encode(text).decode()}"}


async def test_a_client_authenticates_with_its_header(frame):
    assert (await frame.post("/called", auth=BANK)).json() == {"caller": "bank"}


async def test_a_client_authenticates_in_the_body_of_a_form(frame):
    body = {"client_id": "bank", "client_secret": CLIENT_SECRET}

    response = await frame.post("/oauth2/echo", data=body)

    assert response.json()["caller"] == "bank"


async def test_halves_of_the_header_are_form_encoded(frame):
    response = await frame.post("/called", headers=basic(f"b%61nk:{CLIENT_SECRET}".encode()))

    assert response.json() == {"caller": "bank"}


async def test_the_scheme_is_read_in_any_case(frame):
    headers = {"authorization": basic(":".join(BANK).encode())["authorization"].lower()[:6]}
    headers["authorization"] += b64encode(":".join(BANK).encode()).decode()

    assert (await frame.post("/called", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic(b"bank:wrong-secret"),
        basic(b"unknown-client:" + CLIENT_SECRET.encode()),
        basic(b"bank"),
        basic(b"bank:"),
        basic(b":"),
        basic(b"bank:%zz"),
        basic(b"bank:\xff"),
        {"authorization": "Basic not-base64!"},
        {"authorization": "Basic"},
        {"authorization": "Bearer abc"},
    ],
    ids=str,
)
async def test_unknown_client_and_wrong_secret_look_the_same(frame, headers):
    response = await frame.post("/called", headers=headers)

    assert response.status_code == 401
    assert response.json()["code"] == "invalid_client"
    assert response.json()["detail"] == "Client authentication failed."
    assert response.headers["www-authenticate"] == 'Basic realm="stepup", charset="UTF-8"'


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"client_id": "bank"},
        {"client_secret": CLIENT_SECRET},
        {"client_id": "bank", "client_secret": "wrong-secret"},
    ],
    ids=str,
)
async def test_a_form_without_the_right_secret_is_an_invalid_client(frame, body):
    response = await frame.post("/oauth2/echo", data=body or {"x": "y"})

    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    assert response.headers["www-authenticate"].startswith("Basic ")


async def test_a_client_that_authenticates_twice_is_refused(frame):
    body = {"client_id": "bank", "client_secret": CLIENT_SECRET}

    response = await frame.post("/oauth2/echo", data=body, auth=BANK)

    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


async def test_a_swapped_client_id_in_the_body_is_refused(frame):
    response = await frame.post("/oauth2/echo", data={"client_id": "other"}, auth=BANK)

    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


async def test_the_same_client_id_in_the_body_is_harmless(frame):
    response = await frame.post("/oauth2/echo", data={"client_id": "bank"}, auth=BANK)

    assert response.status_code == 200


async def test_two_authorization_headers_are_refused(frame):
    header = ("authorization", basic(":".join(BANK).encode())["authorization"])

    assert (await frame.post("/called", headers=[header, header])).status_code == 401


async def test_a_secret_in_the_query_is_ignored(frame):
    response = await frame.post(
        f"/oauth2/echo?client_id=bank&client_secret={CLIENT_SECRET}", content=b"a=1", headers=FORM
    )

    assert response.status_code == 401


async def test_the_log_line_names_the_client(frame, log_lines):
    await frame.post("/called", auth=BANK)

    assert [line["client"] for line in log_lines] == ["bank"]


# --- administrators -------------------------------------------------------------------------


@pytest.fixture
async def administered():
    digest = hashlib.sha256(b"admin-token").digest()
    ports = memory_ports(site=a_site(admin_token_digest=digest))
    app = create_app(ports, readiness=Readiness({}), routers=FRAME)
    async with calling(app) as client:
        yield client


async def test_an_administrator_brings_a_token(administered):
    headers = {"authorization": "Bearer admin-token"}

    assert (await administered.post("/administered", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "Basic admin-token"},
        {"authorization": "Bearer"},
        {"authorization": "Bearer \xff"},
    ],
    ids=str,
)
async def test_without_the_token_nobody_administers(administered, headers):
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}

    response = await administered.post("/administered", headers=encoded)

    assert (response.status_code, response.json()["code"]) == (401, "not_authorized")
    is_shown = headers.get("authorization", "")[:7] == "Bearer "
    told = 'error="invalid_token"' if is_shown else 'DPoP algs="ES256 PS256 EdDSA Ed25519"'
    assert response.headers["www-authenticate"] == f'Bearer realm="stepup", {told}'


async def test_a_deployment_without_a_token_lets_no_administrator_in(frame):
    response = await frame.post("/administered", headers={"authorization": "Bearer "})

    assert response.status_code == 401
