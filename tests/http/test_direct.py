"""What is served past the framework answers as the framework does.

A path with a slash at its end is the same route to the framework and unknown to the direct way.
"""

import jwt
import pytest

from stepup import telemetry
from tests.http.flow import BANK, a_transfer

FORM = {"content-type": "application/x-www-form-urlencoded"}
REQUESTS = {
    "/access/v1/evaluation": {
        "an allowance": {"json": a_transfer("50.00")},
        "a malformed body": {"content": b"{", "headers": {"content-type": "application/json"}},
        "a wrong media type": {"content": b"{}", "headers": {"content-type": "text/plain"}},
        "too large a body": {
            "content": b" " * 100_000,
            "headers": {"content-type": "application/json"},
        },
    },
    "/oauth2/introspect": {
        "a token that is none": {"data": {"token": "none"}},
        "no token": {"data": {}, "headers": FORM},
        "a parameter twice": {"content": b"token=a&token=b", "headers": FORM},
    },
}
CASES = [(path, name) for path, requests in REQUESTS.items() for name in requests]


@pytest.mark.parametrize("auth", [BANK, None], ids=["the bank", "nobody"])
@pytest.mark.parametrize(("path", "name"), CASES, ids=[name for _, name in CASES])
async def test_answers_as_the_framework_does(http, path, name, auth):
    request = REQUESTS[path][name]
    headers = request.get("headers", {}) | {"x-request-id": "r-1"}
    answers = [
        await http.post(where, **(request | {"headers": headers}), auth=auth)
        for where in (path, f"{path}/")
    ]
    direct, framed = answers
    assert direct.status_code == framed.status_code
    assert direct.content == framed.content
    assert dict(direct.headers) == dict(framed.headers)


async def test_logs_and_counts_under_the_same_route(http, log_lines):
    for path in ("/access/v1/evaluation", "/access/v1/evaluation/"):
        await http.post(path, json=a_transfer("50.00"), auth=BANK)
    direct, framed = (line for line in log_lines if line["event"] == "request")
    unlike = {"duration_ms", "request_id", "decision_id"}
    assert {k: v for k, v in direct.items() if k not in unlike} == {
        k: v for k, v in framed.items() if k not in unlike
    }


async def test_another_method_is_the_frameworks_business(http):
    assert (await http.get("/access/v1/evaluation")).status_code == 405


async def test_an_unforeseen_error_is_a_problem_without_a_message(http, world):
    del world.snapshot.clients
    answer = await http.post("/access/v1/evaluation", json=a_transfer("50.00"), auth=BANK)
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"


async def test_a_token_that_names_a_key_we_do_not_publish_is_counted(http):
    def counted() -> float:
        return telemetry.REGISTRY.get_sample_value("stepup_jwks_unknown_kid_total") or 0.0

    before = counted()
    for kid in ("not-ours", None):
        token = jwt.encode({"sub": "alice"}, "k" * 32, headers={"kid": kid} if kid else None)
        answer = await http.post("/oauth2/introspect", data={"token": token}, auth=BANK)
        assert answer.json() == {"active": False}
    assert counted() == before + 1
