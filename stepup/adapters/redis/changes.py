"""The quick way to tell every instance that configuration changed: a stream, heard blocking."""

import contextlib
from collections.abc import AsyncIterator

from typing_extensions import override

from stepup.adapters.redis import keys, scripts
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.listener import StreamListener
from stepup.adapters.redis.times import span_ms
from stepup.domain.errors import StepUpError
from stepup.ports import Changes


class RedisChanges(Changes):
    """Announcements carry nothing: who hears one looks for himself."""

    def __init__(self, client: RedisClient, listener: StreamListener) -> None:
        self._client = client
        self._listener = listener

    @override
    async def announce(self) -> None:
        with contextlib.suppress(StepUpError):
            await self._client.run(
                scripts.ANNOUNCE_CHANGE,
                [keys.changes()],
                [span_ms(keys.CHANGES_KEPT), keys.CHANGES_LENGTH],
            )

    @override
    async def listen(self) -> AsyncIterator[None]:
        async with contextlib.aclosing(self._listener.entries()) as entries:
            async for _ in entries:
                yield
