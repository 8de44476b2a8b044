"""`/v1/admin/clients`: the services that call us, under the names of RFC 7591.

A change names the revision that it changes: `If-Match` has the ETag that the client was read with.
Secrets are shown once, by the answer that made them.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath

from stepup.domain import client_errors, policy_errors
from stepup.domain.administrator import AdminAction, Administrator
from stepup.domain.client import Client
from stepup.domain.client_registration import Registration, registration_of
from stepup.domain.client_secret import LONGEST_OVERLAP, secrets_of
from stepup.domain.errors import InvalidRequestError
from stepup.domain.ids import ClientId
from stepup.http.admin.conditional import etag, seen_revision
from stepup.http.admin.gate import administrators_only, performs
from stepup.http.admin.paging import PageRequest
from stepup.http.form import read_query
from stepup.http.json_body import read_kept_json
from stepup.http.openapi import ADMIN_SECURITY, admin_responses, reads_json, reads_query
from stepup.ports import Ports
from stepup.usecases import registering
from stepup.usecases.registering import Registered

_PATH = "/v1/admin/clients"


class ClientDocument(Registration, frozen=True, kw_only=True):
    """A client; `client_secret` only where it was made, `secrets_ending` while one is rotated."""

    client_id: str
    disabled: bool
    revision: int
    client_secret: str | msgspec.UnsetType = msgspec.UNSET
    secrets_ending: tuple[datetime, ...] = ()

    def __repr__(self) -> str:
        return f"ClientDocument({self.client_id})"


class NewClient(Registration, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A client that is to be registered."""

    client_id: str


class ClientList(msgspec.Struct, frozen=True):
    """Clients by their identifiers; `next_token` is empty with the last ones."""

    clients: list[ClientDocument]
    next_token: str


