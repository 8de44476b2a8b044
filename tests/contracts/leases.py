"""What `LeaseStore` promises; that one of two gets it needs two transactions at a time."""

import pytest

from stepup.ports import Lease


class LeaseStoreContract:
    """Subclass it and provide `database`."""

    async def test_whoever_has_it_may_ask_again(self, database):
        async with database.transaction() as stores:
            assert await stores.leases.take(Lease.DRAIN)
            assert await stores.leases.take(Lease.DRAIN)

    async def test_ends_with_the_transaction_however_that_ends(self, database):
        async def take_and_fail() -> None:
            async with database.transaction() as stores:
                await stores.leases.take(Lease.DRAIN)
                raise KeyError

        with pytest.raises(KeyError):
            await take_and_fail()
        for _ in range(2):
            async with database.transaction() as stores:
                assert await stores.leases.take(Lease.DRAIN)
