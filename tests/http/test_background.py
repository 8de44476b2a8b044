"""What runs beside the requests goes on, whatever happens to it, and says how it is."""

import asyncio

import pytest
from structlog.testing import capture_logs

from stepup.http import background
from stepup.http.background import Background
from stepup.http.health import ComponentState, Readiness
from tests.support.application import memory_ports


class Work:
    """Fails in some way a few times, then runs."""

    def __init__(self, *failures: BaseException | None) -> None:
        self.failures = list(failures)
        self.well = asyncio.Event()
        self.ended = False

    async def __call__(self) -> None:
        if self.failures:
            failure = self.failures.pop(0)
            if failure is not None:
                raise failure
            return
        self.well.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(background, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(background, "_STEADY", 0.05)


@pytest.mark.parametrize(
    "failure",
    [RuntimeError("unforeseen"), asyncio.CancelledError(), None],
    ids=["an exception", "a cancellation that escaped", "an end"],
)
async def test_what_nobody_foresaw_does_not_end_a_task_quietly(failure):
    work = Work(failure, failure)
    with capture_logs() as lines:
        async with Background({"outbox": work}).running(), asyncio.timeout(2):
            await work.well.wait()

    assert [(line["event"], line["task"]) for line in lines] == [
        ("background_failed", "outbox")
    ] * 2
    assert lines[1]["again_in"] == 2 * lines[0]["again_in"]
    assert work.ended


async def test_a_task_that_failed_degrades_the_instance_until_it_has_run_for_a_while():
    work, other = Work(RuntimeError("unforeseen")), Work()
    tasks = Background({"outbox": work, "configuration": other})
    readiness = Readiness(tasks.checks)
    await readiness.check()
    with capture_logs():
        async with tasks.running(), asyncio.timeout(2):
            await work.well.wait()
            await readiness.check()
            failing = readiness.report(memory_ports())
            await asyncio.sleep(0.1)
            await readiness.check()
            well = readiness.report(memory_ports())

    assert (failing.status, failing.components["outbox"]) == ("degraded", ComponentState.FAILING)
    assert failing.components["configuration"] is ComponentState.OK
    assert well.status == "ready"
