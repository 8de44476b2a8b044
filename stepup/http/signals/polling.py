"""`POST /v1/signals/poll/{stream_id}`: a receiver fetches its SETs (RFC 8936)."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Router, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from stepup.domain.errors import InvalidRequestError
from stepup.domain.streams import StreamId
from stepup.http.health import Readiness
from stepup.http.json_body import read_json
from stepup.http.openapi import problem_responses, reads_json
from stepup.http.signals.access import reads, receiver_of, receivers_only
from stepup.http.signals.documents import Text
from stepup.http.signals.streams import ACCESS, RECEIVER_SECURITY
from stepup.ports import Ports
from stepup.telemetry import signals_delivered_total, signals_set_aside_total
from stepup.usecases import poll_signals

_ANSWERED_AT_ONCE = 1_000
# Whoever waits costs us a look every half second; past so many, an answer at once costs less.
_MAX_WAITING = 64


class SetFault(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a SET (RFC 8936 section 2.4.4)."""

    err: Text
    description: Text | None = None


class PollRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a receiver has, cannot use, and wants (RFC 8936 section 2.4)."""

    max_events: Annotated[int, msgspec.Meta(ge=0)] | None = None
    return_immediately: bool = False
    ack: list[Text] = []
    set_errs: dict[Text, SetFault] = {}


class PollResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """SETs by their `jti` (RFC 8936 section 2.3)."""

    sets: dict[str, str]
    more_available: bool


class _Waiting:
    """How many receivers this process keeps waiting."""

    count = 0


@post(
    "/{stream_id:str}",
    status_code=200,
    tags=["signals"],
    security=RECEIVER_SECURITY,
    opt=reads(),
    operation_class=reads_json(PollRequest),
    responses=problem_responses(*ACCESS),
)
async def poll_stream(
    request: Request[Any, Any, Any],
    stream_id: FromPath[str],
    ports: NamedDependency[Ports],
    readiness: NamedDependency[Readiness],
) -> PollResponse:
    """Acknowledge SETs and return what waits; waits up to 20 seconds when nothing does."""
    asked = await read_json(request, PollRequest)
    if len(asked.ack) + len(asked.set_errs) > _ANSWERED_AT_ONCE:
        raise InvalidRequestError("That is too much at once.")
    most = poll_signals.MAX_EVENTS if asked.max_events is None else asked.max_events
    wanted = poll_signals.Poll(
        max_events=most,
        return_immediately=asked.return_immediately or _Waiting.count >= _MAX_WAITING,
        ack=tuple(asked.ack),
        set_errors={jti: _name_of(fault.err) for jti, fault in asked.set_errs.items()},
    )
    _Waiting.count += 1
    try:
        polled = await poll_signals.poll(
            ports,
            receiver_of(request),
            StreamId(stream_id),
            wanted,
            lambda: readiness.is_draining,
        )
    finally:
        _Waiting.count -= 1
    signals_delivered_total.labels(method="poll").inc(polled.acknowledged)
    signals_set_aside_total.labels(problem="refused").inc(polled.set_aside)
    return PollResponse(sets=polled.sets, more_available=polled.more_available)


def _name_of(err: str) -> str:
    return err if err.isidentifier() and len(err) <= 40 else "other"


router = Router(path="/v1/signals/poll", guards=[receivers_only], route_handlers=[poll_stream])
