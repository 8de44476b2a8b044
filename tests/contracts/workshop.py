"""What `Workshop` promises; that work can be ended needs a process to end."""

import asyncio
from datetime import timedelta

import pytest

from stepup.domain.errors import PolicyNotFoundError
from tests.support.shop_work import add, refuse

SOON = timedelta(seconds=30)


class WorkshopContract:
    """Subclass it and provide `workshop`."""

    async def test_returns_what_the_work_returns(self, workshop):
        assert await workshop.run(add, 2, 3, limit=SOON) == 5

    async def test_raises_what_the_work_raises(self, workshop):
        with pytest.raises(PolicyNotFoundError, match="of that number"):
            await workshop.run(refuse, "none of that number", limit=SOON)

    async def test_does_one_thing_after_another_and_several_at_once(self, workshop):
        results = await asyncio.gather(*(workshop.run(add, n, 1, limit=SOON) for n in range(6)))
        assert results == [1, 2, 3, 4, 5, 6]
