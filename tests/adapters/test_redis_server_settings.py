"""A server whose settings contradict the promises is found out."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stepup.adapters.embedded.redis import EmbeddedRedis
from stepup.adapters.redis.state import RedisState
from stepup.crypto.sealing import Sealer
from stepup.domain.errors import DependencyUnavailableError
from tests.support.determinism import CountingEntropy, StillClock
from tests.support.engines import temporary_directory

pytestmark = pytest.mark.redis


@contextmanager
def running(**settings: str) -> Iterator[str]:
    with temporary_directory() as directory:
        server = EmbeddedRedis(directory, {k.replace("_", "-"): v for k, v in settings.items()})
        try:
            yield server.url
        finally:
            server.stop()


def state(url: str, **options: object) -> RedisState:
    return RedisState(url, Sealer({1: bytes(32)}, CountingEntropy().bytes), StillClock(), **options)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, []),
        ({"maxmemory_policy": "allkeys-lru"}, ["maxmemory-policy is allkeys-lru"]),
        ({"appendonly": "no"}, ["appendonly is no"]),
        (
            {"appendonly": "no", "maxmemory_policy": "volatile-ttl"},
            ["maxmemory-policy is volatile-ttl", "appendonly is no"],
        ),
    ],
    ids=["safe", "evicting", "not persistent", "both"],
)
async def test_names_what_contradicts_the_promises(settings, said):
    with running(**settings) as url:
        async with state(url) as opened:
            found = (await opened.inspect()).contradictions
    assert [text.partition(",")[0] for text in found] == said


async def test_acknowledgements_need_a_primary_that_stops_alone():
    with running() as url:
        async with state(url, replicas=1) as opened:
            (found,) = (await opened.inspect()).contradictions
    assert found.startswith("min-replicas-to-write is 0")


async def test_a_server_that_hides_its_settings_contradicts_nothing():
    with running() as url:
        async with state(url) as opened:
            rules = ("on", ">pw", "~*", "+@all", "-config")
            await opened.client.call("ACL", "SETUSER", "limited", *rules)
        async with state(f"{url}?username=limited&password=pw") as opened:
            assert (await opened.inspect())[:3] == ([], [], [])


async def test_is_not_ready_on_an_unsafe_server_where_that_is_refused():
    with running(appendonly="no") as url:
        async with state(url, refuse_unsafe=True) as opened:
            with pytest.raises(DependencyUnavailableError, match="appendonly"):
                await opened.check()


async def test_is_ready_with_a_warning_where_it_is_not_refused(capsys):
    with running(appendonly="no") as url:
        async with state(url) as opened:
            await opened.check()
            await opened.check()
    assert capsys.readouterr().out.count("unsafe_redis") == 1


async def test_a_server_that_is_away_is_asked_when_it_is_back():
    with temporary_directory() as directory:
        EmbeddedRedis(directory, {"appendonly": "no"}).stop()
        url = f"unix://{directory.sockets / 'redis.sock'}"
        async with state(url, refuse_unsafe=True) as opened:
            with pytest.raises(DependencyUnavailableError):
                await opened.check()
            server = EmbeddedRedis(directory, {"appendonly": "no"})
            await asyncio.sleep(0.4)  # longer than the pause between two connections
            try:
                with pytest.raises(DependencyUnavailableError, match="appendonly"):
                    await opened.check()
            finally:
                server.stop()
