"""RFC 9396: a request that names the action itself, and what the policy makes of it."""

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepup.domain.action_details import ActionDetails, read_details
from stepup.domain.assurance import DEFAULT_LADDER
from stepup.domain.authorization import Authorization
from stepup.domain.binding import bound_digest
from stepup.domain.errors import (
    ActionDeniedError,
    InvalidAuthorizationDetailsError,
    InvalidTargetError,
    UnmetRequirementError,
)
from stepup.usecases import authorize
from tests.support.builders import an_attempt
from tests.support.world import World
from tests.usecases.steps import a_push, ticket

ACRS = DEFAULT_LADDER.acrs
LOWEST = "urn:stepup:acr:1"
PAYMENT = {"amount": "500.00", "payee": "ACME", "currency": "EUR"}

DENYING = """
apiVersion: stepup/v1
actions:
  shop.open:
    title: open the shop
    rules:
      - {id: sunday, when: "true", deny: "Not on a Sunday."}
    default: allow
"""


def a_payment(amount: str = "500.00", **changes: object) -> dict[str, object]:
    """A detail for a transfer: 50.00 needs nothing, 500.00 a code, 5000.00 a passkey."""
    properties = PAYMENT | {"amount": amount}
    detail = {
        "type": "stepup_action",
        "action": "payments.transfer",
        "properties": properties,
        "resource": {"type": "account", "id": "1"},
    }
    return detail | changes


async def asked(world: World, *details: object, **changes: object) -> Authorization:
    """Push details, and return what the challenge remembers."""
    push = a_push(world, authorization_details=json.dumps(details), **changes)
    accepted = await authorize.push(world.ports, world.bank, push, an_attempt())
    challenge = await world.ports.state.challenges.find(accepted.challenge_id)
    assert challenge is not None
    return challenge.authorization


@pytest.mark.parametrize(
    ("amount", "acr", "once"),
    [("500.00", "urn:stepup:acr:2", True), ("5000.00", "phr", True), ("50.00", LOWEST, True)],
    ids=["a second factor", "a passkey", "allowed without, and asked for anyway"],
)
async def test_rfc9396_the_requirement_and_what_is_bound_come_from_the_policy(
    world: World, amount: str, acr: str, once: bool
):
    authorization = await asked(world, a_payment(amount))

    values = PAYMENT | {"amount": amount}
    assert authorization.requirement.acr == acr
    assert authorization.requirement.once is once
    assert authorization.purpose.action == "payments.transfer"
    assert authorization.purpose.bound_digest == bound_digest("payments.transfer", values)
    assert authorization.purpose.displayed == values
    assert authorization.audience == "bank-api"


async def test_details_decide_as_an_evaluation_of_the_same_action_would(world: World):
    by_details = await asked(world, a_payment())
    push = a_push(world, step_up_ticket=await ticket(world))
    pushed = await authorize.push(world.ports, world.bank, push, an_attempt())
    by_ticket = (await world.ports.state.challenges.find(pushed.challenge_id)).authorization

    assert by_details.requirement == by_ticket.requirement
    assert by_details.purpose == by_ticket.purpose


async def test_an_allowed_action_that_binds_nothing_is_still_bound_to_its_name(world: World):
    authorization = await asked(world, {"type": "stepup_action", "action": "balance.read"})

    assert authorization.requirement.acr == LOWEST
    assert authorization.purpose.bound_digest == bound_digest("balance.read", {})


@pytest.mark.parametrize(
    ("amount", "acr_values", "acr"),
    [
        ("500.00", "phr", "phr"),
        ("5000.00", LOWEST, "phr"),
        ("50.00", "urn:stepup:acr:2", "urn:stepup:acr:2"),
    ],
    ids=["the client's", "the policy's", "the client's, where nothing is needed"],
)
async def test_of_the_policy_s_level_and_the_client_s_the_stricter_wins(
    world: World, amount: str, acr_values: str, acr: str
):
    authorization = await asked(world, a_payment(amount), acr_values=acr_values)

    assert authorization.requirement.acr == acr


@pytest.mark.parametrize(("max_age", "seconds"), [("0", 0), ("60", 60)])
async def test_of_the_policy_s_age_and_the_client_s_the_stricter_wins(
    world: World, max_age: str, seconds: int
):
    small = await asked(world, a_payment("500.00"), max_age=max_age)
    large = await asked(world, a_payment("5000.00"), max_age=max_age)

    assert small.requirement.max_age.total_seconds() == seconds
    assert large.requirement.max_age.total_seconds() == 0


