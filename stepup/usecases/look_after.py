"""Rename and remove authenticators: a subject looks after what it has."""

from stepup.domain.account import AccountSession
from stepup.domain.audit import AuditKind
from stepup.domain.authenticator import usable_methods
from stepup.domain.errors import AuthenticatorNotFoundError, LastAuthenticatorError
from stepup.domain.ids import AuthenticatorId
from stepup.domain.requirement import Requirement
from stepup.ports import Ports
from stepup.usecases import provision
from stepup.usecases.account_guard import REMOVE, RENAME, authenticators_of, event_of, permit


async def rename(
    ports: Ports, session: AccountSession, authenticator_id: AuthenticatorId, name: str
) -> None:
    """Give an authenticator another name.

    Raises:
        ElevationNeededError: If the session must step up first.
        InvalidRequestError: If the name is empty, too long, or has control characters.
        AuthenticatorNotFoundError: If the subject has no such authenticator.
    """
    await permit(ports, session, RENAME)
    text = provision.checked_name(name)
    subject = session.identity.subject
    async with ports.database.transaction() as stores:
        if not await stores.authenticators.rename(subject, authenticator_id, text):
            raise AuthenticatorNotFoundError
        await stores.audit.append(
            ports.entropy.token(16),
            event_of(
                ports, subject, AuditKind.AUTHENTICATOR_RENAMED, authenticator=authenticator_id
            ),
        )


async def remove(
    ports: Ports,
    session: AccountSession,
    authenticator_id: AuthenticatorId,
    *,
    consequence_accepted: bool,
) -> None:
    """Remove an authenticator, at no less than the level that it gives itself.

    Raises:
        ElevationNeededError: If the session must step up first.
        AuthenticatorNotFoundError: If the subject has no such authenticator.
        LastAuthenticatorError: If a level would get out of reach and the subject did not accept it.
    """
    enrolled = await authenticators_of(ports, session)
    leaving = next((a for a in enrolled if a.id == authenticator_id), None)
    if leaving is None:
        raise AuthenticatorNotFoundError
    given = ports.snapshot.policy.ladder.level_of((leaving.best_facts,))
    at_least = Requirement(acr=given) if given is not None and leaving.usable else None
    await permit(ports, session, REMOVE, at_least=at_least)
    rest = [a for a in enrolled if a.id != authenticator_id]
    if at_least is not None and not consequence_accepted:
        level = ports.snapshot.policy.ladder.get(at_least.acr)
        if not usable_methods(at_least, level, rest):
            raise LastAuthenticatorError
    subject = session.identity.subject
    async with ports.database.transaction() as stores:
        if not await stores.authenticators.remove(subject, authenticator_id):
            raise AuthenticatorNotFoundError
        await stores.audit.append(
            ports.entropy.token(16),
            event_of(
                ports, subject, AuditKind.AUTHENTICATOR_REVOKED, authenticator=authenticator_id
            ),
        )
