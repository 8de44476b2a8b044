"""Documents are read beside the requests, and what cannot be kept is refused."""

import asyncio

import pytest

from stepup.domain.errors import PolicyInvalidError
from stepup.usecases.policy_reading import check_policy, load_policy, require_valid, time_for
from tests.support.workshop import WorkshopHere


def a_large_document(actions: int = 100) -> str:
    return "apiVersion: stepup/v1\nactions:\n" + "".join(
        f"  a.b{number}:\n"
        "    attributes: {amount: {type: decimal, required: true}}\n"
        f"    rules: [{{id: small, when: action.amount < {number + 1}00, allow: true}}]\n"
        "    default: {level: urn:stepup:acr:2}\n"
        for number in range(actions)
    )


async def test_requests_get_their_turns_while_a_large_document_is_compiled():
    turns = 0
    is_done = False

    async def serve() -> None:
        nonlocal turns
        while not is_done:
            turns += 1
            await asyncio.sleep(0)

    serving = asyncio.create_task(serve())
    policy = await load_policy(a_large_document(), version=7)
    is_done = True
    await serving
    assert policy.version == 7
    # Compiled in the loop it would be one or two.
    assert turns > 10


async def test_what_cannot_be_read_is_said_from_a_thread_too():
    with pytest.raises(PolicyInvalidError) as caught:
        await load_policy(a_large_document() + "surprise: 1\n", version=1)
    assert caught.value.findings


@pytest.mark.parametrize(
    "accepted_before",
    [
        "    title:\n    default: deny\n",
        "    default: deny\n    # for\u200bnobody\n",
        "    default: deny\n    tests: [{name: other times, expect: allow}]\n",
        "    default: deny\nmetadata: {build: 123456789012345678901234567890}\n",
    ],
    ids=["an empty field", "a hidden character", "a test that fails now", "an inexact number"],
)
async def test_what_an_earlier_release_activated_stays_in_force(accepted_before: str):
    text = f"apiVersion: stepup/v1\nactions:\n  pay:\n{accepted_before}"
    with pytest.raises(PolicyInvalidError):
        await require_valid(text, None)
    assert "pay" in (await load_policy(text, version=1)).actions


@pytest.mark.parametrize("workshop", [None, WorkshopHere()], ids=["here", "in the workshop"])
async def test_a_document_is_checked_here_and_in_the_workshop(workshop: WorkshopHere | None):
    found, tests = await check_policy(a_large_document(1), workshop)
    assert (tests, [finding for finding in found if finding.is_error]) == ([], [])
    await require_valid(a_large_document(1), workshop)
    with pytest.raises(PolicyInvalidError) as caught:
        await require_valid("surprise: 1\n", workshop)
    assert caught.value.findings


def test_a_longer_document_may_take_longer():
    assert time_for("") < time_for("x" * 1000) < time_for("x" * 1_000_000)
