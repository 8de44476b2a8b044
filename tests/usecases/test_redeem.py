"""Codes become tokens: once, and the same attempt gets the same token."""

import asyncio
from datetime import timedelta
from functools import partial

import msgspec
import pytest

from stepup.crypto import tokens
from stepup.domain.audit import AuditKind
from stepup.domain.binding import bound_digest
from stepup.domain.client import Role
from stepup.domain.errors import (
    ClientNotAllowedError,
    CodeReplayedError,
    DependencyUnavailableError,
    InvalidGrantError,
    InvalidRequestError,
    OutcomeUnknownError,
    StepUpError,
)
from stepup.domain.ids import AttemptId
from stepup.usecases import introspect, make_token, redeem, revoke
from stepup.usecases.make_token import Issued
from tests.support.builders import an_attempt
from tests.support.memory_challenges import Unheard
from tests.support.world import BANK_CALLBACK, World
from tests.usecases.steps import a_code_grant, audited, code, issued, kinds, last_audited, redeemed


@pytest.fixture
async def world() -> World:
    world = World()
    await world.enroll_app()
    return world


async def test_the_token_says_what_was_approved(world: World):
    got = await issued(world)

    token = got.token
    assert token.subject == world.subject()
    assert token.acr == "urn:stepup:acr:2"
    assert token.amr == ("otp",)
    assert token.auth_time == world.clock.now()
    assert token.action == "payments.transfer"
    assert token.bound_digest == bound_digest(
        "payments.transfer", {"amount": "500.00", "currency": "EUR", "payee": "ACME"}
    )
    assert token.once
    assert token.audience == "bank-api"
    assert token.expires_at - token.issued_at == timedelta(seconds=120)
    assert got.expires_in == 120
    assert got.text not in repr(got)


async def test_the_text_verifies_as_the_token(world: World):
    got = await issued(world)
    read = tokens.read_elevated(got.text, world.keyring, world.site, world.clock.now())

    assert read == got.token


async def test_the_token_is_audited_by_its_identifier(world: World):
    got = await issued(world)
    event = await last_audited(world.ports, AuditKind.TOKEN_ISSUED)

    assert event.details == {
        "jti": got.token.id,
        "acr": "urn:stepup:acr:2",
        "expires_at": int(got.token.expires_at.timestamp()),
        "authenticators": " ".join(got.token.authenticators or ()),
    }
    assert got.token.authenticators
    assert all(got.text not in str(e) for e in await audited(world.ports))


async def test_of_twenty_concurrent_redemptions_one_gets_the_token(world: World):
    text = await code(world)
    results = await asyncio.gather(
        *(redeemed(world, text) for _ in range(20)), return_exceptions=True
    )

    assert sum(isinstance(r, Issued) for r in results) == 1
    assert sum(isinstance(r, CodeReplayedError) for r in results) == 19


async def test_the_same_attempt_gets_the_same_token(world: World):
    text, attempt = await code(world), AttemptId("attempt-1")
    first = await redeemed(world, text, attempt=attempt)
    world.clock.advance(timedelta(seconds=20))
    again = await redeemed(world, text, attempt=attempt)

    assert again.token == first.token
    assert again.repeated
    assert again.expires_in == first.expires_in - 20


async def test_twenty_requests_of_one_attempt_get_one_token(world: World):
    text, attempt = await code(world), AttemptId("attempt-1")
    results = await asyncio.gather(*(redeemed(world, text, attempt=attempt) for _ in range(20)))

    assert len({r.token.id for r in results}) == 1


async def test_a_replayed_code_revokes_what_it_gave(world: World):
    text = await code(world)
    got = await redeemed(world, text)
    assert await introspect.introspect(world.ports, world.bank, got.text)
    with pytest.raises(CodeReplayedError):
        await redeemed(world, text)

    assert await introspect.introspect(world.ports, world.bank, got.text) is None
    event = await last_audited(world.ports, AuditKind.CODE_REPLAYED)
    assert event.details == {"jti": got.token.id}
    assert event.client_id == "bank"


async def test_a_revoked_token_stays_revoked_when_its_own_attempt_comes_again(world: World):
    text, attempt = await code(world), AttemptId("attempt-1")
    await redeemed(world, text, attempt=attempt)
    with pytest.raises(CodeReplayedError):
        await redeemed(world, text)
    again = await redeemed(world, text, attempt=attempt)

    assert await introspect.introspect(world.ports, world.bank, again.text) is None


@pytest.mark.parametrize(("seconds", "good"), [(59, True), (60, False)])
async def test_a_code_lives_one_minute(world: World, seconds: int, good: bool):
    text = await code(world)
    world.clock.advance(timedelta(seconds=seconds))
    if good:
        assert await redeemed(world, text)
        return

    with pytest.raises(InvalidGrantError):
        await redeemed(world, text)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"redirect_uri": f"{BANK_CALLBACK}/"}, InvalidGrantError),
        ({"code_verifier": None}, InvalidGrantError),
        ({"code_verifier": "a" * 43}, InvalidGrantError),
        ({"code_verifier": "short"}, InvalidRequestError),
        ({"code_verifier": "ü" * 43}, InvalidRequestError),
    ],
)
async def test_rfc6749_4_1_3_a_code_is_bound_to_what_it_was_issued_for(
    world: World, changes: dict, error: type[StepUpError]
):
    text = await code(world)
    with pytest.raises(error):
        await redeemed(world, text, **changes)

    # A refused try spends nothing.
    assert await redeemed(world, text)


