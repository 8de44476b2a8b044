"""The challenge store: one script for each step in the life of a challenge."""

from collections.abc import Sequence
from datetime import datetime
from typing import NoReturn

from typing_extensions import override

from stepup import telemetry
from stepup.adapters.redis import keys, scripts
from stepup.adapters.redis.challenge_record import (
    CrossedReplyError,
    attempt_of,
    encode_facts,
    encode_proved,
    fields_of,
    optional,
    read_challenge,
    seal_authenticators,
)
from stepup.adapters.redis.client import RedisClient, Reply
from stepup.adapters.redis.releases import Releases
from stepup.adapters.redis.times import epoch_ms, from_epoch_ms, span_ms
from stepup.crypto.sealing import Sealer
from stepup.domain.assurance import CeremonyFacts, Method
from stepup.domain.authorization import CODE_LIFETIME
from stepup.domain.browser_session import Proof
from stepup.domain.challenge import (
    CEREMONIES_PER_CHALLENGE,
    CEREMONY_LIFETIME,
    TRIES_PER_METHOD,
    Challenge,
)
from stepup.domain.errors import (
    CeremonyExpiredError,
    ChallengeNotFoundError,
    ChallengeNotPendingError,
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


class RedisChallengeStore(ChallengeStore):
    """Challenges and codes as hashes that share a slot."""

    def __init__(self, client: RedisClient, sealer: Sealer, clock: Clock) -> None:
        self._client = client
        self._sealer = sealer
        self._clock = clock
        self._releases = Releases(client, clock)

    @override
    async def open(self, challenge: Challenge, request_uri_digest: bytes | None) -> None:
        kept = challenge.expires_at - challenge.opened_at + keys.TOMBSTONE
        sealed = seal_authenticators(challenge, self._sealer)
        reply = await self._client.spend(
            scripts.OPEN_CHALLENGE,
            [keys.challenge(challenge.id)],
            [span_ms(kept), sealed, *fields_of(challenge, request_uri_digest)],
            same_attempt=True,
        )
        if reply.status != "ok":
            raise ChallengeNotPendingError

    @override
    async def find(self, challenge_id: ChallengeId) -> Challenge | None:
        reply = await self._client.run(scripts.READ_HASH, [keys.challenge(challenge_id)])
        return self._challenge(challenge_id, reply.values) if reply.status == "ok" else None

    @override
    async def claim(
        self, challenge_id: ChallengeId, request_uri_digest: bytes, browser_digest: bytes
    ) -> Challenge:
        reply = await self._client.spend(
            scripts.CLAIM_BROWSER,
            [keys.challenge(challenge_id)],
            [epoch_ms(self._clock.now()), request_uri_digest, browser_digest],
            same_attempt=True,
        )
        if reply.status != "ok":
            _refuse(reply)
        return self._challenge(challenge_id, reply.values)

    @override
    async def begin_ceremony(
        self, challenge_id: ChallengeId, ceremony_id: CeremonyId, webauthn_challenge: bytes
    ) -> tuple[CeremonyId, bytes]:
        now = self._clock.now()
        reply = await self._client.run(
            scripts.BEGIN_CEREMONY,
            [keys.challenge(challenge_id), keys.ceremonies(challenge_id)],
            [
                epoch_ms(now),
                ceremony_id,
                webauthn_challenge,
                epoch_ms(now + CEREMONY_LIFETIME),
                CEREMONIES_PER_CHALLENGE,
            ],
        )
        if reply.status != "ok":
            _refuse(reply)
        return CeremonyId(reply.values[0].decode()), reply.values[1]

    @override
    async def begin_answer(
        self,
        challenge_id: ChallengeId,
        method: Method,
        attempt: AttemptId,
        now: datetime,
        ceremony_id: CeremonyId | None = None,
    ) -> Permit:
        reply = await self._client.spend(
            scripts.BEGIN_ANSWER,
            [
                keys.challenge(challenge_id),
                keys.ceremonies(challenge_id),
                keys.permits(challenge_id),
            ],
            [epoch_ms(now), method.value, attempt, TRIES_PER_METHOD, ceremony_id or ""],
            same_attempt=True,
        )
        if reply.status != "ok":
            _refuse(reply)
        permitted, _, signed = reply.values[0].partition(b"|")
        return Permit(
            challenge=self._challenge(challenge_id, reply.values[1:]),
            method=Method(permitted.decode()),
            attempt=attempt,
            webauthn_challenge=signed[1:] if signed else None,
        )

    @override
    async def finish_answer(
        self, permit: Permit, facts: CeremonyFacts, *, verified: bool, now: datetime
    ) -> Challenge:
        challenge_id = permit.challenge.id
        reply = await self._client.spend(
            scripts.FINISH_ANSWER,
            [keys.challenge(challenge_id), keys.permits(challenge_id)],
            [epoch_ms(now), permit.attempt, encode_facts(facts), int(verified)],
            same_attempt=True,
        )
        if reply.status != "ok":
            _refuse(reply)
        return self._challenge(challenge_id, reply.values)

    @override
    async def answer_by_session(
        self, challenge_id: ChallengeId, browser_digest: bytes, proof: Proof, now: datetime
    ) -> Challenge:
        reply = await self._client.spend(
            scripts.ANSWER_BY_SESSION,
            [keys.challenge(challenge_id)],
            [
                epoch_ms(now),
                browser_digest,
                attempt_of(proof),
                encode_proved(proof.passed),
                epoch_ms(proof.auth_time),
            ],
            same_attempt=True,
        )
        if reply.status != "ok":
            _refuse(reply)
        return self._challenge(challenge_id, reply.values)

    @override
    async def cancel(self, challenge_id: ChallengeId) -> Challenge:
        reply = await self._client.spend(
            scripts.CANCEL_CHALLENGE, [keys.challenge(challenge_id)], same_attempt=True
        )
        if reply.status != "ok":
            _refuse(reply)
        return self._challenge(challenge_id, reply.values)

    @override
    async def issue_code(
        self, challenge_id: ChallengeId, code_digest: bytes, now: datetime
    ) -> None:
        reply = await self._client.spend(
            scripts.ISSUE_CODE,
            [keys.challenge(challenge_id), keys.code(challenge_id)],
            [epoch_ms(now + CODE_LIFETIME), code_digest, span_ms(CODE_LIFETIME + keys.TOMBSTONE)],
            same_attempt=True,
        )
        if reply.status != "ok":
            _refuse(reply)

    @override
    async def redeem_code(
        self, code: PresentedCode, attempt: AttemptId, now: datetime, *, everywhere: bool = False
    ) -> Redemption:
        challenge_id = code.challenge_id
        reply = await self._client.spend(
            scripts.REDEEM_CODE,
            [keys.code(challenge_id), keys.challenge(challenge_id), keys.once(challenge_id)],
            [
                epoch_ms(now),
                attempt,
                code.digest,
                code.client_id,
                optional(code.redirect_uri),
                optional(code.code_challenge),
                code.jkt or "",
            ],
            same_attempt=True,
            everywhere=everywhere,
        )
        if reply.status == "dup":
            raise CodeTakenError(challenge_id)
        if reply.status != "ok":
            raise InvalidGrantError
        redeemed_at, count, *fields = reply.values
        return Redemption(
            challenge=self._challenge(challenge_id, fields),
            redeemed_at=from_epoch_ms(redeemed_at),
            repeated=count > 1,
        )

    @override
    async def release_code(
        self, challenge_id: ChallengeId, attempt: AttemptId, until: datetime
    ) -> None:
        names = [keys.code(challenge_id), keys.challenge(challenge_id), keys.once(challenge_id)]
        self._releases.begin(scripts.RELEASE_CODE, names, [attempt], until)

    async def close(self) -> None:
        """End what goes on behind requests."""
        await self._releases.close()

    def _challenge(self, challenge_id: ChallengeId, values: Sequence[bytes]) -> Challenge:
        try:
            return read_challenge(values, challenge_id, self._sealer)
        except CrossedReplyError as error:
            # Cannot happen while replies are read in order; if it does, nobody gets anything.
            telemetry.redis_reply_mismatches_total.inc()
            self._client.drop("a reply to another request")
            raise OutcomeUnknownError from error


def _refuse(reply: Reply) -> NoReturn:
    match reply.status:
        case "gone":
            raise ChallengeNotFoundError
        case "other":
            raise WrongBrowserError
        case "denied":
            raise VerificationFailedError(tries_left=0)
        case "expired":
            raise CeremonyExpiredError
        case _:
            raise ChallengeNotPendingError
