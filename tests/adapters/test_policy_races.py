"""A policy's life when several do something at once, over PostgreSQL."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from tests.contracts.policy_races import PolicyRaces
from tests.support.application import a_site, memory_ports


@pytest.mark.postgres
class TestPostgres(PolicyRaces):
    @pytest.fixture
    def ports(self, postgres, root, clock):
        site = msgspec.structs.replace(a_site(), policy_approvals=1)
        return memory_ports(site=site, clock=clock)._replace(database=postgres)

    async def reach(self, ports, at) -> None:
        async with ports.database.transaction() as stores:
            now = await stores.keys.now()
        await asyncio.sleep(max(at - now, timedelta(0)).total_seconds())
