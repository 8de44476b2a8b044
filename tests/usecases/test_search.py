"""Searches: what is found is what an evaluation allows, page by page."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepup.crypto.page_tokens import LIFETIME
from stepup.domain.assurance import Acr, AuthnContext
from stepup.domain.client import Role
from stepup.domain.decision import Allow, StepUp
from stepup.domain.decision_request import DecisionRequest, Entity
from stepup.domain.errors import (
    ClientNotAllowedError,
    DependencyUnavailableError,
    InvalidRequestError,
)
from stepup.domain.freshness import Freshness
from stepup.domain.ids import ActionName
from stepup.domain.obligation import ObligationType
from stepup.domain.search import MAX_EVALUATED, MAX_RESULTS
from stepup.policy_language import document
from stepup.usecases import decide
from stepup.usecases.search import FoundPage, Page, search
from tests.support.world import World
from tests.usecases.steps import code, redeemed

DOCUMENT = """
apiVersion: stepup/v1
entities:
  subjects:
    - {type: user, id: alice}
    - {type: user, id: bob, properties: {role: admin}}
    - {type: user, id: carol, properties: {role: guest}}
  resources:
    - {type: account, id: "1", properties: {closed: false}}
    - {type: account, id: "2", properties: {closed: true}}
    - {type: account, id: "3"}
actions:
  see: {default: allow}
  change:
    attributes:
      role: {type: string, in: subject}
      closed: {type: bool, in: resource, default: false}
    rules:
      - {id: closed, when: resource.closed, deny: closed}
      - {id: guests, when: has(subject.role) && subject.role == "guest", deny: guests look on}
      - {id: admins, when: has(subject.role) && subject.role == "admin", allow: true}
    default: {level: phr, max_age: 5m}
  never: {default: deny}
"""


@pytest.fixture
def world() -> World:
    return World(document=DOCUMENT)


def a_question(
    who: str = "alice", what: str = "1", *, action: str = "change", **changes: object
) -> decide.Question:
    request = DecisionRequest(
        subject_type="user",
        subject_id=who,
        action=ActionName(action),
        resource_type="account",
        resource_id=what,
    )
    return decide.Question(request=msgspec.structs.replace(request, **changes))


async def find(
    world: World, searched: Entity, question: decide.Question, **page: object
) -> FoundPage:
    return await search(world.ports, world.bank, searched, question, Page(**page))


def names(page: FoundPage, searched: Entity) -> dict[str, type]:
    opened = {Entity.SUBJECT: "subject_id", Entity.RESOURCE: "resource_id"}.get(searched, "action")
    return {getattr(f.request, opened): type(f.answer.decision) for f in page.found}


@pytest.mark.parametrize(
    ("searched", "question", "expected"),
    [
        (Entity.SUBJECT, a_question(), {"alice": StepUp, "bob": Allow}),
        (Entity.SUBJECT, a_question(what="2"), {}),
        (Entity.SUBJECT, a_question(subject={"role": "admin"}), {"bob": Allow}),
        (Entity.SUBJECT, a_question(action="invented"), {}),
        (Entity.RESOURCE, a_question("bob"), {"1": Allow, "3": Allow}),
        (Entity.RESOURCE, a_question(), {"1": StepUp, "3": StepUp}),
        (Entity.RESOURCE, a_question("carol"), {}),
        (Entity.ACTION, a_question(), {"see": Allow, "change": StepUp}),
        (Entity.ACTION, a_question("carol"), {"see": Allow}),
    ],
    ids=lambda value: getattr(value, "value", None),
)
async def test_8_finds_what_is_allowed_and_what_a_step_up_would_allow(
    world: World, searched: Entity, question: decide.Question, expected: dict[str, type]
):
    page = await find(world, searched, question)

    assert names(page, searched) == expected
    assert page.next_token == ""


async def test_no_ticket_comes_of_a_search(world: World):
    page = await find(world, Entity.SUBJECT, a_question())

    assert all(found.answer.ticket is None for found in page.found)


# --- section 8.1: a result, asked about, is allowed -------------------------------------------

PROPERTIES = {
    "role": st.sampled_from(["admin", "guest", "clerk"]),
    "floor": st.integers(0, 3),
}


@st.composite
def policies(draw: st.DrawFn) -> str:
    """Documents whose rules look at what is known of subjects and resources."""
    flow = st.fixed_dictionaries({}, optional=PROPERTIES)
    known = [draw(flow) for _ in range(4)], [draw(flow) for _ in range(4)]
    role, floor = draw(PROPERTIES["role"]), draw(PROPERTIES["floor"])
    outcome = st.sampled_from(["allow: true", "deny: true", "require: {level: phr}"])
    return f"""
