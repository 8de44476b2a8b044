"""Answer a challenge: a code, a passkey, a recovery code.

Each answer goes the same way: the try is counted, then compared, then the answer is spent, and at
last the ceremony's facts decide whether the level is reached.
"""

from collections.abc import Mapping
from datetime import timedelta

import msgspec

from stepup.ceremonies import naming, otp, webauthn
from stepup.crypto import digests
from stepup.domain.assurance import CeremonyFacts, Factor, Method
from stepup.domain.audit import AuditKind
from stepup.domain.authenticator import TotpSecret
from stepup.domain.challenge import Challenge, ChallengeState
from stepup.domain.errors import (
    CeremonyExpiredError,
    CodeTooEarlyError,
    MethodNotUsableError,
    SignCountRegressedError,
    VerificationFailedError,
)
from stepup.domain.generation import is_below
from stepup.domain.ids import AttemptId, AuthenticatorId, CeremonyId, ChallengeId
from stepup.ports import AuthenticatorUsed, Permit, Ports
from stepup.usecases import recovery
from stepup.usecases.holder import Holder, answerable_methods, find_held, find_pending
from stepup.usecases.open_challenge import level_of, recorded

# A WebAuthn challenge has at least 16 bytes (WebAuthn Level 3 section 13.4.3).
_WEBAUTHN_CHALLENGE_BYTES = 32


class PasskeyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One ceremony to be run: its identifier, and the options for the browser."""

    ceremony_id: CeremonyId
    options: Mapping[str, object]


async def answer_with_code(
    ports: Ports, challenge_id: ChallengeId, holder: Holder, code: str, attempt: AttemptId
) -> Challenge:
    """Check a code of an authenticator app and spend the time step it belongs to.

    Raises:
        MethodNotUsableError: If no authenticator app can answer this challenge.
        TooManyAttemptsError: If the subject must wait before trying again.
        VerificationFailedError: If the code is wrong, or was used before.
        CodeTooEarlyError: If it may have been used before the state lost data.
        ChallengeNotPendingError: If another answer was first.
    """
    attempt = _of_this_answer(ports, challenge_id, attempt, code)
    permit = await _begin(ports, challenge_id, holder, Method.TOTP, attempt)
    if _is_answered(permit):
        return permit.challenge
    used = await _accepted_step(ports, permit, code)
    if used is None:
        raise await _failure(ports, permit, "wrong_code")
    await ports.state.attempts.forgive(permit.challenge.authorization.subject.id, Method.TOTP)
    return await _finish(ports, permit, used, CeremonyFacts(method=Method.TOTP))


async def begin_passkey(ports: Ports, challenge_id: ChallengeId, holder: Holder) -> PasskeyRequest:
    """Begin a WebAuthn ceremony; another tab's ceremony stays valid.

    Raises:
        MethodNotUsableError: If no passkey can answer this challenge.
        ChallengeNotPendingError: If it was answered or cancelled.
    """
    challenge = await find_pending(ports, challenge_id, holder)
    if Method.WEBAUTHN not in answerable_methods(ports, challenge):
        raise MethodNotUsableError
    fresh = ports.entropy.bytes(_WEBAUTHN_CHALLENGE_BYTES)
    ceremony_id, webauthn_challenge = await ports.state.challenges.begin_ceremony(
        challenge_id,
        naming.ceremony_of(fresh),
        fresh,
    )
    options = webauthn.request_options(
        rp_id=ports.site.rp_id,
        webauthn_challenge=webauthn_challenge,
        authenticators=challenge.authenticators_for(Method.WEBAUTHN),
        user_verification="required" if _needs_verification(ports, challenge) else "preferred",
        hints=webauthn.hints_for(
            challenge.authenticators_for(Method.WEBAUTHN),
            device_bound=all(factor.device_bound for factor in _passkey_factors(ports, challenge)),
        ),
    )
    return PasskeyRequest(ceremony_id=ceremony_id, options=options)


async def answer_with_passkey(
    ports: Ports,
    challenge_id: ChallengeId,
    holder: Holder,
    credential: Mapping[str, object],
    attempt: AttemptId,
    *,
    expected_ceremony: CeremonyId | None = None,
) -> Challenge:
    """Verify an assertion; its facts, not its name, decide how far it reaches.

    Which ceremony it answers is read from what was signed; a caller that kept the name says it.

    Raises:
        MethodNotUsableError: If no passkey can answer this challenge.
        CeremonyExpiredError: If the ceremony was used before.
        VerificationFailedError: If the assertion does not hold.
        ChallengeNotPendingError: If another answer was first.
    """
    ceremony_id = naming.answered_ceremony(credential)
    if expected_ceremony not in {None, ceremony_id}:
        raise CeremonyExpiredError
    attempt = _of_this_answer(ports, challenge_id, attempt, ceremony_id)
    permit = await _begin(ports, challenge_id, holder, Method.WEBAUTHN, attempt, ceremony_id)
    if _is_answered(permit):
        return permit.challenge
    challenge = permit.challenge
    try:
        verified = webauthn.verify_assertion(
            credential,
            expected_challenge=permit.webauthn_challenge or b"",
            expected_rp_id=ports.site.rp_id,
            expected_origins=ports.site.origins,
            authenticators=challenge.authenticators_for(Method.WEBAUTHN),
            expected_user_handle=webauthn.user_handle(challenge.authorization.subject),
            require_user_verification=_needs_verification(ports, challenge),
        )
    except SignCountRegressedError as error:
        raise await _clone_suspected(ports, permit, error.authenticator_id) from error
    except VerificationFailedError as error:
        raise await _failure(ports, permit, error.detail) from error
    subject_id = challenge.authorization.subject.id
    # The challenge may have been opened while this one was still enrolled.
    if await ports.state.steps.is_retired(subject_id, verified.authenticator.id):
        raise await _failure(ports, permit, "retired")
    # Zero means that the authenticator does not count (WebAuthn Level 3 section 7.2).
    if verified.sign_count and not await ports.state.steps.accept(
        subject_id, verified.authenticator.id, verified.sign_count, attempt
    ):
        raise await _clone_suspected(ports, permit, verified.authenticator.id)
    used = AuthenticatorUsed(
        authenticator_id=verified.authenticator.id,
        at=ports.clock.now(),
        sign_count=verified.sign_count,
        backed_up=verified.backed_up,
    )
    return await _finish(ports, permit, used, verified.facts)


async def answer_with_recovery_code(
    ports: Ports, challenge_id: ChallengeId, holder: Holder, code: str, attempt: AttemptId
) -> Challenge:
    """Burn a recovery code of the set that the challenge was opened with.

    Raises:
        MethodNotUsableError: If recovery codes cannot answer this challenge.
        TooManyAttemptsError: If the subject must wait before trying again.
        VerificationFailedError: If the code is wrong, or was used before.
        ChallengeNotPendingError: If another answer was first.
    """
    attempt = _of_this_answer(ports, challenge_id, attempt, code)
    permit = await _begin(ports, challenge_id, holder, Method.RECOVERY_CODE, attempt)
    if _is_answered(permit):
        return permit.challenge
    subject = permit.challenge.authorization.subject
    burned = None
    now = ports.clock.now()
    for planned in permit.challenge.authenticators_for(Method.RECOVERY_CODE):
        kind = AuditKind.RECOVERY_CODE_USED
        entry = recorded(permit.challenge, kind, now, authenticator=planned.id)
        if await recovery.burn(ports, planned, code, entry.event, attempt):
            burned = planned
    if burned is None:
        raise await _failure(ports, permit, "wrong_code")
    await ports.state.attempts.forgive(subject.id, Method.RECOVERY_CODE)
    used = AuthenticatorUsed(authenticator_id=burned.id, at=ports.clock.now())
    return await _finish(ports, permit, used, CeremonyFacts(method=Method.RECOVERY_CODE))


async def _begin(
    ports: Ports,
    challenge_id: ChallengeId,
    holder: Holder,
    method: Method,
    attempt: AttemptId,
    ceremony_id: CeremonyId | None = None,
) -> Permit:
    now = ports.clock.now()
    challenge = await find_held(ports, challenge_id, holder)
    if challenge.state is ChallengeState.PENDING:
        _check_usable(ports, challenge, method)
        # Guessing locks the method for the subject; a passkey cannot be guessed, so nobody can be
        # locked out of one by a stranger.
        if method is not Method.WEBAUTHN:
            await ports.state.attempts.spend(challenge.authorization.subject.id, method, now)
    # The try is counted in the script that hands out the permit, so no guess is free.
    return await ports.state.challenges.begin_answer(
        challenge_id, method, attempt, now, ceremony_id
    )


def _of_this_answer(
    ports: Ports, challenge_id: ChallengeId, attempt: AttemptId, answer: str
) -> AttemptId:
    """Tie an attempt to its challenge and its answer.

    The caller chooses an attempt's name. The same name with another code is another try, and is
    counted; with another challenge it is another spend, and must not be taken for a repetition.
    """
    key = digests.derive(ports.snapshot.keyring.root, "attempt")
    named = digests.keyed_digest(key, f"{challenge_id}\0{attempt}\0{answer}")
    return AttemptId(digests.encode(named[:16]))


def _check_usable(ports: Ports, challenge: Challenge, method: Method) -> None:
    if method in answerable_methods(ports, challenge):
        return
    if method in challenge.methods and not challenge.tries_left(method):
        raise VerificationFailedError("This method has no tries left.", tries_left=0)
    raise MethodNotUsableError


def _is_answered(permit: Permit) -> bool:
    # The same attempt came again after it had succeeded: it gets the same answer.
    return permit.challenge.state is not ChallengeState.PENDING


async def _accepted_step(ports: Ports, permit: Permit, code: str) -> AuthenticatorUsed | None:
    now = ports.clock.now()
    subject_id = permit.challenge.authorization.subject.id
    for authenticator in permit.challenge.authenticators_for(Method.TOTP):
        secret = authenticator.credential
        if not isinstance(secret, TotpSecret):
            continue
        step = otp.matching_step(secret, code, now)
        if step is None or authenticator.has_used(step):
            continue
        # Refused when this step or a later one was accepted before (RFC 6238 section 5.2) or can
        # have been while the state forgot it, and when the app was removed meanwhile.
        if await ports.state.steps.accept(
            subject_id,
            authenticator.id,
            step,
            permit.attempt,
            possible_since=otp.possible_since(secret, step),
        ):
            return AuthenticatorUsed(authenticator_id=authenticator.id, at=now, step=step)
        await _require_above_floor(ports, permit, secret, step)
    return None


async def _require_above_floor(ports: Ports, permit: Permit, secret: TotpSecret, step: int) -> None:
    """Tell a subject whose code is right to wait; that a dead code was right helps no guesser."""
    floor_at = (await ports.state.generations.current()).floor_at
    if floor_at is None or not is_below(floor_at, otp.possible_since(secret, step)):
        return
    failed = await _failure(ports, permit, "below_floor")
    wait = otp.counts_from(secret, floor_at) - ports.clock.now()
    # The app may show one that counts already, and this was the one before it.
    raise CodeTooEarlyError(max(wait, timedelta(seconds=1)), failed.tries_left)


def _needs_verification(ports: Ports, challenge: Challenge) -> bool:
    """Ask for user verification unless some combination of the level does without."""
    return all(factor.user_verified for factor in _passkey_factors(ports, challenge))


def _passkey_factors(ports: Ports, challenge: Challenge) -> list[Factor]:
    return [
        factor
        for combination in level_of(ports, challenge.authorization).any_of
        for factor in combination
        if factor.method is Method.WEBAUTHN
    ]


async def _finish(
    ports: Ports, permit: Permit, used: AuthenticatorUsed, facts: CeremonyFacts
) -> Challenge:
    now = ports.clock.now()
    facts = msgspec.structs.replace(facts, authenticator_id=used.authenticator_id)
    level = level_of(ports, permit.challenge.authorization)
    verified = level.is_reached_by((*permit.challenge.passed, facts))
    challenge = await ports.state.challenges.finish_answer(
        permit, facts, verified=verified, now=now
    )
    # Another factor may have been recorded since the permit: who sees both completes the answer.
    if challenge.state is ChallengeState.PENDING and level.is_reached_by(challenge.passed):
        verified = True
        challenge = await ports.state.challenges.finish_answer(
            permit, facts, verified=verified, now=now
        )
    entry = recorded(
        challenge,
        AuditKind.CHALLENGE_VERIFIED if verified else AuditKind.CHALLENGE_ADVANCED,
        now,
        method=permit.method,
        authenticator=used.authenticator_id,
        seconds=int((now - challenge.opened_at).total_seconds()),
    )
    await ports.state.outbox.append(used, entry)
    return challenge


async def _failure(ports: Ports, permit: Permit, reason: str) -> VerificationFailedError:
    now = ports.clock.now()
    kind = AuditKind.CHALLENGE_FAILED
    entry = recorded(permit.challenge, kind, now, method=permit.method, reason=reason)
    await ports.state.outbox.append(entry)
    # One message for wrong, expired and used codes: which it was would help who guesses.
    return VerificationFailedError(tries_left=permit.challenge.tries_left(permit.method))


async def _clone_suspected(
    ports: Ports, permit: Permit, authenticator_id: AuthenticatorId
) -> VerificationFailedError:
    now = ports.clock.now()
    kind = AuditKind.SIGN_COUNT_REGRESSED
    entry = recorded(permit.challenge, kind, now, authenticator=authenticator_id)
    await ports.state.outbox.append(entry)
    return await _failure(ports, permit, "sign_count_regressed")
