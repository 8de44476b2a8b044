"""Check an authorization request, whichever way it came: pushed by its client, or by a browser.

First where an answer may be sent at all, then `CHECKS` in order, then what the request says. A
refusal of a request that came through a browser is a `RefusedRequestError`, which goes back to the
client; before the client and its redirect URI are known good it is a plain error, and nobody is
sent anywhere (RFC 6749 section 4.1.2.1).

Who the subject is may not be known yet; `demands.py` says what it must do, once it is.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Flag, auto

import msgspec

from stepup.crypto import id_tokens
from stepup.domain import authorization_request as reading
from stepup.domain import fapi
from stepup.domain.action_details import ActionDetails, check_declared, read_details
from stepup.domain.assurance import Acr, Ladder
from stepup.domain.authorization import Ticket
from stepup.domain.authorization_errors import RequestUriNotSupportedError
from stepup.domain.authorization_request import AuthorizationRequest
from stepup.domain.checked_request import CheckedRequest, RefusedRequestError, ResponseTarget
from stepup.domain.client import Client, Role
from stepup.domain.client_authentication import Profile
from stepup.domain.errors import (
    ClientNotAllowedError,
    DependencyUnavailableError,
    InvalidRequestError,
    InvalidSubjectTokenError,
    NewerFormatError,
    OutcomeUnknownError,
    StepUpError,
    UnmetRequirementError,
    UnsupportedResponseTypeError,
)
from stepup.domain.ids import ActionName, ClientId, Subject
from stepup.domain.requested_claims import agreed_levels, read_claims, read_subjects
from stepup.domain.site import Site
from stepup.ports import Ports
from stepup.usecases import decide
from stepup.usecases.signed_requests import open_request
from stepup.usecases.spend_ticket import read_ticket

SUBJECT_TOKEN_TYPES = frozenset(
    {
        "urn:ietf:params:oauth:token-type:id_token",
        "urn:ietf:params:oauth:token-type:access_token",
        "urn:ietf:params:oauth:token-type:jwt",
    }
)

# Nobody knows whether these requests are good; whoever comes again may be told.
_UNKNOWN = (DependencyUnavailableError, OutcomeUnknownError, NewerFormatError)


class Way(Flag):
    """How a request reached us."""

    PUSHED = auto()
    BROWSER = auto()
    EITHER = PUSHED | BROWSER


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request, who sends it, and how; `signed` when its client has signed all of it."""

    site: Site
    client: Client
    request: AuthorizationRequest
    way: Way
    signed: bool = False

    @property
    def proves_client(self) -> bool:
        """Say whether it can only come from the client, so that it may assert something."""
        return self.signed or Way.PUSHED in self.way


def find_client(ports: Ports, client_id: str) -> Client:
    """Find the client that a browser names.

    Raises:
        InvalidRequestError: If there is none, or it is out of service.
    """
    client = ports.snapshot.client(ClientId(client_id))
    if client is None or client.disabled:
        raise InvalidRequestError("The client is not known here.")
    return client


async def check_request(
    ports: Ports, client: Client, request: AuthorizationRequest, *, pushed: bool
) -> CheckedRequest:
    """Check everything that can be checked before the subject is known.

    Raises:
        ClientNotAllowedError: If the client may not send subjects to challenges.
        InvalidRequestError: If nobody can say where an answer may be sent.
        InvalidRequestObjectError: If it is signed, and its signature does not hold.
        RefusedRequestError: If the request came through a browser, and is refused to the client.
        StepUpError: If it was pushed, and is refused.
    """
    # An object that does not hold says nothing, not even where to send its refusal.
    opened = await open_request(ports, client, request)
    asked = Asked(
        site=ports.site,
        client=client,
        request=opened.request,
        way=Way.PUSHED if pushed else Way.BROWSER,
        signed=opened.signed,
    )
    target = _checked_target(asked)
    with refusing(target, pushed=pushed):
        for check, ways, profile in CHECKS:
            if asked.way in ways and profile in {None, client.profile}:
                check(asked)
        checked = await _read(ports, asked, target)
        _check_purpose(checked)
        return msgspec.structs.replace(checked, signed_object=opened.named)


