"""Places in status lists: a hash for each window, and a list of who got one."""

from collections.abc import Sequence

import msgspec
from typing_extensions import override

from stepup.adapters.redis import keys, scripts
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.times import span_ms
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.revocation import Ground
from stepup.domain.status import PLACES_USED, ListedToken
from stepup.ports import Clock
from stepup.ports.statuses import PlaceWanted, StatusStore

# A second of full load; whoever begins reads several pages.
PAGE = 1_000

_grounds = msgspec.json.Encoder()
_read_grounds = msgspec.json.Decoder(tuple[Ground, ...])


class RedisStatusStore(StatusStore):
    """Reads go over the connection for spends, because they too count only from the primary."""

    def __init__(self, client: RedisClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    @override
    async def give_place(self, wanted: PlaceWanted) -> ListedToken:
        kept = wanted.until - self._clock.now() + keys.TOMBSTONE
        reply = await self._client.spend(
            scripts.GIVE_PLACE,
            [keys.status_lists(wanted.window), keys.listed_tokens(wanted.window)],
            [
                wanted.token_id,
                _grounds.encode(wanted.grounds),
                wanted.fresh,
                PLACES_USED,
                span_ms(kept),
                *wanted.candidates,
            ],
            same_attempt=True,
        )
        if reply.status != "ok":
            raise DependencyUnavailableError("No place in a status list was free; try again.")
        drawn, place = reply.values
        return ListedToken(drawn.decode(), int(place), wanted.grounds)

    @override
    async def read(self, window: int, start: int) -> Sequence[ListedToken]:
        reply = await self._client.spend(
            scripts.READ_PLACES,
            [keys.listed_tokens(window)],
            [start, start + PAGE - 1],
            same_attempt=True,
        )
        return [_listed(text) for text in reply.values]


def _listed(text: bytes) -> ListedToken:
    drawn, place, grounds = text.split(b" ", 2)
    return ListedToken(drawn.decode(), int(place), _read_grounds.decode(grounds))