apiVersion: stepup/v1
entities:
  subjects: {[{"type": "user", "id": f"s{i}", "properties": p} for i, p in enumerate(known[0])]}
  resources: {[{"type": "account", "id": f"r{i}", "properties": p} for i, p in enumerate(known[1])]}
actions:
  - name: change
    attributes:
      role: {{type: string, in: subject}}
      floor: {{type: int, in: resource, default: 0}}
    rules:
      - {{id: one, when: 'has(subject.role) && subject.role == "{role}"', {draw(outcome)}}}
      - {{id: two, when: 'resource.floor > {floor}', {draw(outcome)}}}
    default: {draw(st.sampled_from(["allow", "deny"]))}
  - name: see
    default: allow
"""


@settings(max_examples=settings.default.max_examples // 2)
@given(policies(), st.sampled_from([Entity.SUBJECT, Entity.RESOURCE, Entity.ACTION]))
def test_8_1_what_a_search_returns_is_what_an_evaluation_answers(text: str, searched: Entity):
    world = World(document=text)
    question = a_question("s0", "r0")

    async def both() -> None:
        page = await find(world, searched, question)
        for found in page.found:
            asked = msgspec.structs.replace(question, request=found.request)
            evaluated = await decide.decide(world.ports, world.bank, asked)
            assert type(evaluated.decision) is type(found.answer.decision)
            assert isinstance(evaluated.decision, Allow | StepUp)

    asyncio.run(both())


# --- whose authentication ---------------------------------------------------------------------


async def test_a_token_counts_for_its_own_subject_alone():
    """An approval found beside one subject must not make others look approved."""
    world = World()
    await world.enroll_app()
    token = (await redeemed(world, await code(world))).text
    policy = document.parse(DOCUMENT.replace("level: phr", "level: urn:stepup:acr:2"), version=2)
    world.snapshot.held_policy = policy
    question = msgspec.structs.replace(a_question(), elevated_token=token)

    found = names(await find(world, Entity.RESOURCE, question), Entity.RESOURCE)
    assert found == {"1": Allow, "3": Allow}
    question = msgspec.structs.replace(a_question(), elevated_token=token)
    nobody_else = await find(world, Entity.SUBJECT, question)
    assert names(nobody_else, Entity.SUBJECT) == {"alice": Allow, "bob": Allow}
    assert [f.answer.must_consume for f in nobody_else.found] == [True, False]


async def test_a_reported_authentication_is_nobody_s_where_nobody_is_named(world: World):
    gateway = world.add_client("gateway", asserts_authentication=True)
    reported = AuthnContext(acr=Acr("phr"), auth_time=world.clock.now())
    question = msgspec.structs.replace(a_question(), asserted=reported)

    for searched, expected in ((Entity.RESOURCE, Allow), (Entity.SUBJECT, StepUp)):
        page = await search(world.ports, gateway, searched, question, Page())
        assert (
            names(page, searched).get("1" if searched is Entity.RESOURCE else "alice") == expected
        )


async def test_a_caller_that_cannot_ask_for_a_step_up_is_not_shown_what_needs_one(world: World):
    question = msgspec.structs.replace(
        a_question(), obligations=frozenset({ObligationType.CONSUME})
    )
    page = await find(world, Entity.SUBJECT, question)

    assert names(page, Entity.SUBJECT) == {"bob": Allow}


async def test_a_client_that_enforces_nothing_may_not_search(world: World):
    shop = world.add_client("shop", roles=frozenset({Role.RP, Role.RS}))

    with pytest.raises(ClientNotAllowedError):
        await search(world.ports, shop, Entity.SUBJECT, a_question(), Page())


async def test_what_cannot_be_decided_now_is_not_left_out_of_a_search():
    """Leaving it out would say that it is not allowed, which nobody knows."""
    world = World(
        document=DOCUMENT.replace(
            "default: {level: phr", "default: {on_degraded: refuse, level: phr"
        )
    )
    world.snapshot.held_freshness = Freshness.STALE

    assert names(await find(world, Entity.ACTION, a_question("carol")), Entity.ACTION)
    with pytest.raises(DependencyUnavailableError):
        await find(world, Entity.ACTION, a_question("alice"))


# --- section 8.2: pages -----------------------------------------------------------------------


def a_crowd(count: int, default: str = "allow") -> World:
    """A world with many subjects, each of whom may see."""
    subjects = [f"{{type: user, id: u{number}}}" for number in range(count)]
    listed = "[" + ", ".join(subjects) + "]"
    return World(
        document=f"""
