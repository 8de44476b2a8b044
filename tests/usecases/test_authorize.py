"""Pushed requests: what is checked, and what a challenge remembers of it."""

from datetime import timedelta

import msgspec
import pytest

from stepup.domain.assurance import Acr, Method
from stepup.domain.audit import AuditKind
from stepup.domain.client import Role
from stepup.domain.errors import (
    ClientNotAllowedError,
    InvalidRequestError,
    InvalidScopeError,
    InvalidSubjectTokenError,
    InvalidTargetError,
    InvalidTicketError,
    UnmetRequirementError,
    UnsupportedResponseTypeError,
)
from stepup.domain.ids import AttemptId, Subject
from stepup.domain.requirement import Requirement
from stepup.usecases import authorize
from stepup.usecases.audiences import audience_for
from tests.support.builders import an_attempt
from tests.support.world import BANK_CALLBACK, World
from tests.usecases.steps import BROWSER, a_push, last_audited, pushed, ticket


async def challenge_of(world: World, accepted: authorize.Pushed):
    found = await world.ports.state.challenges.find(accepted.challenge_id)
    assert found is not None
    return found


async def test_a_ticket_opens_a_challenge_for_exactly_what_was_decided(world: World):
    await world.enroll_app()
    accepted = await pushed(world)

    authorization = (await challenge_of(world, accepted)).authorization
    assert authorization.client_id == "bank"
    assert authorization.subject == world.subject()
    assert authorization.requirement.acr == "urn:stepup:acr:2"
    assert authorization.requirement.once
    assert authorization.purpose.bound == {"amount": "500.00", "currency": "EUR", "payee": "ACME"}
    assert authorization.audience == "bank-api"
    assert authorization.redirect_uri == BANK_CALLBACK
    assert authorization.state == "state-1"


async def test_the_request_uri_carries_a_secret_and_lives_less_than_ten_minutes(world: World):
    accepted = await pushed(world)

    assert accepted.request_uri.startswith("urn:ietf:params:oauth:request_uri:r1.")
    assert accepted.expires_in < 600
    assert accepted.request_uri not in repr(accepted)


async def test_opening_is_audited_with_the_subject_s_digest_only(world: World):
    await pushed(world)

    event = await last_audited(world.ports, AuditKind.CHALLENGE_OPENED)
    assert event.subject_id == world.subject().id
    assert event.action == "payments.transfer"
    assert event.details == {"acr": "urn:stepup:acr:2"}


async def test_a_level_can_be_asked_for_without_an_action(world: World):
    push = a_push(world, acr_values="urn:nobody:knows phr urn:stepup:acr:1", max_age="300")
    accepted = await authorize.push(world.ports, world.bank, push, an_attempt())

    authorization = (await challenge_of(world, accepted)).authorization
    assert authorization.requirement.acr == "phr"
    assert authorization.purpose is None


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, InvalidRequestError),
        ({"response_type": "token"}, UnsupportedResponseTypeError),
        ({"redirect_uri": None}, InvalidRequestError),
        ({"redirect_uri": f"{BANK_CALLBACK}/"}, InvalidRequestError),
        ({"code_challenge": None}, InvalidRequestError),
        ({"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM"}, InvalidRequestError),
        ({"code_challenge_method": "plain"}, InvalidRequestError),
        ({"code_challenge_method": None}, InvalidRequestError),
        ({"scope": "a  b"}, InvalidScopeError),
        ({"scope": 'a"b'}, InvalidScopeError),
        ({"acr_values": None}, InvalidRequestError),
        ({"acr_values": "urn:nobody:knows"}, UnmetRequirementError),
        ({"max_age": "-1"}, InvalidRequestError),
        ({"max_age": "٣"}, InvalidRequestError),
        ({"subject_token": None}, InvalidRequestError),
        ({"subject_token": "nobody"}, InvalidSubjectTokenError),
        ({"subject_token_type": "urn:other"}, InvalidRequestError),
        ({"subject_token_type": None}, InvalidRequestError),
        ({"resource": "https://somebody-else.example"}, InvalidTargetError),
    ],
)
async def test_a_wrong_parameter_is_refused(world: World, changes: dict, error: type):
    push = a_push(world, **{"acr_values": "phr"} | changes)

    with pytest.raises(error):
        await authorize.push(world.ports, world.bank, push, an_attempt())


async def test_a_client_without_redirects_may_not_push(world: World):
    shop = world.add_client("shop", roles=frozenset({Role.PEP}), redirect_uris=(BANK_CALLBACK,))

    with pytest.raises(ClientNotAllowedError):
        await authorize.push(world.ports, shop, a_push(world, acr_values="phr"), an_attempt())


# --- tickets ----------------------------------------------------------------------------------


async def test_a_ticket_is_spent_once(world: World):
    push = a_push(world, step_up_ticket=await ticket(world))
    await authorize.push(world.ports, world.bank, push, an_attempt())

    with pytest.raises(InvalidTicketError):
        await authorize.push(world.ports, world.bank, push, an_attempt())


async def test_the_same_attempt_may_push_its_ticket_again(world: World):
    push = a_push(world, step_up_ticket=await ticket(world))
    attempt = AttemptId("attempt-1")
    await authorize.push(world.ports, world.bank, push, attempt)

    assert await authorize.push(world.ports, world.bank, push, attempt)


