"""Instances of the service as the state sees them: their connections, their spends, their repeats.

An instance here is everything below the use cases: resolver, rounds, acknowledgement, fence,
scripts. It is given away only what a caller of the service would be given.
"""

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum

from typing_extensions import override

from stepup.adapters.redis import keys
from stepup.adapters.redis.challenges import RedisChallengeStore
from stepup.adapters.redis.client import RedisClient
from stepup.adapters.redis.endpoint import Address, Endpoint, OneNode, Resolver
from stepup.adapters.redis.failover import SentinelResolver
from stepup.adapters.redis.fence import Fence, NoFence, SentinelFence, Verdict
from stepup.adapters.redis.sentinel import Sighting
from stepup.adapters.redis.sentinel_url import SentinelUrl
from stepup.adapters.redis.shard import OneShard
from stepup.adapters.redis.tokens import RedisTokenStore
from stepup.adapters.system import SystemClock
from stepup.crypto.sealing import Sealer
from stepup.domain.assurance import Method
from stepup.domain.challenge import TRIES_PER_METHOD, Challenge
from stepup.domain.errors import (
    ChallengeNotFoundError,
    ChallengeNotPendingError,
    DependencyUnavailableError,
    InvalidGrantError,
    OutcomeUnknownError,
    TokenAlreadyConsumedError,
    TokenNotConsumableError,
    VerificationFailedError,
)
from stepup.ports import CodeTakenError, UnknownTokenError
from stepup.usecases.finish import code_digest
from stepup.usecases.make_token import token_id
from tests.fault.checker import CREATE, GUESS, REDEEM, TRIED
from tests.fault.edges import Edges
from tests.fault.history import History, Outcome, Try, note
from tests.support.application import a_keyring
from tests.support.builders import A_TOTP, a_challenge, a_presented_code, an_attempt

CONSUME = "consume"
_PAUSE = 0.02
_CLOCK = SystemClock()
_SEALER = Sealer({1: bytes(32)}, os.urandom)
_KEYRING = a_keyring()
SECRET = "secret"
CODE = code_digest(_KEYRING, SECRET)


class Protection(StrEnum):
    """What stands behind a spend; all but the first are control arms."""

    FULL = "full"
    NO_VETO = "no_veto"
    NO_FENCE = "no_fence"
    NO_WAIT = "no_wait"
    NO_FLOOR = "no_floor"  # and neither acknowledgement nor fence, which would hide it
    NOTHING = "nothing"  # neither acknowledgement nor fence
    OLD_DATA = "old_data"  # a server that died comes back as what it was
    LOOK_AND_WRITE = "look_and_write"  # two commands instead of one script
    DRAWN_TOKEN = "drawn_token"  # the token's identity is drawn, not computed


class _Pinned(OneNode):
    """An instance that has not heard of the failover: it stays where it was."""

    def __init__(self, address: Address, sentinels: SentinelResolver) -> None:
        super().__init__(Endpoint(f"redis://{address[0]}:{address[1]}"))
        self._sentinels = sentinels

    @override
    def start(self) -> None:
        self._sentinels.start()

    @override
    async def close(self) -> None:
        await self._sentinels.close()


class _Noted(Fence):
    """Writes down what was said, so that a violation can be explained."""

    def __init__(self, inner: Fence) -> None:
        self._inner = inner

    @override
    async def check(self, address: Address, epoch: int | None = None) -> None:
        verdict = "vetoed"
        try:
            await self._inner.check(address, epoch)
            verdict = "passed"
        finally:
            note(f"{address[0]} {verdict}")

    @override
    async def close(self) -> None:
        await self._inner.close()


