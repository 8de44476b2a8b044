"""What `ClientStore` promises."""

import asyncio

import pytest

from stepup.domain.client import Client, Role
from stepup.domain.ids import ClientId

BANK = Client(
    client_id=ClientId("bank"),
    name="Bänk",
    secret_digests=(b"\x00newest", b"older"),
    redirect_uris=("https://bank.example/callback",),
    roles=frozenset({Role.PEP, Role.RP}),
    audiences=("https://api.bank.example",),
    subject_issuer="https://idp.example",
    asserts_subject=True,
)
GATEWAY = Client(
    client_id=ClientId("gateway"), name="Gateway", roles=frozenset({Role.RS, Role.SSF})
)


class ClientStoreContract:
    """Subclass it and provide `database`."""

    async def test_returns_every_client_as_it_was_put(self, database):
        async with database.transaction() as stores:
            assert list(await stores.clients.all()) == []
            await stores.clients.put(BANK)
            await stores.clients.put(GATEWAY)
        async with database.transaction() as stores:
            clients = {c.client_id: c for c in await stores.clients.all()}
        assert clients == {"bank": BANK, "gateway": GATEWAY}

    async def test_replaces_the_whole_client(self, database):
        disabled = Client(client_id=BANK.client_id, name="Bank", disabled=True)
        async with database.transaction() as stores:
            await stores.clients.put(BANK)
        async with database.transaction() as stores:
            await stores.clients.put(disabled)
        async with database.transaction() as stores:
            assert list(await stores.clients.all()) == [disabled]

    async def test_a_change_of_a_client_changes_the_configuration(self, database):
        versions = [await database.configuration_version()]
        for client in (BANK, Client(client_id=BANK.client_id, name="Bank", disabled=True)):
            async with database.transaction() as stores:
                await stores.clients.put(client)
            versions.append(await database.configuration_version())
        assert versions == sorted(set(versions))

    async def test_a_change_that_was_not_committed_is_none(self, database):
        before = await database.configuration_version()

        async def put_and_refuse() -> None:
            async with database.transaction() as stores:
                await stores.clients.put(BANK)
                raise KeyError

        with pytest.raises(KeyError):
            await put_and_refuse()
        assert await database.configuration_version() == before
        async with database.transaction() as stores:
            assert list(await stores.clients.all()) == []

    async def test_is_read_one_by_one_and_by_pages(self, database):
        names = ["Z", "a", "a-b", "aB", "b"]
        async with database.transaction() as stores:
            for name in reversed(names):
                client = Client(client_id=ClientId(name), name=name, revision=3)
                assert await stores.clients.add(client)
        async with database.transaction() as stores:
            assert (await stores.clients.find(ClientId("aB"))).revision == 3
            assert (await stores.clients.hold(ClientId("aB"))).revision == 3
            assert await stores.clients.find(ClientId("A")) is None
            assert await stores.clients.hold(ClientId("A")) is None
            first = await stores.clients.page(after="", count=2)
            rest = await stores.clients.page(after="a", count=9)
        assert [client.client_id for client in (*first, *rest)] == names

    async def test_of_concurrent_registrations_one_counts(self, database):
        async def add(name: str) -> bool:
            async with database.transaction() as stores:
                return await stores.clients.add(Client(client_id=ClientId("shop"), name=name))

        added = await asyncio.gather(*(add(f"number {n}") for n in range(5)))
        assert sorted(added) == [False, False, False, False, True]
        async with database.transaction() as stores:
            found = await stores.clients.find(ClientId("shop"))
        assert found.name == f"number {added.index(True)}"
