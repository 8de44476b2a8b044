"""Proofs of possession: each is accepted once, and carries a nonce of ours where that is asked for.

A proof that was made before the state lost something may have been accepted then, so it is not
(RELIABILITY section 6).
"""

from datetime import datetime, timedelta
from hashlib import sha256

import msgspec

from stepup.crypto import dpop, tokens
from stepup.domain.authorization_errors import InvalidDpopProofError, UseDpopNonceError
from stepup.domain.ids import AttemptId
from stepup.ports import Ports
from stepup.usecases import machine_tokens

# At its greatest age a proof still holds; nothing of it may be forgotten before.
_MARGIN = timedelta(seconds=1)


class Proven(msgspec.Struct, frozen=True, kw_only=True):
    """The key of an accepted proof, and the nonce for the next one where another has begun."""

    jkt: str
    next_nonce: str | None = None


async def accept(
    ports: Ports, text: str, *, method: str, url: str, access_token: str | None = None
) -> Proven:
    """Accept a proof, once; `url` is where we are reached from outside.

    Raises:
        InvalidDpopProofError: If it does not hold, or was or may have been used before.
        UseDpopNonceError: If it lacks a nonce that it needs, or has one that is none or too old.
        OutcomeUnknownError: If nobody knows whether it was used.
    """
    now = ports.clock.now()
    proof = dpop.verify_proof(text, method=method, url=url, now=now, access_token=access_token)
    nonce = _check_nonce(ports, proof, now)
    await _spend(ports, proof)
    return Proven(jkt=proof.jkt, next_nonce=nonce)


def check_token(ports: Ports, text: str) -> None:
    """Refuse a text that is no valid token of ours, so that nobody else makes us remember proofs.

    Raises:
        TokenRefusedError: If it is none; what it is good for is asked later.
    """
    try:
        tokens.read(text, ports.snapshot.keyring, ports.site, ports.clock.now())
    except tokens.InvalidTokenError:
        # A client's own token is bound like any other.
        machine_tokens.read(ports, text)


def _check_nonce(ports: Ports, proof: dpop.Proof, now: datetime) -> str | None:
    """Return the nonce to go on with when the proof's is about to end (check 10 of section 4.3)."""
    if proof.nonce is None and not ports.site.dpop_nonce_required:
        return None
    key = dpop.nonce_key(ports.snapshot.keyring.root)
    current = dpop.nonce_at(key, now)
    if proof.nonce is None or not dpop.is_good_nonce(key, proof.nonce, now):
        raise UseDpopNonceError(current)
    return None if proof.nonce == current else current


async def _spend(ports: Ports, proof: dpop.Proof) -> None:
    # Two clients may choose one jti; the digest keeps what they chose out of the name.
    identifier = sha256(f"{proof.jkt}\0{proof.jti}".encode()).hexdigest()
    is_new = await ports.state.replays.remember(
        "dpop",
        identifier,
        AttemptId(ports.entropy.token(16)),
        proof.issued_at + dpop.MAX_AGE + _MARGIN,
        possible_since=proof.issued_at - dpop.MAX_AHEAD,
    )
    if not is_new:
        raise InvalidDpopProofError(
            "The DPoP proof was used before, or may have been; make a new one."
        )
