"""What `Generations` promises, and what the floor does to the stores beside it."""

import asyncio
import contextlib
import secrets
from datetime import timedelta

import pytest

from stepup.domain.assurance import Method
from stepup.domain.challenge import TRIES_PER_METHOD
from stepup.domain.errors import DependencyUnavailableError, TooManyAttemptsError
from stepup.domain.generation import Generation
from stepup.domain.ids import AuthenticatorId
from stepup.ports import Generations
from tests.support.builders import a_subject, an_attempt

SECOND = timedelta(seconds=1)
A_STEP = 58_000_000


async def current(generations: Generations) -> Generation:
    """Return the generation as soon as it is known."""
    async with asyncio.timeout(5):
        while True:
            with contextlib.suppress(DependencyUnavailableError):
                return await generations.current()
            await asyncio.sleep(0.01)


class GenerationsContract:
    """Subclass it and provide `states`: one state, seen through two clients."""

    async def test_all_see_one_generation_without_a_floor(self, states):
        one, other = [await current(state.generations) for state in states]
        assert one.id == other.id
        assert one.floor_at is None

    async def test_a_floor_is_raised_and_never_lowered(self, states, clock):
        generations = states[0].generations
        await current(generations)
        await generations.raise_floor(clock.now())
        await generations.raise_floor(clock.now() - SECOND)
        assert (await current(generations)).floor_at == clock.now()
        await generations.raise_floor(clock.now() + SECOND)
        assert (await current(generations)).floor_at == clock.now() + SECOND

    async def test_of_concurrent_floors_the_highest_stays(self, states, clock):
        for state in states:
            await current(state.generations)
        wanted = [clock.now() + n * SECOND for n in range(32)]
        await asyncio.gather(
            *(states[n % 2].generations.raise_floor(at) for n, at in enumerate(wanted))
        )
        floors = [(await current(state.generations)).floor_at for state in states]
        assert max(floors) == wanted[-1]

    async def test_a_step_that_was_possible_at_the_floor_is_not_accepted(self, states, clock):
        steps, who = states[0].steps, (a_subject().id, AuthenticatorId(secrets.token_urlsafe(8)))
        await current(states[0].generations)
        await states[0].generations.raise_floor(clock.now())
        for attempt in (an_attempt(), None):
            possible_since = clock.now()
            assert not await steps.accept(*who, A_STEP, attempt, possible_since=possible_since)
        later = clock.now() + SECOND
        assert await steps.accept(*who, A_STEP + 1, an_attempt(), possible_since=later)
        # A signature count has no time.
        assert await steps.accept(*who, A_STEP + 2)

    async def test_a_step_below_the_floor_stays_refused_for_the_attempt(self, states, clock):
        steps, who = states[0].steps, (a_subject().id, AuthenticatorId(secrets.token_urlsafe(8)))
        await current(states[0].generations)
        await states[0].generations.raise_floor(clock.now())
        attempt, since = an_attempt(), clock.now()
        for _ in range(3):
            assert not await steps.accept(*who, A_STEP, attempt, possible_since=since)

    async def test_of_many_who_bring_a_step_below_the_floor_nobody_gets_in(self, states, clock):
        who = (a_subject().id, AuthenticatorId(secrets.token_urlsafe(8)))
        await current(states[0].generations)
        await states[0].generations.raise_floor(clock.now())
        accepted = await asyncio.gather(
            *(
                states[0].steps.accept(*who, A_STEP, an_attempt(), possible_since=clock.now())
                for _ in range(64)
            )
        )
        assert not any(accepted)

    async def test_after_a_change_one_attempt_is_left_to_whom_we_saw_failing(self, states, clock):
        attempts, failing, new = states[0].attempts, a_subject().id, a_subject().id
        await current(states[0].generations)
        await attempts.spend(failing, Method.TOTP, clock.now())
        await states[0].generations.raise_floor(clock.now())
        await attempts.spend(failing, Method.TOTP, clock.now())
        with pytest.raises(TooManyAttemptsError):
            await attempts.spend(failing, Method.TOTP, clock.now())
        for _ in range(TRIES_PER_METHOD):
            await attempts.spend(new, Method.TOTP, clock.now())

    async def test_whoever_was_forgiven_has_all_attempts_after_a_change(self, states, clock):
        attempts, who = states[0].attempts, a_subject().id
        await current(states[0].generations)
        await attempts.spend(who, Method.TOTP, clock.now())
        await attempts.forgive(who, Method.TOTP)
        await states[0].generations.raise_floor(clock.now())
        for _ in range(TRIES_PER_METHOD):
            await attempts.spend(who, Method.TOTP, clock.now())

    async def test_an_identifier_that_was_made_at_the_floor_is_not_new(self, states, clock):
        replays, until = states[0].replays, clock.now() + 60 * SECOND
        await current(states[0].generations)
        await states[0].generations.raise_floor(clock.now())
        for made, is_new in ((clock.now(), False), (clock.now() + SECOND, True)):
            name, attempt = secrets.token_urlsafe(8), an_attempt()
            for _ in range(2):
                assert (
                    await replays.remember("ticket", name, attempt, until, possible_since=made)
                    is is_new
                )
