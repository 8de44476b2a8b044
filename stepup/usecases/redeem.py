"""Redeem a code for an elevated token: once, and the same attempt gets the same token."""

from functools import partial

import msgspec

from stepup.crypto import digests, tokens
from stepup.domain.assurance import Acr, Ladder
from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.authorization import CODE_LIFETIME
from stepup.domain.challenge import Challenge, amr_of, givers_of
from stepup.domain.client import Client, Role
from stepup.domain.errors import (
    ClientNotAllowedError,
    CodeReplayedError,
    InvalidGrantError,
    InvalidRequestError,
    OutcomeUnknownError,
    RedemptionUnknownError,
)
from stepup.domain.ids import AttemptId, ChallengeId, Handle, TokenId
from stepup.domain.keyring import Keyring
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
from stepup.usecases.settle import SpentByAnotherError, end_token, settle


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """An elevated token and its text."""

    token: ElevatedToken
    text: str
    key_id: str
    expires_in: int
    repeated: bool

    def __repr__(self) -> str:
        return f"Issued({self.token.id})"


async def redeem(
    ports: Ports,
    caller: Client,
    code: str,
    attempt: AttemptId,
    *,
    redirect_uri: str | None,
    code_verifier: str | None,
) -> Issued:
    """Spend a code and sign the token (RFC 6749 section 4.1.3, RFC 7636 section 4.6).

    Raises:
        ClientNotAllowedError: If the caller may not redeem codes.
        InvalidRequestError: If the code verifier is malformed.
        InvalidGrantError: If the code is unknown, expired, or bound to something else.
        CodeReplayedError: If another attempt has redeemed it, by Redis or by the ledger; what it
            gave is revoked by now.
        RedemptionUnknownError: If nobody knows whether this attempt has it; no row says so yet.
    """
    if not caller.may(Role.RP):
        raise ClientNotAllowedError
    handle = Handle.parse(code)
    if handle is None:
        raise InvalidGrantError
    if code_verifier is not None and not digests.is_code_verifier(code_verifier):
        raise InvalidRequestError("code_verifier is malformed.")
    presented = PresentedCode(
        challenge_id=handle.challenge_id,
        digest=code_digest(ports.snapshot.keyring, handle.secret),
        client_id=caller.client_id,
        redirect_uri=redirect_uri,
        code_challenge=None if code_verifier is None else digests.code_challenge_of(code_verifier),
    )
    try:
        redemption, entries = await _spend(ports, presented, attempt)
    except CodeTakenError as error:
        raise await _replayed(ports, caller, error.challenge_id) from error
    except SpentByAnotherError as error:
        raise CodeReplayedError from error
    return await _issue(ports, redemption, entries)


async def redeem_unnamed(
    ports: Ports, caller: Client, code: str, *, redirect_uri: str | None, code_verifier: str | None
) -> Issued:
    """Redeem for a caller that gives its attempt no name, and repeats it as a stranger.

    When nobody knows what became of the code it is given back behind the answer, or the caller's
    next try would find it taken. Never once a row of it may be in the ledger.

    Raises:
        OutcomeUnknownError: If nobody knows; the caller may try again.
    """
    attempt = AttemptId(ports.entropy.token(16))
    try:
        return await redeem(
            ports, caller, code, attempt, redirect_uri=redirect_uri, code_verifier=code_verifier
        )
    except RedemptionUnknownError as error:
        until = ports.clock.now() + CODE_LIFETIME
        await ports.state.challenges.release_code(error.challenge_id, attempt, until)
        raise


def token_id(keyring: Keyring, challenge_id: ChallengeId) -> TokenId:
    """Compute the identifier of a challenge's token.

    It is computed and not drawn, so that even an undetected double redemption would yield one
    token identity, which one revocation ends (RELIABILITY section 1).
    """
    key = digests.derive(keyring.root, "jti")
    return TokenId(f"{challenge_id}.{digests.encode(digests.keyed_digest(key, challenge_id)[:16])}")