class Instance:
    """One instance; pinned to an address it stands for one that learns of a failover late."""

    def __init__(
        self,
        url: str,
        name: str,
        history: History,
        protection: Protection = Protection.FULL,
        pinned_to: Address | None = None,
        edges: Edges | None = None,
    ) -> None:
        self.name = name
        self._history = history
        self.sentinels = sentinels = (
            edges.resolver(url, name) if edges else SentinelResolver(SentinelUrl.parse(url), name)
        )
        resolver: Resolver = sentinels if pinned_to is None else _Pinned(pinned_to, sentinels)
        self.protection = protection
        self.fence = _Noted(_fence(sentinels, protection))
        unheld = {Protection.NO_WAIT, Protection.NO_FLOOR, Protection.NOTHING}
        replicas = int(protection not in unheld)
        shard = OneShard(
            resolver, name=name, replicas=replicas, all_replicas=2 * replicas, fence=self.fence
        )
        self.client = RedisClient(shard)
        self.sealer = _SEALER
        self.challenges = RedisChallengeStore(self.client, _SEALER, _CLOCK)
        self.tokens = RedisTokenStore(self.client)

    async def open(self) -> "Instance":
        """Connect."""
        self.client.start()
        async with asyncio.timeout(10):
            while True:
                try:
                    await self.client.check()
                except DependencyUnavailableError:
                    await asyncio.sleep(_PAUSE)
                else:
                    return self

    async def close(self) -> None:
        """Disconnect."""
        await self.client.close()

    async def create(self) -> Challenge | None:
        """Take a challenge from opened to a code; None unless all of it was acknowledged."""
        challenge = a_challenge(now=_now())
        attempt = an_attempt()
        with self._history.trying(self.name, CREATE, challenge.id, attempt) as one:
            try:
                await self.challenges.open(challenge, b"uri-digest")
                permit = await self.challenges.begin_answer(
                    challenge.id, Method.TOTP, attempt, _now()
                )
                await self.challenges.finish_answer(permit, A_TOTP, verified=True, now=_now())
                await self.challenges.issue_code(challenge.id, CODE, _now())
            except OutcomeUnknownError:
                one.outcome = Outcome.UNKNOWN
            except DependencyUnavailableError:
                one.outcome = Outcome.UNAVAILABLE
            except (ChallengeNotFoundError, ChallengeNotPendingError):
                # What was acknowledged a moment ago is not there any more.
                one.outcome = Outcome.REFUSED
            else:
                one.outcome = Outcome.GRANTED
        return challenge if one.outcome is Outcome.GRANTED else None

    async def redeem(self, challenge: Challenge, until: float, attempt: str = "") -> Outcome:
        """Redeem its code as a client does: what is not answered is repeated with one attempt."""
        attempt = attempt or an_attempt()
        while True:
            with self._history.trying(self.name, REDEEM, challenge.id, attempt) as one:
                await self._redeem_once(challenge, attempt, one)
            if one.outcome not in {Outcome.UNKNOWN, Outcome.UNAVAILABLE} or _time() > until:
                return one.outcome
            await asyncio.sleep(_PAUSE)

    async def _redeem_once(self, challenge: Challenge, attempt: str, one: Try) -> None:
        code = a_presented_code(challenge, CODE)
        try:
            redemption = await self.challenges.redeem_code(code, attempt, _now())
        except CodeTakenError:
            one.outcome = Outcome.TAKEN
        except InvalidGrantError:
            one.outcome = Outcome.REFUSED
        except OutcomeUnknownError:
            one.outcome = Outcome.UNKNOWN
        except DependencyUnavailableError:
            one.outcome = Outcome.UNAVAILABLE
        else:
            one.outcome = Outcome.GRANTED
            one.answer = f"{token_id(_KEYRING, challenge.id)} {redemption.redeemed_at.isoformat()}"

    async def consume(self, challenge: Challenge, until: float = 0.0) -> Outcome:
        """Use up the once-only token of a redeemed challenge; repeated with one attempt."""
        attempt = an_attempt()
        while True:
            with self._history.trying(self.name, CONSUME, challenge.id, attempt) as one:
                await self._consume_once(challenge, attempt, one)
            if one.outcome not in {Outcome.UNKNOWN, Outcome.UNAVAILABLE} or _time() > until:
                return one.outcome
            await asyncio.sleep(_PAUSE)

    async def _consume_once(self, challenge: Challenge, attempt: str, one: Try) -> None:
        try:
            token = token_id(_KEYRING, challenge.id)
            consumed = await self.tokens.consume(challenge.id, token, attempt, _now())
        except TokenAlreadyConsumedError:
            one.outcome = Outcome.TAKEN
        except (TokenNotConsumableError, UnknownTokenError):
            one.outcome = Outcome.REFUSED
        except OutcomeUnknownError:
            one.outcome = Outcome.UNKNOWN
        except DependencyUnavailableError:
            one.outcome = Outcome.UNAVAILABLE
        else:
            one.outcome, one.answer = Outcome.GRANTED, consumed.isoformat()

    async def open_pending(self) -> Challenge:
        """Open a challenge that waits for its answer."""
        challenge = a_challenge(now=_now())
        await self.challenges.open(challenge, b"uri-digest")
        return challenge

    async def guess(self, challenge: Challenge) -> None:
        """Ask for a permit to compare one more code; the answer is the count that it was given."""
        attempt = an_attempt()
        if self.protection is Protection.LOOK_AND_WRITE:
            await self._guess_carelessly(challenge, attempt)
            return
        with self._history.trying(self.name, GUESS, challenge.id, attempt) as one:
            try:
                await self.challenges.begin_answer(challenge.id, Method.TOTP, attempt, _now())
            except VerificationFailedError:
                one.outcome = Outcome.REFUSED
            except OutcomeUnknownError:
                one.outcome = Outcome.UNKNOWN
            except DependencyUnavailableError:
                one.outcome = Outcome.UNAVAILABLE
            else:
                one.outcome = Outcome.GRANTED

    async def _guess_carelessly(self, challenge: Challenge, attempt: str) -> None:
        key, field = keys.challenge(challenge.id), f"t:{Method.TOTP.value}"
        with self._history.trying(self.name, GUESS, challenge.id, attempt) as one:
            try:
                tried = int(await self.client.call("HGET", key, field) or 0)
                await self.client.call("HSET", key, field, tried + 1)
            except DependencyUnavailableError:
                one.outcome = Outcome.UNKNOWN
            else:
                one.outcome = Outcome.GRANTED if tried < TRIES_PER_METHOD else Outcome.REFUSED

    async def count_tries(self, challenge: Challenge) -> None:
        """Write down how many tries the state has counted."""
        with self._history.trying(self.name, TRIED, challenge.id, an_attempt()) as one:
            found = await self.challenges.find(challenge.id)
            one.answer = str(found.tries.get(Method.TOTP, 0) if found else 0)
            one.outcome = Outcome.GRANTED

    async def redeem_carelessly(self, challenge: Challenge) -> None:
        """Look, then write: what a script is there to prevent, as a control arm."""
        attempt, key = an_attempt(), keys.code(challenge.id)
        with self._history.trying(self.name, REDEEM, challenge.id, attempt) as one:
            try:
                if await self.client.call("HGET", key, "by"):
                    one.outcome = Outcome.TAKEN
                else:
                    await self.client.call("HSET", key, "by", attempt)
                    one.outcome, one.answer = Outcome.GRANTED, token_id(_KEYRING, challenge.id)
            except DependencyUnavailableError:
                one.outcome = Outcome.UNKNOWN


def _fence(sentinels: SentinelResolver, protection: Protection) -> Fence:
    match protection:
        case Protection.NO_VETO:
            return SentinelFence(sentinels.sentinels, judge=majority_alone)
        case Protection.NO_FENCE | Protection.NO_FLOOR | Protection.NOTHING:
            return NoFence()
        case _:
            return SentinelFence(sentinels.sentinels)


def majority_alone(
    sightings: Sequence[Sighting | None], address: Address, _epoch: int | None = None
) -> Verdict:
    """The rule without the veto, which a planned failover deceives."""
    agreeing = [s for s in sightings if s and s.address == address and not s.is_down]
    return Verdict.OK if 2 * len(agreeing) > len(sightings) else Verdict.NO_MAJORITY


def _now() -> datetime:
    return datetime.now(UTC)


def _time() -> float:
    return asyncio.get_running_loop().time()
