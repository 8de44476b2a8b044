"""The challenge store in memory; every method is one step, because nothing in it awaits."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
from typing_extensions import override

from stepup.domain.assurance import CeremonyFacts, Method
from stepup.domain.authorization import CODE_LIFETIME, Authorization
from stepup.domain.browser_session import Proof
from stepup.domain.challenge import (
    CEREMONIES_PER_CHALLENGE,
    CEREMONY_LIFETIME,
    Challenge,
    ChallengeState,
)
from stepup.domain.errors import (
    CeremonyExpiredError,
    ChallengeNotFoundError,
    ChallengeNotPendingError,
    DependencyUnavailableError,
    InvalidGrantError,
    OutcomeUnknownError,
    VerificationFailedError,
    WrongBrowserError,
)
from stepup.domain.ids import AttemptId, CeremonyId, ChallengeId
from stepup.ports import (
    ChallengeStore,
    Clock,
    CodeTakenError,
    Permit,
    PresentedCode,
    Redemption,
)

TOMBSTONE = timedelta(minutes=10)


@dataclass
class OnceRecord:
    """Leave to consume a once-only token."""

    kept_until: datetime
    by: AttemptId | None = None
    token_id: str | None = None
    consumed_at: datetime | None = None


@dataclass
class _Code:
    digest: bytes
    expires_at: datetime
    by: AttemptId | None = None
    redeemed_at: datetime | None = None
    replayed: bool = False


@dataclass
class _Record:
    challenge: Challenge
    request_uri_digest: bytes | None
    ceremonies: dict[CeremonyId, tuple[datetime, bytes]] = field(default_factory=dict)
    permits: dict[AttemptId, tuple[Method, bytes | None]] = field(default_factory=dict)
    finished: set[AttemptId] = field(default_factory=set)
    answered_by: AttemptId | None = None
    code: _Code | None = None

    def change(self, **changes: object) -> Challenge:
        self.challenge = msgspec.structs.replace(self.challenge, **changes)
        return self.challenge


class MemoryChallengeStore(ChallengeStore):
    """Challenges in a dictionary; `replicated` when there are replicas that hold everything."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._records: dict[ChallengeId, _Record] = {}
        self.once: dict[ChallengeId, OnceRecord] = {}
        self.replicated = False

    def _find(self, challenge_id: ChallengeId) -> _Record | None:
        record = self._records.get(challenge_id)
        if record and record.challenge.expires_at + TOMBSTONE <= self._clock.now():
            return None
        return record

    def _get(self, challenge_id: ChallengeId) -> _Record:
        record = self._find(challenge_id)
        if record is None:
            raise ChallengeNotFoundError
        return record

    def _get_live(self, challenge_id: ChallengeId, now: datetime) -> _Record:
        record = self._get(challenge_id)
        if record.challenge.state is ChallengeState.PENDING and (
            record.challenge.expires_at <= now
        ):
            raise ChallengeNotFoundError
        return record

    @override
    async def open(self, challenge: Challenge, request_uri_digest: bytes | None) -> None:
        await asyncio.sleep(0)
        if self._find(challenge.id):
            raise ChallengeNotPendingError
        self._records[challenge.id] = _Record(challenge, request_uri_digest)

    @override
    async def find(self, challenge_id: ChallengeId) -> Challenge | None:
        await asyncio.sleep(0)
        record = self._find(challenge_id)
        return record.challenge if record else None

    @override
    async def claim(
        self, challenge_id: ChallengeId, request_uri_digest: bytes, browser_digest: bytes
    ) -> Challenge:
        await asyncio.sleep(0)
        record = self._get_live(challenge_id, self._clock.now())
        if record.request_uri_digest != request_uri_digest:
            raise ChallengeNotFoundError
        if record.challenge.browser_digest not in {None, browser_digest}:
            raise WrongBrowserError
        return record.change(browser_digest=browser_digest)

    @override
    async def begin_ceremony(
        self, challenge_id: ChallengeId, ceremony_id: CeremonyId, webauthn_challenge: bytes
    ) -> tuple[CeremonyId, bytes]:
        await asyncio.sleep(0)
        now = self._clock.now()
        record = self._get_live(challenge_id, now)
        if record.challenge.state is not ChallengeState.PENDING:
            raise ChallengeNotPendingError
        outstanding = {k: v for k, v in record.ceremonies.items() if v[0] > now}
        if len(outstanding) >= CEREMONIES_PER_CHALLENGE:
            newest = list(outstanding)[-1]
            return newest, outstanding[newest][1]
        record.ceremonies = {
            **outstanding,
            ceremony_id: (now + CEREMONY_LIFETIME, webauthn_challenge),
        }
        return ceremony_id, webauthn_challenge

    @override
    async def begin_answer(
        self,
        challenge_id: ChallengeId,
        method: Method,
        attempt: AttemptId,
        now: datetime,
        ceremony_id: CeremonyId | None = None,
    ) -> Permit:
        await asyncio.sleep(0)
        record = self._get(challenge_id)
        pending = record.challenge.state is ChallengeState.PENDING
        if not pending and attempt not in record.finished:
            raise ChallengeNotPendingError
        if attempt not in record.permits:
            record = self._get_live(challenge_id, now)
            signed = self._count_try(record, method, ceremony_id, now)
            record.permits[attempt] = (method, signed)
        method, signed = record.permits[attempt]
        return Permit(
            challenge=record.challenge, method=method, attempt=attempt, webauthn_challenge=signed
        )

    def _count_try(
        self, record: _Record, method: Method, ceremony_id: CeremonyId | None, now: datetime
    ) -> bytes | None:
        challenge = record.challenge
        if not challenge.tries_left(method):
            raise VerificationFailedError(tries_left=0)
        signed = None
        if ceremony_id is not None:
            expires_at, signed = record.ceremonies.pop(ceremony_id, (now, None))
            if expires_at <= now:
                raise CeremonyExpiredError
        record.change(tries={**challenge.tries, method: challenge.tries.get(method, 0) + 1})
        return signed

    @override
    async def finish_answer(
        self, permit: Permit, facts: CeremonyFacts, *, verified: bool, now: datetime
    ) -> Challenge:
        await asyncio.sleep(0)
        record = self._get(permit.challenge.id)
        pending = record.challenge.state is ChallengeState.PENDING
        if permit.attempt not in record.finished:
            if permit.attempt not in record.permits or not pending:
                raise ChallengeNotPendingError
            record.finished.add(permit.attempt)
            record.change(passed=(*record.challenge.passed, facts))
        if verified and pending:
            record.answered_by = permit.attempt
            record.change(state=ChallengeState.VERIFIED, verified_at=now)
        return record.challenge

    @override
    async def answer_by_session(
        self, challenge_id: ChallengeId, browser_digest: bytes, proof: Proof, now: datetime
    ) -> Challenge:
        await asyncio.sleep(0)
        record = self._get(challenge_id)
        attempt = AttemptId(f"session:{proof.challenge_id}")
        if record.challenge.browser_digest != browser_digest:
            raise WrongBrowserError
        if record.answered_by != attempt:
            if record.challenge.state is not ChallengeState.PENDING:
                raise ChallengeNotPendingError
            self._get_live(challenge_id, now)
            record.answered_by = attempt
            record.change(
                state=ChallengeState.VERIFIED,
                passed=proof.passed,
                verified_at=proof.auth_time,
                by_session=True,
            )
        return record.challenge

    @override
    async def cancel(self, challenge_id: ChallengeId) -> Challenge:
        await asyncio.sleep(0)
        record = self._get(challenge_id)
        if record.challenge.state in {ChallengeState.VERIFIED, ChallengeState.USED}:
            raise ChallengeNotPendingError
        return record.change(state=ChallengeState.DENIED)

    @override
    async def issue_code(
        self, challenge_id: ChallengeId, code_digest: bytes, now: datetime
    ) -> None:
        await asyncio.sleep(0)
        record = self._get(challenge_id)
        if record.challenge.state is not ChallengeState.VERIFIED:
            raise ChallengeNotPendingError
        if record.code is None:
            record.code = _Code(code_digest, now + CODE_LIFETIME)
        if record.code.digest != code_digest:
            raise ChallengeNotPendingError

    @override
    async def redeem_code(
        self, code: PresentedCode, attempt: AttemptId, now: datetime, *, everywhere: bool = False
    ) -> Redemption:
        await asyncio.sleep(0)
        if everywhere and not self.replicated:
            raise DependencyUnavailableError
        record = self._find(code.challenge_id)
        if record is None or record.code is None or not _fits(code, record):
            raise InvalidGrantError
        kept = record.code
        if kept.by not in {None, attempt}:
            kept.replayed = True
            raise CodeTakenError(code.challenge_id)
        if kept.by is None and kept.expires_at <= now:
            raise InvalidGrantError
        repeated = kept.by is not None
        redeemed_at = kept.redeemed_at or now
        kept.by, kept.redeemed_at = attempt, redeemed_at
        record.change(state=ChallengeState.USED)
        self._permit_once(record.challenge, redeemed_at)
        return Redemption(challenge=record.challenge, redeemed_at=redeemed_at, repeated=repeated)

    @override
    async def release_code(
        self, challenge_id: ChallengeId, attempt: AttemptId, until: datetime
    ) -> None:
        await asyncio.sleep(0)
        record, once = self._find(challenge_id), self.once.get(challenge_id)
        if record is None or record.code is None or record.code.by != attempt:
            return
        if record.code.replayed:
            return
        if once is None or once.by is None:
            record.code.by = record.code.redeemed_at = None
            record.change(state=ChallengeState.VERIFIED)
            self.once.pop(challenge_id, None)

    def _permit_once(self, challenge: Challenge, redeemed_at: datetime) -> None:
        requirement = challenge.authorization.requirement
        if requirement.once and challenge.id not in self.once:
            kept_until = redeemed_at + requirement.token_lifetime + TOMBSTONE
            self.once[challenge.id] = OnceRecord(kept_until=kept_until)


class Unheard(MemoryChallengeStore):
    """A store that redeems, once, and cannot say so."""

    unheard = True

    @override
    async def redeem_code(
        self, code: PresentedCode, attempt: AttemptId, now: datetime, *, everywhere: bool = False
    ) -> Redemption:
        redemption = await super().redeem_code(code, attempt, now, everywhere=everywhere)
        if self.unheard:
            self.unheard = False
            raise OutcomeUnknownError
        return redemption


def _redirects(code: PresentedCode, authorization: Authorization) -> set[str | None]:
    """What the redirect URI may have been, as the one that was brought says, or its absence."""
    if code.redirect_uri is None and authorization.code_challenge is not None:
        return {authorization.redirect_uri}
    return {code.redirect_uri}


def _fits(code: PresentedCode, record: _Record) -> bool:
    authorization = record.challenge.authorization
    return (
        record.code is not None
        and record.code.digest == code.digest
        and authorization.client_id == code.client_id
        and authorization.redirect_uri in _redirects(code, authorization)
        and authorization.code_challenge == code.code_challenge
        and authorization.dpop_jkt in {None, code.jkt}
    )
