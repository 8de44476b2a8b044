"""What errors look like at each kind of path."""

import json
import re
from datetime import timedelta

import msgspec
import pytest

from stepup.domain import errors
from stepup.http.openapi import OAuthErrorDocument, ProblemDocument
from tests.http.probe_routes import failing_with

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def test_an_error_is_a_problem_document(frame):
    name = failing_with(errors.ChallengeNotFoundError())

    response = await frame.get(f"/fail/{name}", headers={"x-request-id": "abc/1"})

    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": "urn:stepup:error:challenge_not_found",
        "title": "This challenge does not exist or has expired.",
        "status": 404,
        "detail": "This challenge does not exist or has expired.",
        "instance": "urn:stepup:request:abc%2F1",
        "code": "challenge_not_found",
        "request_id": "abc/1",
    }


@pytest.mark.parametrize(
    "error",
    [
        errors.TooManyAttemptsError(timedelta(seconds=30)),
        errors.VerificationFailedError(tries_left=2),
        errors.PolicyInvalidError(findings=({"line": 1},)),
        errors.InvalidRequestError("amount is missing"),
    ],
    ids=lambda error: error.code,
)
async def test_a_problem_has_the_documented_shape(frame, error):
    response = await frame.get(f"/fail/{failing_with(error)}")

    strict = msgspec.defstruct(
        "Strict",
        [(f.name, f.type, f.default) for f in msgspec.structs.fields(ProblemDocument)],
        kw_only=True,
        forbid_unknown_fields=True,
    )
    assert msgspec.json.decode(response.content, type=strict).code == error.code


async def test_an_error_at_an_oauth_endpoint_reads_as_rfc_6749_says(frame):
    name = failing_with(errors.InvalidGrantError())

    response = await frame.get(f"/oauth2/fail/{name}")

    assert response.status_code == 400
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert msgspec.json.decode(response.content, type=OAuthErrorDocument).error == "invalid_grant"


async def test_a_client_that_may_not_do_this_gets_400_at_an_oauth_endpoint(frame):
    name = failing_with(errors.ClientNotAllowedError())

    at_oauth = await frame.get(f"/oauth2/fail/{name}")
    elsewhere = await frame.get(f"/fail/{name}")

    assert (at_oauth.status_code, at_oauth.json()["error"]) == (400, "unauthorized_client")
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (403, "unauthorized_client")


async def test_rfc6749_5_2_descriptions_hold_only_the_allowed_characters(frame):
    name = failing_with(errors.InvalidScopeError('no "quotes", \\ or ü\r\nor lines'))

    response = await frame.get(f"/oauth2/fail/{name}")

    assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+", response.json()["error_description"])


async def test_redis_away_is_503_with_retry_after_in_both_forms(frame):
    name = failing_with(errors.DependencyUnavailableError())

    problem = await frame.get(f"/fail/{name}")
    oauth = await frame.get(f"/oauth2/fail/{name}")

    assert (problem.status_code, problem.headers["retry-after"]) == (503, "1")
    assert (oauth.status_code, oauth.headers["retry-after"]) == (503, "1")
    assert oauth.json()["error"] == "temporarily_unavailable"


async def test_an_unknown_error_leaks_nothing_and_is_logged_once(frame, log_lines):
    name = failing_with(RuntimeError("password=hunter2"))

    response = await frame.get(f"/fail/{name}", headers={"x-request-id": "r-1"})

    assert response.status_code == 500
    assert "hunter2" not in response.text
    logged = [line for line in log_lines if "exc_info" in line]
    assert [line["request_id"] for line in logged] == ["r-1"]


async def test_a_browser_gets_a_page(frame):
    name = failing_with(errors.WrongBrowserError())

    response = await frame.get(f"/c/fail/{name}", headers=BROWSER)

    assert response.status_code == 403
    assert "started in another browser" in response.text
    assert "script-src 'self'" in response.headers["content-security-policy"]


async def test_a_script_on_a_page_gets_a_problem(frame):
    name = failing_with(errors.WrongBrowserError())

    response = await frame.get(f"/c/fail/{name}", headers={"accept": "application/json"})

    assert response.json()["code"] == "wrong_browser"


async def test_an_error_page_that_fails_falls_back_to_a_problem(frame, log_lines):
    name = failing_with(errors.SessionNotFoundError())

    response = await frame.get(f"/c/fail/{name}", headers=BROWSER)

    assert response.json()["code"] == "session_not_found"
    assert "error_page_failed" in [line["event"] for line in log_lines]


@pytest.mark.parametrize("path", ["/nothing", "/v1/nothing", "/fail", "/openapi.json/x"])
async def test_nothing_is_a_problem(frame, path):
    response = await frame.get(path, headers=BROWSER)

    assert (response.status_code, response.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["/c/nothing/at/all", "/account/nothing"])
async def test_nothing_among_the_pages_is_a_page(frame, path):
    response = await frame.get(path, headers=BROWSER)

    assert response.status_code == 404
    assert response.headers["content-type"].startswith("text/html")


async def test_nothing_among_the_oauth_endpoints_is_an_oauth_error(frame):
    response = await frame.post("/oauth2/nothing")

    assert (response.status_code, response.json()["error"]) == (404, "invalid_request")


async def test_another_method_names_those_allowed(frame):
    response = await frame.put("/orders")

    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
    assert "POST" in response.headers["allow"]


async def test_consume_speaks_in_problems_since_it_is_ours(frame):
    response = await frame.post("/oauth2/consume")

    assert response.headers["content-type"] == "application/problem+json"


async def test_a_body_that_the_framework_refuses_leaks_no_value(frame):
    body = {"name": "x", "amount": "four-hundred-secret"}

    response = await frame.post("/framework-orders", json=body)

    assert response.status_code == 400
    assert [found["name"] for found in response.json()["invalid"]] == ["amount"]
    assert "four-hundred-secret" not in json.dumps(response.json())
