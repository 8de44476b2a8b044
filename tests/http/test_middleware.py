"""What every request gets: an identifier, headers, a limit, metrics and one log line."""

import pytest
from litestar import post
from litestar.response import Stream

from stepup import telemetry
from stepup.domain import errors
from stepup.domain.freshness import Freshness
from stepup.http.app import create_app
from stepup.http.health import Readiness
from stepup.http.middleware import BODY_LIMIT, ClientGoneError, Edge
from tests.http.probe_routes import FRAME, failing_with
from tests.support.application import HeldSnapshot, a_keyring, a_policy, calling, memory_ports
from tests.support.determinism import CountingEntropy

JSON = {"content-type": "application/json"}


async def chunks(total: int):
    """A body of unannounced length."""
    for _ in range(total // 1024):
        yield b" " * 1024


# --- request identifier ---------------------------------------------------------------------


async def test_the_caller_s_request_id_is_echoed(frame):
    response = await frame.get("/livez", headers={"x-request-id": "bfe9eb29-ab87"})

    assert response.headers["x-request-id"] == "bfe9eb29-ab87"


@pytest.mark.parametrize("path", ["/nothing", "/oauth2/nothing", "/orders"])
async def test_the_caller_s_request_id_is_echoed_on_errors(frame, path):
    response = await frame.get(path, headers={"x-request-id": "bfe9eb29-ab87"})

    assert response.status_code in {404, 405}
    assert response.headers["x-request-id"] == "bfe9eb29-ab87"


@pytest.mark.parametrize("sent", [b"", b"a b", b"x" * 129, b"caf\xc3\xa9", b"a\tb"], ids=str)
async def test_a_request_id_that_could_forge_a_log_line_is_replaced(frame, sent):
    response = await frame.get("/livez", headers=[(b"x-request-id", sent)])

    assert response.headers["x-request-id"].encode() != sent


async def test_requests_without_an_identifier_get_different_ones(frame):
    first = await frame.get("/livez")
    second = await frame.get("/livez")

    assert first.headers["x-request-id"] != second.headers["x-request-id"]


# --- body limit -----------------------------------------------------------------------------


async def test_an_announced_oversize_body_is_refused_before_it_is_read(frame):
    body = b" " * (BODY_LIMIT + 1)

    response = await frame.post("/orders", content=body, headers=JSON)

    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
    assert response.headers["connection"] == "close"


async def test_an_oversize_body_of_unannounced_length_is_refused(frame):
    response = await frame.post("/orders", content=chunks(BODY_LIMIT + 1024), headers=JSON)

    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


async def test_an_oversize_body_at_an_oauth_endpoint_is_an_oauth_error(frame):
    headers = {"content-type": "application/x-www-form-urlencoded"}

    response = await frame.post("/oauth2/echo", content=b"a" * (BODY_LIMIT + 1), headers=headers)

    assert (response.status_code, response.json()["error"]) == (413, "invalid_request")


async def test_a_body_of_exactly_the_limit_is_read(frame):
    body = b'{"name": "x"}'.ljust(BODY_LIMIT)

    assert (await frame.post("/orders", content=body, headers=JSON)).status_code == 200


async def test_a_route_may_read_more(frame):
    response = await frame.put("/large", content=chunks(512 * 1024))

    assert response.json() == {"size": 512 * 1024}


async def test_a_route_that_reads_more_has_a_limit_too(frame):
    assert (await frame.put("/large", content=chunks(1025 * 1024))).status_code == 413


# --- headers --------------------------------------------------------------------------------


async def test_answers_are_never_stored_and_never_sniffed(frame):
    response = await frame.get("/livez")

    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["strict-transport-security"] == "max-age=31536000"


async def test_an_answer_to_a_program_may_load_nothing(frame):
    policy = (await frame.get("/livez")).headers["content-security-policy"]

    assert policy == "default-src 'none'; frame-ancestors 'none'"


async def test_a_page_may_load_its_own_scripts_only(frame):
    policy = (await frame.get("/page/x")).headers["content-security-policy"]

    assert "script-src 'self';" in policy
    assert "form-action 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


async def test_a_route_keeps_the_headers_it_sets_itself(frame):
    response = await frame.get("/own-policy")

    assert response.headers.get_list("cache-control") == ["public, max-age=60"]
    assert "form-action 'self' https://bank.example;" in response.headers["content-security-policy"]
    assert len(response.headers.get_list("content-security-policy")) == 1


async def test_errors_carry_the_headers_too(frame):
    response = await frame.get("/nothing")

    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-store"


async def test_connections_end_with_their_answer_while_the_instance_drains(frame, readiness):
    before = await frame.get("/livez")
    readiness.close_connections()
    after = await frame.get("/livez")

    assert "connection" not in before.headers
    assert after.headers["connection"] == "close"


# --- metrics and the log line ---------------------------------------------------------------


def counted(**labels: str) -> float:
    return telemetry.REGISTRY.get_sample_value("stepup_http_requests_total", labels) or 0.0


async def test_requests_are_counted_by_route_and_not_by_path(frame):
    labels = {"route": "/page/{name}", "method": "GET", "code": "200"}
    before = counted(**labels)

    await frame.get("/page/one")
    await frame.get("/page/two")

    assert counted(**labels) == before + 2


async def test_paths_and_methods_that_do_not_exist_make_no_new_series(frame):
    labels = {"route": "unmatched", "method": "other", "code": "405"}
    before = counted(**labels)

    await frame.request("BREW", "/livez")
    await frame.request("BREW2", "/livez")

    assert counted(**labels) == before + 2


async def test_a_request_has_one_log_line(frame, log_lines):
    await frame.get("/page/one?code=secret-code", headers={"x-request-id": "r-1"})

    (line,) = log_lines
    assert line.pop("duration_ms") >= 0
    assert line == {
        "event": "request",
        "log_level": "info",
        "method": "GET",
        "route": "/page/{name}",
        "status": 200,
        "request_id": "r-1",
    }


async def test_the_log_line_has_what_the_route_learnt(frame, log_lines):
    await frame.get("/known-facts")

    (line,) = log_lines
    assert (line["subject"], line["decision"]) == ("digest-of-alice", "deny")


async def test_the_log_line_has_the_error_s_code(frame, log_lines):
    await frame.get(f"/fail/{failing_with(errors.InvalidTicketError())}")

    (line,) = log_lines
    assert (line["status"], line["error"]) == (400, "invalid_ticket")


async def test_nothing_sent_in_a_query_path_or_header_reaches_the_log(frame, log_lines):
    await frame.get("/page/secret-1?code=secret-2", headers={"authorization": "Basic secret-3"})
    await frame.get("/nothing/secret-4", headers={"cookie": "stepup=secret-5"})

    assert "secret" not in repr(log_lines)


# --- broken connections ---------------------------------------------------------------------


async def call(app, receive, path="/"):
    """Call an ASGI application directly, as a server would; return what it sends."""
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "state": {},
    }
    sent: list[dict] = []

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    return sent


