"""What `ClientStore` promises."""

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
GATEWAY = Client(client_id=ClientId("gateway"), name="Gateway", roles=frozenset({Role.RS}))


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
