"""The README's example, run as it stands against the whole service."""

import asyncio
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest

from stepup.sdk import StepUp, StepUpRequired
from stepup.sdk.transport import HttpAnswer, HttpRequest
from tests.http.conftest import app_over
from tests.http.flow import Flow
from tests.support.application import CLIENT_SECRET, ISSUER
from tests.support.generated_docs import ROOT
from tests.support.world import BANK_CALLBACK, World

ORDER = {"amount": "5000.00", "currency": "EUR", "payee": "Carol"}


def example() -> str:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return code


def blocking(http: httpx2.AsyncClient) -> Callable[[HttpRequest], HttpAnswer]:
    """A transport into the application in memory; the SDK calls it in a thread."""
    loop = asyncio.get_running_loop()

    async def send(request: HttpRequest) -> HttpAnswer:
        answer = await http.request(
            request.method, request.url, headers=request.headers, content=request.body
        )
        return HttpAnswer(answer.status_code, dict(answer.headers), answer.content)

    def wait(request: HttpRequest) -> HttpAnswer:
        return asyncio.run_coroutine_threadsafe(send(request), loop).result(5)

    return wait


@pytest.fixture
async def readme():
    """The example's names, its `su` on the service in memory, and a browser for alice."""
    world = World()
    names: dict[str, Any] = {
        "SECRET": CLIENT_SECRET,
        "CALLBACK": BANK_CALLBACK,
    }
    exec(compile(example(), "README.md", "exec"), names)  # noqa: S102  it is what we test
    async with app_over(world.ports) as http:
        send = blocking(http)
        names["su"] = StepUp(
            issuer=names["su"].issuer,
            audience="bank-api",
            client_id="bank",
            client_secret=CLIENT_SECRET,
            transport=send,
            fetcher=lambda url: send(HttpRequest("GET", url)).body,
            clock=lambda: world.clock.now().timestamp(),
        )
        yield names, Flow(http, world)


async def confirmed(names: dict[str, Any], flow: Flow):
    """Go through the flow as the example does, and return the elevated token."""
    _, passkey = await flow.world.enroll_passkey()
    started = await names["begin"](ORDER, flow.world.subject_token())
    authorized = await flow.http.get(started.authorization_url)
    answered = await flow.touch(authorized.headers["location"], passkey)
    query = dict(parse_qsl(urlsplit(answered.headers["location"]).query))
    return await names["finish"](started.pending, query, ORDER)


def test_the_example_is_short():
    assert len(example().splitlines()) <= 24


async def test_the_example_confirms_one_transfer_once(readme):
    names, flow = readme
    token = await confirmed(names, flow)

    status, _, body = await names["transfer"](token.raw, ORDER)
    again, _, _ = await names["transfer"](token.raw, ORDER)

    assert (status, body) == (201, b"5000.00 to Carol, confirmed by alice")
    assert again == 409


async def test_the_example_refuses_a_changed_amount(readme):
    names, flow = readme
    token = await confirmed(names, flow)

    status, headers, _ = await names["transfer"](token.raw, ORDER | {"amount": "9000.00"})

    assert status == StepUpRequired.status == 401
    assert 'acr_values="phr"' in headers["WWW-Authenticate"]


def test_the_example_speaks_of_the_service_that_the_tests_run():
    assert ISSUER in example()