@contextmanager
def refusing(target: ResponseTarget, *, pushed: bool) -> Iterator[None]:
    """Send the refusal of a browser's request to the client.

    Raises:
        RefusedRequestError: If there is one, and the request was not pushed.
    """
    try:
        yield
    except _UNKNOWN:
        raise
    except StepUpError as error:
        if pushed:
            raise
        raise RefusedRequestError(error, target) from error


def known_levels(ladder: Ladder, named: tuple[Acr, ...]) -> tuple[Acr, ...]:
    """Keep the levels that we have; those that nobody knows are passed over.

    Raises:
        UnmetRequirementError: If none is left: never less than what was asked for (RFC 9470
            section 5).
    """
    known = tuple(acr for acr in named if acr in ladder)
    if not known:
        raise UnmetRequirementError("None of the acr_values can be reached here.")
    return known


# --- one check, one name ----------------------------------------------------------------------


def _asks_for_a_code(asked: Asked) -> None:
    if asked.request.response_type is None:
        raise InvalidRequestError("response_type is missing.")
    if asked.request.response_type != "code":
        raise UnsupportedResponseTypeError


def _is_pushed_where_it_must_be(asked: Asked) -> None:
    # RFC 9126 section 4 and 5; what a browser carries anybody may have edited on the way.
    if asked.client.must_push(everybody_must=asked.site.pushed_requests_required):
        raise InvalidRequestError("Push the request first (PAR) and come with its request_uri.")


def _names_no_request_uri(asked: Asked) -> None:
    # RFC 9126 section 2.1, step 2. Ours have been looked up before; others we do not fetch.
    if asked.request.request_uri is None:
        return
    if Way.PUSHED in asked.way:
        raise InvalidRequestError("request_uri cannot be pushed.")
    raise RequestUriNotSupportedError


def _is_signed_where_it_must_be(asked: Asked) -> None:
    # RFC 9101 section 10.5.
    if asked.client.signed_requests_only and not asked.signed:
        raise InvalidRequestError("This client signs its requests; send a request object.")


def _has_no_subject_token_in_its_url(asked: Asked) -> None:
    # A URL is logged, kept in histories and sent on; a token there is everybody's.
    if asked.request.subject_token is not None:
        raise InvalidRequestError("subject_token can only be pushed.")


def _says_nothing_beside_a_ticket(asked: Asked) -> None:
    request = asked.request
    if request.step_up_ticket is None:
        return
    if request.acr_values is not None or request.max_age is not None:
        raise InvalidRequestError("A ticket fixes the level; acr_values and max_age say it twice.")
    if read_claims(request.claims).acr_values is not None:
        raise InvalidRequestError("A ticket fixes the level; claims says it twice.")


def _comes_back_over_tls(asked: Asked) -> None:
    if not fapi.may_return_to(asked.client.profile, asked.request.redirect_uri or ""):
        raise InvalidRequestError("redirect_uri must not be http.")


CHECKS: tuple[tuple[Callable[[Asked], None], Way, Profile | None], ...] = (
    # check                              way           only for
    (_names_no_request_uri,              Way.EITHER,   None),
    (_asks_for_a_code,                   Way.EITHER,   None),
    (_is_pushed_where_it_must_be,        Way.BROWSER,  None),
    (_is_signed_where_it_must_be,        Way.EITHER,   None),
    (_has_no_subject_token_in_its_url,   Way.BROWSER,  None),
    (_says_nothing_beside_a_ticket,      Way.EITHER,   None),
    (_comes_back_over_tls,               Way.EITHER,   Profile.FAPI2),
)  # fmt: skip
"""What refuses a request, in this order."""


# --- what is read -----------------------------------------------------------------------------


def _checked_target(asked: Asked) -> ResponseTarget:
    if not asked.client.may(Role.RP):
        raise ClientNotAllowedError
    request = asked.request
    if request.redirect_uri is None:
        raise InvalidRequestError("redirect_uri is missing.")
    if not asked.client.redirects_to(request.redirect_uri):
        raise InvalidRequestError("redirect_uri is not registered for this client.")
    return ResponseTarget(
        redirect_uri=request.redirect_uri,
        response_mode=reading.read_response_mode(request.response_mode),
        # An answer without the client's own state is no answer to this request.
        state=reading.read_state(request.state),
    )