async def _spend(
    ports: Ports, presented: PresentedCode, attempt: AttemptId
) -> tuple[Redemption, tuple[OutboxEntry, ...]]:
    now = ports.clock.now()
    redeem_code = partial(ports.state.challenges.redeem_code, presented, attempt, now)
    try:
        redemption = await redeem_code()
    except OutcomeUnknownError as error:
        raise RedemptionUnknownError(presented.challenge_id) from error
    row = _row(ports, redemption, attempt)
    settled = await settle(ports, row, partial(redeem_code, everywhere=True))
    # The moment of the ledger, if it differs: the same attempt gets the same token.
    return msgspec.structs.replace(redemption, redeemed_at=settled.at), settled.entries


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


async def _issue(ports: Ports, redemption: Redemption, entries: tuple[OutboxEntry, ...]) -> Issued:
    keyring = ports.snapshot.keyring
    token = _token(ports, redemption)
    # Nothing that differs when the attempt repeats: the log keeps one of the two.
    details: dict[str, str | int | bool | None] = {
        "jti": token.id,
        "acr": token.acr,
        "expires_at": int(token.expires_at.timestamp()),
    }
    if token.fallback_for is not None:
        details["fallback_for"] = token.fallback_for
    text = tokens.sign_elevated(token, keyring.active, ports.site, keyring.root)
    event = AuditEvent(
        kind=AuditKind.TOKEN_ISSUED,
        at=redemption.redeemed_at,
        client_id=token.client_id,
        subject_id=token.subject.id,
        action=token.action,
        challenge_id=token.challenge_id,
        details=details,
    )
    await ports.state.outbox.append(*entries, AuditRecorded(event=event))
    left = token.expires_at - ports.clock.now()
    return Issued(
        token=token,
        text=text,
        key_id=keyring.active.id,
        expires_in=max(0, round(left.total_seconds())),
        repeated=redemption.repeated,
    )


def _token(ports: Ports, redemption: Redemption) -> ElevatedToken:
    keyring = ports.snapshot.keyring
    challenge: Challenge = redemption.challenge
    authorization = challenge.authorization
    purpose = authorization.purpose
    return ElevatedToken(
        id=token_id(keyring, challenge.id),
        challenge_id=challenge.id,
        client_id=authorization.client_id,
        subject=authorization.subject,
        audience=authorization.audience,
        acr=_reached(ports.snapshot.policy.ladder, challenge),
        amr=amr_of(challenge.passed),
        auth_time=challenge.verified_at or redemption.redeemed_at,
        issued_at=redemption.redeemed_at,
        expires_at=redemption.redeemed_at + authorization.requirement.token_lifetime,
        action=purpose.action if purpose else None,
        bound_digest=purpose.bound_digest if purpose else None,
        once=authorization.requirement.once,
        credential_age=authorization.requirement.min_credential_age,
        fallback_for=authorization.fallback_for,
        scope=authorization.scope,
        authenticators=givers_of(challenge.passed),
    )


def _reached(ladder: Ladder, challenge: Challenge) -> Acr:
    """Compute the level from the facts of the ceremonies; it may be more than was asked for.

    The challenge was verified against the ladder of its time, so what was asked for is reached
    even when a newer policy counts differently.
    """
    asked = challenge.authorization.requirement.acr
    reached = ladder.level_of(challenge.passed)
    return asked if reached is None else ladder.strongest(asked, reached)


async def _replayed(ports: Ports, caller: Client, challenge_id: ChallengeId) -> CodeReplayedError:
    # RFC 6749 section 4.1.2: whoever has the code twice may be a thief, so what it gave ends.
    now = ports.clock.now()
    revoked = token_id(ports.snapshot.keyring, challenge_id)
    await end_token(ports, revoked)
    event = AuditEvent(
        kind=AuditKind.CODE_REPLAYED,
        at=now,
        client_id=caller.client_id,
        challenge_id=challenge_id,
        details={"jti": revoked},
    )
    await ports.state.outbox.append(AuditRecorded(event=event))
    return CodeReplayedError()
