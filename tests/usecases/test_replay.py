"""A draft over recorded decisions: read in pages, decided again, and reported."""

import asyncio
from datetime import timedelta

import pytest

from stepup.domain.assurance import Acr
from stepup.domain.decision import decide
from stepup.domain.difference import DifferenceKind
from stepup.domain.errors import PolicyInvalidError, PolicyNotFoundError
from stepup.domain.ids import ActionName, SubjectId
from stepup.domain.policy_errors import ReplayRunningError
from stepup.policy_language import document
from stepup.usecases import policies, replay
from stepup.usecases.replay import ReplayQuestion
from tests.support.builders import a_decision_request, a_recorded_decision, an_approval
from tests.support.determinism import NOON
from tests.support.workshop import WorkshopHere
from tests.support.world import World

ACTIVE = """
apiVersion: stepup/v1
actions:
  pay:
    attributes:
      amount: {type: int, required: true}
      iban: {type: string, in: resource, sensitive: true}
    rules:
      - {id: small, when: action.amount <= 100, allow: true}
      - {id: foreign, when: 'has(resource.iban) && !resource.iban.startsWith("DE")', deny: no}
    default: {level: urn:stepup:acr:2}
"""
STRICTER = ACTIVE.replace("<= 100", "<= 10")
MINUTE = timedelta(minutes=1)
AMOUNTS = (5, 50, 500)


@pytest.fixture
def workshop() -> WorkshopHere:
    return WorkshopHere()


async def keep(world: World, *records) -> None:
    async with world.ports.database.transaction() as stores:
        await stores.decisions.add_all(records)


def of(amount: int, at=NOON, **changes):
    request = a_decision_request(
        action=ActionName("pay"), action_properties={"amount": amount}, **changes.pop("request", {})
    )
    policy = document.parse(ACTIVE, version=1)
    decision = decide(policy, request, changes.get("approval"), at)
    return a_recorded_decision(decision, at=at, request=request, **changes)


async def ask(world: World, workshop, text: str = STRICTER, **changes):
    asked = ReplayQuestion(document=text, **changes)
    return await replay.replay(world.ports, workshop, asked)


@pytest.fixture
async def active(world: World) -> World:
    await policies.activate(world.ports, ACTIVE, "carol")
    return world


async def test_says_what_would_change_and_for_whom(active: World, workshop):
    phone = await active.enroll_app("alice")
    alice, bob = phone.subject.id, SubjectId("bob")
    await keep(active, *(of(n, subject_id=who) for n in AMOUNTS for who in (alice, bob)))

    report = await ask(active, workshop)

    assert (report.active_version, report.recorded, report.changed) == (1, 6, 2)
    assert report.actions[0].differences == {DifferenceKind.ALLOW_TO_STEP_UP: 2}
    assert (report.subjects.prompted_more_often, report.subjects.cannot_pass) == (2, 1)
    (example,) = report.cannot_pass_examples
    assert (example.subject, example.before.rule, example.after.acr) == (
        bob,
        "small",
        "urn:stepup:acr:2",
    )


async def test_the_active_document_changes_nothing(active: World, workshop):
    await keep(active, *(of(n, approval=an_approval()) for n in AMOUNTS))
    report = await ask(active, workshop, ACTIVE)

    assert (report.recorded, report.changed, report.drifted, report.undecidable) == (3, 0, 0, 0)


async def test_what_an_older_version_answered_is_drift(active: World, workshop):
    await keep(active, of(50))
    await policies.activate(active.ports, STRICTER, "carol")

    report = await ask(active, workshop, STRICTER)

    assert (report.active_version, report.drifted, report.changed) == (2, 1, 0)


async def test_a_changed_rule_over_a_digested_attribute_is_undecidable(active: World, workshop):
    secret = {"resource": {"iban": "digest:abc"}}
    digested = frozenset({"resource.iban"})
    await keep(active, of(500, request=secret, digested=digested, rule=None, outcome="step_up"))

    same = await ask(active, workshop, STRICTER)
    other = await ask(active, workshop, ACTIVE.replace('"DE"', '"FR"'))

    assert (same.undecidable, same.changed) == (0, 0)
    assert (other.undecidable, other.undecidable_for[0].attribute) == (1, "resource.iban")


