"""Decisions, and the ticket that lifts a denial."""

from datetime import timedelta

import msgspec
import pytest

from stepup.crypto import tickets
from stepup.domain.assurance import Acr, AuthnContext, Method
from stepup.domain.client import Role
from stepup.domain.decision import Allow, AllowReason, Deny, DenyReason, StepUp
from stepup.domain.errors import ClientNotAllowedError, InvalidRequestError
from stepup.domain.ids import ActionName, ChallengeId
from stepup.domain.obligation import ObligationType
from stepup.usecases import consume, decide, revoke
from tests.support.builders import an_attempt
from tests.support.world import IDP, World
from tests.usecases.steps import a_question, code, issued, kinds, redeemed

OPEN_DOCUMENT = """
apiVersion: stepup/v1
unknown_action: allow
actions:
  read: {default: allow}
guardrails:
  - id: careful
    match: {actions: ["files.*"]}
    require: {level: urn:stepup:acr:2}
"""


async def ask(world: World, question: decide.Question | None = None) -> decide.Answer:
    return await decide.decide(world.ports, world.bank, question or a_question())


async def test_a_small_transfer_is_allowed(world: World):
    answer = await ask(world, a_question("50.00"))

    assert isinstance(answer.decision, Allow)
    assert answer.decision.reason is AllowReason.NOT_REQUIRED
    assert answer.ticket is None


async def test_a_larger_one_needs_a_step_up_and_comes_with_a_ticket(world: World):
    answer = await ask(world)

    assert isinstance(answer.decision, StepUp)
    assert answer.methods == (Method.WEBAUTHN, Method.TOTP, Method.HOTP)
    key = decide.ticket_key(world.keyring)
    ticket = tickets.read_ticket(answer.ticket, key, world.clock.now())
    assert ticket.client_id == "bank"
    assert ticket.subject == world.subject()
    assert ticket.requirement == answer.decision.requirement
    assert ticket.purpose.bound == {"amount": "500.00", "currency": "EUR", "payee": "ACME"}


async def test_an_unknown_action_is_denied(world: World):
    asked = a_question()
    request = msgspec.structs.replace(asked.request, action=ActionName("payments.forget"))
    answer = await ask(world, msgspec.structs.replace(asked, request=request))

    assert isinstance(answer.decision, Deny)
    assert answer.decision.reason is DenyReason.UNKNOWN_ACTION
    assert answer.ticket is None


async def test_a_guardrail_over_an_action_that_no_document_names_gives_a_ticket():
    world = World(document=OPEN_DOCUMENT)
    asked = a_question()
    request = msgspec.structs.replace(asked.request, action=ActionName("files.delete"))
    answer = await ask(world, msgspec.structs.replace(asked, request=request))

    assert isinstance(answer.decision, StepUp)
    ticket = tickets.read_ticket(answer.ticket, decide.ticket_key(world.keyring), world.clock.now())
    assert ticket.purpose.action == "files.delete"


async def test_a_client_that_enforces_nothing_may_not_ask(world: World):
    shop = world.add_client("shop", roles=frozenset({Role.RP, Role.RS}))

    with pytest.raises(ClientNotAllowedError):
        await decide.decide(world.ports, shop, a_question())


@pytest.mark.parametrize(
    ("named", "of_client", "expected"),
    [
        (None, None, IDP),
        (None, "https://other.example", "https://other.example"),
        ("https://other.example", None, "https://other.example"),
    ],
    ids=["the site's", "the client's", "the request's"],
)
async def test_a_bare_subject_belongs_to_the_nearest_issuer_named(
    world: World, named: str | None, of_client: str | None, expected: str
):
    caller = msgspec.structs.replace(world.bank, subject_issuer=of_client)
    answer = await decide.decide(world.ports, caller, a_question(subject_issuer=named))

    assert answer.subject.issuer == expected


# --- the authentication that a subject already has --------------------------------------------


async def test_an_elevated_token_for_these_values_satisfies(world: World):
    await world.enroll_app()
    token = (await issued(world)).text

    answer = await ask(world, a_question(elevated_token=token))
    assert isinstance(answer.decision, Allow)
    assert answer.decision.reason is AllowReason.ALREADY_SATISFIED


async def test_a_changed_amount_is_not_satisfied(world: World):
    await world.enroll_app()
    token = (await issued(world)).text

    answer = await ask(world, a_question("500.01", elevated_token=token))
    assert isinstance(answer.decision, StepUp)


async def test_somebody_else_s_token_approves_nothing(world: World):
    await world.enroll_app()
    token = (await issued(world)).text

    answer = await ask(world, a_question(sub="mallory", elevated_token=token))
    assert isinstance(answer.decision, StepUp)


@pytest.mark.parametrize("text", ["", "garbage", "a.b.c"])
async def test_a_token_that_is_none_approves_nothing(world: World, text: str):
    answer = await ask(world, a_question(elevated_token=text))
    assert isinstance(answer.decision, StepUp)


async def test_an_expired_token_approves_nothing(world: World):
    await world.enroll_app()
    token = (await issued(world)).text
    world.clock.advance(timedelta(seconds=121))

    assert isinstance((await ask(world, a_question(elevated_token=token))).decision, StepUp)


async def test_a_revoked_token_approves_nothing(world: World):
    await world.enroll_app()
    token = (await issued(world)).text
    await revoke.revoke(world.ports, world.bank, token)

    assert isinstance((await ask(world, a_question(elevated_token=token))).decision, StepUp)


