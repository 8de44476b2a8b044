"""`stepup signals`: an operator looks after streams."""

import asyncio
import json
import os

import pytest

from stepup.adapters.postgres.database import PostgresDatabase
from stepup.crypto.sealing import Sealer
from stepup.domain.streams import StreamStatus
from tests.contracts.signals import a_stream, an_event

pytestmark = [pytest.mark.postgres, pytest.mark.redis]


async def prepare(url: str) -> None:
    """Make a paused stream with one event that was set aside."""
    database = PostgresDatabase(url, Sealer({1: bytes(32)}, os.urandom))
    stream = a_stream().with_status(StreamStatus.PAUSED, "too many")
    async with database.transaction() as stores:
        await stores.streams.put(stream)
        await stores.signals.add([an_event("a"), an_event("b")])
        await stores.signals.set_aside(stream.id, {"a": "invalid_key"})
    await database.close()


def test_shows_what_was_set_aside_and_lets_it_flow_again(operate, environ):
    asyncio.run(prepare(environ["STEPUP_POSTGRES_URL"]))
    [row] = json.loads(operate("signals", "list", "--json").output)
    assert (row["stream"], row["status"], row["set_aside"]) == ("s1", "paused", 1)
    assert "too many" in operate("signals", "list").output
    [aside] = json.loads(operate("signals", "aside", "s1", "--json").output)
    assert (aside["jti"], aside["problem"]) == ("a", "invalid_key")
    assert "invalid_key" in operate("signals", "aside", "s1").output
    assert "1 events" in operate("signals", "resume", "s1").output
    [row] = json.loads(operate("signals", "list", "--json").output)
    assert (row["status"], row["set_aside"]) == ("enabled", 0)


def test_a_stream_that_does_not_exist(operate):
    assert operate("signals", "list").output == ""
    refused = operate("signals", "resume", "none")
    assert refused.exit_code == 1
    assert "no such stream" in refused.output
