"""Accept an authorization request: its checks, what it asks of the subject, then one challenge.

What is checked stands in `requests.py`, what is asked in `demands.py`.
"""

from urllib.parse import urlencode

import msgspec

from stepup.crypto import digests
from stepup.domain.authorization import REQUEST_URI_LIFETIME, Authorization
from stepup.domain.authorization_request import AuthorizationRequest
from stepup.domain.checked_request import CheckedRequest
from stepup.domain.client import Client
from stepup.domain.errors import InvalidRequestError
from stepup.domain.ids import AttemptId, ChallengeId, ClientId, Handle
from stepup.domain.site import Site
from stepup.ports import Ports
from stepup.usecases import open_challenge, opening, waiting_requests
from stepup.usecases.demands import authorization_for
from stepup.usecases.opening import Opening
from stepup.usecases.requests import check_request
from stepup.usecases.signed_requests import spend_object
from stepup.usecases.spend_ticket import spend_ticket

AUTHORIZE_PATH = "/oauth2/authorize"
REQUEST_URI_PREFIX = "urn:ietf:params:oauth:request_uri:"
_LIFETIME = int(REQUEST_URI_LIFETIME.total_seconds())


class Pushed(msgspec.Struct, frozen=True, kw_only=True):
    """A request whose challenge is open: where the browser goes with it, and for how long."""

    challenge_id: ChallengeId
    request_uri: str
    expires_in: int

    def __repr__(self) -> str:
        return f"Pushed({self.challenge_id})"


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A request whose subject has to sign in first: the same, without a challenge."""

    request_uri: str
    expires_in: int

    def __repr__(self) -> str:
        return "Waiting(***)"


async def accept(
    ports: Ports,
    caller: Client,
    request: AuthorizationRequest,
    attempt: AttemptId,
    *,
    jkt: str | None = None,
) -> Pushed | Waiting:
    """Accept a request that its client pushed (RFC 9126 section 2).

    Its challenge is opened at once when the client says who the subject is; else it waits for
    somebody to sign in. `jkt` is the key whose DPoP proof came with it.

    Raises:
        StepUpError: What `check_request` and `authorization_for` raise of a pushed request.
    """
    checked = _bound(await check_request(ports, caller, request, pushed=True), jkt)
    if checked.subject is None and ports.site.base_login:
        await _spend(ports, checked, attempt)
        kept = await waiting_requests.keep(ports, checked, attempt)
        left = kept.until - ports.clock.now()
        return Waiting(
            request_uri=f"{REQUEST_URI_PREFIX}{kept.handle}",
            # RFC 9126 section 2.2: a positive integer.
            expires_in=max(1, int(left.total_seconds())),
        )
    return await _open(ports, caller, checked, attempt)


async def push(
    ports: Ports, caller: Client, request: AuthorizationRequest, attempt: AttemptId
) -> Pushed:
    """Check a request that its client pushed with its subject, and open its challenge.

    Raises:
        StepUpError: What `check_request` and `authorization_for` raise of a pushed request.
    """
    checked = await check_request(ports, caller, request, pushed=True)
    return await _open(ports, caller, checked, attempt)


async def _open(
    ports: Ports, caller: Client, checked: CheckedRequest, attempt: AttemptId
) -> Pushed:
    if checked.subject is None:
        missing = "login_hint" if caller.asserts_subject else "subject_token"
        raise InvalidRequestError(f"{missing} is missing.")
    authorization = await authorization_for(ports, caller, checked, checked.subject)
    return await open_checked(ports, checked, authorization, attempt)


def _bound(checked: CheckedRequest, jkt: str | None) -> CheckedRequest:
    """Bind a request to the key that was proved with it (RFC 9449 section 10.1)."""
    if jkt is None:
        return checked
    if checked.dpop_jkt not in {None, jkt}:
        raise InvalidRequestError("dpop_jkt is not the key of the DPoP proof.")
    return msgspec.structs.replace(checked, dpop_jkt=jkt)


async def open_checked(
    ports: Ports, checked: CheckedRequest, authorization: Authorization, attempt: AttemptId
) -> Pushed:
    """Use up what the request may be used for once, and open its challenge.

    The same attempt may come again; with a ticket it gets the same challenge.

    Raises:
        InvalidTicketError: If its ticket was redeemed before, or may have been.
        InvalidRequestObjectError: If its signed object was used before, or may have been.
        InvalidRequestError: If it waited for its subject, and another browser has it.
    """
    if checked.waits_as is not None:
        named = await waiting_requests.take(ports, checked, attempt)
    else:
        await _spend(ports, checked, attempt)
        ticket = checked.ticket
        named = opening.computed(ports, ticket.id, attempt) if ticket else opening.drawn(ports)
    return await open_for_browser(ports, authorization, named)


async def _spend(ports: Ports, checked: CheckedRequest, attempt: AttemptId) -> None:
    if checked.signed_object is not None:
        await spend_object(ports, checked.client_id, checked.signed_object, attempt)
    if checked.ticket is not None:
        await spend_ticket(ports, checked.ticket, attempt)


async def open_for_browser(ports: Ports, authorization: Authorization, named: Opening) -> Pushed:
    """Open a challenge that a browser will answer, and make the `request_uri` that leads to it."""
    opened = await open_challenge.open_challenge(
        ports, authorization, named, request_uri_digest=request_uri_digest(ports, named.secret)
    )
    return Pushed(
        challenge_id=opened.id,
        request_uri=f"{REQUEST_URI_PREFIX}{Handle(opened.id, named.secret)}",
        expires_in=_LIFETIME,
    )


def authorization_url(site: Site, client_id: ClientId, pushed: Pushed) -> str:
    """Return the URL to send the browser to (RFC 9126 section 4)."""
    query = urlencode({"client_id": client_id, "request_uri": pushed.request_uri})
    return f"{site.url(AUTHORIZE_PATH)}?{query}"


def request_uri_digest(ports: Ports, secret: str) -> bytes:
    """Digest the secret part of a `request_uri`."""
    key = digests.derive(ports.snapshot.keyring.root, "request-uri")
    return digests.keyed_digest(key, secret)
