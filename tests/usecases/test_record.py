"""Decisions are recorded beside the requests: what is kept, and that it arrives."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from stepup.domain.batch import Semantic
from stepup.domain.decision_request import Entity
from stepup.domain.errors import DependencyUnavailableError, StepUpRequiredError
from stepup.domain.recorded_decision import Outcome, RecordedDecision, moment_of
from stepup.ports import DecisionQuery, Ports
from stepup.usecases import account_guard, decide, record
from stepup.usecases.evaluate_batch import evaluate_batch
from stepup.usecases.search import Page, search
from tests.contracts.decisions import a_record
from tests.support.memory_decisions import MemoryDecisionLog
from tests.support.world import World
from tests.usecases.steps import a_question, issued, session_of, signed_in

MONTH = timedelta(days=30)
DAY = timedelta(days=1)


async def recorded(world: World) -> list[RecordedDecision]:
    await world.ports.state.decisions.flush()
    await record.carry_records_once(world.ports, MONTH)
    async with world.ports.database.transaction() as stores:
        return list(await stores.decisions.page(DecisionQuery(), count=100))


async def ask(world: World, amount: str = "500.00", **changes) -> decide.Answer:
    question = msgspec.structs.replace(a_question(amount), **changes)
    return await decide.decide(world.ports, world.bank, question)


def sampling(world: World, one_in: int) -> None:
    site = msgspec.structs.replace(world.ports.site, decision_sampling=one_in)
    world.ports = world.ports._replace(site=site)


async def test_a_step_up_is_recorded_with_what_it_rests_on(world: World):
    answer = await ask(world)
    [found] = await recorded(world)

    assert found.id == answer.id
    assert moment_of(found.id) == world.clock.now()
    assert (found.client_id, found.subject_id) == ("bank", world.subject().id)
    assert (found.outcome, found.policy_version) == (Outcome.STEP_UP, 1)
    assert found.request.action_properties["amount"] == "500.00"


async def test_what_the_policy_knew_of_the_subject_is_recorded_as_what_was_decided_on():
    world = World(
        document="""
apiVersion: stepup/v1
entities: {subjects: [{type: user, id: alice, properties: {role: guest, mood: good}}]}
actions:
  payments.transfer:
    attributes: {role: {type: string, in: subject}}
    rules: [{id: guests, when: has(subject.role) && subject.role == "guest", deny: true}]
    default: allow
