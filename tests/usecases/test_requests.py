"""What a request may say, whichever way it came: levels, ages, hints, PKCE."""

import json
from base64 import b64decode
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepup.crypto import id_tokens
from stepup.domain.assurance import DEFAULT_LADDER, Acr, Amr
from stepup.domain.authorization import Authorization, ResponseMode
from stepup.domain.authorization_errors import LoginRequiredError
from stepup.domain.checked_request import RefusedRequestError
from stepup.domain.client import Client
from stepup.domain.client_authentication import Profile
from stepup.domain.errors import (
    InvalidRequestError,
    InvalidTicketError,
    UnmetRequirementError,
)
from stepup.domain.id_token import IdToken
from stepup.domain.ids import ClientId, Subject
from stepup.domain.keyring import KeyUse
from stepup.usecases import authorize, finish, holder
from stepup.usecases.requests import CHECKS, check_request
from tests.support.builders import an_attempt
from tests.support.determinism import NOON
from tests.support.world import IDP, World
from tests.usecases.steps import BROWSER, a_push, redeemed, ticket, type_code

ACRS = DEFAULT_LADDER.acrs
LOWEST, SECOND, PHR, PHRH = ACRS


def acr_claim(**wish: object) -> str:
    return json.dumps({"id_token": {"acr": wish}})


async def asked(world: World, client: Client | None = None, **changes: object) -> Authorization:
    """Push, and return what the challenge remembers."""
    push = a_push(world, **changes)
    accepted = await authorize.push(world.ports, client or world.bank, push, an_attempt())
    challenge = await world.ports.state.challenges.find(accepted.challenge_id)
    assert challenge is not None
    return challenge.authorization


def payload_of(text: str) -> dict:
    payload = text.split(".")[1]
    return json.loads(b64decode(payload + "=" * (-len(payload) % 4), altchars=b"-_"))


def an_id_token(world: World, sub: str = "alice", **changes: object) -> str:
    fields: dict = {
        "subject": Subject(IDP, sub),
        "client_id": ClientId("bank"),
        "acr": Acr(SECOND),
        "amr": (Amr("otp"),),
        "auth_time": NOON,
        "issued_at": NOON,
        "expires_at": NOON + timedelta(minutes=2),
    }
    key = world.keyring.signer(KeyUse.ID_TOKEN)
    return id_tokens.sign(IdToken(**fields | changes), "access-token", key, world.site)


# --- levels -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("has", "acr_values", "acr"),
    [
        ("app", f"{PHR} {SECOND}", SECOND),
        ("app", f"{LOWEST} {SECOND}", LOWEST),
        ("passkey", f"{PHR} {SECOND}", PHR),
        ("passkey", f"{PHRH} {PHR}", PHR),
        ("nothing", f"{PHR} {SECOND}", PHR),
        ("app", f"urn:nobody:knows {PHR} {SECOND}", SECOND),
    ],
)
async def test_core_3_1_2_1_the_first_level_that_the_subject_can_reach_is_asked_for(
    world: World, has: str, acr_values: str, acr: str
):
    if has == "app":
        await world.enroll_app()
    if has == "passkey":
        await world.enroll_passkey()

    authorization = await asked(world, acr_values=acr_values)
    assert authorization.requirement.acr == acr


@given(st.lists(st.sampled_from([*ACRS, "urn:nobody:knows"]), min_size=1))
async def test_never_less_is_asked_for_than_one_of_the_levels_that_were_named(named: list[str]):
    world = World()
    await world.enroll_app()
    try:
        authorization = await asked(world, acr_values=" ".join(named))
    except UnmetRequirementError:
        assert set(named) == {"urn:nobody:knows"}
        return

    assert authorization.requirement.acr in named
    assert authorization.requirement.fallback is None


@pytest.mark.parametrize(
    ("acr_values", "claims", "levels"),
    [
        (None, acr_claim(essential=True, value=PHR), [PHR]),
        (None, acr_claim(values=[PHR, SECOND]), [PHR, SECOND]),
        (f"{SECOND} {PHR}", acr_claim(essential=True, values=[PHR, SECOND]), [SECOND, PHR]),
        (f"{SECOND} {PHR}", acr_claim(essential=True, value=PHR), [PHR]),
        (f"{SECOND}", acr_claim(essential=True), [SECOND]),
    ],
)
async def test_core_5_5_1_1_the_acr_of_claims_is_a_level_that_is_asked_for(
    world: World, acr_values: str | None, claims: str, levels: list[str]
):
    authorization = await asked(world, acr_values=acr_values, claims=claims)

    assert authorization.requirement.acr == levels[0]
    assert list(authorization.acr_values or (levels[0],)) == levels
    assert authorization.essential_acr is ("true" in claims and "value" in claims)


