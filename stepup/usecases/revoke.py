"""Revoke: one token (RFC 7009), or all of a subject, client, authenticator or signing key.

The row in PostgreSQL comes first, because it outlives Redis; then the mark, which every
introspection reads. One of the two is enough to be acknowledged: every instance hears of it from
the store that has it, and the other one is told later.
"""

import asyncio
from datetime import datetime

from stepup.crypto import id_tokens
from stepup.crypto.jwts import InvalidTokenError
from stepup.domain.admin_errors import TokenRefusedError
from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.client import Client
from stepup.domain.errors import (
    DependencyUnavailableError,
    OutcomeUnknownError,
    UnsupportedTokenTypeError,
)
from stepup.domain.ids import (
    AuthenticatorId,
    ChallengeId,
    ClientId,
    KeyId,
    SubjectId,
    TokenId,
)
from stepup.domain.revocation import Revocation, RevocationMap
from stepup.ports import AuditRecorded, Ports, RevocationRecorded, Stores
from stepup.usecases import machine_tokens
from stepup.usecases.token_state import readable

# All of them at once would fill the queue of whoever spends, and past its length never get through.
RESEEDED_AT_ONCE = 200

_AWAY = (DependencyUnavailableError, OutcomeUnknownError)


async def revoke(ports: Ports, caller: Client, text: str) -> None:
    """Revoke a token that was issued to the caller; any other is none of its business.

    RFC 7009 section 2.2: an invalid token is no error, the client cannot do anything about it. That
    includes another client's token, which a resource server may read and must not end (2.1).

    Raises:
        UnsupportedTokenTypeError: If it is an ID token of ours.
    """
    read = readable(ports, caller, text)
    if read is None:
        if not await _revoke_own(ports, caller, text):
            _refuse_id_token(ports, text)
        return
    if read.token.client_id != caller.client_id:
        return
    token = read.token
    await revoke_token(ports, token.id, token.expires_at)
    event = AuditEvent(
        kind=AuditKind.TOKEN_REVOKED,
        at=ports.clock.now(),
        client_id=caller.client_id,
        subject_id=token.subject.id,
        action=token.action,
        challenge_id=token.challenge_id,
        details={"jti": token.id},
    )
    await record(ports, event)


async def revoke_token(ports: Ports, token_id: TokenId, until: datetime) -> None:
    """End one token, which expires at `until`; again is harmless.

    Raises:
        DependencyUnavailableError: If neither store took it; the caller must come again.
    """
    await end(ports, Revocation.of_token(token_id, until, ports.clock.now()))


async def revoke_grant(ports: Ports, challenge_id: ChallengeId, until: datetime) -> None:
    """End all that a ceremony gave, the last of which expires at `until`; again is harmless.

    Raises:
        DependencyUnavailableError: If neither store took it; the caller must come again.
    """
    await end(ports, Revocation.of_grant(challenge_id, until, ports.clock.now()))


async def revoke_subject(
    ports: Ports, subject_id: SubjectId, up_to: datetime | None = None
) -> None:
    """End all that a subject has proved up to a moment, by default to now; again is harmless.

    Raises:
        DependencyUnavailableError: If neither store took it; the caller must come again.
    """
    await end(ports, Revocation.of_subject(subject_id, up_to or ports.clock.now()))


async def revoke_client(ports: Ports, client_id: ClientId) -> None:
    """End all that was proved for a client up to now; again is harmless.

    Raises:
        DependencyUnavailableError: If neither store took it; the caller must come again.
    """
    await end(ports, Revocation.of_client(client_id, ports.clock.now()))


async def revoke_authenticator(
    ports: Ports, subject_id: SubjectId, authenticator_id: AuthenticatorId
) -> None:
    """End all that an authenticator has had a part in up to now; again is harmless.

    Raises:
        DependencyUnavailableError: If neither store took it; the caller must come again.
    """
    await end(ports, Revocation.of_authenticator(subject_id, authenticator_id, ports.clock.now()))


async def revoke_key(ports: Ports, key_id: KeyId, min_iat: datetime) -> None:
    """End all tokens under a key that were issued before `min_iat`; again is harmless.

    Raises:
        DependencyUnavailableError: If neither store took it; the caller must come again.
    """
    await end(ports, Revocation.of_key(key_id, min_iat, ports.clock.now()))


async def end_with(ports: Ports, stores: Stores, revocation: Revocation) -> None:
    """Revoke inside a transaction whose change must not be made without it."""
    await stores.revocations.add([revocation])
    # Before the commit: a Redis that does not answer rolls the change back, and it is repeated.
    await ports.state.revocations.publish(revocation)
    ports.revocations.learn(revocation, published=True)


async def reseed(ports: Ports) -> int:
    """Give Redis back what PostgreSQL and this process know; returns how many that were.

    For a Redis that came back with less than it had; what it still has is not told again.

    Raises:
        DependencyUnavailableError: If Redis does not take them.
    """
    now = ports.clock.now()
    known = RevocationMap(ports.revocations.entries())
    try:
        async with ports.database.transaction() as stores:
            written = await stores.revocations.live(now)
    except DependencyUnavailableError:
        written = []
    for row in written:
        known.add(row.revocation)
    known.forget(now)
    entries = known.entries()
    for first in range(0, len(entries), RESEEDED_AT_ONCE):
        batch = entries[first : first + RESEEDED_AT_ONCE]
        await asyncio.gather(*(ports.state.revocations.publish(each) for each in batch))
    return len(known)


async def end(ports: Ports, revocation: Revocation) -> None:
    """End whatever a revocation is about; again is harmless.

    Raises:
        DependencyUnavailableError: If neither store took it; the caller must come again.
    """
    try:
        await ports.database.keep_revocation(revocation)
        is_kept = True
    except DependencyUnavailableError:
        # Raises when Redis is away as well: then nobody would know of it.
        await ports.state.outbox.append(RevocationRecorded(revocation=revocation))
        is_kept = False
    try:
        await ports.state.revocations.publish(revocation)
    except _AWAY:
        # Every instance asks PostgreSQL, too. Without a row there is only what we just failed at.
        if not is_kept:
            raise
        ports.revocations.learn(revocation, published=False)
    else:
        ports.revocations.learn(revocation, published=True)


async def _revoke_own(ports: Ports, caller: Client, text: str) -> bool:
    """End a token that the client got for itself; says whether it was such a token."""
    try:
        token = machine_tokens.read(ports, text)
    except TokenRefusedError:
        return False
    if token.client_id == caller.client_id:
        token_id = TokenId(token.id)
        await revoke_token(ports, token_id, token.expires_at)
        event = AuditEvent(
            kind=AuditKind.TOKEN_REVOKED,
            at=ports.clock.now(),
            client_id=caller.client_id,
            details={"jti": token_id},
        )
        await record(ports, event)
    return True


def _refuse_id_token(ports: Ports, text: str) -> None:
    try:
        id_tokens.read_hint(text, ports.snapshot.keyring, ports.site)
    except InvalidTokenError:
        return
    raise UnsupportedTokenTypeError


async def record(ports: Ports, event: AuditEvent) -> None:
    """Put on record that something was revoked, also while Redis is away."""
    try:
        await ports.state.outbox.append(AuditRecorded(event=event))
    except _AWAY:
        # With Redis away the revocation has a row already, so its record can have one.
        async with ports.database.transaction() as stores:
            await stores.audit.append(ports.entropy.token(16), event)
