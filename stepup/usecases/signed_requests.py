"""A request that its client has signed: opened before it is read, and used once if it has a name."""

import hashlib

import msgspec

from stepup.crypto import client_keys, jwts
from stepup.crypto.request_objects import ExpectedObject, read_request_object
from stepup.domain.authorization_errors import InvalidRequestObjectError
from stepup.domain.authorization_request import AuthorizationRequest
from stepup.domain.checked_request import SignedObject
from stepup.domain.client import Client
from stepup.domain.client_authentication import Profile
from stepup.domain.errors import InvalidRequestError
from stepup.domain.ids import AttemptId
from stepup.ports import Ports
from stepup.usecases.client_keys import keys_of


class OpenedRequest(msgspec.Struct, frozen=True):
    """What is asked; `signed` when all of it comes from an object, which may be `named`."""

    request: AuthorizationRequest
    signed: bool = False
    named: SignedObject | None = None


async def open_request(
    ports: Ports, client: Client, request: AuthorizationRequest
) -> OpenedRequest:
    """Take the request out of its object; what stands beside it is ignored (RFC 9101 section 6.3).

    Raises:
        InvalidRequestError: If a request_uri comes with it.
        InvalidRequestObjectError: If the object does not hold, or is not this client's.
        DependencyUnavailableError: If the client's keys cannot be fetched.
    """
    if request.request is None:
        return OpenedRequest(request)
    if request.request_uri is not None:
        # RFC 9101 section 5: one or the other.
        raise InvalidRequestError("request and request_uri exclude each other.")
    is_fapi = client.profile is Profile.FAPI2
    expected = ExpectedObject(
        client_id=client.client_id,
        issuer=ports.site.issuer,
        algorithms=client_keys.FAPI_ALGORITHMS if is_fapi else client_keys.ALGORITHMS,
        now=ports.clock.now(),
    )
    try:
        keys = await keys_of(ports, client, jwts.peek(request.request).kid)
        found = read_request_object(request.request, keys, expected)
    except jwts.InvalidTokenError as error:
        raise InvalidRequestObjectError(f"The request object does not hold: {error}.") from None
    asked = AuthorizationRequest.of(found.parameters)
    return OpenedRequest(asked, signed=True, named=found.named)


async def spend_object(
    ports: Ports, client_id: str, signed: SignedObject, attempt: AttemptId
) -> None:
    """Use a named object up; the same attempt may come again.

    Raises:
        InvalidRequestObjectError: If another attempt has used it, or may have.
    """
    named = f"{client_id}\0{signed.id}".encode()
    is_new = await ports.state.replays.remember(
        "request_object",
        hashlib.sha256(named).hexdigest(),
        attempt,
        signed.until,
        possible_since=signed.since,
    )
    if not is_new:
        raise InvalidRequestObjectError("The request object was used before; sign a new one.")