async def test_an_older_version_tells_what_could_not_be_sent_then(active: World, workshop):
    await keep(active, of(50))
    declares = ACTIVE.replace("attributes:", "attributes:\n      country: {type: string}")
    reads = declares.replace(
        "rules:", 'rules:\n      - {id: abroad, when: "has(action.country)", deny: no}'
    )
    await policies.activate(active.ports, declares, "carol")

    report = await ask(active, workshop, reads)

    assert report.undecidable_for[0].attribute == "action.country"


async def test_a_draft_that_only_reports_can_be_taken_for_enforced(active: World, workshop):
    await keep(active, of(50))
    trying = STRICTER + "mode: report\n"

    reporting = await ask(active, workshop, trying)
    enforced = await ask(active, workshop, trying, enforced=True)

    assert (reporting.changed, enforced.changed) == (0, 1)


async def test_takes_the_newest_up_to_the_limit_and_says_that_there_are_more(
    active: World, workshop, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(replay, "_PAGE", 2)
    await keep(active, *(of(50, NOON + n * MINUTE) for n in range(7)))

    some, all_of_them = await ask(active, workshop, limit=5), await ask(active, workshop, limit=7)

    assert (some.recorded, some.is_complete, some.since) == (5, False, NOON + 2 * MINUTE)
    assert (all_of_them.recorded, all_of_them.is_complete) == (7, True)


async def test_pages_add_up_however_many_are_done_at_once(
    active: World, workshop, monkeypatch: pytest.MonkeyPatch
):
    await keep(active, *(of(n, subject_id=SubjectId(f"s{n}")) for n in range(23)))
    asked = ReplayQuestion(document=STRICTER)
    whole = await replay.replay(active.ports, workshop, asked)
    monkeypatch.setattr(replay, "_PAGE", 4)
    seen: list[int] = []

    report = await replay.replay(active.ports, workshop, asked, at_once=3, on_progress=seen.append)

    assert report == whole
    assert seen == [4, 8, 12, 16, 20, 23]


async def test_only_what_was_asked_about(active: World, workshop):
    await keep(active, *(of(50, NOON + n * MINUTE) for n in range(5)))

    since = await ask(active, workshop, since=NOON + 2 * MINUTE, until=NOON + 4 * MINUTE)
    others = await ask(active, workshop, actions=frozenset({ActionName("other")}))

    assert (since.recorded, others.recorded, others.is_complete) == (2, 0, True)


async def test_a_document_with_errors_is_not_replayed(active: World, workshop):
    with pytest.raises(PolicyInvalidError):
        await ask(active, workshop, "apiVersion: stepup/v1\nsurprise: 1\n")


async def test_without_an_active_version_there_is_nothing_to_compare_with(world: World, workshop):
    with pytest.raises(PolicyNotFoundError):
        await ask(world, workshop)


async def test_one_replay_at_a_time(active: World, workshop):
    await keep(active, of(50))

    ended = await asyncio.gather(*(ask(active, workshop) for _ in range(3)), return_exceptions=True)

    assert [type(each) for each in ended].count(ReplayRunningError) == 2
    assert (await ask(active, workshop)).recorded == 1


async def test_a_level_that_somebody_has_nothing_for_is_counted_by_the_drafts_ladder(
    active: World, workshop
):
    phone = await active.enroll_app("alice")
    await keep(active, of(500, subject_id=phone.subject.id))

    report = await ask(active, workshop, ACTIVE.replace("urn:stepup:acr:2", "phr"))

    assert report.actions[0].raised == {"acr": 1, "max_age": 1}
    assert report.subjects.cannot_pass == 1
    assert report.cannot_pass_examples[0].after.acr == Acr("phr")
