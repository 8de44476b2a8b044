"""A policy's life when several do something at once, over memory."""

import msgspec
import pytest

from tests.contracts.policy_races import PolicyRaces
from tests.support.application import a_site, memory_ports


class TestMemory(PolicyRaces):
    @pytest.fixture
    def ports(self, clock):
        site = msgspec.structs.replace(a_site(), policy_approvals=1)
        return memory_ports(site=site, clock=clock)

    async def reach(self, ports, at) -> None:
        ports.clock.at = at