class NewSecret(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how many seconds the old secret is good beside the new one."""

    overlap: Annotated[int, msgspec.Meta(ge=0, le=int(LONGEST_OVERLAP.total_seconds()))] = 86_400


@get(
    "/",
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.CLIENT_READ),
    operation_class=reads_query(optional=("limit", "page_token")),
    responses=admin_responses(),
)
async def list_clients(
    request: Request[Any, Any, Any], ports: NamedDependency[Ports]
) -> ClientList:
    """List clients by their identifiers."""
    asked = _page(request)
    after = _after(asked.page_token)
    found = await registering.list_clients(ports, after=after, count=asked.limit)
    is_last = len(found) < asked.limit
    return ClientList(
        [_document(Registered(client)) for client in found],
        "" if is_last else _token(found[-1].client_id),
    )


@post(
    "/",
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.CLIENT_CHANGE),
    operation_class=reads_json(NewClient),
    responses=admin_responses(client_errors.ClientInvalidError, client_errors.ClientExistsError),
)
async def register_client(
    request: Request[Any, Any, Any],
    ports: NamedDependency[Ports],
    administrator: NamedDependency[Administrator],
) -> Response[ClientDocument]:
    """Register a client; its secret, if it needs one, is in this answer and in no other."""
    asked = await read_kept_json(request, NewClient)
    registered = await registering.register(
        ports,
        ports.snapshot.keyring,
        ClientId(asked.client_id),
        _registration(asked),
        administrator,
    )
    location = {"location": f"{_PATH}/{asked.client_id}"}
    return _answer(registered, 201, location)


@get(
    "/{client_id:str}",
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.CLIENT_READ),
    responses=admin_responses(client_errors.ClientNotFoundError),
)
async def show_client(
    client_id: FromPath[str], ports: NamedDependency[Ports]
) -> Response[ClientDocument]:
    """Return a client; its ETag is what a change must name."""
    return _answer(Registered(await registering.find(ports, ClientId(client_id))))


@put(
    "/{client_id:str}",
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.CLIENT_CHANGE),
    operation_class=reads_json(Registration, names_revision=True),
    responses=admin_responses(
        client_errors.ClientNotFoundError,
        client_errors.ClientInvalidError,
        policy_errors.RevisionRequiredError,
        policy_errors.RevisionStaleError,
    ),
)
async def change_client(
    request: Request[Any, Any, Any],
    client_id: FromPath[str],
    ports: NamedDependency[Ports],
    administrator: NamedDependency[Administrator],
) -> Response[ClientDocument]:
    """Replace what is registered of a client; what is not said has its default again.

    Its secrets stay, unless it authenticates in a way that needs none.
    """
    revision = seen_revision(request)
    asked = await read_kept_json(request, Registration)
    changed = await registering.change(
        ports, ports.snapshot.keyring, ClientId(client_id), asked, administrator, revision
    )
    return _answer(changed)


@post(
    "/{client_id:str}/secrets",
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.CLIENT_CHANGE),
    operation_class=reads_json(NewSecret),
    responses=admin_responses(
        client_errors.ClientNotFoundError, client_errors.SecretlessClientError
    ),
)
async def rotate_secret(
    request: Request[Any, Any, Any],
    client_id: FromPath[str],
    ports: NamedDependency[Ports],
    administrator: NamedDependency[Administrator],
) -> Response[ClientDocument]:
    """Make a new secret; the old one is good until the overlap ends."""
    asked = await read_kept_json(request, NewSecret)
    rotated = await registering.rotate(
        ports,
        ports.snapshot.keyring,
        ClientId(client_id),
        timedelta(seconds=asked.overlap),
        administrator,
    )
    return _answer(rotated, 201)


@post(
    "/{client_id:str}/disable",
    status_code=200,
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.CLIENT_CHANGE),
    responses=admin_responses(client_errors.ClientNotFoundError),
)
async def disable_client(
    client_id: FromPath[str],
    ports: NamedDependency[Ports],
    administrator: NamedDependency[Administrator],
) -> Response[ClientDocument]:
    """Take a client out of service, and end every token that was given to it."""
    return _answer(Registered(await registering.disable(ports, ClientId(client_id), administrator)))


@post(
    "/{client_id:str}/enable",
    status_code=200,
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.CLIENT_CHANGE),
    responses=admin_responses(client_errors.ClientNotFoundError),
)
async def enable_client(
    client_id: FromPath[str],
    ports: NamedDependency[Ports],
    administrator: NamedDependency[Administrator],
) -> Response[ClientDocument]:
    """Put a client into service again; what was ended stays ended."""
    return _answer(Registered(await registering.enable(ports, ClientId(client_id), administrator)))


def _answer(
    registered: Registered, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response[ClientDocument]:
    tagged = {**(headers or {}), **etag(registered.client.revision)}
    return Response(_document(registered), status_code=status, headers=tagged)


def _document(registered: Registered) -> ClientDocument:
    client: Client = registered.client
    ending = [each.until for each in secrets_of(client) if each.until is not None]
    return ClientDocument(
        **msgspec.structs.asdict(registration_of(client)),
        client_id=client.client_id,
        disabled=client.disabled,
        revision=client.revision,
        client_secret=registered.secret or msgspec.UNSET,
        secrets_ending=tuple(sorted(ending)),
    )


def _registration(asked: NewClient) -> Registration:
    fields = msgspec.structs.asdict(asked)
    del fields["client_id"]
    return Registration(**fields)


def _page(request: Request[Any, Any, Any]) -> PageRequest:
    try:
        return msgspec.convert(dict(read_query(request)), PageRequest, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidRequestError(f"{error}.") from None


def _token(client_id: str) -> str:
    return urlsafe_b64encode(client_id.encode()).rstrip(b"=").decode()


def _after(token: str) -> str:
    try:
        after = urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except ValueError:
        raise InvalidRequestError("The page token is not valid; begin again without one.") from None
    if "\0" in after:
        raise InvalidRequestError("The page token is not valid; begin again without one.")
    return after


router = Router(
    path=_PATH,
    route_handlers=[
        list_clients,
        register_client,
        show_client,
        change_client,
        rotate_secret,
        disable_client,
        enable_client,
    ],
    guards=[administrators_only],
)
