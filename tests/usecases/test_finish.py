"""Leaving a challenge: with its one code, or with an error that says why not."""

import asyncio
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from stepup.domain.audit import AuditKind
from stepup.domain.errors import ChallengeNotPendingError
from stepup.usecases import finish
from tests.support.world import BANK_CALLBACK, World
from tests.usecases.steps import (
    BANK,
    BROWSER,
    kinds,
    last_audited,
    opened,
    opened_by_client,
    redeemed,
    type_code,
)


def answer_in(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


async def test_the_code_goes_back_to_the_client_with_state_and_issuer(world: World):
    await world.enroll_app()
    challenge_id = await opened(world)
    await type_code(world, challenge_id)
    passed = await finish.issue_code(world.ports, challenge_id, BROWSER)

    assert passed.answer.url.startswith(f"{BANK_CALLBACK}?")
    assert answer_in(passed.answer.url) == {
        "code": passed.code,
        "state": "state-1",
        "iss": "https://stepup.example",
    }
    assert passed.code not in repr(passed)


async def test_two_tabs_get_one_code(world: World):
    await world.enroll_app()
    challenge_id = await opened(world)
    await type_code(world, challenge_id)
    passed = await asyncio.gather(
        *(finish.issue_code(world.ports, challenge_id, BROWSER) for _ in range(20))
    )

    assert len({p.code for p in passed}) == 1


async def test_a_redirect_uri_with_a_query_keeps_it(world: World):
    registered = f"{BANK_CALLBACK}?tenant=1"
    world.bank = msgspec.structs.replace(world.bank, redirect_uris=(registered,))
    left = await finish.cancel(
        world.ports, await opened(world, redirect_uri=registered, state=None), BROWSER
    )

    assert left.url.startswith(f"{registered}&error=")
    assert "state" not in answer_in(left.url)


async def test_no_code_before_the_challenge_is_verified(world: World):
    with pytest.raises(ChallengeNotPendingError):
        await finish.issue_code(world.ports, await opened(world), BROWSER)


async def test_no_code_after_it_was_redeemed(world: World):
    await world.enroll_app()
    challenge_id = await opened(world)
    await type_code(world, challenge_id)
    await redeemed(world, (await finish.issue_code(world.ports, challenge_id, BROWSER)).code)

    with pytest.raises(ChallengeNotPendingError):
        await finish.issue_code(world.ports, challenge_id, BROWSER)


async def test_a_client_with_its_own_screens_is_not_redirected(world: World):
    await world.enroll_app()
    challenge_id = await opened_by_client(world)
    await type_code(world, challenge_id, BANK)

    assert (await finish.issue_code(world.ports, challenge_id, BANK)).answer is None


async def test_cancelling_says_so_to_the_client(world: World):
    await world.enroll_app()
    left = await finish.cancel(world.ports, await opened(world), BROWSER)

    assert answer_in(left.url)["error"] == "access_denied"
    event = await last_audited(world.ports, AuditKind.CHALLENGE_CANCELLED)
    assert event.details == {"reported": False}


async def test_cancelling_twice_is_harmless_and_audited_once(world: World):
    challenge_id = await opened(world)
    first = await finish.cancel(world.ports, challenge_id, BROWSER)
    again = await finish.cancel(world.ports, challenge_id, BROWSER)

    assert first == again
    assert (await kinds(world.ports)).count(AuditKind.CHALLENGE_CANCELLED) == 1


async def test_who_never_asked_for_it_is_on_record(world: World):
    await finish.cancel(world.ports, await opened(world), BROWSER, reported=True)

    event = await last_audited(world.ports, AuditKind.CHALLENGE_CANCELLED)
    assert event.details == {"reported": True}


async def test_rfc9470_5_having_nothing_that_reaches_the_level_is_told_apart(world: World):
    left = await finish.cancel(world.ports, await opened(world), BROWSER)

    assert answer_in(left.url)["error"] == "unmet_authentication_requirements"


async def test_an_answered_challenge_cannot_be_cancelled(world: World):
    await world.enroll_app()
    challenge_id = await opened(world)
    await type_code(world, challenge_id)

    with pytest.raises(ChallengeNotPendingError):
        await finish.cancel(world.ports, challenge_id, BROWSER)
