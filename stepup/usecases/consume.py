"""Consume a once-only elevated token: introspect it and use it up, at most once, everywhere."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import NamedTuple

from stepup.crypto import tokens
from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.binding import Properties, bound_digest
from stepup.domain.client import Client, Role
from stepup.domain.errors import (
    ClientNotAllowedError,
    TokenAlreadyConsumedError,
    TokenNotConsumableError,
)
from stepup.domain.ids import AttemptId
from stepup.domain.introspection import shown_to
from stepup.domain.token import ElevatedToken
from stepup.ports import AuditRecorded, OutboxEntry, Ports, TokenConsumed, UnknownTokenError
from stepup.usecases.settle import SpentByAnotherError, settle
from stepup.usecases.token_state import is_out_of_service, readable, require_known

Claims = Mapping[str, object]


class Expected(NamedTuple):
    """What a token must have been approved for, as far as its caller says: None for whatever it was.

    `digest` is that of the action and the bound values, which `values` are themselves.
    """

    action: str | None = None
    digest: str | None = None
    values: Properties | None = None


async def consume(
    ports: Ports,
    caller: Client,
    text: str,
    attempt: AttemptId,
    expected: Expected,
) -> Claims:
    """Use up a once-only token: of all callers exactly one gets its claims.

    What it was approved for is checked first, so that a wrong question burns nothing: the action,
    and the bound values or their digest. The answer is for the caller to hold whoever shows the
    token to, too: `cnf` names the key of a token that is bound to one.

    Raises:
        ClientNotAllowedError: If the caller is no resource server.
        TokenNotConsumableError: If the token is invalid, revoked, not once-only, or approved for
            something else.
        TokenAlreadyConsumedError: If another attempt has used it.
    """
    if not caller.may(Role.RS):
        raise ClientNotAllowedError
    read = readable(ports, caller, text)
    if read is None or not read.token.once or ports.revocations.covers(*read):
        raise TokenNotConsumableError
    token = read.token
    if is_out_of_service(ports, token):
        raise TokenNotConsumableError
    require_known(ports, token)
    if await ports.state.revocations.is_revoked(*read):
        raise TokenNotConsumableError
    if expected.action not in {None, token.action}:
        raise TokenNotConsumableError("The token was approved for another action.")
    if not _has_values(token, expected):
        raise TokenNotConsumableError("The token was approved for other values.")
    consumed_at, entries = await _spend(ports, caller, token, attempt)
    # The process may have stood still between the mark and the spend: what was revoked meanwhile
    # is known by now, or this knowledge is too old to let anybody through.
    if ports.revocations.covers(*read):
        raise TokenNotConsumableError
    require_known(ports, token)
    event = AuditEvent(
        kind=AuditKind.TOKEN_CONSUMED,
        at=ports.clock.now(),
        client_id=caller.client_id,
        subject_id=token.subject.id,
        action=token.action,
        challenge_id=token.challenge_id,
        details={"jti": token.id},
    )
    await ports.state.outbox.append(*entries, AuditRecorded(event=event))
    claims = {
        "token_type": token.token_type,
        **tokens.claims_of(token, ports.site),
        "consumed_at": int(consumed_at.timestamp()),
    }
    return shown_to(caller, claims)


def _has_values(token: ElevatedToken, expected: Expected) -> bool:
    digests = [] if expected.digest is None else [expected.digest]
    if expected.values is not None:
        # A once-only token names its action, or nobody could have signed it.
        digests.append(bound_digest(token.action or "", expected.values))
    return all(each == token.bound_digest for each in digests)


async def _spend(
    ports: Ports, caller: Client, token: ElevatedToken, attempt: AttemptId
) -> tuple[datetime, tuple[OutboxEntry, ...]]:
    now = ports.clock.now()
    consume_token = partial(ports.state.tokens.consume, token.challenge_id, token.id, attempt, now)
    try:
        consumed_at = await consume_token()
        row = TokenConsumed(
            token_id=token.id,
            challenge_id=token.challenge_id,
            attempt=attempt,
            client_id=caller.client_id,
            consumed_at=consumed_at,
        )
        settled = await settle(ports, row, partial(consume_token, everywhere=True))
    except UnknownTokenError:
        return await _used_by_the_ledger(ports, token, attempt), ()
    except SpentByAnotherError as error:
        raise TokenAlreadyConsumedError(error.at) from error
    return settled.at, settled.entries


async def _used_by_the_ledger(ports: Ports, token: ElevatedToken, attempt: AttemptId) -> datetime:
    """Return when this attempt used the token; Redis has lost it, so nobody can use it any more."""
    used = await ports.database.ledger.find_consumption(token.id)
    if used is None:
        raise TokenNotConsumableError
    if used.attempt != attempt:
        raise TokenAlreadyConsumedError(used.consumed_at)
    return used.consumed_at
