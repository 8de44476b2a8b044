"""Events reach a real receiver at least once, in order, although whoever pushes them is killed."""

import asyncio
import signal
import sys
from contextlib import asynccontextmanager

import pytest

from stepup.adapters.postgres.database import PostgresDatabase
from stepup.domain.streams import Delivery, DeliveryMethod
from tests.contracts.signals import a_stream, an_event
from tests.crypto.forging import read
from tests.support.http_receiver import HttpReceiver, listening

pytestmark = pytest.mark.postgres

NAMES = ["a", "b", "c"]


@asynccontextmanager
async def worker(url: str):
    """Run a process that pushes; whoever leaves kills it."""
    arguments = ("-m", "tests.support.signal_worker", url)
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()


async def prepare(database: PostgresDatabase, receiver: HttpReceiver) -> None:
    stream = a_stream(delivery=Delivery(method=DeliveryMethod.PUSH, endpoint_url=receiver.url))
    claims = '{{"iss":"i","jti":"{0}","iat":1,"aud":"crm","events":{{"urn:x":{{}}}}}}'
    now = None
    async with database.transaction() as stores:
        now = await stores.keys.now()
        await stores.streams.put(stream)
        await stores.signals.add(
            [an_event(name, claims=claims.format(name).encode(), queued_at=now) for name in NAMES]
        )


async def delivered(database: PostgresDatabase) -> None:
    """Wait until nothing waits any more."""
    async with asyncio.timeout(40):
        while True:
            async with database.transaction() as stores:
                if not (await stores.signals.backlog()).waiting:
                    return
            await asyncio.sleep(0.2)


def ids(receiver: HttpReceiver) -> list[str]:
    return [read(request.body, 1)["jti"] for request in receiver.received]


async def test_rfc8935_1_a_killed_worker_loses_nothing(postgres: PostgresDatabase, schema_url: str):
    async with listening() as receiver:
        await prepare(postgres, receiver)
        receiver.delay = 30
        async with worker(schema_url):
            await asyncio.wait_for(receiver.came.wait(), timeout=40)
        assert ids(receiver) == ["a"]
        receiver.delay = 0
        async with worker(schema_url), worker(schema_url):
            await delivered(postgres)
        # The first one twice, by the same name; nothing lost, nothing out of order.
        assert ids(receiver) == ["a", *NAMES]