@given(
    st.sampled_from([("50.00", 0), ("500.00", 1), ("5000.00", 2)]),
    st.lists(st.sampled_from(ACRS), min_size=1, unique=True),
    st.none() | st.integers(0, 10_000),
)
async def test_neither_the_client_nor_the_policy_lowers_what_the_other_asks(
    transfer: tuple[str, int], named: list[str], max_age: int | None
):
    world, (amount, least) = World(), transfer
    changes = {} if max_age is None else {"max_age": str(max_age)}

    authorization = await asked(world, a_payment(amount), acr_values=" ".join(named), **changes)
    requirement = authorization.requirement
    wanted = ACRS.index(named[0])
    assert ACRS.index(requirement.acr) == max(least, wanted)
    if max_age is not None:
        assert requirement.max_age <= timedelta(seconds=max_age)
    if least == 2:
        assert requirement.max_age == timedelta(0)
    assert requirement.bind == {"amount", "payee", "currency"}


async def test_a_decision_by_details_is_on_record(world: World):
    await asked(world, a_payment())

    await world.ports.state.decisions.flush()
    [(_, recorded)] = await world.ports.state.decisions.read(10)
    assert (recorded.request.action, recorded.client_id) == ("payments.transfer", "bank")


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "details",
    [
        [],
        [{"action": "payments.transfer"}],
        [{"type": "payment_initiation"}],
        [a_payment(), {"type": "payment_initiation"}],
        [a_payment(), a_payment()],
        [a_payment(locations=["https://api.example"])],
        [a_payment(action=7)],
        [a_payment(action="")],
        [a_payment(properties=["500.00"])],
        [a_payment(properties=PAYMENT | {"iban": "DE02"})],
        [a_payment(properties={"amount": "500.00", "currency": "EUR"})],
        [a_payment(properties=PAYMENT | {"amount": "1E1000"})],
        [a_payment(resource={"type": "account"})],
        [a_payment(resource={"type": "account", "id": "1", "owner": "alice"})],
        [a_payment(context={"elevated_token": "eyJ"})],
        [{"type": "stepup_action", "action": "nobody.knows"}],
    ],
    ids=[
        "none",
        "no type",
        "an unknown type",
        "an unknown type beside ours",
        "two actions",
        "an unknown field",
        "a number for the action",
        "no action's name",
        "a list of properties",
        "an undeclared property",
        "a bound property is missing",
        "a value that nobody can read",
        "a resource without an id",
        "an unknown field of the resource",
        "a token in the context",
        "an unknown action",
    ],
)
async def test_rfc9396_5_refuses_unknown_types_and_bad_fields(world: World, details: list):
    with pytest.raises(InvalidAuthorizationDetailsError):
        await asked(world, *details)


@pytest.mark.parametrize(
    "text",
    ["", "{}", "7", '"stepup_action"', "[7]", "[" * 4000, '[{"type":"stepup_action","type":"x"}]'],
)
def test_what_is_no_array_of_typed_objects_is_refused(text: str):
    with pytest.raises(InvalidAuthorizationDetailsError):
        read_details(text, None)


def test_a_repeated_member_is_refused_since_two_readers_would_see_two_amounts():
    twice = '[{"type":"stepup_action","action":"a","properties":{"amount":"1","amount":"9"}}]'

    with pytest.raises(InvalidAuthorizationDetailsError):
        read_details(twice, None)


@pytest.mark.parametrize("types", [(), ("payment_initiation",)])
def test_rfc9396_10_a_client_without_the_type_may_not_use_it(types: tuple[str, ...]):
    with pytest.raises(InvalidAuthorizationDetailsError):
        read_details(json.dumps([a_payment()]), types)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_no_json_makes_the_reader_fail_otherwise(value: object):
    try:
        read = read_details(json.dumps([{"type": "stepup_action", "action": value}]), None)
    except InvalidAuthorizationDetailsError:
        return
    assert read == ActionDetails(action=value)


async def test_a_denial_is_access_denied():
    world = World(document=DENYING)

    with pytest.raises(ActionDeniedError, match="Not on a Sunday"):
        await asked(world, {"type": "stepup_action", "action": "shop.open"})


async def test_unknown_acr_values_are_not_saved_by_details(world: World):
    with pytest.raises(UnmetRequirementError):
        await asked(world, a_payment(), acr_values="urn:nobody:knows")


async def test_the_policy_s_audience_stays_with_details(world: World):
    with pytest.raises(InvalidTargetError):
        await asked(world, a_payment(), resource="https://somebody-else.example")


# --- beside a ticket --------------------------------------------------------------------------


async def test_a_ticket_and_details_that_agree_are_one_request(world: World):
    authorization = await asked(world, a_payment(), step_up_ticket=await ticket(world))

    assert authorization.requirement.acr == "urn:stepup:acr:2"


@pytest.mark.parametrize(
    "detail",
    [
        a_payment("501.00"),
        a_payment(properties=PAYMENT | {"payee": "Mallory"}),
        a_payment(properties={}),
        {"type": "stepup_action", "action": "balance.read"},
        {"type": "stepup_action", "action": "nobody.knows"},
    ],
    ids=["another amount", "another payee", "no values", "another action", "an unknown action"],
)
async def test_attack_details_that_say_something_else_than_the_ticket_beside_them(
    world: World, detail: dict
):
    with pytest.raises(InvalidAuthorizationDetailsError):
        await asked(world, detail, step_up_ticket=await ticket(world))
