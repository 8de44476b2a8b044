"""End tokens on an administrator's word, whatever they are named by, and put on record who said so."""

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.errors import InvalidRequestError
from stepup.domain.ids import AuthenticatorId, ChallengeId, ClientId, KeyId, Subject, TokenId
from stepup.domain.refresh import LONGEST_REFRESH
from stepup.domain.requirement import MAX_TOKEN_LIFETIME
from stepup.domain.revocation import Revocation, Revoked
from stepup.ports import Ports
from stepup.usecases.end_subject import end_subject
from stepup.usecases.revoke import end, record

# A key signs on: what it signed up to this moment ends, by the slowest of our clocks.
_MOMENT = timedelta(seconds=1)


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """What is to end, and why.

    `value` is the identifier of a token (`jti`), of a ceremony (`txn`), a client, an authenticator
    or a key. A subject, and whose authenticator it is, is `subject`.
    """

    what: Revoked
    value: str = ""
    subject: Subject | None = None
    reason: str = ""


async def end_by(ports: Ports, ending: Ending, by: str) -> Revocation:
    """End it everywhere, and record on whose word; again is harmless.

    Raises:
        InvalidRequestError: If it does not say what.
        DependencyUnavailableError: If neither store took it; the caller must come again.
    """
    revocation = _revocation(ports, ending)
    if revocation.what is Revoked.SUBJECT:
        await end_subject(ports, _subject(ending).id, by=by, why=ending.reason)
        return revocation
    await end(ports, revocation)
    event = AuditEvent(
        kind=AuditKind.REVOCATION_MADE,
        at=ports.clock.now(),
        client_id=ClientId(ending.value) if ending.what is Revoked.CLIENT else None,
        subject_id=None if ending.subject is None else ending.subject.id,
        challenge_id=ChallengeId(ending.value) if ending.what is Revoked.GRANT else None,
        details={"what": ending.what, "value": ending.value, "by": by, "why": ending.reason},
    )
    await record(ports, event)
    return revocation


async def list_revocations(ports: Ports, count: int) -> Sequence[Revocation]:
    """Return the last revocations that still concern something, the newest first.

    Raises:
        DependencyUnavailableError: If PostgreSQL does not answer as the primary.
    """
    async with ports.database.transaction() as stores:
        written = await stores.revocations.live(ports.clock.now())
    return [row.revocation for row in written[::-1][:count]]


def _revocation(ports: Ports, ending: Ending) -> Revocation:
    now = ports.clock.now()
    if ending.what is not Revoked.SUBJECT and not ending.value:
        raise InvalidRequestError("A value is missing.")
    match ending.what:
        case Revoked.TOKEN:
            # When it expires is not known here; none lives longer than this.
            return Revocation.of_token(TokenId(ending.value), now + MAX_TOKEN_LIFETIME, now)
        case Revoked.GRANT:
            until = now + LONGEST_REFRESH + MAX_TOKEN_LIFETIME
            return Revocation.of_grant(ChallengeId(ending.value), until, now)
        case Revoked.SUBJECT:
            return Revocation.of_subject(_subject(ending).id, now)
        case Revoked.CLIENT:
            return Revocation.of_client(ClientId(ending.value), now)
        case Revoked.AUTHENTICATOR:
            authenticator_id = AuthenticatorId(ending.value)
            return Revocation.of_authenticator(_subject(ending).id, authenticator_id, now)
        case Revoked.KEY:
            return Revocation.of_key(KeyId(ending.value), now + _MOMENT, now)


def _subject(ending: Ending) -> Subject:
    if ending.subject is None:
        raise InvalidRequestError("A subject is missing.")
    return ending.subject
