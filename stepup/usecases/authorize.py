"""Take a pushed authorization request: every check in order, then one challenge.

The checks stand in `push` as a list that can be read: the client and where it may be sent back
to, what it asks for (a ticket, or a level), who the subject is, and for whom the token will be.
"""

import re
from urllib.parse import urlencode

import msgspec

from stepup.crypto import digests, tickets
from stepup.domain.assurance import Acr
from stepup.domain.authorization import (
    REQUEST_URI_LIFETIME,
    Authorization,
    Ticket,
)
from stepup.domain.client import Client, Role
from stepup.domain.errors import (
    ClientNotAllowedError,
    InvalidRequestError,
    InvalidScopeError,
    InvalidSubjectTokenError,
    InvalidTargetError,
    InvalidTicketError,
    UnmetRequirementError,
    UnsupportedResponseTypeError,
)
from stepup.domain.ids import AttemptId, ChallengeId, ClientId, Handle, Subject
from stepup.domain.requirement import Requirement
from stepup.domain.site import Site
from stepup.ports import Ports
from stepup.usecases import decide, open_challenge, opening
from stepup.usecases.opening import Opening

AUTHORIZE_PATH = "/oauth2/authorize"
REQUEST_URI_PREFIX = "urn:ietf:params:oauth:request_uri:"
SUBJECT_TOKEN_TYPES = frozenset(
    {
        "urn:ietf:params:oauth:token-type:id_token",
        "urn:ietf:params:oauth:token-type:access_token",
        "urn:ietf:params:oauth:token-type:jwt",
    }
)
# RFC 7636 section 4.2: base64url of a SHA-256, always 43 characters.
_CODE_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+( [\x21\x23-\x5B\x5D-\x7E]+)*")


class PushedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of an authorization request, as the client pushed them."""

    response_type: str | None = None
    redirect_uri: str | None = None
    state: str | None = None
    code_challenge: str | None = None
    code_challenge_method: str | None = None
    scope: str | None = None
    resource: str | None = None
    step_up_ticket: str | None = None
    acr_values: str | None = None
    max_age: str | None = None
    login_hint: str | None = None
    subject_token: str | None = None
    subject_token_type: str | None = None
    ui_locales: str | None = None

    def __repr__(self) -> str:
        return f"PushedRequest({self.redirect_uri})"


class Pushed(msgspec.Struct, frozen=True, kw_only=True):
    """An accepted request: where the browser goes with it, and for how long."""

    challenge_id: ChallengeId
    request_uri: str
    expires_in: int

    def __repr__(self) -> str:
        return f"Pushed({self.challenge_id})"


async def push(ports: Ports, caller: Client, pushed: PushedRequest, attempt: AttemptId) -> Pushed:
    """Check a request and open its challenge (RFC 9126 section 2).

    Raises:
        ClientNotAllowedError: If the client may not send subjects to challenges.
        InvalidRequestError: If a parameter is missing, malformed or not registered.
        InvalidTicketError: If the ticket was changed, used, expired or made for another client.
        InvalidSubjectTokenError: If the base identity cannot be proved, or is somebody else's.
        InvalidTargetError: If the token would have no audience, or one the client may not name.
        UnmetRequirementError: If no level of ours is among those asked for.
    """
    if not caller.may(Role.RP):
        raise ClientNotAllowedError
    _check_response_type(pushed)
    redirect_uri = _checked_redirect_uri(caller, pushed)
    code_challenge = _checked_code_challenge(pushed)
    scope = _checked_scope(pushed)
    ticket = _read_ticket(ports, caller, pushed)
    requirement = ticket.requirement if ticket else _asked_requirement(ports, pushed)
    subject = await _proven_subject(ports, caller, pushed, ticket)
    authorization = Authorization(
        client_id=caller.client_id,
        client_name=caller.name,
        subject=subject,
        requirement=requirement,
        purpose=ticket.purpose if ticket else None,
        audience=audience_for(caller, requirement, pushed.resource),
        scope=scope,
        redirect_uri=redirect_uri,
        state=pushed.state,
        code_challenge=code_challenge,
        ui_locales=pushed.ui_locales,
    )
    if ticket is None:
        return await open_for_browser(ports, authorization, opening.drawn(ports))
    await spend_ticket(ports, ticket, attempt)
    return await open_for_browser(ports, authorization, opening.computed(ports, ticket, attempt))


async def open_for_browser(ports: Ports, authorization: Authorization, named: Opening) -> Pushed:
    """Open a challenge that a browser will answer, and make the `request_uri` that leads to it."""
    opened = await open_challenge.open_challenge(
        ports, authorization, named, request_uri_digest=request_uri_digest(ports, named.secret)
    )
    return Pushed(
        challenge_id=opened.id,
        request_uri=f"{REQUEST_URI_PREFIX}{Handle(opened.id, named.secret)}",
        expires_in=int(REQUEST_URI_LIFETIME.total_seconds()),
    )


def authorization_url(site: Site, client_id: ClientId, pushed: Pushed) -> str:
    """Return the URL to send the browser to (RFC 9126 section 4)."""
    query = urlencode({"client_id": client_id, "request_uri": pushed.request_uri})
    return f"{site.url(AUTHORIZE_PATH)}?{query}"


def request_uri_digest(ports: Ports, secret: str) -> bytes:
    """Digest the secret part of a `request_uri`."""
    key = digests.derive(ports.snapshot.keyring.root, "request-uri")
    return digests.keyed_digest(key, secret)


def audience_for(caller: Client, requirement: Requirement, resource: str | None) -> str:
    """Choose the token's one audience: the policy's, the one asked for, or the client's default.

    Raises:
        InvalidTargetError: If there is none, or the one asked for is not allowed (RFC 8707).
    """
    if requirement.audience is not None:
        if resource not in {None, requirement.audience}:
            raise InvalidTargetError("The policy fixes another audience for this action.")
        return requirement.audience
    if resource is None:
        if not caller.audiences:
            raise InvalidTargetError("Name the audience in the parameter resource.")
        return caller.audiences[0]
    if resource not in caller.audiences:
        raise InvalidTargetError
    return resource


def read_ticket(ports: Ports, caller: Client, text: str) -> Ticket:
    """Verify a ticket and that it was made for this client.

    Raises:
        InvalidTicketError: If it was changed, has expired, or belongs to another client.
    """
    key = decide.ticket_key(ports.snapshot.keyring)
    ticket = tickets.read_ticket(text, key, ports.clock.now())
    if ticket.client_id != caller.client_id:
        raise InvalidTicketError("The ticket was made for another client.")
    return ticket


async def spend_ticket(ports: Ports, ticket: Ticket, attempt: AttemptId) -> None:
    """Use a ticket up; the same attempt may come again, and gets the same challenge.

    Raises:
        InvalidTicketError: If it was redeemed before, or may have been.
    """
    remembered = await ports.state.replays.remember(
        "ticket", ticket.id, attempt, ticket.expires_at, possible_since=ticket.issued_at
    )
    if not remembered:
        raise InvalidTicketError(
            "The ticket was redeemed before, or may have been; ask for a new one."
        )


def check_code_challenge(text: str) -> None:
    """Refuse what no code verifier could ever answer: its code would be good for nothing.

    Raises:
        InvalidRequestError: If it is not the base64url text of a SHA-256.
    """
    if not _CODE_CHALLENGE.fullmatch(text):
        raise InvalidRequestError("code_challenge is malformed.")


def _check_response_type(pushed: PushedRequest) -> None:
    if pushed.response_type is None:
        raise InvalidRequestError("response_type is missing.")
    if pushed.response_type != "code":
        raise UnsupportedResponseTypeError


def _checked_redirect_uri(caller: Client, pushed: PushedRequest) -> str:
    if pushed.redirect_uri is None:
        raise InvalidRequestError("redirect_uri is missing.")
    if not caller.redirects_to(pushed.redirect_uri):
        raise InvalidRequestError("redirect_uri is not registered for this client.")
    return pushed.redirect_uri


def _checked_code_challenge(pushed: PushedRequest) -> str:
    # RFC 7636 section 4.4.1; "plain" protects nobody who could read the request.
    if pushed.code_challenge is None:
        raise InvalidRequestError("code_challenge is missing.")
    if pushed.code_challenge_method != "S256":
        raise InvalidRequestError("code_challenge_method must be S256.")
    check_code_challenge(pushed.code_challenge)
    return pushed.code_challenge


def _checked_scope(pushed: PushedRequest) -> str | None:
    if pushed.scope is not None and not _SCOPE.fullmatch(pushed.scope):
        raise InvalidScopeError
    return pushed.scope


def _read_ticket(ports: Ports, caller: Client, pushed: PushedRequest) -> Ticket | None:
    if pushed.step_up_ticket is None:
        return None
    if pushed.acr_values is not None or pushed.max_age is not None:
        raise InvalidRequestError("A ticket fixes the level; acr_values and max_age say it twice.")
    return read_ticket(ports, caller, pushed.step_up_ticket)


def _asked_requirement(ports: Ports, pushed: PushedRequest) -> Requirement:
    """Turn `acr_values` into a requirement: the first of them that we have (RFC 9470 section 5).

    `max_age` needs no memory: the ceremony that follows is younger than any age but a negative one.
    """
    if pushed.acr_values is None:
        raise InvalidRequestError("step_up_ticket or acr_values is needed.")
    if pushed.max_age is not None and not (
        pushed.max_age.isascii() and pushed.max_age.isdigit() and len(pushed.max_age) < 10
    ):
        raise InvalidRequestError("max_age must be a whole number of seconds.")
    ladder = ports.snapshot.policy.ladder
    for value in pushed.acr_values.split(" "):
        if Acr(value) in ladder:
            return Requirement(acr=Acr(value))
    raise UnmetRequirementError("None of the acr_values can be reached here.")


async def _proven_subject(
    ports: Ports, caller: Client, pushed: PushedRequest, ticket: Ticket | None
) -> Subject:
    if pushed.subject_token is not None:
        if pushed.subject_token_type not in SUBJECT_TOKEN_TYPES:
            raise InvalidRequestError("subject_token_type is missing or not supported.")
        identity = await ports.upstreams.verify(pushed.subject_token, ports.clock.now())
        if caller.subject_issuer not in {None, identity.subject.issuer}:
            raise InvalidSubjectTokenError("This client's subjects belong to another issuer.")
        if ticket is not None and identity.subject != ticket.subject:
            raise InvalidSubjectTokenError("The subject token is not for the ticket's subject.")
        return identity.subject
    if not caller.asserts_subject:
        raise InvalidRequestError("subject_token is missing.")
    if ticket is not None:
        return ticket.subject
    if pushed.login_hint is None:
        raise InvalidRequestError("login_hint is missing.")
    return decide.subject_of(ports, caller, pushed.login_hint, None)
