"""Two services on the same engines are one: any request may go to any of them."""

import asyncio
import itertools
import time
from collections.abc import Iterator

import httpx2
import pytest

from stepup.adapters.postgres.database import PostgresDatabase
from stepup.crypto.sealing import Sealer
from stepup.demo.headless import METHODS, Run
from stepup.demo.headless_browser import forgetful_jar
from stepup.demo.target import read_ready_file, target_of
from stepup.sdk import StepUp
from tests.e2e.api import Api
from tests.e2e.cluster import Cluster
from tests.support.determinism import CountingEntropy, StillClock
from tests.support.service import RunningService

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis]

# DESIGN section 4: an activation reaches every instance within 2 s. The rest is for the asking.
REACHES_EVERYBODY_WITHIN = 2.0 + 0.3


class Alternately(httpx2.AsyncBaseTransport):
    """A load balancer: each request goes to another service than the one before."""

    def __init__(self, services: tuple[RunningService, ...]) -> None:
        self.issuer = httpx2.URL(services[0].issuer)
        self.next = itertools.cycle([httpx2.URL(each.origin).port for each in services])
        self.inner = httpx2.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.port == self.issuer.port:
            request.url = request.url.copy_with(port=next(self.next))
        return await self.inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self.inner.aclose()


@pytest.fixture
def apis(cluster: Cluster) -> Iterator[tuple[Api, Api]]:
    cluster.wait_until_well()
    opened = Api(cluster.one), Api(cluster.other)
    yield opened
    for each in opened:
        each.close()


@pytest.mark.parametrize("method", METHODS)
async def test_every_request_of_a_step_up_may_go_to_another_service(cluster: Cluster, method):
    target = target_of(read_ready_file(cluster.one.ready_file), "bank-api")
    su = StepUp(issuer=target.issuer, audience=target.audience)
    balancer = Alternately(cluster.services)
    async with httpx2.AsyncClient(transport=balancer, cookies=forgetful_jar(), timeout=15) as http:
        run = Run(target, http, su, method)
        await run.prepare()
        await run.step_up()
    assert run.failure is None
    assert run.steps[-1].name == "introspection says inactive"


def test_both_have_the_same_clients_and_keys(cluster: Cluster):
    one, other = cluster.services
    assert one.client() == other.client()
    jwks = "/.well-known/jwks.json"
    # Each follows within two seconds when the next key is announced.
    deadline = time.monotonic() + 5
    while one.get(jwks).json() != other.get(jwks).json():
        assert time.monotonic() < deadline


def test_a_code_is_redeemed_once_whichever_service_is_asked(apis: tuple[Api, Api]):
    one, other = apis
    code = one.passed()
    token = other.redeem(code, "first").json()["access_token"]
    assert one.introspect(token).json()["active"] is True

    assert one.redeem(code, "second").json()["error"] == "invalid_grant"
    assert other.introspect(token).json()["active"] is False


def test_an_activation_reaches_every_worker_within_two_seconds(cluster: Cluster):
    probe = "probe.announced"
    answer = put_policy(cluster.one, with_action(cluster, probe))
    assert answer.status_code == 200, answer.text
    assert seconds_until_all_know(cluster, probe) < REACHES_EVERYBODY_WITHIN


def test_an_activation_whose_announcement_is_lost_is_found_by_polling(cluster: Cluster):
    probe = "probe.silent"
    asyncio.run(activate_silently(cluster.postgres.url, with_action(cluster, probe)))
    assert seconds_until_all_know(cluster, probe) < REACHES_EVERYBODY_WITHIN


def test_an_invalid_document_changes_nothing_and_says_where_it_is_wrong(cluster: Cluster):
    before = get_policy(cluster.one)
    text = before["document"].replace("default: allow", "defualt: allow", 1)
    line = 1 + text[: text.index("defualt")].count("\n")
    answer = put_policy(cluster.one, text)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["code"] == "policy_invalid"
    assert line in {finding["line"] for finding in problem["findings"]}
    assert all(finding["column"] >= 1 and finding["message"] for finding in problem["findings"])
    assert get_policy(cluster.other) == before


def with_action(cluster: Cluster, name: str) -> str:
    """Return the active document with an action more, which everybody may do."""
    text: str = get_policy(cluster.one)["document"]
    return text.replace("actions:\n", f"actions:\n  {name}: {{default: allow}}\n", 1)


def seconds_until_all_know(cluster: Cluster, action: str) -> float:
    """Ask on new connections, which reach every worker, until nobody denied for a second."""
    began = last_denied = time.monotonic()
    while (now := time.monotonic()) - last_denied < 1.0:
        assert now - began < 10, "some worker never heard of it"
        for service in cluster.services:
            if not allowed(service, action):
                last_denied = time.monotonic()
    return last_denied - began


def allowed(service: RunningService, action: str) -> bool:
    api = Api(service)
    try:
        return api.decide("anybody", action).json()["decision"] is True
    finally:
        api.close()


async def activate_silently(url: str, text: str) -> None:
    database = PostgresDatabase(url, Sealer({1: bytes(32)}, CountingEntropy().bytes))
    async with database.transaction() as stores:
        await stores.policies.activate(text, "somebody", StillClock().now())
    await database.close()


def get_policy(service: RunningService) -> dict:
    url = f"{service.origin}/v1/admin/policy"
    return httpx2.get(url, headers=service.admin, trust_env=False).json()


def put_policy(service: RunningService, text: str) -> httpx2.Response:
    url = f"{service.origin}/v1/admin/policy"
    return httpx2.put(url, content=text, headers=service.admin, trust_env=False)