async def test_a_refused_push_leaves_the_ticket_unspent(world: World):
    text = await ticket(world)
    wrong = a_push(world, step_up_ticket=text, scope='"')
    with pytest.raises(InvalidScopeError):
        await authorize.push(world.ports, world.bank, wrong, an_attempt())

    right = a_push(world, step_up_ticket=text)
    assert await authorize.push(world.ports, world.bank, right, an_attempt())


@pytest.mark.parametrize(("seconds", "accepted"), [(119, True), (120, False)])
async def test_a_ticket_lives_two_minutes(world: World, seconds: int, accepted: bool):
    text = await ticket(world)
    world.clock.advance(timedelta(seconds=seconds))
    push = a_push(world, step_up_ticket=text)
    if accepted:
        assert await authorize.push(world.ports, world.bank, push, an_attempt())
        return

    with pytest.raises(InvalidTicketError):
        await authorize.push(world.ports, world.bank, push, an_attempt())


async def test_another_client_s_ticket_is_refused(world: World):
    shop = world.add_client("shop", redirect_uris=(BANK_CALLBACK,), audiences=("bank-api",))
    push = a_push(world, step_up_ticket=await ticket(world))

    with pytest.raises(InvalidTicketError):
        await authorize.push(world.ports, shop, push, an_attempt())


@pytest.mark.parametrize("beside", [{"acr_values": "urn:stepup:acr:1"}, {"max_age": "9999"}])
async def test_a_lowered_level_beside_a_ticket_is_refused(world: World, beside: dict):
    push = a_push(world, step_up_ticket=await ticket(world), **beside)

    with pytest.raises(InvalidRequestError):
        await authorize.push(world.ports, world.bank, push, an_attempt())


@pytest.mark.parametrize(
    "impostor",
    [Subject("https://idp.example", "mallory"), Subject("https://other.example", "alice")],
    ids=["another subject", "the same sub of another issuer"],
)
async def test_a_swapped_subject_is_refused(world: World, impostor: Subject):
    token = world.subject_token(impostor.sub, impostor.issuer)
    push = a_push(world, step_up_ticket=await ticket(world), subject_token=token)

    with pytest.raises(InvalidSubjectTokenError):
        await authorize.push(world.ports, world.bank, push, an_attempt())


# --- clients that vouch for the subject -------------------------------------------------------


async def test_a_client_that_vouches_needs_no_subject_token(world: World):
    trusted = msgspec.structs.replace(world.bank, asserts_subject=True)
    push = a_push(world, step_up_ticket=await ticket(world), subject_token=None)

    accepted = await authorize.push(world.ports, trusted, push, an_attempt())
    assert (await challenge_of(world, accepted)).authorization.subject == world.subject()


async def test_a_client_that_vouches_names_the_subject_of_a_level(world: World):
    trusted = msgspec.structs.replace(world.bank, asserts_subject=True)
    push = a_push(world, acr_values="phr", subject_token=None, login_hint="carol")

    accepted = await authorize.push(world.ports, trusted, push, an_attempt())
    assert (await challenge_of(world, accepted)).authorization.subject == world.subject("carol")


async def test_without_a_name_there_is_nobody_to_vouch_for(world: World):
    trusted = msgspec.structs.replace(world.bank, asserts_subject=True)
    push = a_push(world, acr_values="phr", subject_token=None)

    with pytest.raises(InvalidRequestError):
        await authorize.push(world.ports, trusted, push, an_attempt())


# --- audiences --------------------------------------------------------------------------------


def asking(**changes: object) -> Requirement:
    return Requirement(acr=Acr("phr"), **changes)


def test_the_audience_is_the_policy_s_then_the_one_asked_for_then_the_default(world: World):
    caller = msgspec.structs.replace(world.bank, audiences=("first", "second"))

    assert audience_for(caller, asking(audience="fixed"), None) == "fixed"
    assert audience_for(caller, asking(audience="fixed"), "fixed") == "fixed"
    assert audience_for(caller, asking(), "second") == "second"
    assert audience_for(caller, asking(), None) == "first"


@pytest.mark.parametrize(
    ("audiences", "fixed", "resource"),
    [((), None, None), (("a",), None, "b"), (("a",), "fixed", "a")],
    ids=["none at all", "not this client's", "not the policy's"],
)
def test_a_wrong_audience_is_refused(
    world: World, audiences: tuple[str, ...], fixed: str | None, resource: str | None
):
    caller = msgspec.structs.replace(world.bank, audiences=audiences)

    with pytest.raises(InvalidTargetError):
        audience_for(caller, asking(audience=fixed), resource)


async def test_a_challenge_is_opened_even_when_nothing_can_answer_it(world: World):
    accepted = await pushed(world, "5000.00")

    challenge = await challenge_of(world, accepted)
    assert challenge.methods == ()
    assert challenge.browser_digest is None


async def test_only_what_can_answer_goes_into_the_challenge(world: World):
    await world.enroll_app()
    passkey, _ = await world.enroll_passkey()

    challenge = await challenge_of(world, await pushed(world, "5000.00"))
    assert challenge.methods == (Method.WEBAUTHN,)
    assert [a.id for a in challenge.authenticators] == [passkey.id]
    assert BROWSER.secret not in repr(challenge)