async def test_a_stolen_code_is_of_no_use_to_another_client(world: World):
    text = await code(world)
    shop = world.add_client("shop", redirect_uris=(BANK_CALLBACK,))

    with pytest.raises(InvalidGrantError):
        await redeemed(world, text, caller=shop)
    assert await redeemed(world, text)


@pytest.mark.parametrize("text", ["", "x", "r1.x", "r1.unknown.secret", "r1.a.b" * 100, "ü.a.b"])
async def test_what_is_no_code_is_refused(world: World, text: str):
    with pytest.raises(InvalidGrantError):
        await redeemed(world, text)


async def test_a_guessed_code_of_a_known_challenge_is_refused(world: World):
    text = await code(world)

    with pytest.raises(InvalidGrantError):
        await redeemed(world, text.rpartition(".")[0] + ".guess")
    assert AuditKind.CODE_REPLAYED not in await kinds(world.ports)


async def test_a_client_without_challenges_may_not_redeem(world: World):
    text = await code(world)
    world.bank = msgspec.structs.replace(world.bank, roles=frozenset({Role.RS}))

    with pytest.raises(ClientNotAllowedError):
        await redeemed(world, text)


async def test_an_identifier_names_the_challenge_and_is_computed(world: World):
    got = await issued(world)

    assert got.token.id.startswith(got.token.challenge_id)
    assert got.token.id == make_token.token_id(world.keyring, got.token.challenge_id)


# --- outcomes that nobody knows ---------------------------------------------------------------


@pytest.fixture
async def unheard() -> World:
    world = World()
    unheard = Unheard(world.clock)
    # The tokens that it permits are those that the world uses up.
    unheard.once = world.ports.state.challenges.once
    world.ports = world.ports._replace(state=world.ports.state._replace(challenges=unheard))
    await world.enroll_app()
    return world


async def redeemed_unnamed(world: World, text: str) -> Issued:
    return await redeem.redeem_unnamed(world.ports, world.bank, a_code_grant(text))


async def test_a_client_without_attempts_finds_its_code_again_when_the_outcome_was_unknown(
    unheard: World,
):
    text = await code(unheard)
    with pytest.raises(OutcomeUnknownError):
        await redeemed_unnamed(unheard, text)

    got = await redeemed_unnamed(unheard, text)
    assert await introspect.introspect(unheard.ports, unheard.bank, got.text)
    assert AuditKind.CODE_REPLAYED not in await kinds(unheard.ports)


async def test_a_code_under_a_name_that_the_caller_knows_is_never_given_back(unheard: World):
    text, attempt = await code(unheard), an_attempt()
    with pytest.raises(OutcomeUnknownError):
        await redeemed(unheard, text, attempt=attempt)

    with pytest.raises(CodeReplayedError):
        await redeemed_unnamed(unheard, text)
    assert await redeemed(unheard, text, attempt=attempt)


async def test_a_code_that_may_have_a_row_is_never_given_back(world: World):
    required = msgspec.structs.replace(world.ports.site, ledger_required=True)
    world.ports = world.ports._replace(site=required)
    text = await code(world)
    world.ports.database.ledger.away = True
    with pytest.raises(DependencyUnavailableError):
        await redeemed_unnamed(world, text)

    world.ports.database.ledger.away = False
    with pytest.raises(CodeReplayedError):
        await redeemed_unnamed(world, text)


async def test_a_code_that_was_redeemed_unnamed_is_not_redeemed_again(world: World):
    text = await code(world)
    assert await redeemed_unnamed(world, text)
    with pytest.raises(CodeReplayedError):
        await redeemed_unnamed(world, text)


@pytest.mark.parametrize("what", ["subject", "client", "authenticator"])
async def test_attack_a_code_that_lets_somebody_in_whose_proof_was_revoked(world: World, what: str):
    """The access token would be found out; an ID token is read once."""
    text, subject_id = await code(world), world.subject().id
    async with world.ports.database.transaction() as stores:
        [app] = await stores.authenticators.of_subject(world.subject())
    await {
        "subject": partial(revoke.revoke_subject, world.ports, subject_id),
        "client": partial(revoke.revoke_client, world.ports, world.bank.client_id),
        "authenticator": partial(revoke.revoke_authenticator, world.ports, subject_id, app.id),
    }[what]()

    for _ in range(2):
        with pytest.raises(InvalidGrantError):
            await redeemed(world, text, attempt=AttemptId("one"))
    assert AuditKind.TOKEN_ISSUED not in await kinds(world.ports)