async def test_a_caller_that_goes_away_is_no_error_of_ours(framed, log_lines):
    messages = iter(
        [
            {"type": "http.request", "body": b'{"na', "more_body": True},
            {"type": "http.disconnect"},
        ]
    )

    async def receive():
        return next(messages)

    await call(framed, receive, "/orders")

    (line,) = log_lines
    assert (line["event"], line["error"]) == ("request", "client_gone")


async def test_a_disconnect_after_the_body_is_passed_on(framed):
    seen = []
    messages = iter([{"type": "http.request", "body": b""}, {"type": "http.disconnect"}])

    async def receive():
        return next(messages)

    async def app(scope, receive, send):
        seen.append(await receive())
        seen.append(await receive())

    edge = Edge(app, entropy=CountingEntropy(), secure=False, is_closing=lambda: False)
    await call(edge, receive)

    assert seen[1]["type"] == "http.disconnect"


async def test_an_answer_that_breaks_off_is_logged_once(framed, log_lines):
    async def broken():
        yield b"half"
        raise ClientGoneError

    @post("/broken")
    async def broken_route() -> Stream:
        return Stream(broken())

    async def receive():
        return {"type": "http.request", "body": b""}

    framed.register(broken_route)
    sent = await call(framed, receive, "/broken")

    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert [line["event"] for line in log_lines] == ["answer_broken_off", "request"]


async def test_a_request_that_is_cancelled_is_still_logged(log_lines):
    async def app(scope, receive, send):
        raise KeyboardInterrupt

    edge = Edge(app, entropy=CountingEntropy(), secure=False, is_closing=lambda: False)
    with pytest.raises(KeyboardInterrupt):
        await call(edge, None)

    assert [line["status"] for line in log_lines] == [499]


async def test_other_kinds_of_connections_pass_through():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    edge = Edge(app, entropy=CountingEntropy(), secure=False, is_closing=lambda: False)
    await edge({"type": "websocket"}, None, None)

    assert seen == ["websocket"]


async def test_an_answer_from_a_stale_configuration_says_so():
    counter = ("stepup_cache_served_stale_total", {"kind": "configuration"})
    before = telemetry.REGISTRY.get_sample_value(*counter)
    snapshot = HeldSnapshot(a_policy(), a_keyring())
    app = create_app(memory_ports(snapshot=snapshot), readiness=Readiness({}), routers=FRAME)
    async with calling(app) as client:
        assert "stepup-degraded" not in (await client.get("/livez")).headers
        snapshot.held_freshness = Freshness.STALE
        for path in ("/livez", "/no-such-path"):
            assert (await client.get(path)).headers["stepup-degraded"] == "policy-cache"

    assert telemetry.REGISTRY.get_sample_value(*counter) == before + 2
