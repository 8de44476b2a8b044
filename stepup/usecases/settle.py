"""Settle a spend: give what Redis granted its row in the ledger, or something in its place.

Redis said yes, a replica holds it, and the Sentinels still name the server that said so. What is
left are several faults at once; the row is for those (RELIABILITY section 2.5).
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.ids import ChallengeId, TokenId
from stepup.domain.refresh import LONGEST_REFRESH
from stepup.domain.requirement import MAX_TOKEN_LIFETIME
from stepup.ports import (
    AuditRecorded,
    CodeRedeemed,
    LedgerRow,
    OutboxEntry,
    Ports,
    RefreshUsed,
    TokenConsumed,
)
from stepup.usecases.revoke import revoke_grant, revoke_token

# A code and a token live for minutes, a refresh token for hours; what is older helps only whoever looks into an incident.
LEDGER_KEPT = timedelta(days=7)
FORGOTTEN_AT_ONCE = 5_000


class Settled(NamedTuple):
    """When it was spent, and what must be in the outbox before the answer leaves."""

    at: datetime
    entries: tuple[OutboxEntry, ...] = ()


class SpentByAnotherError(Exception):
    """Redis granted what the ledger knows to be another attempt's; it is dealt with by now."""

    def __init__(self, standing: LedgerRow) -> None:
        super().__init__(standing.token_id)
        self.at = standing.at


async def settle(
    ports: Ports, row: LedgerRow, spend_everywhere: Callable[[], Awaitable[object]]
) -> Settled:
    """Write the row of a spend that Redis granted.

    While the ledger is away the row goes to the outbox. Where the ledger is required the same
    attempt spends once more, and all replicas must hold it.

    Raises:
        SpentByAnotherError: If another attempt has it by the ledger.
    """
    try:
        standing = await ports.database.ledger.record(row)
    except DependencyUnavailableError:
        if ports.site.ledger_required:
            await spend_everywhere()
        return Settled(row.at, (row,))
    if standing.attempt != row.attempt:
        await report(ports, row)
        raise SpentByAnotherError(standing)
    return Settled(standing.at)


async def forget_spent(ports: Ports) -> None:
    """Remove rows that nothing can be spent with any more; the audit log keeps what happened."""
    forgotten = FORGOTTEN_AT_ONCE
    while forgotten >= FORGOTTEN_AT_ONCE:
        async with ports.database.transaction() as stores:
            before = ports.clock.now() - LEDGER_KEPT
            forgotten = await stores.ledger.forget(before, FORGOTTEN_AT_ONCE)


async def report(ports: Ports, row: LedgerRow) -> None:
    """Deal with a spend that the ledger knows to be another attempt's; again is harmless.

    What a second redemption gave, and the first one with it, since they are one token, ends here,
    and all of a ceremony whose refresh token was used twice. A token that was consumed twice has
    nothing left to end.
    """
    match row:
        case CodeRedeemed():
            await end_redeemed(ports, row.challenge_id, row.token_id)
            await _record(ports, AuditKind.REDEMPTION_CONFLICTED, row)
        case RefreshUsed():
            await end_grant(ports, row.challenge_id)
            await _record(ports, AuditKind.REFRESH_CONFLICTED, row)
        case TokenConsumed():
            await _record(ports, AuditKind.CONSUMPTION_CONFLICTED, row)


async def end_token(ports: Ports, token_id: TokenId) -> None:
    """Revoke a token of which only the identifier is known, for as long as any can live."""
    until: datetime = ports.clock.now() + MAX_TOKEN_LIFETIME + timedelta(minutes=1)
    await revoke_token(ports, token_id, until)


async def end_redeemed(ports: Ports, challenge_id: ChallengeId, token_id: TokenId) -> None:
    """Revoke what a code gave, and all that could be refreshed of it (RFC 6749 section 4.1.2)."""
    # An older release that runs beside this one knows of the token alone.
    await end_token(ports, token_id)
    await end_grant(ports, challenge_id)


async def end_grant(ports: Ports, challenge_id: ChallengeId) -> None:
    """Revoke all that a ceremony gave and could go on giving."""
    until = ports.clock.now() + LONGEST_REFRESH + MAX_TOKEN_LIFETIME
    await revoke_grant(ports, challenge_id, until)


async def _record(ports: Ports, kind: AuditKind, row: LedgerRow) -> None:
    event = AuditEvent(
        kind=kind,
        at=ports.clock.now(),
        client_id=row.client_id,
        subject_id=row.subject_id if isinstance(row, CodeRedeemed | RefreshUsed) else None,
        challenge_id=row.challenge_id,
        details={"jti": row.token_id},
    )
    await ports.state.outbox.append(AuditRecorded(event=event))
