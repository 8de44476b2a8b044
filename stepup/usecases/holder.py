"""Who may touch a challenge: the browser it was opened in, or the client that asked for it.

Knowing a challenge's identifier is not enough for anything; it stands in URLs and logs.
"""

import msgspec

from stepup.crypto import digests
from stepup.domain.assurance import Method
from stepup.domain.authenticator import ceremonies_left, usable_methods
from stepup.domain.authorization import Authorization
from stepup.domain.challenge import Challenge, ChallengeState
from stepup.domain.errors import (
    ChallengeNotFoundError,
    ChallengeNotPendingError,
    InvalidRequestError,
    UnmetRequirementError,
    WrongBrowserError,
)
from stepup.domain.ids import ChallengeId, ClientId, Handle
from stepup.ports import Ports
from stepup.usecases.authorize import REQUEST_URI_PREFIX, request_uri_digest
from stepup.usecases.open_challenge import level_of


class Browser(msgspec.Struct, frozen=True):
    """The holder of the cookie that the challenge was tied to."""

    secret: str

    def __repr__(self) -> str:
        return "Browser(***)"


class ApiClient(msgspec.Struct, frozen=True):
    """The authenticated client that opened the challenge for its own screens."""

    client_id: ClientId


Holder = Browser | ApiClient


async def claim(ports: Ports, client_id: str, request_uri: str, browser: Browser) -> Challenge:
    """Tie a challenge to the browser that brings its `request_uri` first (RFC 9126 section 4).

    Raises:
        InvalidRequestError: If the `request_uri` is none of ours, has expired, or is another
            client's; or its client was put out of service since.
        WrongBrowserError: If another browser came first.
    """
    reference = request_uri.removeprefix(REQUEST_URI_PREFIX)
    handle = Handle.parse(reference) if reference != request_uri else None
    if handle is None:
        raise InvalidRequestError("The request_uri is not one of ours.")
    # Compared first: a wrong client_id must not use up the one claim that there is.
    found = await ports.state.challenges.find(handle.challenge_id)
    if found is not None and found.authorization.client_id != client_id:
        raise InvalidRequestError("The request_uri belongs to another client.")
    _check_in_service(ports, ClientId(client_id))
    try:
        return await ports.state.challenges.claim(
            handle.challenge_id,
            request_uri_digest(ports, handle.secret),
            browser_digest(ports, browser),
        )
    except ChallengeNotFoundError as error:
        raise InvalidRequestError("The request_uri is unknown or has expired.") from error


def _check_in_service(ports: Ports, client_id: ClientId) -> None:
    client = ports.snapshot.client(client_id)
    # One that was added a moment ago may not be known here yet.
    if client is not None and client.disabled:
        raise InvalidRequestError("The client is not known here.")


async def find_held(ports: Ports, challenge_id: ChallengeId, holder: Holder) -> Challenge:
    """Return a challenge to the one who holds it, whatever state it is in.

    Raises:
        ChallengeNotFoundError: If there is none, it has expired, or it is another client's.
        WrongBrowserError: If another browser holds it.
    """
    challenge = await ports.state.challenges.find(challenge_id)
    if challenge is None or challenge.expires_at <= ports.clock.now():
        raise ChallengeNotFoundError
    match holder:
        case Browser():
            known = challenge.browser_digest
            if known is None or not digests.equal(known, browser_digest(ports, holder)):
                raise WrongBrowserError
        case ApiClient():
            # A challenge that a browser holds is answered there and nowhere else.
            if (
                challenge.authorization.client_id != holder.client_id
                or challenge.authorization.redirect_uri is not None
            ):
                raise ChallengeNotFoundError
    return challenge


async def find_pending(ports: Ports, challenge_id: ChallengeId, holder: Holder) -> Challenge:
    """Return a held challenge that can still be answered.

    Raises:
        ChallengeNotPendingError: If it was answered or cancelled.
    """
    challenge = await find_held(ports, challenge_id, holder)
    if challenge.state is not ChallengeState.PENDING:
        raise ChallengeNotPendingError
    return challenge


def answerable_methods(ports: Ports, challenge: Challenge) -> tuple[Method, ...]:
    """Return the methods that bring this challenge nearer to its level and have tries left."""
    authorization: Authorization = challenge.authorization
    try:
        level = level_of(ports, authorization)
    except UnmetRequirementError:
        # A new policy has dropped the level: the page says so, and can still be left.
        return ()
    planned = usable_methods(
        authorization.requirement, level, challenge.authenticators, challenge.passed
    )
    return tuple(method for method in planned if challenge.tries_left(method))


def progress(ports: Ports, challenge: Challenge) -> tuple[int, int] | None:
    """Say which step of how many comes next; None when one answer is all there is to it."""
    try:
        level = level_of(ports, challenge.authorization)
    except UnmetRequirementError:
        return None
    requirement = challenge.authorization.requirement
    left = ceremonies_left(requirement, level, challenge.authenticators, challenge.passed)
    passed = len(challenge.passed)
    if left is None or passed + left < 2:
        return None
    return passed + 1, passed + left


def browser_digest(ports: Ports, browser: Browser) -> bytes:
    """Digest the secret in a browser's cookie."""
    key = digests.derive(ports.snapshot.keyring.root, "browser")
    return digests.keyed_digest(key, browser.secret)


def form_token(ports: Ports, challenge_id: ChallengeId, browser: Browser) -> str:
    """Make the token that a challenge's forms carry: this browser's, for this challenge."""
    key = digests.derive(ports.snapshot.keyring.root, "form")
    return digests.encode(digests.keyed_digest(key, f"{challenge_id}\0{browser.secret}"))


def check_form_token(
    ports: Ports, challenge_id: ChallengeId, browser: Browser, presented: str
) -> None:
    """Refuse a form that another site made the browser send.

    Raises:
        InvalidRequestError: If the token is not the one we put into the form.
    """
    expected = form_token(ports, challenge_id, browser)
    if not digests.equal(presented.encode(), expected.encode()):
        raise InvalidRequestError("This form is out of date; open the page again.")