"""
    )
    await ask(world)
    [found] = await recorded(world)

    assert found.rule == "guests"
    assert found.request.subject == {"role": "guest"}


async def test_every_item_of_a_batch_is_recorded_and_nothing_of_a_search(world: World):
    batch = [a_question("500.00"), a_question("5000.00")]
    await evaluate_batch(world.ports, world.bank, batch, Semantic.EXECUTE_ALL)
    await search(world.ports, world.bank, Entity.ACTION, a_question(), Page())

    amounts = {each.request.action_properties["amount"] for each in await recorded(world)}
    assert amounts == {"500.00", "5000.00"}


async def test_of_allowances_a_sample_is_recorded_and_knows_its_weight(world: World):
    sampling(world, 4)
    names = [(await ask(world, "50.00")).id for _ in range(200)]
    found = await recorded(world)

    assert 20 < len(found) < 90
    assert {each.sampled_as for each in found} == {4}
    assert {each.id for each in found} < set(names)


async def test_with_a_sample_of_nothing_refusals_are_recorded(world: World):
    sampling(world, 0)
    await ask(world, "50.00")
    await ask(world)
    assert [each.outcome for each in await recorded(world)] == [Outcome.STEP_UP]


async def test_a_token_that_was_shown_stands_nowhere_in_the_record(world: World):
    await world.enroll_app()
    token = (await issued(world)).text
    question = a_question()
    context = {**question.request.context, "elevated_token": token}
    request = msgspec.structs.replace(question.request, context=context)
    answer = await ask(world, request=request, elevated_token=token)
    [found] = [each for each in await recorded(world) if each.id == answer.id]

    assert found.outcome is Outcome.ALLOW
    assert found.approval == answer.approval
    assert token.encode() not in msgspec.json.encode(found)


async def test_what_is_only_weighed_is_not_recorded(world: World):
    sitting = decide.open_sitting(world.ports, world.bank)
    assert (await decide.weigh(world.ports, sitting, a_question())).id is None
    assert await recorded(world) == []


async def test_changes_of_one_s_own_account_are_recorded(world: World):
    await world.enroll_app()
    session = await session_of(world, await signed_in(world))
    with pytest.raises(StepUpRequiredError):
        await account_guard.permit(world.ports, session, account_guard.RENAME)
    [found] = await recorded(world)

    assert found.request.action == account_guard.RENAME
    assert found.client_id == "stepup-account"


async def test_a_decision_does_not_fail_for_its_record(world: World, monkeypatch):
    async def fail(*_args: object) -> None:
        raise DependencyUnavailableError

    monkeypatch.setattr(MemoryDecisionLog, "flush", fail)
    assert (await ask(world)).ticket is not None
    await record.send_last_records(world.ports)


async def test_a_batch_that_was_written_but_not_removed_is_written_once(world: World):
    await ask(world)
    log = world.ports.state.decisions
    await log.flush()
    entries = await log.read(9)
    assert len(await recorded(world)) == 1
    # The removal was lost: the same record comes again.
    log.add(entries[0][1])
    assert len(await recorded(world)) == 1
    assert (await log.backlog()).entries == 0


# --- days ---------------------------------------------------------------------------------------


async def days(ports: Ports) -> list:
    async with ports.database.transaction() as stores:
        return list(await stores.decisions.days())


async def test_today_and_the_days_to_come_are_made(world: World):
    await record.tend_days(world.ports, MONTH)
    today = world.clock.now().date()
    expected = [today + n * DAY for n in range(record.DAYS_AHEAD + 1)]
    assert await days(world.ports) == expected
    await record.tend_days(world.ports, MONTH)
    assert await days(world.ports) == expected


async def test_a_day_goes_when_its_last_moment_is_past_the_retention(world: World):
    await record.tend_days(world.ports, MONTH)
    first = (await days(world.ports))[0]
    end = datetime(first.year, first.month, first.day, tzinfo=UTC) + DAY
    world.clock.advance(end + MONTH - world.clock.now() - timedelta(seconds=1))
    await record.tend_days(world.ports, MONTH)
    assert (await days(world.ports))[0] == first
    world.clock.advance(timedelta(seconds=1))
    await record.tend_days(world.ports, MONTH)
    assert (await days(world.ports))[0] == first + DAY


async def test_an_instance_whose_clock_is_ahead_drops_nothing_before_its_time(world: World):
    await record.tend_days(world.ports, MONTH)
    async with world.ports.database.transaction() as stores:
        await stores.decisions.add_all([a_record(world.clock.now() - DAY)])
    before = await days(world.ports)
    ahead = World()
    ahead.clock.advance(timedelta(days=400))

    await record.tend_days(world.ports._replace(clock=ahead.clock), MONTH)

    assert (await days(world.ports))[: len(before)] == before
    assert len(await recorded(world)) == 1


async def test_old_records_of_no_day_go_too(world: World):
    async with world.ports.database.transaction() as stores:
        await stores.decisions.add_all([a_record(world.clock.now() - MONTH - DAY), a_record()])
    await record.tend_days(world.ports, MONTH)
    assert len(await recorded(world)) == 1


async def test_what_a_trial_would_not_have_allowed_is_kept_whatever_the_sample():
    document = """
apiVersion: stepup/v1
mode: report
actions:
  payments.transfer:
    attributes: {amount: {type: decimal}, payee: {type: string}, currency: {type: string}}
    default: {level: phr}
"""
    world = World(document=document)
    site = msgspec.structs.replace(world.site, decision_sampling=0)
    world.ports = world.ports._replace(site=site)

    answer = await ask(world)

    (kept,) = await recorded(world)
    assert kept.id == answer.id
    assert (kept.outcome, kept.reported, kept.mode) == (Outcome.ALLOW, Outcome.STEP_UP, "report")
