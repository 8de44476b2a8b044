"""What the shadow says: a queue in this process, and counters that all instances share."""

from collections import deque
from collections.abc import Sequence

import msgspec
from typing_extensions import override

from stepup.adapters.redis import keys, scripts
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.times import epoch_ms, from_epoch_ms, span_ms
from stepup.domain.ids import ActionName
from stepup.domain.replay import Example
from stepup.domain.shadow import ShadowTally, Watched
from stepup.ports import Clock
from stepup.ports.shadow import ShadowFindings, ShadowLog

# Half a second of a busy worker; what comes faster than it is evaluated is not evaluated.
MOST_WAITING = 2_000
# The latest five of each kind: every flush puts its own over the oldest.
_SLOTS = 5

_json = msgspec.json.Encoder()
_example = msgspec.json.Decoder(Example)


class RedisShadowLog(ShadowLog):
    """One hash for each text: `n <result> <action>` are counters, `x <result> <slot>` examples."""

    def __init__(self, client: RedisClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._waiting: deque[Watched] = deque()
        self._flushes = 0

    @override
    def add(self, watched: Watched) -> bool:
        if len(self._waiting) >= MOST_WAITING:
            return False
        self._waiting.append(watched)
        return True

    @override
    def take(self, count: int) -> Sequence[Watched]:
        return [self._waiting.popleft() for _ in range(min(count, len(self._waiting)))]

    @override
    async def count(self, digest: str, tally: ShadowTally) -> None:
        self._flushes += 1
        arguments: list[scripts.Argument] = [
            epoch_ms(self._clock.now()),
            span_ms(keys.SHADOW_KEPT),
            len(tally.counts),
        ]
        for (action, result), count in tally.counts.items():
            arguments += [f"n {result} {action}", count]
        for result, example in tally.examples.items():
            arguments += [f"x {result} {self._flushes % _SLOTS}", _json.encode(example)]
        await self._client.run(scripts.COUNT_SHADOW, [keys.shadow(digest)], arguments)

    @override
    async def find(self, digest: str) -> ShadowFindings:
        reply = await self._client.run(scripts.READ_HASH, [keys.shadow(digest)])
        if reply.status != "ok":
            return ShadowFindings()
        held = dict(zip(reply.values[::2], reply.values[1::2], strict=True))
        counts: dict[tuple[ActionName, str], int] = {}
        examples: list[Example] = []
        for field, value in held.items():
            kind, _, rest = (field or b"").decode().partition(" ")
            result, _, action = rest.partition(" ")
            if kind == "n":
                counts[ActionName(action), result] = int(value or 0)
            elif kind == "x" and value is not None:
                examples.append(_example.decode(value))
        examples.sort(key=lambda example: example.at, reverse=True)
        since = from_epoch_ms(held.get(b"since") or b"0")
        return ShadowFindings(since=since, counts=counts, examples=examples)
