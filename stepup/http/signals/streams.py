"""`/v1/signals/streams`, `/status`, `/subjects` and `/verification` (SSF 1.0 section 8.1)."""

from typing import Any

from litestar import Request, Response, Router, delete, get, patch, post, put
from litestar.di import NamedDependency

from stepup.domain import admin_errors, signal_errors
from stepup.domain.streams import StreamId
from stepup.http.form import read_query
from stepup.http.json_body import read_json
from stepup.http.openapi import problem_responses, reads_json, reads_query, returns
from stepup.http.signals.access import manages, reads, receiver_of, receivers_only
from stepup.http.signals.documents import (
    ChangeRequest,
    CreateRequest,
    StatusDocument,
    StatusRequest,
    StreamDocument,
    SubjectRequest,
    VerificationRequest,
    document_of,
    status_of,
    wish_of,
)
from stepup.ports import Ports
from stepup.usecases import streams

AnyRequest = Request[Any, Any, Any]

RECEIVER_SECURITY: list[dict[str, list[str]]] = [{"receiver": []}]
"""The `security` of a route that a receiver calls with a token of its own."""

ACCESS = (
    admin_errors.NotAuthorizedError,
    admin_errors.InsufficientScopeError,
    signal_errors.StreamNotFoundError,
)


@post(
    "/streams",
    status_code=201,
    tags=["signals"],
    security=RECEIVER_SECURITY,
    opt=manages(),
    operation_class=reads_json(CreateRequest),
    responses=problem_responses(*ACCESS, signal_errors.TooManyStreamsError),
)
async def create_stream(request: AnyRequest, ports: NamedDependency[Ports]) -> StreamDocument:
    """Make a stream of security events; without a delivery method it is polled."""
    wish = wish_of(await read_json(request, CreateRequest))
    return document_of(await streams.create(ports, receiver_of(request), wish), ports.site)


@get(
    "/streams",
    tags=["signals"],
    security=RECEIVER_SECURITY,
    opt=reads(),
    operation_class=reads_query(optional=("stream_id",)),
    responses=returns(
        StreamDocument | list[StreamDocument], "The stream, or all of the receiver's."
    )
    | problem_responses(*ACCESS),
)
async def read_streams(request: AnyRequest, ports: NamedDependency[Ports]) -> Response[Any]:
    """Return one stream, or all of the receiver's when none is named."""
    stream_id, receiver = read_query(request).get("stream_id"), receiver_of(request)
    if stream_id is not None:
        found = await streams.get(ports, receiver, StreamId(stream_id))
        return Response(document_of(found, ports.site))
    return Response(
        [document_of(each, ports.site) for each in await streams.all_of(ports, receiver)]
    )


@patch(
    "/streams",
    tags=["signals"],
    security=RECEIVER_SECURITY,
    opt=manages(),
    operation_class=reads_json(ChangeRequest),
    responses=problem_responses(*ACCESS),
)
async def update_stream(request: AnyRequest, ports: NamedDependency[Ports]) -> StreamDocument:
    """Change the members that are in the request."""
    return await _changed(request, ports, streams.update)


@put(
    "/streams",
    tags=["signals"],
    security=RECEIVER_SECURITY,
    opt=manages(),
    operation_class=reads_json(ChangeRequest),
    responses=problem_responses(*ACCESS),
)
async def replace_stream(request: AnyRequest, ports: NamedDependency[Ports]) -> StreamDocument:
    """Change everything; a member that is not in the request is deleted."""
    return await _changed(request, ports, streams.replace)


@delete(
    "/streams",
    status_code=204,
    tags=["signals"],
    security=RECEIVER_SECURITY,
    opt=manages(),
    operation_class=reads_query(("stream_id",)),
    responses=problem_responses(*ACCESS),
)
async def delete_stream(request: AnyRequest, ports: NamedDependency[Ports]) -> None:
    """End a stream, with all that waits in it."""
    await streams.delete(ports, receiver_of(request), _named(request))


@get(
    "/status",
    tags=["signals"],
    security=RECEIVER_SECURITY,
    opt=reads(),
    operation_class=reads_query(("stream_id",)),
    responses=problem_responses(*ACCESS),
)
async def read_status(request: AnyRequest, ports: NamedDependency[Ports]) -> StatusDocument:
    """Say whether a stream's events flow."""
    return status_of(await streams.get(ports, receiver_of(request), _named(request)))


@post(
    "/status",
    status_code=200,
    tags=["signals"],
    security=RECEIVER_SECURITY,
    opt=manages(),
    operation_class=reads_json(StatusRequest),
    responses=problem_responses(*ACCESS),
)
async def set_status(request: AnyRequest, ports: NamedDependency[Ports]) -> StatusDocument:
    """Let a stream's events flow, be held, or not be kept."""
    asked = await read_json(request, StatusRequest)
    changed = await streams.set_status(
        ports, receiver_of(request), StreamId(asked.stream_id), asked.status, asked.reason
    )
    return status_of(changed)


@post(
    "/verification",
    status_code=204,
    tags=["signals"],
    security=RECEIVER_SECURITY,
    opt=manages(),
    operation_class=reads_json(VerificationRequest),
    responses=problem_responses(*ACCESS, signal_errors.VerificationTooSoonError),
)
async def verify_stream(request: AnyRequest, ports: NamedDependency[Ports]) -> None:
    """Have a verification event sent down a stream."""
    asked = await read_json(request, VerificationRequest)
    await streams.verify(ports, receiver_of(request), StreamId(asked.stream_id), asked.state)


@post(
    "/subjects/add",
    status_code=200,
    tags=["signals"],
    security=RECEIVER_SECURITY,
    opt=manages(),
    operation_class=reads_json(SubjectRequest),
    responses=problem_responses(*ACCESS, signal_errors.SubjectNotRecognizedError),
)
async def add_subject(request: AnyRequest, ports: NamedDependency[Ports]) -> Response[bytes]:
    """Have a stream tell of a subject; the answer is empty (SSF 1.0 section 8.1.3.2)."""
    await _choose(request, ports, wanted=True)
    return Response(b"", media_type="text/plain")


@post(
    "/subjects/remove",
    status_code=204,
    tags=["signals"],
    security=RECEIVER_SECURITY,
    opt=manages(),
    operation_class=reads_json(SubjectRequest),
    responses=problem_responses(*ACCESS, signal_errors.SubjectNotRecognizedError),
)
async def remove_subject(request: AnyRequest, ports: NamedDependency[Ports]) -> None:
    """Have a stream tell no more of a subject."""
    await _choose(request, ports, wanted=False)


async def _changed(request: AnyRequest, ports: Ports, change: Any) -> StreamDocument:
    asked = await read_json(request, ChangeRequest)
    receiver, stream_id = receiver_of(request), StreamId(asked.stream_id)
    current = document_of(await streams.get(ports, receiver, stream_id), ports.site)
    changed = await change(ports, receiver, stream_id, wish_of(asked, current))
    return document_of(changed, ports.site)


async def _choose(request: AnyRequest, ports: Ports, *, wanted: bool) -> None:
    asked = await read_json(request, SubjectRequest)
    await streams.choose_subject(
        ports, receiver_of(request), StreamId(asked.stream_id), asked.subject, wanted=wanted
    )


def _named(request: AnyRequest) -> StreamId:
    return StreamId(read_query(request).need("stream_id"))


router = Router(
    path="/v1/signals",
    guards=[receivers_only],
    route_handlers=[
        create_stream,
        read_streams,
        update_stream,
        replace_stream,
        delete_stream,
        read_status,
        set_status,
        verify_stream,
        add_subject,
        remove_subject,
    ],
)
