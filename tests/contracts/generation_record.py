"""What `GenerationRecord` promises."""

import asyncio
from datetime import timedelta

from stepup.domain.generation import Generation
from stepup.domain.ids import GenerationId
from tests.support.determinism import NOON


def generation(name: str, minutes: int = 0) -> Generation:
    begun_at = NOON + timedelta(minutes=minutes)
    return Generation(id=GenerationId(name), begun_at=begun_at, histories=frozenset())


class GenerationRecordContract:
    """Subclass it and provide `record`, an empty one, and `elsewhere`, that of another region."""

    async def test_at_first_there_certainly_was_none(self, record):
        assert await record.last() is None

    async def test_names_the_youngest_in_whatever_order_they_came(self, record):
        await record.add(generation("second", 2))
        await record.add(generation("first", 1))
        assert await record.last() == "second"

    async def test_of_many_who_add_one_nobody_fails(self, record):
        await asyncio.gather(*(record.add(generation("one")) for _ in range(8)))
        assert await record.last() == "one"

    async def test_regions_do_not_know_of_each_other(self, record, elsewhere):
        await record.add(generation("here"))
        assert await elsewhere.last() is None
