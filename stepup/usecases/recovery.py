"""Recovery codes: made and shown once, proved by burning one, burned one by one."""

from collections.abc import Iterable

import msgspec

from stepup.ceremonies import recovery_codes
from stepup.crypto import digests
from stepup.crypto.sealing import UnsealError
from stepup.domain.account import AccountSession
from stepup.domain.assurance import Method
from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.authenticator import Authenticator, RecoveryCodes
from stepup.domain.errors import (
    AuthenticatorNotFoundError,
    DependencyUnavailableError,
    VerificationFailedError,
)
from stepup.domain.ids import AttemptId, AuthenticatorId
from stepup.ports import Ports, RecoveryCodeBurned, Stores
from stepup.usecases import credentials, provision
from stepup.usecases.account_guard import GENERATE_CODES, authenticators_of, event_of, permit

_RANDOM_BYTES = 100


async def prepare(ports: Ports, session: AccountSession) -> Authenticator | None:
    """Return the present set, if there is one, before another is made.

    Raises:
        StepUpRequiredError: If the session must step up first.
    """
    await permit(ports, session, GENERATE_CODES)
    return await _present(ports, session)


async def generate(ports: Ports, session: AccountSession) -> tuple[str, ...]:
    """Make a new set of recovery codes and return them, this one time; the old set is dead.

    The new set answers nothing until one of its codes was burned to prove that they were kept.

    Raises:
        StepUpRequiredError: If the session must step up first.
    """
    await permit(ports, session, GENERATE_CODES)
    codes = recovery_codes.generate(ports.entropy.bytes(_RANDOM_BYTES))
    key = digests.derive(ports.snapshot.keyring.root, "recovery-code")
    subject = session.identity.subject
    authenticator = Authenticator(
        # One name for every set of a subject: of two sets made at once one is refused.
        id=AuthenticatorId(f"recovery-{subject.id}"),
        subject=subject,
        name="Recovery codes",
        credential=RecoveryCodes(digests=tuple(recovery_codes.digest(code, key) for code in codes)),
        created_at=ports.clock.now(),
    )
    async with ports.database.transaction() as stores:
        for old in await stores.authenticators.of_subject(subject):
            if old.method is Method.RECOVERY_CODE:
                # From open challenges, too: they carry the codes of the old set.
                await provision.withdraw(ports, stores, subject, old.id, is_replaced=True)
        await stores.authenticators.add(authenticator)
        event = event_of(ports, subject, AuditKind.RECOVERY_CODES_GENERATED, count=len(codes))
        await stores.audit.append(ports.entropy.token(16), event)
    await credentials.renew(ports, subject)
    return codes


async def confirm(ports: Ports, session: AccountSession, code: str) -> None:
    """Burn one code to prove that the set was kept; from then on the others can be used.

    Raises:
        AuthenticatorNotFoundError: If the subject has no recovery codes.
        TooManyAttemptsError: If the subject must wait before trying again.
        VerificationFailedError: If it is none of them.
    """
    subject = session.identity.subject
    await ports.state.attempts.spend(subject.id, Method.RECOVERY_CODE, ports.clock.now())
    kept = await _present(ports, session)
    if kept is None:
        raise AuthenticatorNotFoundError
    event = event_of(ports, subject, AuditKind.RECOVERY_CODE_USED, authenticator=kept.id)
    if not await burn(ports, kept, code, event, AttemptId(ports.entropy.token(16))):
        raise VerificationFailedError("That is none of your new codes.")
    await ports.state.attempts.forgive(subject.id, Method.RECOVERY_CODE)
    await credentials.renew(ports, subject)


async def burn(
    ports: Ports, kept: Authenticator, code: str, event: AuditEvent, attempt: AttemptId
) -> bool:
    """Use up one recovery code, and record that; of concurrent attempts with it one gets True.

    The attempt that burned it gets True again, and changes nothing: a code is gone even when what
    came after it was lost, and whoever repeats the request must not need another one.

    Redis decides, and PostgreSQL has a word in it when it is up: the set may be older here than
    the last code that was burned. While it is away it learns of the code through the outbox.
    """
    digest = _matching_digest(ports, kept, code)
    if digest is None or not await ports.state.recovery_codes.spend(
        kept.subject.id, kept.id, digest, attempt
    ):
        return False
    burned = RecoveryCodeBurned(
        authenticator_id=kept.id, code_digest=digest, attempt=attempt, event=event
    )
    try:
        async with ports.database.transaction() as stores:
            left = await stores.authenticators.burn_code(kept.id, digest, attempt)
            if left is not None:
                await stores.audit.append(*_recorded(burned, left))
    except DependencyUnavailableError:
        # It may have been committed all the same; the same attempt burns nothing twice.
        await ports.state.outbox.append(burned)
        return True
    except UnsealError as error:
        # Another instance has the key that is missing here, and knows the attempt.
        raise DependencyUnavailableError from error
    return left is not None


async def burn_afterwards(
    stores: Stores, entries: Iterable[RecoveryCodeBurned]
) -> list[tuple[str, AuditEvent]]:
    """Take codes out of their sets that were used while PostgreSQL was away.

    Returns what the audit log is to say of them, each under its own identifier.
    """
    told = []
    for burned in entries:
        left = await stores.authenticators.burn_code(
            burned.authenticator_id, burned.code_digest, burned.attempt
        )
        told.append(_recorded(burned, left))
    return told


def _recorded(burned: RecoveryCodeBurned, left: int | None) -> tuple[str, AuditEvent]:
    entry_id = f"{burned.event.kind}:{burned.authenticator_id}:{burned.attempt}"
    outcome: dict[str, int | bool] = {"unmatched": True} if left is None else {"left": left}
    details = {**burned.event.details, **outcome}
    return entry_id, msgspec.structs.replace(burned.event, details=details)


def _matching_digest(ports: Ports, kept: Authenticator, code: str) -> bytes | None:
    if not isinstance(kept.credential, RecoveryCodes):
        return None
    key = digests.derive(ports.snapshot.keyring.root, "recovery-code")
    return recovery_codes.matching_digest(kept.credential, code, key)


async def _present(ports: Ports, session: AccountSession) -> Authenticator | None:
    enrolled = await authenticators_of(ports, session)
    return next((a for a in enrolled if a.method is Method.RECOVERY_CODE), None)