@pytest.mark.parametrize(
    ("acr_values", "claims"),
    [
        (None, acr_claim(essential=True, value="urn:nobody:knows")),
        (SECOND, acr_claim(essential=True, value=PHR)),
        (SECOND, acr_claim(essential=True, values=[])),
    ],
    ids=["unknown", "nothing in common", "none at all"],
)
async def test_core_5_5_1_1_an_essential_acr_that_cannot_match_fails(
    world: World, acr_values: str | None, claims: str
):
    with pytest.raises(UnmetRequirementError):
        await asked(world, acr_values=acr_values, claims=claims)


def a_transfer(amount: str) -> str:
    properties = {"amount": amount, "payee": "ACME", "currency": "EUR"}
    return json.dumps(
        [{"type": "stepup_action", "action": "payments.transfer", "properties": properties}]
    )


async def test_core_5_5_1_1_a_policy_that_asks_for_more_than_an_essential_acr_fails(world: World):
    # 5000 needs a passkey: no level that the client accepts would do.
    details = a_transfer("5000.00")
    weaker = acr_claim(essential=True, value=SECOND)

    with pytest.raises(UnmetRequirementError):
        await asked(world, authorization_details=details, claims=weaker)
    raised = await asked(world, authorization_details=details, claims=acr_claim(value=SECOND))
    assert raised.requirement.acr == PHR


async def test_core_5_5_1_1_an_essential_acr_offers_no_level_that_was_not_named(world: World):
    both = acr_claim(essential=True, values=[SECOND, PHRH])

    authorization = await asked(world, authorization_details=a_transfer("5000.00"), claims=both)
    assert authorization.requirement.acr == PHRH
    assert authorization.acr_values == ()


@pytest.mark.parametrize(("essential", "acr"), [(True, LOWEST), (False, SECOND)])
async def test_core_5_5_1_1_must_return_an_acr_that_matches_an_essential_value(
    world: World, essential: bool, acr: str
):
    await world.enroll_app()
    wish = acr_claim(essential=essential, value=LOWEST)
    accepted = await authorize.push(
        world.ports, world.bank, a_push(world, scope="openid", claims=wish), an_attempt()
    )
    await holder.claim(world.ports, "bank", accepted.request_uri, BROWSER)
    await type_code(world, accepted.challenge_id)
    passed = await finish.issue_code(world.ports, accepted.challenge_id, BROWSER)

    got = await redeemed(world, passed.code)
    assert got.token.acr == acr
    assert got.id_token is not None
    claims = payload_of(got.id_token)
    assert claims["acr"] == acr


async def test_a_lowered_level_in_claims_beside_a_ticket_is_refused(world: World):
    with pytest.raises(InvalidRequestError):
        await asked(world, step_up_ticket=await ticket(world), claims=acr_claim(value=LOWEST))


@pytest.mark.parametrize("seconds", [0, 300])
async def test_core_3_1_2_1_max_age_is_kept_and_asked_for(world: World, seconds: int):
    authorization = await asked(world, acr_values=PHR, max_age=str(seconds))

    assert authorization.max_age == seconds
    assert authorization.requirement.max_age == timedelta(seconds=seconds)


async def test_an_openid_request_that_names_no_level_asks_for_the_lowest(world: World):
    authorization = await asked(world, scope="openid")

    assert authorization.requirement.acr == LOWEST
    assert authorization.wants_id_token


# --- what is kept -----------------------------------------------------------------------------


async def test_what_comes_back_with_the_answer_is_kept(world: World):
    authorization = await asked(
        world,
        acr_values=PHR,
        nonce="n" * 64,
        response_mode="form_post",
        prompt="login consent",
        ui_locales="de en",
        scope="openid payments",
    )

    assert authorization.nonce == "n" * 64
    assert authorization.response_mode is ResponseMode.FORM_POST
    assert authorization.prompt == {"login", "consent"}
    assert authorization.ui_locales == "de en"
    assert authorization.scope == "openid payments"


@pytest.mark.parametrize("ui_locales", ["xx-none", "de  en", "é", "x" * 2000])
async def test_core_3_1_2_1_ui_locales_are_never_an_error(world: World, ui_locales: str):
    assert await asked(world, acr_values=PHR, ui_locales=ui_locales)


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": "none login"},
        {"prompt": "sudo"},
        {"max_age": "-1"},
        {"claims": "{"},
        {"nonce": "n" * 513},
        {"state": "s" * 2049},
        {"response_mode": "fragment"},
        {"id_token_hint": "eyJ.eyJ.sig"},
        {"request_uri": "https://bank.example/request"},
    ],
    ids=lambda changes: f"{changes}"[:40],
)
async def test_a_parameter_that_cannot_be_read_is_refused(world: World, changes: dict):
    with pytest.raises(InvalidRequestError):
        await asked(world, **{"acr_values": PHR} | changes)


# --- hints ------------------------------------------------------------------------------------


