"""Redeem a code for an elevated token: once, and the same attempt gets the same token."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

import msgspec

from stepup.crypto import digests
from stepup.domain.assurance import Acr, Ladder
from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.authorization import CODE_LIFETIME
from stepup.domain.browser_session import longest_age
from stepup.domain.challenge import Challenge, amr_of, givers_of
from stepup.domain.client import Client, Role
from stepup.domain.confirmation import Confirmation
from stepup.domain.errors import (
    ClientNotAllowedError,
    CodeReplayedError,
    InvalidGrantError,
    InvalidRequestError,
    InvalidTargetError,
    OutcomeUnknownError,
    RedemptionUnknownError,
)
from stepup.domain.ids import AttemptId, ChallengeId, Handle
from stepup.domain.refresh import granted_scope, refresh_until
from stepup.domain.revocation import proofs_of
from stepup.domain.token import ElevatedToken
from stepup.ports import (
    AuditRecorded,
    CodeRedeemed,
    CodeTakenError,
    OutboxEntry,
    Ports,
    PresentedCode,
    Redemption,
)
from stepup.usecases.finish import code_digest
from stepup.usecases.make_token import (
    Given,
    Issued,
    check_proof,
    issue,
    signers_for,
    token_id,
)
from stepup.usecases.refresh_tokens import begin_refresh
from stepup.usecases.sessions import sid
from stepup.usecases.settle import SpentByAnotherError, end_redeemed, settle

# Tokens count whole seconds; one that ends in the second of its issue was never good.
_SHORTEST = timedelta(seconds=1)


class CodeGrant(msgspec.Struct, frozen=True, kw_only=True):
    """A code as a client brings it to the token endpoint, and the key that it has proved to hold."""

    code: str
    redirect_uri: str | None = None
    code_verifier: str | None = None
    resource: str | None = None
    proof: Confirmation | None = None

    def __repr__(self) -> str:
        return "CodeGrant(***)"


async def redeem(ports: Ports, caller: Client, grant: CodeGrant, attempt: AttemptId) -> Issued:
    """Spend a code and sign the tokens (RFC 6749 section 4.1.3, RFC 7636 section 4.6).

    Raises:
        ClientNotAllowedError: If the caller may not redeem codes.
        InvalidRequestError: If the code verifier is malformed, or a certificate is missing.
        InvalidDpopProofError: If the caller must prove to hold a key, and does not.
        InvalidTargetError: If the token is for another resource.
        InvalidGrantError: If the code is unknown, expired, or bound to something else, or what was
            proved for it has been revoked.
        CodeReplayedError: If another attempt has redeemed it, by Redis or by the ledger; what it
            gave is revoked by now.
        RedemptionUnknownError: If nobody knows whether this attempt has it; no row says so yet.
    """
    if not caller.may(Role.RP):
        raise ClientNotAllowedError
    check_proof(caller, grant.proof)
    presented = _presented(ports, caller, grant)
    signers = signers_for(ports, caller)
    await _check_resource(ports, presented, grant.resource)
    try:
        redeemed = await _spend(ports, presented, attempt, partial(_begin, ports, caller, grant))
    except CodeTakenError as error:
        raise await _replayed(ports, caller, error.challenge_id) from error
    except SpentByAnotherError as error:
        raise CodeReplayedError from error
    return await issue(ports, signers, _given(ports, redeemed), redeemed.entries)


async def redeem_unnamed(ports: Ports, caller: Client, grant: CodeGrant) -> Issued:
    """Redeem for a caller that gives its attempt no name, and repeats it as a stranger.

    When nobody knows what became of the code it is given back behind the answer, or the caller's
    next try would find it taken. Never once a row of it may be in the ledger.

    Raises:
        OutcomeUnknownError: If nobody knows; the caller may try again.
    """
    attempt = AttemptId(ports.entropy.token(16))
    try:
        return await redeem(ports, caller, grant, attempt)
    except RedemptionUnknownError as error:
        until = ports.clock.now() + CODE_LIFETIME
        await ports.state.challenges.release_code(error.challenge_id, attempt, until)
        raise


def _presented(ports: Ports, caller: Client, grant: CodeGrant) -> PresentedCode:
    handle, verifier = Handle.parse(grant.code), grant.code_verifier
    if handle is None:
        raise InvalidGrantError
    if verifier is not None and not digests.is_code_verifier(verifier):
        raise InvalidRequestError("code_verifier is malformed.")
    return PresentedCode(
        challenge_id=handle.challenge_id,
        digest=code_digest(ports.snapshot.keyring, handle.secret),
        client_id=caller.client_id,
        redirect_uri=grant.redirect_uri,
        code_challenge=None if verifier is None else digests.code_challenge_of(verifier),
        jkt=None if grant.proof is None else grant.proof.jkt,
    )


async def _check_resource(ports: Ports, presented: PresentedCode, resource: str | None) -> None:
    """Refuse another resource than was asked for at first, and leave the code as it is.

    RFC 8707 section 2.2 lets it narrow down several; a token of ours has one.
    """
    if resource is None:
        return
    challenge = await ports.state.challenges.find(presented.challenge_id)
    if challenge is None or challenge.authorization.client_id != presented.client_id:
        raise InvalidGrantError
    if challenge.authorization.audience != resource:
        raise InvalidTargetError("The code is for another resource.")


class _Redeemed(NamedTuple):
    """A spent code, and the token that it is spent for."""

    redemption: Redemption
    token: ElevatedToken
    refresh_token: str | None
    entries: tuple[OutboxEntry, ...] = ()


async def _spend(
    ports: Ports,
    presented: PresentedCode,
    attempt: AttemptId,
    begin: Callable[[Redemption], Awaitable[_Redeemed]],
) -> _Redeemed:
    now = ports.clock.now()
    redeem_code = partial(ports.state.challenges.redeem_code, presented, attempt, now)
    try:
        redemption = await redeem_code()
        # Before there is a row: until then the code can be given back when this fails.
        redeemed = await begin(redemption)
    except OutcomeUnknownError as error:
        raise RedemptionUnknownError(presented.challenge_id) from error
    row = _row(ports, redemption, attempt)
    settled = await settle(ports, row, partial(redeem_code, everywhere=True))
    if settled.at != redemption.redeemed_at:
        # The moment of the ledger: the same attempt gets the same token.
        redeemed = await begin(msgspec.structs.replace(redemption, redeemed_at=settled.at))
    return redeemed._replace(entries=settled.entries)


async def _begin(
    ports: Ports, caller: Client, grant: CodeGrant, redemption: Redemption
) -> _Redeemed:
    """Make the token, and what can be refreshed where the client may refresh."""
    token = _token(ports, redemption, grant.proof)
    # An access token would be found out; what is read once, an ID token, would let somebody in.
    if ports.revocations.ends(proofs_of(token)):
        raise InvalidGrantError("What answered the request has ended; send it again.")
    if token.expires_at - token.issued_at < _SHORTEST:
        raise InvalidGrantError("What answered the request is too old by now; send it again.")
    challenge = redemption.challenge
    ladder = ports.snapshot.policy.ladder
    until = refresh_until(caller, challenge.authorization, token.auth_time, ladder)
    if until is None or until <= token.issued_at:
        return _Redeemed(redemption, token, None)
    token = msgspec.structs.replace(token, scope=challenge.authorization.scope)
    refresh_token = await begin_refresh(
        ports, token, until, is_public=caller.is_public, session_id=_session_id(ports, challenge)
    )
    return _Redeemed(redemption, token, refresh_token)


def _row(ports: Ports, redemption: Redemption, attempt: AttemptId) -> CodeRedeemed:
    challenge = redemption.challenge
    return CodeRedeemed(
        challenge_id=challenge.id,
        attempt=attempt,
        token_id=token_id(ports.snapshot.keyring, challenge.id),
        client_id=challenge.authorization.client_id,
        subject_id=challenge.authorization.subject.id,
        redeemed_at=redemption.redeemed_at,
    )


def _given(ports: Ports, redeemed: _Redeemed) -> Given:
    challenge = redeemed.redemption.challenge
    return Given(
        token=redeemed.token,
        kind=AuditKind.TOKEN_ISSUED,
        repeated=redeemed.redemption.repeated,
        nonce=challenge.authorization.nonce,
        session_id=_session_id(ports, challenge),
        refresh_token=redeemed.refresh_token,
    )


def _session_id(ports: Ports, challenge: Challenge) -> str | None:
    browser, client_id = challenge.browser_digest, challenge.authorization.client_id
    return None if browser is None else sid(ports.snapshot.keyring, browser, client_id)


def _token(ports: Ports, redemption: Redemption, proof: Confirmation | None) -> ElevatedToken:
    challenge: Challenge = redemption.challenge
    authorization = challenge.authorization
    requirement, purpose = authorization.requirement, authorization.purpose
    ladder = ports.snapshot.policy.ladder
    auth_time = challenge.verified_at or redemption.redeemed_at
    return ElevatedToken(
        id=token_id(ports.snapshot.keyring, challenge.id),
        challenge_id=challenge.id,
        client_id=authorization.client_id,
        subject=authorization.subject,
        audience=authorization.audience,
        acr=_reached(ladder, challenge),
        amr=amr_of(challenge.passed),
        auth_time=auth_time,
        issued_at=redemption.redeemed_at,
        expires_at=_expires_at(ladder, redemption, auth_time),
        action=purpose.action if purpose else None,
        bound_digest=purpose.bound_digest if purpose else None,
        once=requirement.once,
        credential_age=requirement.min_credential_age,
        fallback_for=authorization.fallback_for,
        scope=granted_scope(authorization.scope, refreshed=False),
        confirmation=proof,
        authenticators=givers_of(challenge.passed),
    )


def _expires_at(ladder: Ladder, redemption: Redemption, auth_time: datetime) -> datetime:
    """Return when a token ends: of what was proved before, with the age that was asked for.

    A ceremony of its own was as young as can be, and the policy says how long that is good.
    """
    challenge = redemption.challenge
    ends = redemption.redeemed_at + challenge.authorization.requirement.token_lifetime
    if not challenge.by_session:
        return ends
    return min(ends, auth_time + longest_age(ladder, challenge.authorization))


def _reached(ladder: Ladder, challenge: Challenge) -> Acr:
    """Compute the level from the facts of the ceremonies; it may be more than was asked for.

    The challenge was verified against the ladder of its time, so what was asked for is reached
    even when a newer policy counts differently.
    """
    asked = challenge.authorization.requirement.acr
    if challenge.authorization.essential_acr:
        # OpenID Connect Core section 5.5.1.1: one of the levels that were named, and no other.
        return asked
    reached = ladder.level_of(challenge.passed)
    return asked if reached is None else ladder.strongest(asked, reached)


async def _replayed(ports: Ports, caller: Client, challenge_id: ChallengeId) -> CodeReplayedError:
    # RFC 6749 section 4.1.2: whoever has the code twice may be a thief, so what it gave ends.
    now = ports.clock.now()
    revoked = token_id(ports.snapshot.keyring, challenge_id)
    await end_redeemed(ports, challenge_id, revoked)
    event = AuditEvent(
        kind=AuditKind.CODE_REPLAYED,
        at=now,
        client_id=caller.client_id,
        challenge_id=challenge_id,
        details={"jti": revoked},
    )
    await ports.state.outbox.append(AuditRecorded(event=event))
    return CodeReplayedError()
