"""Provision authenticators for a subject: an administrator's work, and a migration's."""

from collections.abc import Mapping, Sequence

from stepup.ceremonies import otp, provisioned
from stepup.domain.admin_errors import AdministratorProtectedError
from stepup.domain.administrator import Administrator, AdministratorKind
from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.authenticator import (
    Authenticator,
    RecoveryCodes,
    TotpSecret,
    WebAuthnCredential,
)
from stepup.domain.errors import (
    AuthenticatorNotFoundError,
    InvalidRequestError,
    NotSupportedYetError,
)
from stepup.domain.ids import AuthenticatorId, Subject
from stepup.domain.revocation import Revocation
from stepup.domain.signal_source import credential_type
from stepup.ports import Ports, Stores
from stepup.usecases import credentials
from stepup.usecases.revoke import end_with

_DEFAULT_NAMES = {"totp": "Authenticator app", "webauthn": "Passkey"}


async def provision(
    ports: Ports,
    subject: Subject,
    described: Mapping[str, object],
    by: Administrator | None = None,
) -> Authenticator:
    """Enroll an authenticator whose secret or public key somebody else made.

    Raises:
        AdministratorProtectedError: If the subject administers.
        InvalidRequestError: If a member is missing or malformed.
        NotSupportedYetError: If the type is specified, but not built.
        AuthenticatorExistsError: If the credential is enrolled already.
    """
    if by is not None and by.kind in {AdministratorKind.PERSON, AdministratorKind.KEY}:
        await _refuse_an_administrator(ports, subject)
    authenticator = Authenticator(
        id=AuthenticatorId(ports.entropy.token(12)),
        subject=subject,
        name=_name(described),
        credential=_credential(described),
        created_at=ports.clock.now(),
    )
    await add_authenticator(ports, authenticator, by=_name_of(by))
    return authenticator


async def add_authenticator(ports: Ports, authenticator: Authenticator, *, by: str) -> None:
    """Keep an authenticator and record that it was enrolled, in one transaction.

    Raises:
        AuthenticatorExistsError: If the credential is enrolled already.
    """
    async with ports.database.transaction() as stores:
        await stores.authenticators.add(authenticator)
        event = AuditEvent(
            kind=AuditKind.AUTHENTICATOR_ENROLLED,
            at=ports.clock.now(),
            subject_id=authenticator.subject.id,
            details={"authenticator": authenticator.id, "method": authenticator.method, "by": by},
        )
        await stores.audit.append(ports.entropy.token(16), event)
    await credentials.renew(ports, authenticator.subject)


async def list_authenticators(ports: Ports, subject: Subject) -> Sequence[Authenticator]:
    """Return a subject's authenticators, oldest first."""
    async with ports.database.transaction() as stores:
        return await stores.authenticators.of_subject(subject)


async def remove(
    ports: Ports,
    subject: Subject,
    authenticator_id: AuthenticatorId,
    by: Administrator | None = None,
) -> None:
    """Remove an authenticator on an administrator's word.

    Raises:
        AuthenticatorNotFoundError: If the subject has no such authenticator.
    """
    async with ports.database.transaction() as stores:
        found = await withdraw(ports, stores, subject, authenticator_id)
        event = AuditEvent(
            kind=AuditKind.AUTHENTICATOR_REVOKED,
            at=ports.clock.now(),
            subject_id=subject.id,
            details={**described(found), "by": _name_of(by)},
        )
        await stores.audit.append(ports.entropy.token(16), event)
    await credentials.renew(ports, subject)


async def withdraw(
    ports: Ports,
    stores: Stores,
    subject: Subject,
    authenticator_id: AuthenticatorId,
    *,
    is_replaced: bool = False,
) -> Authenticator:
    """Remove an authenticator inside a transaction, from open challenges too; returns it.

    What it had a part in proving ends with it, unless a new one takes its place and its name.

    Raises:
        AuthenticatorNotFoundError: If the subject has no such authenticator.
    """
    found = await stores.authenticators.find(subject, authenticator_id)
    if found is None or not await stores.authenticators.remove(subject, authenticator_id):
        raise AuthenticatorNotFoundError
    # Before the commit: a Redis that does not answer rolls the removal back, and it is repeated.
    if isinstance(found.credential, RecoveryCodes):
        # By code and not by name: the subject's next set has the same one.
        await ports.state.recovery_codes.void(
            subject.id, authenticator_id, found.credential.digests
        )
    else:
        await ports.state.steps.retire(subject.id, authenticator_id)
    if not is_replaced:
        ended = Revocation.of_removed if _is_final(found) else Revocation.of_authenticator
        await end_with(ports, stores, ended(subject.id, authenticator_id, ports.clock.now()))
    return found


def described(removed: Authenticator) -> dict[str, str]:
    """Say in the audit log what was removed: nobody can look it up any more."""
    return {
        "authenticator": removed.id,
        "method": removed.method,
        "credential_type": credential_type(removed),
    }


def _is_final(removed: Authenticator) -> bool:
    # A subject's next set of recovery codes has the name of this one.
    return not isinstance(removed.credential, RecoveryCodes)


async def _refuse_an_administrator(ports: Ports, subject: Subject) -> None:
    async with ports.database.transaction() as stores:
        if await stores.administrators.find(subject) is not None:
            raise AdministratorProtectedError


def _name_of(by: Administrator | None) -> str:
    return "administrator" if by is None else by.id


def _credential(described: Mapping[str, object]) -> TotpSecret | WebAuthnCredential:
    match described.get("type"):
        case "totp":
            return otp.parse_totp_parameters(described)
        case "webauthn":
            return provisioned.read_credential(described)
        case "hotp":
            raise NotSupportedYetError("Counter-based tokens are not supported yet.")
        case _:
            raise InvalidRequestError("type must be totp or webauthn.")


def _name(described: Mapping[str, object]) -> str:
    name = described.get("name")
    if name is None:
        return _DEFAULT_NAMES.get(str(described.get("type")), "Authenticator")
    return checked_name(name)


def checked_name(name: object) -> str:
    """Accept what a person may call an authenticator: 1 to 64 printable characters.

    Raises:
        InvalidRequestError: If it is empty, too long, or has control characters.
    """
    text = " ".join(name.split()) if isinstance(name, str) else ""
    if not 1 <= len(text) <= 64 or not text.isprintable():
        raise InvalidRequestError("A name has 1 to 64 printable characters.")
    return text


def numbered(name: str, taken: Sequence[str]) -> str:
    """Make a default name unique by a number, as people expect it: "Passkey (2)"."""
    if name not in taken:
        return name
    return next(
        candidate
        for candidate in (f"{name} ({number})" for number in range(2, len(taken) + 3))
        if candidate not in taken
    )
