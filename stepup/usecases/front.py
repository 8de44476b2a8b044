"""A request whose subject is not known: one that a browser brings, or one that was pushed without.

What the browser said is kept while the subject signs in at the upstream. It comes back from our own
store and is checked anew, so nothing that stands in a URL on the way back is believed.
"""

from collections.abc import Mapping

import msgspec

from stepup.crypto import digests
from stepup.domain.account import BaseIdentity, KeptRequest
from stepup.domain.authorization_answer import Answer
from stepup.domain.authorization_errors import LoginRequiredError
from stepup.domain.authorization_request import PARAMETERS, AuthorizationRequest
from stepup.domain.challenge import Challenge
from stepup.domain.checked_request import CheckedRequest, RefusedRequestError
from stepup.domain.client import Client
from stepup.domain.errors import ActionDeniedError, InvalidRequestError
from stepup.domain.ids import AttemptId, ClientId, Subject
from stepup.ports import Ports
from stepup.usecases import account, sessions, waiting_requests
from stepup.usecases.account import BegunLogin
from stepup.usecases.arrive import Shows, Visitor, arrive
from stepup.usecases.authorize import REQUEST_URI_PREFIX, open_checked
from stepup.usecases.demands import authorization_for, is_named
from stepup.usecases.holder import claim
from stepup.usecases.requests import check_request, find_client, refusing

# Whoever asks has not signed in, and must not fill the store.
_LARGEST = 16 * 1024


class Arrived(msgspec.Struct, frozen=True):
    """What becomes of a challenge that a browser brought."""

    challenge: Challenge
    outcome: Answer | Shows


async def receive(
    ports: Ports, visitor: Visitor, parameters: Mapping[str, str]
) -> Arrived | BegunLogin:
    """Go on with a request; a subject that nobody knows signs in first.

    Raises:
        InvalidRequestError: If nobody can say where an answer may be sent.
        RefusedRequestError: If the request is refused to its client.
    """
    client, checked = await _checked(ports, parameters)
    subject = checked.subject or await _remembered(ports, visitor, client, checked)
    if subject is not None:
        return await _opened(ports, visitor, client, checked, subject)
    if "none" in checked.prompt:
        raise RefusedRequestError(LoginRequiredError(), checked.target)
    with refusing(checked.target, pushed=False):
        return await account.begin_login(ports, account.ACCOUNT_PATH, _kept(parameters))


async def resume(
    ports: Ports, visitor: Visitor, kept: KeptRequest, identity: BaseIdentity
) -> Arrived:
    """Go on with a kept request now that its subject has signed in.

    Raises:
        RefusedRequestError: If it is refused to its client, as when it was for somebody else.
    """
    client, checked = await _checked(ports, kept.parameters)
    if checked.subject is None and not _fits(ports, client, checked, identity):
        raise RefusedRequestError(LoginRequiredError("Somebody else signed in."), checked.target)
    subject = checked.subject or identity.subject
    return await _opened(ports, visitor, client, checked, subject)


async def give_up(ports: Ports, kept: KeptRequest) -> RefusedRequestError:
    """Return the refusal of a request whose subject did not sign in."""
    _, checked = await _checked(ports, kept.parameters)
    return RefusedRequestError(ActionDeniedError("The subject did not sign in."), checked.target)


def client_name(ports: Ports, parameters: Mapping[str, str]) -> str:
    """Return how pages call the client of a request."""
    client = ports.snapshot.client(ClientId(parameters.get("client_id", "")))
    return ports.site.rp_name if client is None else client.name


async def keep(ports: Ports, parameters: Mapping[str, str]) -> str:
    """Keep a request that was posted, since a post from another site comes without our cookies."""
    handle = f"{ports.site.region}.{ports.entropy.token(32)}"
    await ports.state.sessions.keep_request(_digest(ports, handle), _kept(parameters))
    return handle


async def find(ports: Ports, handle: str) -> KeptRequest:
    """Return a request that was posted.

    Raises:
        InvalidRequestError: If there is none, or it has expired.
    """
    kept = await ports.state.sessions.find_request(_digest(ports, handle))
    if kept is None:
        raise InvalidRequestError("This request is unknown or has expired.")
    return kept


def _kept(parameters: Mapping[str, str]) -> KeptRequest:
    known = {name: value for name, value in parameters.items() if name in PARAMETERS}
    if sum(map(len, known.values())) > _LARGEST:
        raise InvalidRequestError("The request is too large to be kept.")
    return KeptRequest(parameters=known)


async def _checked(ports: Ports, parameters: Mapping[str, str]) -> tuple[Client, CheckedRequest]:
    client_id = parameters.get("client_id")
    if client_id is None:
        raise InvalidRequestError("The parameter client_id is missing.")
    client = find_client(ports, client_id)
    pushed = parameters.get("request_uri", "")
    if pushed.startswith(REQUEST_URI_PREFIX):
        handle = pushed.removeprefix(REQUEST_URI_PREFIX)
        return client, await waiting_requests.find(ports, client.client_id, handle)
    request = AuthorizationRequest.of(parameters)
    return client, await check_request(ports, client, request, pushed=False)


async def _remembered(
    ports: Ports, visitor: Visitor, client: Client, checked: CheckedRequest
) -> Subject | None:
    """Return who signed in here a short while ago, if that is whom the request is for."""
    if "select_account" in checked.prompt:
        return None
    identity = await sessions.signed_in(ports, visitor.session)
    if identity is None or not _fits(ports, client, checked, identity):
        return None
    return identity.subject


def _fits(ports: Ports, client: Client, checked: CheckedRequest, identity: BaseIdentity) -> bool:
    """Say whether somebody can be whom the request names (OpenID Connect Core 3.1.2.2)."""
    subject = identity.subject
    if checked.expected_subject not in {None, subject} or not is_named(
        ports.site, checked, subject
    ):
        return False
    # Only who names subjects of one issuer by their identifiers can mean one by a hint; to others
    # it is what the subject might type, and the upstream has asked. A name that somebody is shown
    # by may be of its own choosing, and so says nothing of who it is.
    names_subjects = client.subject_issuer is not None or client.asserts_subject
    return not names_subjects or checked.login_hint in {None, subject.sub}


async def _opened(
    ports: Ports, visitor: Visitor, client: Client, checked: CheckedRequest, subject: Subject
) -> Arrived:
    authorization = await authorization_for(ports, client, checked, subject)
    attempt = _attempt(ports, visitor, checked)
    with refusing(checked.target, pushed=False):
        pushed = await open_checked(ports, checked, authorization, attempt)
    challenge = await claim(ports, client.client_id, pushed.request_uri, visitor.browser)
    return Arrived(challenge, await arrive(ports, visitor, challenge))


def _attempt(ports: Ports, visitor: Visitor, checked: CheckedRequest) -> AttemptId:
    # Computed: the same browser that comes again with a ticket gets the same challenge.
    key = digests.derive(ports.snapshot.keyring.root, "front-attempt")
    ticket = "" if checked.ticket is None else checked.ticket.id
    named = digests.keyed_digest(key, f"{visitor.browser.secret}\0{ticket}")
    return AttemptId(digests.encode(named[:16]))


def _digest(ports: Ports, handle: str) -> str:
    key = digests.derive(ports.snapshot.keyring.root, "kept-request")
    return digests.encode(digests.keyed_digest(key, handle))