async def _read(ports: Ports, asked: Asked, target: ResponseTarget) -> CheckedRequest:
    request, client = asked.request, asked.client
    ticket = read_ticket(ports, client, request.step_up_ticket) if request.step_up_ticket else None
    levels = agreed_levels(reading.read_acr_values(request.acr_values), read_claims(request.claims))
    expected = _expected_subject(ports, request, ticket)
    return CheckedRequest(
        client_id=client.client_id,
        pushed=Way.PUSHED in asked.way,
        target=target,
        code_challenge=_code_challenge(request),
        scope=reading.read_scope(request.scope),
        resource=request.resource,
        nonce=reading.read_nonce(request.nonce),
        prompt=reading.read_prompt(request.prompt),
        max_age=reading.read_max_age(request.max_age),
        acr_values=(
            None
            if levels.acr_values is None
            else known_levels(ports.snapshot.policy.ladder, levels.acr_values)
        ),
        essential_acr=levels.essential,
        ticket=ticket,
        details=_details(ports, request, client),
        subject=await _proven_subject(ports, asked, ticket, expected),
        expected_subject=expected,
        subs=read_subjects(request.claims),
        login_hint=request.login_hint,
        ui_locales=request.ui_locales,
        dpop_jkt=reading.read_dpop_jkt(request.dpop_jkt),
    )


def _check_purpose(checked: CheckedRequest) -> None:
    named = (checked.ticket, checked.details, checked.acr_values)
    if named == (None, None, None) and not checked.wants_id_token:
        # OpenID Connect lets a client leave the level open; an OAuth client that names neither an
        # action nor a level has nothing to step up to. It hears so before anybody signs in for it.
        raise InvalidRequestError("step_up_ticket, authorization_details or acr_values is needed.")


def _details(ports: Ports, request: AuthorizationRequest, client: Client) -> ActionDetails | None:
    if request.authorization_details is None:
        return None
    details = read_details(request.authorization_details, client.authorization_details_types)
    # Said to the client at once, although the policy decides when the subject is known.
    check_declared(details, ports.snapshot.policy.find(ActionName(details.action)))
    return details


def _code_challenge(request: AuthorizationRequest) -> str:
    # RFC 7636 section 4.4.1; "plain" protects nobody who could read the request.
    if request.code_challenge is None:
        raise InvalidRequestError("code_challenge is missing.")
    if request.code_challenge_method != "S256":
        raise InvalidRequestError("code_challenge_method must be S256.")
    return reading.read_code_challenge(request.code_challenge)


def _expected_subject(
    ports: Ports, request: AuthorizationRequest, ticket: Ticket | None
) -> Subject | None:
    """Say whom a ticket or a hint of ours names (OpenID Connect Core section 3.1.2.2)."""
    named = None if ticket is None else ticket.subject
    if request.id_token_hint is None:
        return named
    keyring = ports.snapshot.keyring
    try:
        hinted = id_tokens.read_hint(request.id_token_hint, keyring, ports.site).subject
    except id_tokens.InvalidTokenError:
        raise InvalidRequestError("id_token_hint is not an ID token of ours.") from None
    if named not in {None, hinted}:
        raise InvalidRequestError("The ticket and id_token_hint name two subjects.")
    return hinted


async def _proven_subject(
    ports: Ports, asked: Asked, ticket: Ticket | None, expected: Subject | None
) -> Subject | None:
    """Say who the subject is by what the client proves or may assert; None to find it out."""
    request, client = asked.request, asked.client
    if request.subject_token is not None:
        subject = await _of_subject_token(ports, client, request)
        if ticket is not None and subject != ticket.subject:
            raise InvalidSubjectTokenError("The subject token is not for the ticket's subject.")
        return subject
    if not (client.asserts_subject and asked.proves_client):
        return None
    if expected is not None:
        return expected
    if request.login_hint is None:
        return None
    return decide.subject_of(ports, client, request.login_hint, None)


async def _of_subject_token(ports: Ports, client: Client, request: AuthorizationRequest) -> Subject:
    if request.subject_token_type not in SUBJECT_TOKEN_TYPES:
        raise InvalidRequestError("subject_token_type is missing or not supported.")
    identity = await ports.upstreams.verify(request.subject_token or "", ports.clock.now())
    if client.subject_issuer not in {None, identity.subject.issuer}:
        raise InvalidSubjectTokenError("This client's subjects belong to another issuer.")
    return identity.subject
