"""The shadow beside the active policy: counted after the answer, and never part of it."""

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepup.domain.assurance import Acr
from stepup.domain.decision import Allow, Deny
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.ids import ActionName, DraftId
from stepup.domain.obligation import ObligationType
from stepup.domain.policy import Policy
from stepup.domain.replay import UNNAMED
from stepup.domain.requirement import Requirement
from stepup.policy_language import document
from stepup.ports import Ports, Shadow
from stepup.usecases import decide, shadow
from stepup.usecases.policies import development_document
from tests.domain.strategies import policies
from tests.support.builders import a_guardrail, a_policy
from tests.support.memory_shadow import MemoryShadowLog
from tests.support.world import World
from tests.usecases.steps import a_question, code, redeemed

TRANSFER = ActionName("payments.transfer")
DIGEST = "digest-1"


def shadowed(world: World, policy: Policy | None, digest: str = DIGEST) -> World:
    world.snapshot.held_shadow = policy and Shadow(draft=DraftId(1), digest=digest, policy=policy)
    return world


def stricter() -> Policy:
    """The demo bank's policy, except that everything needs a passkey."""
    policy = document.parse(development_document(), version=0)
    guardrail = a_guardrail(require=Requirement(acr=Acr("phr")))
    return msgspec.structs.replace(policy, guardrails=(*policy.guardrails, guardrail))


async def ask(world: World, amount: str = "50.00", **changes: object) -> decide.Answer:
    return await decide.decide(world.ports, world.bank, a_question(amount, **changes))


async def counted(ports: Ports, digest: str = DIGEST) -> dict:
    follower = shadow.Follower(ports)
    await follower.evaluate()
    await follower.count()
    return dict((await ports.state.shadow.find(digest)).counts)


async def test_counts_how_its_answers_differ(world: World):
    shadowed(world, stricter())
    answers = [await ask(world, amount) for amount in ("50.00", "50.00", "500.00")]

    assert await counted(world.ports) == {
        (TRANSFER, "allow_to_step_up"): 2,
        (TRANSFER, "raised"): 1,
    }
    found = await world.ports.state.shadow.find(DIGEST)
    example = next(each for each in found.examples if each.before.outcome == "allow")
    assert (example.id, example.subject) == (answers[1].id, answers[1].subject.id)
    assert (example.before.outcome, example.after.acr) == ("allow", "phr")


async def test_a_denial_that_rests_on_the_caller_alone_says_nothing_about_the_shadow(world: World):
    """With a once-only token that it cannot consume it is denied by every policy."""
    shadowed(world, world.snapshot.policy)
    await world.enroll_app()
    token = (await redeemed(world, await code(world))).text
    question = msgspec.structs.replace(
        a_question(elevated_token=token), obligations=frozenset({ObligationType.STEP_UP})
    )
    before = await counted(world.ports)

    answer = await decide.decide(world.ports, world.bank, question)

    assert isinstance(answer.decision, Deny)
    assert await counted(world.ports) == before


async def test_without_a_shadow_nothing_waits(world: World):
    await ask(world)
    assert await counted(world.ports) == {}


async def test_a_shadow_that_fails_is_counted_and_nobody_notices(world: World):
    broken = msgspec.structs.replace(a_policy(), version=0)
    msgspec.structs.force_setattr(broken, "plans", None)
    shadowed(world, broken)

    answer = await ask(world)

    assert answer.decision.reason == "not_required"
    assert await counted(world.ports) == {(TRANSFER, "failed"): 1}


async def test_a_log_that_fails_does_not_fail_the_answer(world: World):
    class Broken(MemoryShadowLog):
        def add(self, watched: object) -> bool:
            raise RuntimeError

    shadowed(world, stricter())
    broken = world.ports.state._replace(shadow=Broken(world.clock))
    world.ports = world.ports._replace(state=broken)

    assert (await ask(world)).decision.reason == "not_required"


async def test_what_finds_no_room_is_not_evaluated(world: World):
    full = world.ports.state._replace(shadow=MemoryShadowLog(world.clock, room=2))
    world.ports = world.ports._replace(state=full)
    shadowed(world, stricter())
    for _ in range(5):
        await ask(world)

    assert await counted(world.ports) == {(TRANSFER, "allow_to_step_up"): 2}