async def test_a_used_up_token_approves_nothing(world: World):
    await world.enroll_app()
    token = (await issued(world)).text
    await consume.consume(world.ports, world.bank, token, an_attempt(), consume.Expected())

    assert isinstance((await ask(world, a_question(elevated_token=token))).decision, StepUp)


ACCOUNT_DOCUMENT = """
apiVersion: stepup/v1
actions:
  payments.transfer:
    default: {level: urn:stepup:acr:2, max_age: 5m}
"""


@pytest.mark.parametrize(("may", "expected"), [(True, Allow), (False, StepUp)])
async def test_a_reported_authentication_is_believed_of_those_who_may(may: bool, expected: type):
    world = World(document=ACCOUNT_DOCUMENT)
    reported = AuthnContext(acr=Acr("urn:stepup:acr:2"), auth_time=world.clock.now())
    caller = msgspec.structs.replace(world.bank, asserts_authentication=may)

    answer = await decide.decide(world.ports, caller, a_question(asserted=reported))
    assert isinstance(answer.decision, expected)


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (timedelta(minutes=5), Allow),
        (timedelta(minutes=5, seconds=1), StepUp),
        (timedelta(seconds=-6), StepUp),
    ],
    ids=["at the limit", "stale by a second", "from the future"],
)
async def test_a_stale_auth_time_is_not_fresh(age: timedelta, expected: type):
    world = World(document=ACCOUNT_DOCUMENT)
    reported = AuthnContext(acr=Acr("phr"), auth_time=world.clock.now() - age)
    caller = msgspec.structs.replace(world.bank, asserts_authentication=True)

    answer = await decide.decide(world.ports, caller, a_question(asserted=reported))
    assert isinstance(answer.decision, expected)


async def test_a_decision_alone_leaves_no_audit_event(world: World):
    await ask(world)
    assert await kinds(world.ports) == []


async def test_a_token_for_another_audience_approves_nothing(world: World):
    await world.enroll_app()
    approved = await redeemed(world, await code(world))
    shop = world.add_client("shop", audiences=("shop-api",))

    answered = await decide.decide(world.ports, shop, a_question(elevated_token=approved.text))

    assert isinstance(answered.decision, StepUp)


async def test_an_allowance_that_rests_on_a_once_only_token_says_to_consume_it(world: World):
    await world.enroll_app()
    approved = await redeemed(world, await code(world))

    answered = await decide.decide(
        world.ports, world.bank, a_question(elevated_token=approved.text)
    )

    assert isinstance(answered.decision, Allow)
    assert answered.must_consume


@pytest.mark.parametrize(
    ("obligations", "expected"),
    [
        (None, Allow),
        (frozenset(ObligationType), Allow),
        (frozenset({ObligationType.STEP_UP}), Deny),
        (frozenset(), Deny),
    ],
    ids=["says nothing", "all", "another", "none"],
)
async def test_a_caller_that_cannot_consume_is_not_allowed_what_rests_on_a_once_only_token(
    world: World, obligations: frozenset[ObligationType] | None, expected: type
):
    await world.enroll_app()
    approved = await redeemed(world, await code(world))
    question = a_question(elevated_token=approved.text)

    answered = await ask(world, msgspec.structs.replace(question, obligations=obligations))

    assert isinstance(answered.decision, expected)
    assert answered.must_consume is (expected is Allow)
    if expected is Deny:
        assert answered.decision.reason is DenyReason.OBLIGATION_NOT_SUPPORTED


async def test_decisions_of_one_sitting_share_policy_and_moment_and_read_a_token_once(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    await world.enroll_app()
    approved = await redeemed(world, await code(world))
    read = []
    asked_of_redis = world.ports.state.tokens.is_usable

    async def counted(challenge_id: ChallengeId) -> bool:
        read.append(challenge_id)
        return await asked_of_redis(challenge_id)

    monkeypatch.setattr(world.ports.state.tokens, "is_usable", counted)
    sitting = decide.open_sitting(world.ports, world.bank)
    world.snapshot.held_policy = World(document=ACCOUNT_DOCUMENT).snapshot.policy
    world.clock.advance(timedelta(minutes=4))
    question = a_question(elevated_token=approved.text)

    answers = [await decide.decide_in(world.ports, sitting, question) for _ in range(3)]

    assert [type(answer.decision) for answer in answers] == [Allow] * 3
    assert len(read) == 1


async def test_a_client_of_one_issuer_does_not_speak_of_subjects_of_another(world: World):
    tenant = world.add_client(
        "tenant-b", subject_issuer="https://idp-b.example", asserts_subject=True
    )
    with pytest.raises(InvalidRequestError):
        await decide.decide(
            world.ports, tenant, a_question(subject_issuer=world.site.subject_issuer)
        )


async def test_an_issuer_that_nobody_configured_is_refused(world: World):
    with pytest.raises(InvalidRequestError):
        await decide.decide(
            world.ports, world.bank, a_question(subject_issuer="https://nobody.example")
        )


NAMED = """
apiVersion: stepup/v1
actions:
  payments.transfer:
    attributes: {issuer: {type: string, in: subject}}
    rules: [{id: root, when: subject.id == "root" && !has(subject.issuer), allow: true}]
    default: deny
"""


async def test_attack_a_namesake_keeps_silent_about_its_issuer():
    world = World(document=NAMED)
    tenant = msgspec.structs.replace(world.bank, subject_issuer="https://other.example")
    question = a_question(sub="root")

    own = await decide.decide(world.ports, world.bank, question)
    namesake = await decide.decide(world.ports, tenant, question)

    assert isinstance(own.decision, Allow)
    assert isinstance(namesake.decision, Deny)
