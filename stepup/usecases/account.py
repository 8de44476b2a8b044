"""The account pages' own sign-in and step-up: base login at the upstream, elevation by ourselves.

The pages are a client of the service like any other: they ask for a decision, open a challenge,
and redeem its code. Nothing is granted to them that another client would not get.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from stepup.ceremonies import webauthn
from stepup.crypto import digests
from stepup.domain.account import (
    SESSION_LIFETIME,
    AccountSession,
    BaseIdentity,
    KeptRequest,
    PendingElevation,
    PendingLogin,
)
from stepup.domain.assurance import AuthnContext
from stepup.domain.authenticator import Authenticator, WebAuthnCredential
from stepup.domain.authorization import Authorization
from stepup.domain.client import Client, Role
from stepup.domain.decision_request import DecisionRequest
from stepup.domain.errors import InvalidRequestError, SessionNotFoundError
from stepup.domain.ids import ActionName, AttemptId, ClientId
from stepup.domain.requirement import Requirement
from stepup.domain.revocation import Ground, Revoked, grounds_of_authenticators
from stepup.domain.site import Site
from stepup.ports import Ports
from stepup.usecases import authorize, decide, opening, redeem

ACCOUNT_CLIENT_ID = ClientId("stepup-account")
ACCOUNT_PATH = "/account"
LOGIN_PATH = "/account/login/callback"
ELEVATED_PATH = "/account/elevated"
# RFC 3986's characters of paths and queries: what a Location header can hold, and no backslash.
_LOCAL_PATH = re.compile(r"/account([/?][A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?")

# Our own are a third of it; whoever asks without being signed in must not fill the store.
_LONGEST_PATH = 256


class BegunLogin(msgspec.Struct, frozen=True, kw_only=True):
    """Where the browser signs in, and the secret that its cookie keeps meanwhile."""

    url: str
    state: str

    def __repr__(self) -> str:
        return "BegunLogin(***)"


class BegunElevation(msgspec.Struct, frozen=True, kw_only=True):
    """Where the browser steps up."""

    url: str


def account_client(site: Site) -> Client:
    """Return the client that the account pages are; it exists in every deployment."""
    return Client(
        client_id=ACCOUNT_CLIENT_ID,
        name=site.rp_name,
        redirect_uris=(site.url(ELEVATED_PATH),),
        roles=frozenset({Role.PEP, Role.RP}),
        audiences=(site.issuer,),
    )


async def begin_login(
    ports: Ports, return_to: str, request: KeptRequest | None = None
) -> BegunLogin:
    """Send a browser to the upstream for base login; `request` is what waits for it."""
    state = ports.entropy.token(32)
    login = PendingLogin(
        issuer=ports.site.subject_issuer,
        nonce=ports.entropy.token(16),
        code_verifier=ports.entropy.token(32),
        return_to=local_path(return_to),
        request=request,
    )
    await ports.state.accounts.add_login(_digest(ports, state), login)
    url = await ports.upstreams.login_url(
        login,
        state=state,
        redirect_uri=ports.site.url(LOGIN_PATH),
        code_challenge=digests.code_challenge_of(login.code_verifier),
    )
    return BegunLogin(url=url, state=state)


async def take_login(ports: Ports, *, state: str, cookie: str) -> PendingLogin:
    """Take the login that this browser comes back from, once.

    The cookie holds the states of all that were begun in it, so that two tabs can sign in.

    Raises:
        InvalidRequestError: If another browser began this login, or it has ended (login CSRF).
    """
    begun = [digests.equal(state.encode(), each.encode()) for each in cookie.split(".")]
    if not any(begun):
        raise InvalidRequestError("This sign-in was started in another browser.")
    login = await ports.state.accounts.consume_login(_digest(ports, state))
    if login is None:
        raise InvalidRequestError("This sign-in was finished before, or has expired.")
    return login


async def finish_login(ports: Ports, login: PendingLogin, code: str) -> BaseIdentity:
    """Redeem the upstream's code; returns who signed in.

    Raises:
        InvalidSubjectTokenError: If the upstream's answer does not hold.
    """
    return await ports.upstreams.finish_login(
        login, code=code, redirect_uri=ports.site.url(LOGIN_PATH), now=ports.clock.now()
    )


async def begin_session(ports: Ports, identity: BaseIdentity) -> str:
    """Sign somebody in to the account pages; returns the session's secret."""
    now = ports.clock.now()
    # A new secret at each sign-in: a fixed one would survive from before it.
    secret = ports.entropy.token(32)
    session = AccountSession(
        identity=identity,
        form_token=ports.entropy.token(16),
        created_at=now,
        expires_at=now + SESSION_LIFETIME,
    )
    await ports.state.accounts.put_session(_digest(ports, secret), session)
    return secret


async def find_session(ports: Ports, secret: str | None) -> AccountSession:
    """Return who is signed in.

    Raises:
        SessionNotFoundError: If nobody is, or the subject was revoked since.
    """
    found = await ports.state.accounts.find_session(_digest(ports, secret)) if secret else None
    if found is None or found.expires_at <= ports.clock.now():
        raise SessionNotFoundError
    subject_id = found.identity.subject.id
    if ports.revocations.ends([Ground(Revoked.SUBJECT, subject_id, found.created_at)]):
        raise SessionNotFoundError
    elevation = found.elevation
    if elevation is None or not ports.revocations.ends(
        grounds_of_authenticators(subject_id, found.elevated_by, elevation.auth_time)
    ):
        return found
    # What was stepped up to ends with its authenticator, as a token would.
    return msgspec.structs.replace(found, elevation=None, elevated_for=None, elevated_by=None)


