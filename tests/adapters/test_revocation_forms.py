"""How revocations are written, so that a release beside us never reads one as nothing.

The forms are pinned as the release before this one reads them.
"""

import os
from collections.abc import AsyncIterator

import msgspec
import pytest
from sqlalchemy import select, text

from stepup.adapters.postgres.database import PostgresDatabase
from stepup.adapters.postgres.tables import revocation as table
from stepup.adapters.redis import keys
from stepup.adapters.redis.revocations import encoded
from stepup.adapters.redis.state import RedisState
from stepup.crypto.sealing import Sealer
from stepup.domain.errors import NewerFormatError
from stepup.domain.ids import AuthenticatorId, ChallengeId, ClientId, SubjectId
from stepup.domain.revocation import CLOCK_MARGIN, Revocation
from stepup.ports import FeedPlace
from tests.support.determinism import NOON, StillClock

ALICE, APP = SubjectId("alice"), AuthenticatorId("app")
REMOVED = Revocation.of_removed(ALICE, APP, NOON)
MARS = msgspec.json.decode(encoded(REMOVED)) | {"what": "planet", "value": "mars"}
UNKNOWN = msgspec.json.encode(MARS)


def test_an_older_release_hears_that_all_of_the_subject_up_to_now_has_ended():
    heard = msgspec.json.decode(encoded(REMOVED), type=Revocation)
    assert (heard.what, heard.value) == ("subject", ALICE)
    # What the subject proves later counts there, too.
    assert heard.before == NOON + CLOCK_MARGIN


@pytest.mark.postgres
async def test_an_older_release_reads_rows_that_it_knows(postgres: PostgresDatabase):
    for revocation in (REMOVED, Revocation.of_grant(ChallengeId("r1.x"), NOON, NOON)):
        await postgres.keep_revocation(revocation)
    async with postgres.transaction() as stores:
        rows = await stores.revocations._transaction.rows(select(table.c.what, table.c.value))
    assert sorted(map(tuple, rows)) == [
        ("subject", "authenticator alice/app"),
        ("token", "grant r1.x"),
    ]


@pytest.mark.postgres
async def test_an_older_release_stops_at_the_row_of_a_client(postgres: PostgresDatabase):
    """It has no name for what ended, so it knows nothing any more and says so."""
    await postgres.keep_revocation(Revocation.of_client(ClientId("bank"), NOON))
    async with postgres.transaction() as stores:
        [row] = await stores.revocations._transaction.rows(select(table.c.what))
    assert row[0] not in {"token", "subject", "key"}


@pytest.mark.postgres
async def test_a_row_about_something_unknown_is_not_read_as_nothing(postgres: PostgresDatabase):
    await postgres.keep_revocation(REMOVED)
    async with postgres.transaction() as stores:
        await stores.revocations._transaction.change(text("UPDATE revocation SET what = 'planet'"))
    with pytest.raises(NewerFormatError):
        async with postgres.transaction() as stores:
            await stores.revocations.live(NOON)


@pytest.fixture
async def state(redis_url: str, clock: StillClock) -> AsyncIterator[RedisState]:
    names = [keys.revocations(), keys.live_revocations(), keys.revocation_number()]
    async with RedisState(redis_url, Sealer({1: bytes(32)}, os.urandom), clock) as opened:
        await opened.client.call("DEL", *names)
        yield opened
        await opened.client.call("DEL", *names)


@pytest.mark.redis
async def test_an_entry_about_something_unknown_is_not_read_as_nothing(state: RedisState):
    feed = state.stores.revocations
    await state.client.call("XADD", keys.revocations(), "*", "seq", 1, "revocation", UNKNOWN)
    with pytest.raises(NewerFormatError):
        await feed.read(FeedPlace("0-0", 0))
    await state.client.call("ZADD", keys.live_revocations(), 1, UNKNOWN)
    with pytest.raises(NewerFormatError):
        await feed.read_all()
