"""The OpenAPI document: whole, served from here alone, and honest about errors."""

import msgspec
import pytest
from litestar import Request, Router, get, post

from stepup.domain import errors
from stepup.http import openapi
from stepup.http.app import create_app
from stepup.http.health import Readiness
from stepup.http.openapi import (
    CLIENT_SECURITY,
    oauth_responses,
    problem_responses,
    reads_form,
    reads_json,
    reads_query,
)
from tests.support.application import calling, memory_ports


class Payee(msgspec.Struct):
    iban: str


class Transfer(msgspec.Struct):
    amount: int
    payee: Payee


@post(
    "/transfers",
    operation_class=reads_json(Transfer),
    responses=problem_responses(errors.ActionDeniedError, errors.WrongBrowserError),
    security=CLIENT_SECURITY,
)
async def transfer(request: Request) -> dict[str, str]:
    """Move money."""
    return {}


@post(
    "/oauth2/thing",
    operation_class=reads_form(("token",), ("token_type_hint",), takes_proof=True),
    responses=oauth_responses(errors.InvalidGrantError),
)
async def thing(request: Request) -> dict[str, str]:
    """Do the thing."""
    return {}


@get("/begin", operation_class=reads_query(required=("client_id",), optional=("state",)))
async def begin(request: Request) -> dict[str, str]:
    """Begin."""
    return {}


@pytest.fixture
async def document():
    router = Router("/", route_handlers=[transfer, thing, begin])
    app = create_app(memory_ports(), readiness=Readiness({}), routers=(openapi.router, router))
    async with calling(app) as client:
        return (await client.get("/openapi.json")).json()


def test_a_json_body_is_described_with_everything_it_refers_to(document):
    body = document["paths"]["/transfers"]["post"]["requestBody"]

    assert body["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Transfer"
    }
    assert document["components"]["schemas"]["Transfer"]["required"] == ["amount", "payee"]
    assert "Payee" in document["components"]["schemas"]


def test_a_proof_is_an_optional_header(document):
    [header] = document["paths"]["/oauth2/thing"]["post"]["parameters"]

    assert (header["name"], header["in"], header["required"]) == ("DPoP", "header", False)


def test_every_reference_leads_somewhere(document):
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}

    def references(value):
        if isinstance(value, dict):
            for key, inner in value.items():
                if key == "$ref":
                    yield inner
                else:
                    yield from references(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from references(inner)

    assert set(references(document)) <= known


def test_errors_of_one_status_are_told_apart(document):
    responses = document["paths"]["/transfers"]["post"]["responses"]

    assert "`action_denied`" in responses["403"]["description"]
    assert "`wrong_browser`" in responses["403"]["description"]
    assert "application/problem+json" in responses["403"]["content"]
    assert {"400", "503"} <= responses.keys()


def test_errors_of_an_oauth_endpoint_are_oauth_s(document):
    responses = document["paths"]["/oauth2/thing"]["post"]["responses"]

    assert "`invalid_grant`" in responses["400"]["description"]
    assert "`invalid_client`" in responses["401"]["description"]
    assert list(responses["400"]["content"]) == ["application/json"]


def test_a_form_is_described(document):
    body = document["paths"]["/oauth2/thing"]["post"]["requestBody"]
    schema = body["content"]["application/x-www-form-urlencoded"]["schema"]

    assert schema["required"] == ["token"]
    assert schema["properties"].keys() == {"token", "token_type_hint"}


def test_a_query_is_described(document):
    parameters = document["paths"]["/begin"]["get"]["parameters"]

    assert [(p["name"], p["in"], p["required"]) for p in parameters] == [
        ("client_id", "query", True),
        ("state", "query", False),
    ]


def test_routes_say_how_callers_authenticate(document):
    assert document["paths"]["/transfers"]["post"]["security"] == [{"client": []}]
    assert document["components"]["securitySchemes"].keys() == {
        "client",
        "token",
        "receiver",
        "transmitter",
        "admin",
    }


async def test_nothing_is_loaded_from_elsewhere(frame):
    for path in ("/schema", "/openapi", "/swagger", "/docs", "/openapi.json/swagger"):
        assert (await frame.get(path)).status_code == 404


async def test_the_document_is_written_once(frame):
    first = await frame.get("/openapi.json")
    second = await frame.get("/openapi.json")

    assert first.content == second.content
    assert first.headers["content-type"] == "application/json"
