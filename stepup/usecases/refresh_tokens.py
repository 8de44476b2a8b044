"""Refresh tokens (RFC 6749 section 6, RFC 9700 section 4.14): each is used once and gives the next.

A token is computed from its ceremony and its count, so it lies nowhere, and the same attempt gets
the same one. Whoever brings one that was used is a thief or was robbed, so all that the ceremony
gave ends.
"""

from datetime import datetime, timedelta
from functools import partial

import msgspec

from stepup.crypto import digests
from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.client import Client, Role
from stepup.domain.confirmation import Confirmation
from stepup.domain.errors import (
    ClientNotAllowedError,
    DependencyUnavailableError,
    InvalidGrantError,
    OutcomeUnknownError,
    RefreshReplayedError,
    RefreshUnknownError,
)
from stepup.domain.ids import AttemptId, ChallengeId, KeyId
from stepup.domain.keyring import Keyring
from stepup.domain.refresh import OFFLINE_ACCESS, RefreshGrant, RefreshHandle, may_refresh
from stepup.domain.token import ElevatedToken
from stepup.ports import (
    AuditRecorded,
    OutboxEntry,
    Ports,
    RefreshReusedError,
    RefreshUsed,
    Rotation,
)
from stepup.usecases.make_token import (
    Given,
    Issued,
    check_proof,
    issue,
    signers_for,
    token_id,
)
from stepup.usecases.settle import SpentByAnotherError, end_grant, settle
from stepup.usecases.token_state import require_known

# How long a token that nobody knows the fate of is tried to be given back.
_GIVEN_BACK_WITHIN = timedelta(minutes=1)


class RefreshRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A refresh token as a client brings it, and the key that it has proved to hold."""

    refresh_token: str
    scope: str | None = None
    resource: str | None = None
    proof: Confirmation | None = None

    def __repr__(self) -> str:
        return "RefreshRequest(***)"


async def begin_refresh(
    ports: Ports,
    token: ElevatedToken,
    expires_at: datetime,
    *,
    is_public: bool,
    session_id: str | None,
) -> str:
    """Keep what a ceremony goes on giving; returns the first refresh token.

    Raises:
        OutcomeUnknownError: If nobody knows whether it is kept, or it is not.
    """
    grant = RefreshGrant(
        challenge_id=token.challenge_id,
        client_id=token.client_id,
        is_public=is_public,
        subject=token.subject,
        audience=token.audience,
        scope=token.scope or OFFLINE_ACCESS,
        acr=token.acr,
        amr=token.amr,
        auth_time=token.auth_time,
        expires_at=expires_at,
        token_lifetime=token.expires_at - token.issued_at,
        credential_age=token.credential_age,
        fallback_for=token.fallback_for,
        confirmation=token.confirmation,
        session_id=session_id,
        authenticators=token.authenticators,
    )
    try:
        await ports.state.refreshes.open(grant)
    except DependencyUnavailableError as error:
        # The code is spent by now, so what became of the whole is as good as unknown.
        raise OutcomeUnknownError from error
    return _token_text(ports.snapshot.keyring, token.challenge_id, 0)


async def refresh(
    ports: Ports, caller: Client, request: RefreshRequest, attempt: AttemptId
) -> Issued:
    """Use a refresh token and sign what it gives.

    What can be refused without using it up is refused first.

    Raises:
        ClientNotAllowedError: If the caller is given no refresh tokens.
        InvalidRequestError, InvalidDpopProofError: If the caller must prove to hold a key.
        InvalidScopeError: If more is asked for than was granted.
        InvalidTargetError: If the token is for another resource.
        InvalidGrantError: If it is unknown, expired, revoked or bound to something else.
        RefreshReplayedError: If another attempt has used it, by Redis or by the ledger; all that
            the ceremony gave is revoked by now.
        RefreshUnknownError: If nobody knows whether this attempt has used it; no row says so yet.
    """
    if not (caller.may(Role.RP) and may_refresh(caller)):
        raise ClientNotAllowedError
    check_proof(caller, request.proof)
    handle = _read(ports.snapshot.keyring, request.refresh_token)
    grant = await ports.state.refreshes.find(handle.challenge_id)
    if grant is None:
        raise InvalidGrantError
    grant.check_holder(caller, request.proof)
    grant.check_audience(request.resource)
    scope = grant.narrowed(request.scope)
    signers = signers_for(ports, caller)
    foreseen = _token(ports, grant, handle.count + 1, ports.clock.now(), scope, request.proof)
    await _check_alive(ports, foreseen, signers.of_tokens.id)
    try:
        rotation, entries = await _rotate(ports, handle, foreseen, attempt)
    except RefreshReusedError as error:
        raise await _replayed(ports, caller, handle) from error
    except SpentByAnotherError as error:
        raise RefreshReplayedError from error
    token = _token(ports, grant, handle.count + 1, rotation.used_at, scope, request.proof)
    # The process may have stood still meanwhile: what was revoked since is known by now.
    await _check_alive(ports, token, signers.of_tokens.id)
    given = Given(
        token=token,
        kind=AuditKind.TOKEN_REFRESHED,
        repeated=rotation.repeated,
        session_id=grant.session_id,
        refresh_token=_token_text(ports.snapshot.keyring, grant.challenge_id, handle.count + 1),
    )
    return await issue(ports, signers, given, entries)


async def refresh_unnamed(ports: Ports, caller: Client, request: RefreshRequest) -> Issued:
    """Refresh for a caller that gives its attempt no name, and repeats it as a stranger.

    When nobody knows what became of the token it is given back behind the answer, or the caller's
    next try would end all that it has. Never once a row of it may be in the ledger.

    Raises:
        OutcomeUnknownError: If nobody knows; the caller may try again.
    """
    attempt = AttemptId(ports.entropy.token(16))
    try:
        return await refresh(ports, caller, request, attempt)
    except RefreshUnknownError as error:
        until = ports.clock.now() + _GIVEN_BACK_WITHIN
        await ports.state.refreshes.release(error.challenge_id, error.count, attempt, until)
        raise


async def end_refresh(ports: Ports, caller: Client, text: str) -> bool:
    """End a refresh token of the caller, and all that its ceremony gave (RFC 7009 section 2.1).

    Says whether it was one; any other is none of the caller's business.

    Raises:
        DependencyUnavailableError: If nobody took it; the caller must come again.
    """
    try:
        handle = _read(ports.snapshot.keyring, text)
    except InvalidGrantError:
        return False
    grant = await ports.state.refreshes.find(handle.challenge_id)
    if grant is None or grant.client_id != caller.client_id:
        return False
    await end_grant(ports, grant.challenge_id)
    event = AuditEvent(
        kind=AuditKind.TOKEN_REVOKED,
        at=ports.clock.now(),
        client_id=caller.client_id,
        subject_id=grant.subject.id,
        challenge_id=grant.challenge_id,
        details={"count": handle.count},
    )
    await ports.state.outbox.append(AuditRecorded(event=event))
    return True


async def foresee(ports: Ports, caller: Client, text: str) -> ElevatedToken | None:
    """Return what a refresh token of the caller would give now, until when it does; uses nothing up.

    None when it would give nothing: it was used, it or what it stands on has ended, or it is
    somebody else's.

    Raises:
        DependencyUnavailableError: If nobody knows.
    """
    try:
        handle = _read(ports.snapshot.keyring, text)
        current = await ports.state.refreshes.current(handle.challenge_id)
        if current is None or handle.count < current.count:
            return None
        grant, now = current.grant, ports.clock.now()
        is_its_own = grant.client_id == caller.client_id
        if not (is_its_own and may_refresh(caller) and now < grant.expires_at):
            return None
        key = grant.confirmation if grant.is_public else None
        token = _token(ports, grant, handle.count + 1, now, grant.scope, key)
        await _check_alive(ports, token, signers_for(ports, caller).of_tokens.id)
    except InvalidGrantError:
        return None
    return msgspec.structs.replace(token, expires_at=grant.expires_at)


def _read(keyring: Keyring, text: str) -> RefreshHandle:
    handle = RefreshHandle.parse(text)
    if handle is None:
        raise InvalidGrantError
    wanted = _digest(keyring, handle.challenge_id, handle.count)
    if not digests.equal(wanted.encode(), handle.digest.encode()):
        raise InvalidGrantError
    return handle


def _token_text(keyring: Keyring, challenge_id: ChallengeId, count: int) -> str:
    return str(RefreshHandle(challenge_id, count, _digest(keyring, challenge_id, count)))


def _digest(keyring: Keyring, challenge_id: ChallengeId, count: int) -> str:
    # Computed, not drawn: the same attempt gets the same token, and no copy of the state has one.
    key = digests.derive(keyring.root, "refresh-token")
    return digests.encode(digests.keyed_digest(key, f"{challenge_id} {count}"))


def _token(
    ports: Ports,
    grant: RefreshGrant,
    count: int,
    issued_at: datetime,
    scope: str,
    proof: Confirmation | None,
) -> ElevatedToken:
    return ElevatedToken(
        id=token_id(ports.snapshot.keyring, grant.challenge_id, count),
        challenge_id=grant.challenge_id,
        client_id=grant.client_id,
        subject=grant.subject,
        audience=grant.audience,
        acr=grant.acr,
        amr=grant.amr,
        auth_time=grant.auth_time,
        issued_at=issued_at,
        expires_at=grant.token_expires_at(issued_at),
        credential_age=grant.credential_age,
        fallback_for=grant.fallback_for,
        scope=scope,
        confirmation=proof,
        authenticators=grant.authenticators,
    )


async def _check_alive(ports: Ports, token: ElevatedToken, key_id: KeyId) -> None:
    """Refuse what was revoked: the subject, the client, an authenticator, or the ceremony's gift.

    Asked of the token before it is signed, as introspection would ask after it.
    """
    known = ports.revocations
    if known.covers(token, key_id) or await ports.state.revocations.is_revoked(token, key_id):
        raise InvalidGrantError
    require_known(ports, token)


async def _rotate(
    ports: Ports, handle: RefreshHandle, token: ElevatedToken, attempt: AttemptId
) -> tuple[Rotation, tuple[OutboxEntry, ...]]:
    challenge_id, count, now = handle.challenge_id, handle.count, ports.clock.now()
    rotate = partial(ports.state.refreshes.rotate, challenge_id, count, attempt, now)
    try:
        rotation = await rotate()
    except OutcomeUnknownError as error:
        raise RefreshUnknownError(challenge_id, count) from error
    row = RefreshUsed(
        challenge_id=challenge_id,
        count=count,
        attempt=attempt,
        token_id=token.id,
        client_id=token.client_id,
        subject_id=token.subject.id,
        used_at=rotation.used_at,
    )
    settled = await settle(ports, row, partial(rotate, everywhere=True))
    # The moment of the ledger, if it differs: the same attempt gets the same token.
    return msgspec.structs.replace(rotation, used_at=settled.at), settled.entries


async def _replayed(ports: Ports, caller: Client, handle: RefreshHandle) -> RefreshReplayedError:
    await end_grant(ports, handle.challenge_id)
    event = AuditEvent(
        kind=AuditKind.REFRESH_TOKEN_REPLAYED,
        at=ports.clock.now(),
        client_id=caller.client_id,
        challenge_id=handle.challenge_id,
        details={"count": handle.count},
    )
    await ports.state.outbox.append(AuditRecorded(event=event))
    return RefreshReplayedError()
