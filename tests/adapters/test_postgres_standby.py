"""Two hosts in the URL: who only asks is led to the promoted standby, like who writes."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TypeVar

import pytest

from stepup.adapters.postgres import migrate
from stepup.adapters.postgres.database import PostgresDatabase
from stepup.crypto.sealing import Sealer
from stepup.domain.errors import DependencyUnavailableError
from tests.support.builders import a_subject, an_authenticator
from tests.support.determinism import NOON
from tests.support.standby import Pair, running_pair

T = TypeVar("T")

pytestmark = pytest.mark.postgres


@pytest.fixture
def pair() -> Iterator[Pair]:
    with running_pair() as running:
        migrate.upgrade(running.url)
        running.wait_until_in_step()
        yield running


@pytest.fixture
async def database(pair: Pair, sealer: Sealer) -> AsyncIterator[PostgresDatabase]:
    opened = PostgresDatabase(pair.url, sealer)
    await asyncio.gather(*(opened.check() for _ in range(5)))
    yield opened
    await opened.close()


async def activate(database: PostgresDatabase) -> None:
    async with database.transaction() as stores:
        await stores.policies.activate("made on the new primary", "alice", NOON)


@pytest.mark.parametrize("fault", ["demoted", "killed"])
async def test_a_change_on_the_new_primary_is_seen_by_who_asked_the_old_one(
    pair: Pair, database: PostgresDatabase, sealer: Sealer, fault: str
):
    before = await database.configuration_version()
    if fault == "demoted":
        pair.demote_alive()
    else:
        pair.signal_primary(signal.SIGKILL)
        pair.promote()
    other = PostgresDatabase(pair.url, sealer)
    await once_answered(lambda: activate(other))
    await other.close()

    assert await once_answered(database.configuration_version) > before


async def test_what_is_enrolled_after_a_promotion_is_found(pair: Pair, database: PostgresDatabase):
    held = an_authenticator(subject=a_subject())
    pair.demote_alive()
    await once_answered(database.configuration_version)
    async with database.transaction() as stores:
        await stores.authenticators.add(held)

    assert list(await database.authenticators_of(held.subject)) == [held]


async def once_answered(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask every so often, as an instance does; the first questions may be refused."""
    async with asyncio.timeout(15):
        while True:
            try:
                return await ask()
            except DependencyUnavailableError:
                await asyncio.sleep(0.3)
