"""Enroll an authenticator: an app that makes codes, or a passkey."""

from collections.abc import Mapping

import msgspec

from stepup.ceremonies import otp, webauthn
from stepup.domain.account import AccountSession, PendingEnrollment
from stepup.domain.assurance import Method
from stepup.domain.authenticator import Authenticator, Credential, TotpSecret
from stepup.domain.errors import (
    EnrollmentNotFoundError,
    VerificationFailedError,
    WrongClockError,
)
from stepup.domain.ids import AuthenticatorId
from stepup.ports import Ports
from stepup.usecases import provision
from stepup.usecases.account_guard import authenticators_of, permit_adding

# RFC 4226 section 4, R6 recommends 160 bits.
_TOTP_SECRET_BYTES = 20
# Ten minutes either way is a clock that was set by hand.
_CLOCK_WINDOW = 20


class OfferedTotp(msgspec.Struct, frozen=True, kw_only=True):
    """A new shared key, shown once: as a URI for the QR picture, and as text."""

    enrollment_id: str
    uri: str
    secret_text: str

    def __repr__(self) -> str:
        return "OfferedTotp(***)"


class OfferedPasskey(msgspec.Struct, frozen=True, kw_only=True):
    """A registration to be run in the browser."""

    enrollment_id: str
    options: Mapping[str, object]


async def begin_totp(ports: Ports, session: AccountSession) -> OfferedTotp:
    """Offer a new shared key for an authenticator app.

    Raises:
        StepUpRequiredError: If the session must step up first.
        ActionDeniedError: If the policy denies it.
    """
    await permit_adding(ports, session)
    secret = TotpSecret(secret=ports.entropy.bytes(_TOTP_SECRET_BYTES))
    enrollment_id = ports.entropy.token(24)
    await ports.state.accounts.add_enrollment(
        enrollment_id, PendingEnrollment(subject=session.identity.subject, totp=secret)
    )
    return _offer(ports, session, enrollment_id, secret)


async def find_totp(ports: Ports, session: AccountSession, enrollment_id: str) -> OfferedTotp:
    """Show an offered key again, for the QR picture and after a mistyped code.

    Raises:
        EnrollmentNotFoundError: If it was confirmed, has expired, or is somebody else's.
    """
    secret = await _pending_totp(ports, session, enrollment_id)
    return _offer(ports, session, enrollment_id, secret)


async def confirm_totp(
    ports: Ports, session: AccountSession, enrollment_id: str, code: str, name: str | None
) -> Authenticator:
    """Enroll an authenticator app that showed that it has the key.

    Raises:
        StepUpRequiredError: If the session's step-up is too old by now.
        EnrollmentNotFoundError: If it was confirmed, has expired, or is somebody else's.
        WrongClockError: If the code is one of another time; the offer stays.
        VerificationFailedError: If the code is wrong; the offer stays.
    """
    await permit_adding(ports, session)
    secret = await _pending_totp(ports, session, enrollment_id)
    now = ports.clock.now()
    step = otp.matching_step(secret, code, now)
    if step is None:
        # Said here only, where the key is on the screen anyway; in a challenge it would help who
        # guesses (UX CH-13).
        is_of_another_time = otp.matching_step(secret, code, now, window=_CLOCK_WINDOW) is not None
        raise WrongClockError if is_of_another_time else VerificationFailedError
    chosen = provision.checked_name(name) if name else "Authenticator app"
    if await ports.state.accounts.consume_enrollment(enrollment_id) is None:
        raise EnrollmentNotFoundError
    # The confirming code is used up too (RFC 6238 section 5.2).
    authenticator = await _enroll(ports, session, chosen, secret, last_step=step)
    await ports.state.steps.accept(session.identity.subject.id, authenticator.id, step)
    return authenticator


