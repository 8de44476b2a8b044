"""The step-up session of a browser: what it has proved is kept, and answers the next challenge.

Its cookie is a secret of its own, made when a subject first acts: whoever planted the cookie that
challenges are tied to (`holder.Browser`) has nothing of what is proved under it later.
"""

import contextlib

import msgspec

from stepup.crypto import digests
from stepup.domain.account import BaseIdentity
from stepup.domain.assurance import Acr
from stepup.domain.browser_session import (
    SIGN_IN_LIFETIME,
    BrowserSession,
    Proof,
    SignIn,
    proof_of,
    satisfying,
)
from stepup.domain.challenge import Challenge, amr_of, givers_of
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.ids import ClientId, TokenId
from stepup.domain.keyring import Keyring
from stepup.domain.revocation import Ground, Revoked, Standing, standing_at
from stepup.domain.token import ElevatedToken
from stepup.ports import Ports


class SessionSecret(msgspec.Struct, frozen=True):
    """What the cookie of a session holds."""

    text: str

    def __repr__(self) -> str:
        return "SessionSecret(***)"


def sid(keyring: Keyring, browser_digest: bytes, client_id: ClientId) -> str:
    """Name a browser's session to one client (OpenID Connect Back-Channel Logout section 2.1).

    No two clients can tell that theirs is one browser.
    """
    key = digests.derive(keyring.root, "sid")
    text = f"{digests.encode(browser_digest)}\0{client_id}"
    return digests.encode(digests.keyed_digest(key, text)[:18])


async def keep(
    ports: Ports, secret: SessionSecret | None, challenge: Challenge
) -> SessionSecret | None:
    """Remember what an answered challenge proves; returns the secret that the browser keeps.

    A new one for a subject that this session did not know: one that was there before it came is
    somebody else's choice (session fixation). When Redis is away nothing is kept, and the subject
    is asked again next time.
    """
    proof = proof_of(challenge, ports.snapshot.policy.ladder)
    if proof is None:
        return secret
    try:
        known = await find(ports, secret)
        if secret is None or not known.knows(proof.subject):
            secret = SessionSecret(ports.entropy.token(32))
        await ports.state.sessions.add_proof(_digest(ports, secret), proof)
    except DependencyUnavailableError:
        return secret
    return secret


async def find(ports: Ports, secret: SessionSecret | None) -> BrowserSession:
    """Return what a browser is remembered for; without a cookie, nothing."""
    if secret is None:
        return BrowserSession()
    return await ports.state.sessions.find(_digest(ports, secret))


async def sign_in(ports: Ports, identity: BaseIdentity) -> SessionSecret:
    """Begin a session with a base login that was just finished; its secret is always new."""
    secret = SessionSecret(ports.entropy.token(32))
    expires_at = ports.clock.now() + SIGN_IN_LIFETIME
    # Who cannot be remembered must sign in again next time, and goes on now.
    with contextlib.suppress(DependencyUnavailableError):
        await ports.state.sessions.put_sign_in(
            _digest(ports, secret), SignIn(identity=identity, expires_at=expires_at)
        )
    return secret


async def end(ports: Ports, secret: SessionSecret | None) -> None:
    """Forget a browser; again is harmless."""
    if secret is not None:
        await ports.state.sessions.remove(_digest(ports, secret))


async def signed_in(ports: Ports, secret: SessionSecret | None) -> BaseIdentity | None:
    """Return who came back from a base login here a short while ago.

    What ended all that the subject had proved ended that, too: it signs in once more.
    """
    known = (await find(ports, secret)).sign_in
    if known is None:
        return None
    began = Ground(Revoked.SUBJECT, known.identity.subject.id, known.began_at)
    return None if ports.revocations.ends([began]) else known.identity


async def proof_for(
    ports: Ports, secret: SessionSecret | None, challenge: Challenge
) -> Proof | None:
    """Return what this browser has proved that answers a challenge; None when it must be asked.

    Whatever ended since counts for nothing, and neither does anything while nobody can say what
    ended: then the subject is asked, which needs no session.
    """
    try:
        known = await find(ports, secret)
    except DependencyUnavailableError:
        return None
    proof = satisfying(
        ports.snapshot.policy.ladder, challenge.authorization, known.proofs, ports.clock.now()
    )
    if proof is None or await _has_ended(ports, proof, challenge):
        return None
    return proof


async def _has_ended(ports: Ports, proof: Proof, challenge: Challenge) -> bool:
    """Ask of the token that the proof would give whether it is revoked before it exists."""
    token = _foreseen(ports, proof, challenge)
    key_id = ports.snapshot.keyring.active.id
    try:
        if await ports.state.revocations.is_revoked(token, key_id):
            return True
    except DependencyUnavailableError:
        return True
    # After Redis was waited for: what was heard meanwhile counts.
    if ports.revocations.covers(token, key_id):
        return True
    return standing_at(ports.revocations.age, critical=True) is not Standing.FRESH


def _foreseen(ports: Ports, proof: Proof, challenge: Challenge) -> ElevatedToken:
    authorization, now = challenge.authorization, ports.clock.now()
    reached = ports.snapshot.policy.ladder.level_of(proof.passed)
    return ElevatedToken(
        id=TokenId(f"{proof.challenge_id}.session"),
        challenge_id=proof.challenge_id,
        client_id=authorization.client_id,
        subject=authorization.subject,
        audience=authorization.audience,
        acr=reached or Acr(""),
        amr=amr_of(proof.passed),
        auth_time=proof.auth_time,
        issued_at=now,
        expires_at=now + authorization.requirement.token_lifetime,
        authenticators=givers_of(proof.passed),
    )


def _digest(ports: Ports, secret: SessionSecret) -> str:
    key = digests.derive(ports.snapshot.keyring.root, "browser-session")
    return digests.encode(digests.keyed_digest(key, secret.text))