async def test_core_3_1_2_2_a_hint_for_the_subject_itself_is_accepted_also_when_it_has_expired(
    world: World,
):
    hint = an_id_token(world)
    world.clock.advance(timedelta(days=1))

    assert await asked(world, acr_values=PHR, id_token_hint=hint)


async def test_core_3_1_2_2_never_an_answer_about_somebody_else(world: World):
    with pytest.raises(LoginRequiredError):
        await asked(world, acr_values=PHR, id_token_hint=an_id_token(world, "mallory"))


@pytest.mark.parametrize("wish", [{"value": "alice"}, {"values": ["bob", "alice"]}, {}])
async def test_core_3_1_2_2_a_sub_that_claims_name_is_the_subject(world: World, wish: dict):
    claims = json.dumps({"id_token": {"sub": wish}})

    assert await asked(world, acr_values=PHR, claims=claims)


@pytest.mark.parametrize("wish", [{"value": "mallory"}, {"values": []}])
async def test_core_3_1_2_2_attack_another_subject_than_claims_ask_for(world: World, wish: dict):
    with pytest.raises(LoginRequiredError):
        await asked(world, acr_values=PHR, claims=json.dumps({"id_token": {"sub": wish}}))


async def test_attack_a_hint_that_somebody_else_signed(world: World):
    stranger = World()

    with pytest.raises(InvalidRequestError):
        await asked(world, acr_values=PHR, id_token_hint=an_id_token(stranger))


async def test_a_hint_and_a_ticket_for_two_subjects_are_refused(world: World):
    with pytest.raises(InvalidRequestError):
        await asked(
            world,
            step_up_ticket=await ticket(world),
            id_token_hint=an_id_token(world, "mallory"),
        )


async def test_a_client_that_vouches_may_name_its_subject_by_a_hint(world: World):
    trusted = msgspec.structs.replace(world.bank, asserts_subject=True)
    hint = an_id_token(world, "carol")

    authorization = await asked(
        world, trusted, acr_values=PHR, id_token_hint=hint, subject_token=None
    )
    assert authorization.subject == world.subject("carol")


# --- PKCE -------------------------------------------------------------------------------------


@pytest.mark.parametrize("pushed", [True, False])
@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge": None},
        {"code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": "s256"},
    ],
    ids=str,
)
async def test_rfc7636_4_4_1_attack_pkce_downgrade(world: World, changes: dict, pushed: bool):
    request = a_push(world, acr_values=PHR, subject_token=None, **changes)
    bank = msgspec.structs.replace(world.bank, pushed_only=False)

    with pytest.raises((InvalidRequestError, RefusedRequestError)):
        await check_request(world.ports, bank, request, pushed=pushed)


# --- FAPI 2.0 ---------------------------------------------------------------------------------


async def test_fapi2_5_3_2_2_only_pushed_requests_are_accepted(world: World):
    strict = msgspec.structs.replace(world.bank, profile=Profile.FAPI2, pushed_only=False)
    request = a_push(world, acr_values=PHR, subject_token=None)

    with pytest.raises(RefusedRequestError):
        await check_request(world.ports, strict, request, pushed=False)


@pytest.mark.parametrize(
    ("redirect_uri", "accepted"),
    [
        ("http://bank.example/callback", False),
        ("http://localhost/callback", False),
        ("http://127.0.0.1:4711/callback", True),
        ("https://bank.example/callback", True),
        ("com.example.bank:/callback", True),
    ],
)
async def test_fapi2_5_3_2_2_no_http_redirect_but_to_the_machine_itself(
    world: World, redirect_uri: str, accepted: bool
):
    strict = msgspec.structs.replace(
        world.bank, profile=Profile.FAPI2, redirect_uris=(redirect_uri,)
    )
    if accepted:
        assert await asked(world, strict, acr_values=PHR, redirect_uri=redirect_uri)
        return

    with pytest.raises(InvalidRequestError):
        await asked(world, strict, acr_values=PHR, redirect_uri=redirect_uri)


async def test_fapi2_5_3_2_2_a_request_uri_lives_less_than_ten_minutes(world: World):
    strict = msgspec.structs.replace(world.bank, profile=Profile.FAPI2)
    push = a_push(world, acr_values=PHR)

    pushed = await authorize.push(world.ports, strict, push, an_attempt())
    assert pushed.expires_in < 600


# --- what is used once ------------------------------------------------------------------------


async def test_a_refused_subject_leaves_the_ticket_unspent(world: World):
    text, hint = await ticket(world), an_id_token(world, "mallory")
    with pytest.raises(InvalidRequestError):
        await asked(world, step_up_ticket=text, id_token_hint=hint)

    assert await asked(world, step_up_ticket=text)
    with pytest.raises(InvalidTicketError):
        await asked(world, step_up_ticket=text)


def test_every_check_has_a_name_of_its_own():
    names = [check.__name__ for check, _, _ in CHECKS]

    assert len(set(names)) == len(names)