async def sign_out(ports: Ports, secret: str) -> None:
    """End a session; again is harmless."""
    await ports.state.accounts.remove_session(_digest(ports, secret))


def check_form_token(session: AccountSession, presented: str | None) -> None:
    """Refuse a form that another site made the browser send.

    Raises:
        InvalidRequestError: If the token is not the session's.
    """
    if presented is None or not digests.equal(presented.encode(), session.form_token.encode()):
        raise InvalidRequestError("This form is out of date; open the page again.")


def notice_proof(session: AccountSession, notice: str, name: str) -> str:
    """Vouch for what a page of this session says next; a link made elsewhere has no such proof."""
    said = digests.keyed_digest(session.form_token.encode(), f"notice\0{notice}\0{name}")
    return digests.encode(said)


def is_own_notice(session: AccountSession, notice: str, name: str, proof: str) -> bool:
    """Say whether a notice is one of ours for this session."""
    return digests.equal(proof.encode(), notice_proof(session, notice, name).encode())


async def begin_elevation(
    ports: Ports, secret: str, requirement: Requirement, action: ActionName, return_to: str
) -> BegunElevation:
    """Open a challenge for one of the account pages' own actions."""
    session = await find_session(ports, secret)
    client = account_client(ports.site)
    catalogued = ports.snapshot.policy.actions.get(action)
    state = ports.entropy.token(32)
    verifier = ports.entropy.token(32)
    authorization = Authorization(
        client_id=client.client_id,
        client_name=client.name,
        subject=session.identity.subject,
        requirement=requirement,
        purpose=None if catalogued is None else decide.general_purpose(ports, catalogued),
        audience=ports.site.issuer,
        redirect_uri=ports.site.url(ELEVATED_PATH),
        state=state,
        code_challenge=digests.code_challenge_of(verifier),
    )
    pushed = await authorize.open_for_browser(ports, authorization, opening.drawn(ports))
    await ports.state.accounts.add_elevation(
        _digest(ports, state),
        PendingElevation(
            challenge_id=pushed.challenge_id,
            session_digest=_digest(ports, secret),
            code_verifier=verifier,
            return_to=local_path(return_to),
        ),
    )
    return BegunElevation(url=authorize.authorization_url(ports.site, client.client_id, pushed))


async def finish_elevation(
    ports: Ports, secret: str, *, state: str, code: str | None, attempt: AttemptId
) -> str:
    """Take the browser back from the challenge and raise its session; returns where it goes on.

    Without a code the challenge was cancelled, and the session stays as it was.

    Raises:
        SessionNotFoundError: If nobody is signed in any more.
        InvalidRequestError: If the step-up is none of this session's.
        InvalidGrantError: If the code does not hold.
    """
    session = await find_session(ports, secret)
    elevation = await ports.state.accounts.consume_elevation(_digest(ports, state))
    if elevation is None or elevation.session_digest != _digest(ports, secret):
        raise InvalidRequestError("This confirmation was used before, or has expired.")
    if code is None:
        return elevation.return_to
    issued = await redeem.redeem(
        ports,
        account_client(ports.site),
        redeem.CodeGrant(
            code=code,
            redirect_uri=ports.site.url(ELEVATED_PATH),
            code_verifier=elevation.code_verifier,
        ),
        attempt,
    )
    if issued.token.subject != session.identity.subject:
        raise InvalidRequestError("This confirmation is somebody else's.")
    raised = AuthnContext(
        acr=issued.token.acr,
        amr=issued.token.amr,
        auth_time=issued.token.auth_time,
        credential_age=issued.token.credential_age,
    )
    session = msgspec.structs.replace(
        session,
        elevation=raised,
        elevated_for=issued.token.action,
        elevated_by=issued.token.authenticators,
    )
    # A session that was signed out meanwhile must not come back.
    if not await ports.state.accounts.replace_session(_digest(ports, secret), session):
        raise SessionNotFoundError
    return elevation.return_to


def account_request(session: AccountSession, action: ActionName, now: datetime) -> DecisionRequest:
    """Say what a signed-in subject wants to do to its own account."""
    identity = session.identity
    age = now - (identity.auth_time or session.created_at)
    return DecisionRequest(
        subject_type="user",
        subject_id=identity.subject.sub,
        action=action,
        resource_type="account",
        resource_id=identity.subject.sub,
        context={
            "base_acr": identity.acr or "",
            "base_age_seconds": max(0, int(age / timedelta(seconds=1))),
        },
    )


def accepted_passkeys(
    ports: Ports, session: AccountSession, enrolled: Sequence[Authenticator]
) -> dict[str, object]:
    """List the passkeys that we still accept, for the browser's password manager.

    WebAuthn Level 3 section 5.1.10.3; told only to the subject itself.
    """
    return {
        "rpId": ports.site.rp_id,
        "userId": digests.encode(webauthn.user_handle(session.identity.subject)),
        "allAcceptedCredentialIds": [
            digests.encode(a.credential.credential_id)
            for a in enrolled
            if isinstance(a.credential, WebAuthnCredential)
        ],
    }


def local_path(text: str) -> str:
    r"""Accept a path of ours to come back to; anything else leads to the account page.

    Browsers read `//host` and `/\host` as another site: that would be an open redirector.
    """
    fits = len(text) <= _LONGEST_PATH and _LOCAL_PATH.fullmatch(text)
    return text if fits else ACCOUNT_PATH


def _digest(ports: Ports, secret: str) -> str:
    key = digests.derive(ports.snapshot.keyring.root, "account")
    return digests.encode(digests.keyed_digest(key, secret))
