"""The workshop's processes: what is ended, what dies, and what they do not know."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from stepup.adapters.workshop.processes import ProcessWorkshop
from stepup.domain.errors import DependencyUnavailableError, TookTooLongError
from tests.contracts.workshop import SOON, WorkshopContract
from tests.support import shop_work
from tests.support.workshop import WorkshopHere


class TestMemory(WorkshopContract):
    @pytest.fixture
    def workshop(self) -> WorkshopHere:
        return WorkshopHere()


class TestProcesses(WorkshopContract):
    @pytest.fixture
    async def workshop(self) -> AsyncIterator[ProcessWorkshop]:
        workshop = ProcessWorkshop()
        yield workshop
        await workshop.close()

    async def test_work_without_an_end_is_ended_and_the_next_is_done(self, workshop):
        with pytest.raises(TookTooLongError):
            await workshop.run(shop_work.spin, limit=timedelta(milliseconds=200))
        assert await workshop.run(shop_work.add, 1, 1, limit=SOON) == 2

    async def test_a_process_that_dies_is_told_as_unavailable_and_replaced(self, workshop):
        with pytest.raises(DependencyUnavailableError):
            await workshop.run(shop_work.die, limit=SOON)
        assert await workshop.run(shop_work.add, 1, 1, limit=SOON) == 2

    async def test_work_that_eats_memory_is_ended_and_the_next_is_done(self, workshop):
        with pytest.raises(TookTooLongError):
            await workshop.run(shop_work.hoard, limit=SOON)
        assert await workshop.run(shop_work.add, 1, 1, limit=SOON) == 2

    async def test_where_memory_ends_it_goes_before_anything_that_serves(self, workshop):
        assert await workshop.run(shop_work.disposability, limit=SOON) == 1000

    async def test_a_process_that_died_while_idle_is_replaced(self, workshop):
        pid = await workshop.run(shop_work.process, limit=SOON)
        os.kill(pid, 9)
        await asyncio.sleep(0.2)
        assert await workshop.run(shop_work.process, limit=SOON) != pid

    async def test_the_loop_goes_on_while_work_is_done(self, workshop):
        working = asyncio.ensure_future(workshop.run(shop_work.sleep, 0.3, limit=SOON))
        turns = 0
        while not working.done():
            await asyncio.sleep(0.01)
            turns += 1
        assert turns >= 5
        await working

    async def test_whoever_gives_up_ends_the_work(self, workshop):
        await workshop.run(shop_work.process, limit=SOON)
        working = asyncio.ensure_future(workshop.run(shop_work.spin, limit=SOON))
        await asyncio.sleep(0.1)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        assert await workshop.run(shop_work.add, 1, 1, limit=SOON) == 2

    async def test_it_is_not_told_the_secrets_of_the_settings(self, workshop, monkeypatch):
        monkeypatch.setenv("STEPUP_KEY_ENCRYPTION_KEYS", "1:c2VjcmV0")
        known = await workshop.run(shop_work.environment, limit=SOON)
        assert not [name for name in known if name.startswith("STEPUP")]

    async def test_an_error_that_cannot_travel_is_told_by_its_name(self, workshop):
        with pytest.raises(RuntimeError, match="UntellableError"):
            await workshop.run(shop_work.raise_untellable, limit=SOON)


async def test_who_finds_no_place_in_time_is_told_that_it_is_unavailable():
    workshop = ProcessWorkshop(places=1)
    await workshop.run(shop_work.process, limit=SOON)
    working = asyncio.ensure_future(workshop.run(shop_work.sleep, 1.0, limit=SOON))
    await asyncio.sleep(0)
    with pytest.raises(DependencyUnavailableError):
        await workshop.run(shop_work.add, 1, 1, limit=timedelta(milliseconds=50))
    await working
    await workshop.close()


async def test_a_flood_of_documents_does_not_wait_in_memory():
    workshop = ProcessWorkshop(places=1)
    done = await asyncio.gather(
        *(workshop.run(shop_work.add, n, 1, limit=SOON) for n in range(100)),
        return_exceptions=True,
    )
    assert {type(one) for one in done} == {int, DependencyUnavailableError}
    assert await workshop.run(shop_work.add, 1, 1, limit=SOON) == 2
    await workshop.close()


async def test_a_process_without_work_is_closed_after_a_while():
    workshop = ProcessWorkshop(kept_idle=timedelta(milliseconds=50))
    pid = await workshop.run(shop_work.process, limit=SOON)
    await asyncio.sleep(0.5)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert await workshop.run(shop_work.process, limit=SOON) != pid
    await workshop.close()
