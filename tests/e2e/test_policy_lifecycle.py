"""A policy's life as instances see it: activated everywhere in time, refused, scheduled."""

import asyncio
import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Self

import httpx2
import pytest

from stepup import wiring
from stepup.cli.settings import load_settings
from stepup.domain.administrator import Administrator
from stepup.domain.ids import AdministratorId
from stepup.ports import Ports
from stepup.usecases import activations, drafts, policies
from stepup.usecases.activations import Wanted
from stepup.usecases.drafts import NewDraft
from tests.e2e.production import QUESTION, Deployment, Serving
from tests.e2e.test_drain import HEADERS
from tests.e2e.test_first_start import wait_until
from tests.support.engines import fresh_database
from tests.support.service import STARTS_WITHIN
from tests.support.workshop import WorkshopHere

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis]

WORKERS = 2
ACTIVATIONS = 5
CALLERS = 4
PAUSE = 0.02
ALICE, BOB = (
    Administrator(id=AdministratorId(name), name=name, scopes=frozenset())
    for name in ("alice", "bob")
)


def a_document(number: int) -> str:
    """Return a document of some ten kilobytes, another one for each number."""
    actions = "".join(
        f"  a{number}.b{each}:\n"
        "    attributes: {amount: {type: decimal, required: true}}\n"
        f"    rules: [{{id: small, when: action.amount < {each + 1}00, allow: true}}]\n"
        "    default: {level: urn:stepup:acr:2}\n"
        for each in range(60)
    )
    return f"apiVersion: stepup/v1\nactions:\n  balance.read: {{default: allow}}\n{actions}"


class Load:
    """Callers who ask for decisions, some hundreds a second: busy, and not more than there is."""

    def __init__(self, instances: list[Serving]) -> None:
        self.outcomes: Counter[str] = Counter()
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._call, args=(each,))
            for each in instances
            for _ in range(CALLERS)
        ]

    def __enter__(self) -> Self:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._over.set()
        for each in self._threads:
            each.join(20)

    def _call(self, instance: Serving) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", instance.port, timeout=10)
        while not self._over.is_set():
            connection.request("POST", "/access/v1/evaluation", json.dumps(QUESTION), HEADERS)
            answer = connection.getresponse()
            answer.read()
            self.outcomes[str(answer.status)] += 1
            time.sleep(PAUSE)
        connection.close()


@pytest.fixture
def deployment(postgres_url: str, redis_url: str, tmp_path: Path) -> Iterator[Deployment]:
    with fresh_database(postgres_url) as url:
        made = Deployment(url, redis_url, tmp_path, STEPUP_WORKERS=str(WORKERS))
        made.run("db", "upgrade")
        made.apply()
        yield made


@pytest.fixture
def instances(deployment: Deployment) -> Iterator[list[Serving]]:
    with ExitStack() as stack:
        serving = [stack.enter_context(deployment.serving(f"instance-{n}")) for n in range(2)]
        for each in serving:
            wait_until(lambda: all(each.status() == 200 for _ in range(20)), STARTS_WITHIN)  # noqa: B023
        yield serving


def administer(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, task: Callable[[Ports], Awaitable]
) -> None:
    """Do something with the deployment's own ports."""

    async def run() -> None:
        async with wiring.open_ports(load_settings(None, ())) as (ports, _):
            await task(ports)

    with monkeypatch.context() as patched:
        for name, value in deployment.environ.items():
            patched.setenv(name, value)
        asyncio.run(run())


def sample(instance: Serving, name: str) -> float:
    text = httpx2.get(f"{instance.origin}/metrics", timeout=10, trust_env=False).text
    found = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    return float(found[0].split()[-1]) if found else 0.0


def readyz(instance: Serving) -> dict:
    return httpx2.get(f"{instance.origin}/readyz", timeout=10, trust_env=False).json()


def test_under_load_an_activation_reaches_every_worker_of_every_instance_within_two_seconds(
    deployment: Deployment,
    instances: list[Serving],
    monkeypatch: pytest.MonkeyPatch,
):
    before = int(sample(instances[0], "stepup_policy_version"))

    async def activate(ports: Ports) -> None:
        for number in range(ACTIVATIONS):
            await policies.force(ports, a_document(number), "test", "a measurement")
            await asyncio.sleep(1.5)

    name = "stepup_policy_activation_seconds"
    with Load(instances) as load:
        administer(deployment, monkeypatch, activate)
        for each in instances:
            wait_until(lambda: sample(each, f"{name}_count") == WORKERS * ACTIVATIONS)  # noqa: B023
    for each in instances:
        in_time = sample(each, f'{name}_bucket{{le="2.0"}}')
        assert in_time == WORKERS * ACTIVATIONS, sample(each, f"{name}_sum")
        assert sample(each, "stepup_policy_version") == before + ACTIVATIONS
    assert set(load.outcomes) == {"200"}, load.outcomes


def test_an_instance_that_cannot_load_a_version_says_so_and_keeps_the_last_good_one(
    deployment: Deployment, instances: list[Serving], monkeypatch: pytest.MonkeyPatch
):
    async def write_as_a_newer_release(ports: Ports) -> None:
        async with ports.database.transaction() as stores:
            now = ports.clock.now()
            await stores.policies.activate("apiVersion: stepup/v9", "a newer release", now)

    administer(deployment, monkeypatch, write_as_a_newer_release)
    for each in instances:
        # Any worker may answer, and each hears of it by itself.
        wait_until(lambda: all(readyz(each)["policy"]["refused"] for _ in range(10)))  # noqa: B023
        report = readyz(each)
        assert each.status() == 200
        assert (report["status"], report["components"]["policy"]) == ("degraded", "degraded")
        assert report["policy"] == {
            "version": 1,
            "refused": "version 2 cannot be read by this release",
        }
        assert sample(each, "stepup_policy_version") == 1
    with Load(instances) as load:
        time.sleep(0.3)
    assert set(load.outcomes) == {"200"}, load.outcomes

    async def repair(ports: Ports) -> None:
        await policies.force(ports, a_document(1), "test", "a repair")

    administer(deployment, monkeypatch, repair)
    for each in instances:
        repaired = {"version": 3, "refused": None}
        wait_until(lambda: all(readyz(each)["policy"] == repaired for _ in range(10)))  # noqa: B023


def test_what_was_scheduled_is_activated_once_even_if_nobody_ran_at_the_time(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
):
    async def schedule(ports: Ports) -> None:
        shop = WorkshopHere()
        draft = await drafts.begin(ports, NewDraft("tonight", a_document(7)), ALICE)
        draft = await drafts.approve(ports, shop, draft.id, draft.digest, BOB)
        at = ports.clock.now() + timedelta(seconds=1)
        wanted = Wanted(draft.revision)
        await activations.schedule(ports, shop, draft.id, wanted, at, ALICE)

    administer(deployment, monkeypatch, schedule)
    time.sleep(1.2)
    with (
        deployment.serving("one") as one,
        deployment.serving("other") as other,
    ):
        for each in (one, other):
            wait_until(lambda: each.status() == 200, STARTS_WITHIN)  # noqa: B023  at once
            wait_until(lambda: readyz(each)["policy"]["version"] == 2)  # noqa: B023  at once
        time.sleep(2.5)
        assert {readyz(each)["policy"]["version"] for each in (one, other)} == {2}
