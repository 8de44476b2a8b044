"""Rename and remove authenticators: a subject looks after what it has.

Each change has two halves: what the page shows before it, which asks for the step-up already, and
the change itself, which asks again, since minutes may lie between them.
"""

from collections.abc import Sequence

import msgspec

from stepup.domain.account import AccountSession
from stepup.domain.audit import AuditKind
from stepup.domain.authenticator import Authenticator, usable_methods
from stepup.domain.errors import AuthenticatorNotFoundError, LastAuthenticatorError
from stepup.domain.ids import AuthenticatorId
from stepup.domain.requirement import Requirement
from stepup.ports import Ports
from stepup.usecases import credentials, provision
from stepup.usecases.account_guard import REMOVE, RENAME, authenticators_of, event_of, permit


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """An authenticator about to be removed; `is_last` when a level gets out of reach with it."""

    authenticator: Authenticator
    is_last: bool


async def prepare_rename(
    ports: Ports, session: AccountSession, authenticator_id: AuthenticatorId
) -> Authenticator:
    """Find what is to be renamed.

    Raises:
        StepUpRequiredError: If the session must step up first.
        AuthenticatorNotFoundError: If the subject has no such authenticator.
    """
    found = _get(await authenticators_of(ports, session), authenticator_id)
    await permit(ports, session, RENAME)
    return found


async def rename(
    ports: Ports, session: AccountSession, authenticator_id: AuthenticatorId, name: str
) -> str:
    """Give an authenticator another name; returns it as it is kept.

    Raises:
        StepUpRequiredError: If the session must step up first.
        InvalidRequestError: If the name is empty, too long, or has control characters.
        AuthenticatorNotFoundError: If the subject has no such authenticator.
    """
    others = [a.name for a in await authenticators_of(ports, session) if a.id != authenticator_id]
    await permit(ports, session, RENAME)
    text = provision.numbered(provision.checked_name(name), others)
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
    await credentials.renew(ports, subject)
    return text


async def prepare_removal(
    ports: Ports, session: AccountSession, authenticator_id: AuthenticatorId
) -> Removal:
    """Say what removing an authenticator would mean, at no less than the level it gives itself.

    Raises:
        StepUpRequiredError: If the session must step up first.
        AuthenticatorNotFoundError: If the subject has no such authenticator.
    """
    enrolled = await authenticators_of(ports, session)
    leaving = _get(enrolled, authenticator_id)
    given = ports.snapshot.policy.ladder.level_of((leaving.best_facts,))
    if given is None or not leaving.usable:
        await permit(ports, session, REMOVE)
        return Removal(authenticator=leaving, is_last=False)
    at_least = Requirement(acr=given)
    await permit(ports, session, REMOVE, at_least=at_least)
    rest = [a for a in enrolled if a.id != authenticator_id]
    level = ports.snapshot.policy.ladder.get(given)
    return Removal(authenticator=leaving, is_last=not usable_methods(at_least, level, rest))


async def remove(
    ports: Ports,
    session: AccountSession,
    authenticator_id: AuthenticatorId,
    *,
    consequence_accepted: bool,
) -> str:
    """Remove an authenticator; returns the name that it had.

    Raises:
        StepUpRequiredError: If the session must step up first.
        AuthenticatorNotFoundError: If the subject has no such authenticator.
        LastAuthenticatorError: If a level would get out of reach and the subject did not accept it.
    """
    removal = await prepare_removal(ports, session, authenticator_id)
    if removal.is_last and not consequence_accepted:
        raise LastAuthenticatorError
    subject = session.identity.subject
    async with ports.database.transaction() as stores:
        found = await provision.withdraw(ports, stores, subject, authenticator_id)
        event = event_of(
            ports, subject, AuditKind.AUTHENTICATOR_REVOKED, **provision.described(found)
        )
        await stores.audit.append(ports.entropy.token(16), event)
    await credentials.renew(ports, subject)
    return removal.authenticator.name


def _get(enrolled: Sequence[Authenticator], authenticator_id: AuthenticatorId) -> Authenticator:
    found = next((a for a in enrolled if a.id == authenticator_id), None)
    if found is None:
        raise AuthenticatorNotFoundError
    return found
