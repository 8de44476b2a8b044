"""What a subject possesses and enrolled, and which of it can answer a challenge."""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from stepup.domain.assurance import CeremonyFacts, Factor, Level, Method, factors_met
from stepup.domain.ids import AttemptId, AuthenticatorId, Subject
from stepup.domain.requirement import Requirement


class TotpSecret(msgspec.Struct, frozen=True, tag="totp", kw_only=True):
    """The shared key of an authenticator app, and how it makes codes (RFC 6238)."""

    secret: bytes
    algorithm: str = "SHA1"
    digits: int = 6
    period: int = 30

    def __repr__(self) -> str:
        return f"TotpSecret({self.algorithm}, {self.digits}, {self.period}, ***)"


class WebAuthnCredential(msgspec.Struct, frozen=True, tag="webauthn", kw_only=True):
    """The record that WebAuthn Level 3 section 7.1 asks a relying party to keep.

    `user_handle` is kept when another system registered it, under a handle of its own.
    """

    credential_id: bytes
    public_key: bytes
    sign_count: int = 0
    transports: tuple[str, ...] = ()
    backup_eligible: bool = False
    backed_up: bool = False
    user_verified: bool = True
    attested: bool = False
    aaguid: str = "00000000-0000-0000-0000-000000000000"
    user_handle: bytes | None = None


class RecoveryCodes(msgspec.Struct, frozen=True, tag="recovery_code", kw_only=True):
    """Keyed digests of the codes that are left; a used one is gone.

    `burned_by` are the attempts that used the others up, so that one which comes again is known.
    """

    digests: tuple[bytes, ...]
    confirmed: bool = False
    burned_by: tuple[AttemptId, ...] = ()

    def burned(self, digest: bytes, attempt: AttemptId) -> "RecoveryCodes | None":
        """Return the set without a code; itself when this attempt burned it before.

        None when the set does not have it. Burning one proves that the set was kept.
        """
        if attempt in self.burned_by:
            return self
        if digest not in self.digests:
            return None
        return RecoveryCodes(
            digests=tuple(known for known in self.digests if known != digest),
            confirmed=True,
            burned_by=(*self.burned_by, attempt),
        )

    def __repr__(self) -> str:
        return f"RecoveryCodes({len(self.digests)} left)"


Credential = TotpSecret | WebAuthnCredential | RecoveryCodes


class Authenticator(msgspec.Struct, frozen=True, kw_only=True):
    """One enrolled authenticator of one subject.

    `last_step` is the last time step that is known to have been accepted; there may be later ones.
    """

    id: AuthenticatorId
    subject: Subject
    name: str
    credential: Credential
    created_at: datetime
    last_used_at: datetime | None = None
    last_step: int | None = None

    def has_used(self, step: int) -> bool:
        """Say whether a time step was certainly used up before."""
        return self.last_step is not None and step <= self.last_step

    @property
    def method(self) -> Method:
        """The way this authenticator answers a challenge."""
        match self.credential:
            case TotpSecret():
                return Method.TOTP
            case WebAuthnCredential():
                return Method.WEBAUTHN
            case RecoveryCodes():
                return Method.RECOVERY_CODE

    @property
    def best_facts(self) -> CeremonyFacts:
        """The most that a ceremony with this authenticator can prove."""
        credential = self.credential
        if isinstance(credential, WebAuthnCredential):
            return CeremonyFacts(
                method=Method.WEBAUTHN,
                user_verified=credential.user_verified,
                device_bound=not credential.backup_eligible,
                attested=credential.attested,
                aaguid=credential.aaguid,
            )
        return CeremonyFacts(method=self.method)

    @property
    def usable(self) -> bool:
        """Say whether it can answer anything at all at the moment."""
        return not isinstance(self.credential, RecoveryCodes) or (
            self.credential.confirmed and bool(self.credential.digests)
        )


def old_enough(
    requirement: Requirement, authenticators: Iterable[Authenticator], now: datetime
) -> tuple[Authenticator, ...]:
    """Return the authenticators that are no younger than the requirement wants them."""
    oldest = requirement.min_credential_age
    # Where no age is wanted a clock that was ahead at the enrollment does no harm.
    return tuple(a for a in authenticators if not oldest or now - a.created_at >= oldest)


def usable_authenticators(
    requirement: Requirement,
    level: Level,
    authenticators: Iterable[Authenticator],
    passed: Iterable[CeremonyFacts] = (),
) -> tuple[Authenticator, ...]:
    """Return the authenticators that bring a subject nearer to the level.

    One is usable when it reaches the level alone with what was passed already, or when none does
    so alone and it belongs to a combination the subject can complete. A weaker one of the same
    method is not offered: a key without user verification must not stand in for one with it.
    """
    enrolled = [a for a in authenticators if a.usable and _is_allowed(requirement, a.method)]
    done = tuple(passed)
    alone = tuple(a for a in enrolled if level.is_reached_by((*done, a.best_facts)))
    return alone or tuple(
        a
        for a in enrolled
        if any(
            _can_complete(combination, done, enrolled)
            and factors_met(combination, (*done, a.best_facts)) > factors_met(combination, done)
            for combination in level.any_of
        )
    )


def usable_methods(
    requirement: Requirement,
    level: Level,
    authenticators: Iterable[Authenticator],
    passed: Iterable[CeremonyFacts] = (),
) -> tuple[Method, ...]:
    """Return the methods of the usable authenticators, the fastest first."""
    chosen = usable_authenticators(requirement, level, authenticators, passed)
    order = list(Method)
    return tuple(sorted({a.method for a in chosen}, key=order.index))


def ceremonies_left(
    requirement: Requirement,
    level: Level,
    authenticators: Iterable[Authenticator],
    passed: Iterable[CeremonyFacts] = (),
) -> int | None:
    """Count the ceremonies on the shortest way to the level, None when there is no way."""
    enrolled = [a for a in authenticators if a.usable and _is_allowed(requirement, a.method)]
    done = tuple(passed)
    return min(
        (
            len(combination) - factors_met(combination, done)
            for combination in level.any_of
            if _can_complete(combination, done, enrolled)
        ),
        default=None,
    )


def _is_allowed(requirement: Requirement, method: Method) -> bool:
    return requirement.methods is None or method in requirement.methods


def _can_complete(
    combination: tuple[Factor, ...],
    done: tuple[CeremonyFacts, ...],
    enrolled: list[Authenticator],
) -> bool:
    available = (*done, *(a.best_facts for a in enrolled))
    return factors_met(combination, available) == len(combination)
