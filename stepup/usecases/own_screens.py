"""Challenges for clients with screens of their own: the same ceremonies, as JSON."""

import msgspec

from stepup.domain.authorization import Authorization
from stepup.domain.authorization_request import read_code_challenge
from stepup.domain.challenge import Challenge
from stepup.domain.client import Client, Role
from stepup.domain.errors import (
    ClientNotAllowedError,
    InvalidRequestError,
    InvalidTicketError,
    UnmetRequirementError,
)
from stepup.domain.ids import AttemptId
from stepup.ports import Ports
from stepup.usecases import open_challenge, opening
from stepup.usecases.audiences import audience_for
from stepup.usecases.spend_ticket import read_ticket, spend_ticket


class OpenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a client sends to open a challenge for its own screens."""

    ticket: str
    subject_token: str | None = None
    resource: str | None = None
    code_challenge: str | None = None

    def __repr__(self) -> str:
        return "OpenRequest(***)"


async def open_for_client(
    ports: Ports, caller: Client, request: OpenRequest, attempt: AttemptId
) -> Challenge:
    """Open a challenge that this client will answer through the API.

    Raises:
        ClientNotAllowedError: If the client may not run challenges.
        InvalidTicketError: If the ticket does not hold, or is another client's.
        InvalidRequestError: If the base identity is not proved, and the client may not assert it,
            or the code challenge is malformed.
        UnmetRequirementError: If the subject has nothing that reaches the level.
    """
    if not caller.may(Role.RP):
        raise ClientNotAllowedError
    if request.code_challenge is not None:
        read_code_challenge(request.code_challenge)
    ticket = read_ticket(ports, caller, request.ticket)
    if request.subject_token is not None:
        identity = await ports.upstreams.verify(request.subject_token, ports.clock.now())
        if identity.subject != ticket.subject:
            raise InvalidTicketError("The subject token is not for the ticket's subject.")
    elif not caller.asserts_subject:
        raise InvalidRequestError("subject_token is missing.")
    authorization = Authorization(
        client_id=caller.client_id,
        client_name=caller.name,
        subject=ticket.subject,
        requirement=ticket.requirement,
        purpose=ticket.purpose,
        audience=audience_for(caller, ticket.requirement, request.resource),
        code_challenge=request.code_challenge,
    )
    await spend_ticket(ports, ticket, attempt)
    challenge = await open_challenge.open_challenge(
        ports, authorization, opening.computed(ports, ticket.id, attempt), request_uri_digest=None
    )
    if not challenge.methods:
        raise UnmetRequirementError
    return challenge