async def test_of_a_sample_each_stands_for_as_many(world: World):
    site = msgspec.structs.replace(world.site, shadow_sampling=4)
    world.ports = world.ports._replace(site=site)
    shadowed(world, stricter())
    for _ in range(200):
        await ask(world)

    (count,) = (await counted(world.ports)).values()
    assert count % 4 == 0
    assert 80 <= count <= 400


async def test_sampled_at_nothing_it_is_not_asked(world: World):
    site = msgspec.structs.replace(world.site, shadow_sampling=0)
    world.ports = world.ports._replace(site=site)
    shadowed(world, stricter())
    await ask(world)

    assert await counted(world.ports) == {}


async def test_what_cannot_be_passed_on_is_passed_on_later(world: World):
    class Away(MemoryShadowLog):
        up = False

        async def count(self, digest, tally) -> None:
            if not self.up:
                raise DependencyUnavailableError
            await super().count(digest, tally)

    away = Away(world.clock)
    world.ports = world.ports._replace(state=world.ports.state._replace(shadow=away))
    shadowed(world, stricter())
    follower = shadow.Follower(world.ports)
    for _ in range(2):
        await ask(world)
        await follower.evaluate()
        await follower.count()
    assert (await away.find(DIGEST)).counts == {}

    away.up = True
    await follower.count()
    assert (await away.find(DIGEST)).counts == {(TRANSFER, "allow_to_step_up"): 2}


async def test_another_text_is_counted_apart(world: World):
    follower = shadow.Follower(world.ports)
    for digest in ("one", "two"):
        shadowed(world, stricter(), digest)
        await ask(world)
        await follower.evaluate()
    await follower.count()

    found = [(await world.ports.state.shadow.find(each)).counts for each in ("one", "two")]
    assert found == [{(TRANSFER, "allow_to_step_up"): 1}] * 2


async def test_actions_that_nobody_names_are_one_series(world: World):
    shadowed(world, stricter())
    for number in range(3):
        question = a_question()
        request = msgspec.structs.replace(question.request, action=ActionName(f"made-up-{number}"))
        asked = msgspec.structs.replace(question, request=request)
        await decide.decide(world.ports, world.bank, asked)

    assert await counted(world.ports) == {(UNNAMED, "same"): 3}


@given(policies(), st.sampled_from(["50.00", "500.00", "5000.00", "much"]), st.booleans())
@settings(
    max_examples=settings.default.max_examples // 2,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_it_never_changes_an_answer(policy: Policy, amount: str, evaluated_between: bool):
    plain, beside = World(), shadowed(World(), policy)
    answers = []
    for world in (plain, beside):
        await ask(world, amount)
        if evaluated_between:
            await counted(world.ports)
        answers.append(await ask(world, amount))

    assert msgspec.json.encode(answers[0]) == msgspec.json.encode(answers[1])


async def test_the_active_policy_as_its_own_shadow_differs_in_nothing(world: World):
    shadowed(world, world.snapshot.policy)
    for amount in ("50.00", "500.00", "5000.00", "-1", "much"):
        await ask(world, amount)

    assert await counted(world.ports) == {(TRANSFER, "same"): 5}


KNOWS = """
apiVersion: stepup/v1
entities:
  subjects: [{type: user, id: alice, properties: {role: admin}}]
actions:
  payments.transfer:
    attributes: {role: {type: string, in: subject}}
    rules: [{id: admins, when: has(subject.role) && subject.role == "admin", allow: true}]
    default: deny
"""


async def test_what_the_active_policy_alone_knows_of_a_subject_is_nothing_to_the_shadow():
    """Otherwise nobody would see what a draft does that takes a role away."""
    world = World(document=KNOWS)
    shadowed(world, document.parse(KNOWS.replace("role: admin}", "role: guest}"), version=0))
    assert isinstance((await ask(world)).decision, Allow)

    assert await counted(world.ports) == {(TRANSFER, "allow_to_deny"): 1}