async def begin_registration(ports: Ports, session: AccountSession) -> OfferedPasskey:
    """Begin the registration of a passkey.

    Raises:
        StepUpRequiredError: If the session must step up first.
        ActionDeniedError: If the policy denies it.
    """
    enrolled = await permit_adding(ports, session)
    subject = session.identity.subject
    enrollment_id = ports.entropy.token(24)
    webauthn_challenge = ports.entropy.bytes(32)
    await ports.state.accounts.add_enrollment(
        enrollment_id, PendingEnrollment(subject=subject, webauthn_challenge=webauthn_challenge)
    )
    options = webauthn.creation_options(
        rp_id=ports.site.rp_id,
        rp_name=ports.site.rp_name,
        webauthn_challenge=webauthn_challenge,
        user_handle=webauthn.user_handle(subject),
        user_name=session.identity.name or subject.sub,
        display_name=session.identity.name or subject.sub,
        existing=[a for a in enrolled if a.method is Method.WEBAUTHN],
    )
    return OfferedPasskey(enrollment_id=enrollment_id, options=options)


async def finish_registration(
    ports: Ports,
    session: AccountSession,
    enrollment_id: str,
    credential: Mapping[str, object],
    name: str | None,
) -> Authenticator:
    """Verify a registration and enroll the passkey (WebAuthn Level 3 section 7.1).

    Raises:
        StepUpRequiredError: If the session's step-up is too old by now.
        InvalidRequestError: If nobody could read the name; the registration stays.
        EnrollmentNotFoundError: If it was finished, has expired, or is somebody else's.
        VerificationFailedError: If the response does not hold.
        AuthenticatorExistsError: If the credential is enrolled already, by anybody.
    """
    await permit_adding(ports, session)
    chosen = provision.checked_name(name) if name else "Passkey"
    webauthn_challenge = await _pending_registration(ports, session, enrollment_id)
    if await ports.state.accounts.consume_enrollment(enrollment_id) is None:
        raise EnrollmentNotFoundError
    verified = webauthn.verify_registration(
        credential,
        expected_challenge=webauthn_challenge,
        expected_rp_id=ports.site.rp_id,
        expected_origins=ports.site.origins,
        require_user_verification=False,
    )
    return await _enroll(ports, session, chosen, verified)


async def _enroll(
    ports: Ports,
    session: AccountSession,
    name: str,
    credential: Credential,
    *,
    last_step: int | None = None,
) -> Authenticator:
    enrolled = await authenticators_of(ports, session)
    authenticator = Authenticator(
        id=AuthenticatorId(ports.entropy.token(12)),
        subject=session.identity.subject,
        name=provision.numbered(name, [a.name for a in enrolled]),
        credential=credential,
        created_at=ports.clock.now(),
        last_step=last_step,
    )
    await provision.add_authenticator(ports, authenticator, by="subject")
    return authenticator


async def _pending_totp(ports: Ports, session: AccountSession, enrollment_id: str) -> TotpSecret:
    pending = await ports.state.accounts.find_enrollment(enrollment_id)
    if pending is None or pending.totp is None or pending.subject != session.identity.subject:
        raise EnrollmentNotFoundError
    return pending.totp


async def _pending_registration(ports: Ports, session: AccountSession, enrollment_id: str) -> bytes:
    pending = await ports.state.accounts.find_enrollment(enrollment_id)
    if (
        pending is None
        or pending.webauthn_challenge is None
        or pending.subject != session.identity.subject
    ):
        raise EnrollmentNotFoundError
    return pending.webauthn_challenge


def _offer(
    ports: Ports, session: AccountSession, enrollment_id: str, secret: TotpSecret
) -> OfferedTotp:
    identity = session.identity
    return OfferedTotp(
        enrollment_id=enrollment_id,
        uri=otp.provisioning_uri(
            secret, account=identity.name or identity.subject.sub, issuer=ports.site.rp_name
        ),
        secret_text=otp.group_secret(secret).replace(" ", ""),
    )