apiVersion: stepup/v1
entities: {{subjects: {listed}}}
actions:
  change:
    rules: [{{id: last, when: 'subject.id == "u{count - 1}"', allow: true}}]
    default: {default}
"""
    )


async def walk(world: World, **page: object) -> list[FoundPage]:
    pages = [await find(world, Entity.SUBJECT, a_question(), **page)]
    while pages[-1].next_token:
        token = pages[-1].next_token
        pages.append(await find(world, Entity.SUBJECT, a_question(), **page, token=token))
    return pages


@pytest.mark.parametrize(
    ("limit", "sizes"),
    [(1, [1, 1, 1, 1, 1]), (2, [2, 2, 1]), (5, [5]), (6, [5]), (None, [5])],
)
async def test_8_2_pages_hold_everything_once_and_the_last_one_says_so(
    limit: int | None, sizes: list[int]
):
    pages = await walk(a_crowd(5), limit=limit)

    assert [len(page.found) for page in pages] == sizes
    found = [f.request.subject_id for page in pages for f in page.found]
    assert found == [f"u{number}" for number in range(5)]


async def test_8_2_a_page_is_the_last_when_nothing_that_is_allowed_comes_after_it():
    world = a_crowd(50, default="deny")
    (page,) = await walk(world, limit=1)

    assert [f.request.subject_id for f in page.found] == ["u49"]


async def test_a_page_of_nothing_says_that_there_is_something():
    page = await find(a_crowd(5), Entity.SUBJECT, a_question(), limit=0)

    assert page.found == ()
    assert page.next_token


async def test_a_page_holds_no_more_than_so_many_whatever_is_asked_for():
    pages = await walk(a_crowd(MAX_RESULTS + 5), limit=10**30)

    assert [len(page.found) for page in pages] == [MAX_RESULTS, 5]


async def test_no_page_costs_more_evaluations_than_so_many(monkeypatch: pytest.MonkeyPatch):
    """Where little is allowed, a page could otherwise take the whole catalog."""
    actions = "\n".join(f"  a{number}: {{default: deny}}" for number in range(MAX_EVALUATED + 7))
    world = World(
        document=f"apiVersion: stepup/v1\nactions:\n{actions}\n  last: {{default: allow}}"
    )
    evaluated = 0

    async def counted(*arguments: Any) -> decide.Answer:
        nonlocal evaluated
        evaluated += 1
        return await decide.weigh(*arguments)

    monkeypatch.setattr("stepup.usecases.search.weigh", counted)
    first = await find(world, Entity.ACTION, a_question())
    assert (evaluated, first.found) == (MAX_EVALUATED, ())
    second = await find(world, Entity.ACTION, a_question(), token=first.next_token)

    assert names(second, Entity.ACTION) == {"last": Allow}
    assert second.next_token == ""


async def test_a_long_search_lets_others_in_between():
    world = a_crowd(400)
    turns = 0

    async def another() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(another())
    await find(world, Entity.SUBJECT, a_question())
    beside.cancel()

    assert turns >= 5


async def test_8_2_the_limit_may_be_left_out_of_the_following_requests_but_not_changed():
    world = a_crowd(5)
    first = await find(world, Entity.SUBJECT, a_question(), limit=2)

    second = await find(world, Entity.SUBJECT, a_question(), token=first.next_token)
    assert len(second.found) == 2
    with pytest.raises(InvalidRequestError, match="limit"):
        await find(world, Entity.SUBJECT, a_question(), token=first.next_token, limit=3)


@pytest.mark.parametrize(
    "changes",
    [
        {"action": "see"},
        {"what": "2"},
        {"context": {"ip": "10.0.0.1"}},
        {"subject_type": "robot"},
        {"subject": {"role": "admin"}},
        {"action_properties": {"a": 1}},
    ],
    ids=repr,
)
async def test_8_2_a_token_is_refused_when_anything_else_is_asked(changes: dict):
    world = a_crowd(5)
    first = await find(world, Entity.SUBJECT, a_question(), limit=2)

    with pytest.raises(InvalidRequestError, match="page token"):
        await find(world, Entity.SUBJECT, a_question(**changes), token=first.next_token)


async def test_a_token_of_one_client_or_one_kind_of_search_is_no_other_s():
    world = a_crowd(5)
    token = (await find(world, Entity.SUBJECT, a_question(), limit=2)).next_token
    other = world.add_client("other")

    with pytest.raises(InvalidRequestError):
        await search(world.ports, other, Entity.SUBJECT, a_question(), Page(token=token))
    with pytest.raises(InvalidRequestError):
        await find(world, Entity.ACTION, a_question(), token=token)


async def test_any_instance_goes_on_with_what_another_one_began():
    """No page is kept anywhere: the token is all there is."""
    first = a_crowd(5)
    second = World(keyring=first.keyring, document=first.document)
    token = (await find(first, Entity.SUBJECT, a_question(), limit=4)).next_token
    rest = await find(second, Entity.SUBJECT, a_question(), token=token)

    assert [f.request.subject_id for f in rest.found] == ["u4"]


async def test_a_token_expires():
    world = a_crowd(5)
    token = (await find(world, Entity.SUBJECT, a_question(), limit=2)).next_token
    world.clock.advance(LIFETIME + timedelta(seconds=1))

    with pytest.raises(InvalidRequestError):
        await find(world, Entity.SUBJECT, a_question(), token=token)


async def test_8_2_an_activation_between_two_pages_stops_nobody():
    """Section 8.2 lets results be repeated or left out when what is searched has changed."""
    world = a_crowd(5)
    token = (await find(world, Entity.SUBJECT, a_question(), limit=4)).next_token
    world.snapshot.held_policy = a_crowd(2).snapshot.policy

    page = await find(world, Entity.SUBJECT, a_question(), token=token)
    assert (page.found, page.next_token) == ((), "")


async def test_numbers_of_any_size_may_stand_in_what_is_searched_for():
    world = a_crowd(3)
    question = a_question(context={"n": 10**30, "x": 1e308})
    page = await find(world, Entity.SUBJECT, question, limit=1)

    assert len((await find(world, Entity.SUBJECT, question, token=page.next_token)).found) == 1


async def test_attack_a_client_of_another_issuer_finds_or_is_a_namesake_of_the_listed(world: World):
    other = "https://other.example"
    tenant = msgspec.structs.replace(world.bank, subject_issuer=other)

    page = await search(world.ports, tenant, Entity.SUBJECT, a_question(), Page())
    actions = await search(world.ports, tenant, Entity.ACTION, a_question("bob"), Page())
    own = await decide.decide(world.ports, world.bank, a_question("bob"))
    namesake = await decide.decide(world.ports, tenant, a_question("bob"))

    assert page.found == () == actions.found
    assert isinstance(own.decision, Allow)
    assert isinstance(namesake.decision, StepUp)
    assert "role" not in namesake.request.subject


async def test_subjects_of_another_issuer_are_listed_with_it():
    other = "https://other.example"
    world = World(document=DOCUMENT.replace("role: admin", f"role: admin, issuer: '{other}'"))
    tenant = msgspec.structs.replace(world.bank, subject_issuer=other)

    page = await search(world.ports, tenant, Entity.SUBJECT, a_question(), Page())

    assert [found.request.subject_id for found in page.found] == ["bob"]
    assert isinstance(page.found[0].answer.decision, Allow)
