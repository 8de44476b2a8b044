"""Refresh tokens: each is used once, and nothing outlives or widens what the ceremony gave."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from stepup.crypto import tokens
from stepup.domain.audit import AuditKind
from stepup.domain.client import Client, Role
from stepup.domain.client_authentication import AuthMethod, Profile
from stepup.domain.confirmation import Confirmation
from stepup.domain.errors import (
    ClientNotAllowedError,
    CodeReplayedError,
    DependencyUnavailableError,
    InvalidGrantError,
    InvalidScopeError,
    InvalidTargetError,
    OutcomeUnknownError,
    RefreshReplayedError,
    StepUpError,
)
from stepup.domain.ids import AuthenticatorId
from stepup.domain.refresh import RefreshHandle
from stepup.ports import RefreshReusedError
from stepup.usecases import authorize, finish, holder, introspect, refresh_tokens, revoke
from stepup.usecases.make_token import Issued
from tests.crypto.forging import read
from tests.support.builders import an_attempt
from tests.support.memory_refreshes import UnheardRefreshes
from tests.support.world import World
from tests.usecases.steps import (
    BROWSER,
    a_push,
    audited,
    kinds,
    last_audited,
    redeemed,
    type_code,
)
from tests.usecases.steps import ticket as a_ticket

KEY, OTHER_KEY = Confirmation(jkt="k1"), Confirmation(jkt="k2")
MINUTE = timedelta(minutes=1)
SCOPE = "openid accounts offline_access"


def allow(world: World, **changes: object) -> None:
    """Let the bank refresh."""
    world.bank = msgspec.structs.replace(world.bank, **{"refresh_tokens": True} | changes)
    world.snapshot.clients[world.bank.client_id] = world.bank


@pytest.fixture
async def world() -> World:
    world = World()
    allow(world)
    await world.enroll_app()
    return world


async def began(
    world: World, *, proof: Confirmation | None = None, ticket: str | None = None, **changes: object
) -> Issued:
    """Step up to a level alone, and get the first tokens."""
    level = {"acr_values": "urn:stepup:acr:2"} if ticket is None else {"step_up_ticket": ticket}
    push = a_push(world, **level, **{"scope": SCOPE} | changes)
    accepted = await authorize.push(world.ports, world.bank, push, an_attempt())
    challenge = await holder.claim(world.ports, "bank", accepted.request_uri, BROWSER)
    await type_code(world, challenge.id)
    code = (await finish.issue_code(world.ports, challenge.id, BROWSER)).code
    return await redeemed(world, code, proof=proof)


async def refreshed(
    world: World,
    text: str | None,
    *,
    attempt: str | None = None,
    caller: Client | None = None,
    **changes: object,
) -> Issued:
    request = refresh_tokens.RefreshRequest(refresh_token=text or "", **changes)
    return await refresh_tokens.refresh(
        world.ports, caller or world.bank, request, attempt or an_attempt()
    )


async def is_active(world: World, issued: Issued) -> bool:
    return await introspect.introspect(world.ports, world.bank, issued.text) is not None


async def test_each_use_gives_an_access_token_and_the_next(world: World):
    first = await began(world)
    assert first.refresh_token is not None
    world.clock.advance(MINUTE)
    second = await refreshed(world, first.refresh_token)
    third = await refreshed(world, second.refresh_token)

    assert len({each.refresh_token for each in (first, second, third)}) == 3
    assert len({each.token.id for each in (first, second, third)}) == 3
    for each in (first, second, third):
        assert await is_active(world, each)
    read = tokens.read_elevated(second.text, world.keyring, world.site, world.clock.now())
    assert read == second.token
    assert second.refresh_token is not None
    assert second.refresh_token not in repr(second)


async def test_rfc9470_6_1_acr_amr_and_auth_time_stay_those_of_the_ceremony(world: World):
    first = await began(world)
    world.clock.advance(5 * MINUTE)
    second = await refreshed(world, first.refresh_token)

    for name in ("acr", "amr", "auth_time", "subject", "audience", "challenge_id", "scope"):
        assert getattr(second.token, name) == getattr(first.token, name)
    assert second.token.issued_at == world.clock.now()


async def test_oidc_core_12_2_an_id_token_of_a_refresh_says_the_same_without_a_nonce(world: World):
    first = await began(world, nonce="n-1")
    world.clock.advance(MINUTE)
    second = await refreshed(world, first.refresh_token)
    assert first.id_token is not None
    assert second.id_token is not None

    told, again = (_claims(each.id_token) for each in (first, second))
    for name in ("iss", "sub", "aud", "auth_time", "acr", "amr", "sid"):
        assert told[name] == again[name]
    assert told["nonce"] == "n-1"
    assert "nonce" not in again
    assert again["iat"] > told["iat"]


def _claims(text: str | None) -> dict:
    return read(text or "", 1)


@pytest.mark.parametrize(
    ("max_age", "lifetime"),
    [(None, 15 * MINUTE), ("300", 5 * MINUTE)],
    ids=["the level's own", "five minutes"],
)
async def test_nothing_outlives_auth_time_and_max_age(
    world: World, max_age: str | None, lifetime: timedelta
):
    first = await began(world, max_age=max_age)
    ends = first.token.auth_time + lifetime
    world.clock.advance(ends - world.clock.now() - MINUTE)
    last = await refreshed(world, first.refresh_token)
    assert last.token.expires_at == ends
    assert last.expires_in == 60
    world.clock.advance(MINUTE)
    with pytest.raises(InvalidGrantError):
        await refreshed(world, last.refresh_token)


# --- who gets one -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "registered", [{"refresh_tokens": False}, {"profile": Profile.FAPI2}], ids=["not", "fapi"]
)
async def test_a_client_without_leave_gets_none(world: World, registered: dict):
    allow(world, **registered)
    first = await began(world, proof=KEY)
    assert first.refresh_token is None
    assert first.token.scope == "openid accounts"


@pytest.mark.parametrize("changes", [{"scope": "openid"}, {"scope": None}, {"max_age": "0"}])
async def test_oidc_core_11_who_does_not_ask_gets_none(world: World, changes: dict):
    assert (await began(world, **changes)).refresh_token is None


async def test_an_approval_of_something_cannot_be_refreshed(world: World):
    assert (await began(world, ticket=await a_ticket(world))).refresh_token is None


@pytest.mark.parametrize(
    "registered",
    [{"refresh_tokens": False}, {"profile": Profile.FAPI2}, {"roles": frozenset({Role.RS})}],
)
async def test_rfc6749_5_2_leave_that_was_taken_back_is_unauthorized_client(
    world: World, registered: dict
):
    first = await began(world)
    allow(world, **registered)
    with pytest.raises(ClientNotAllowedError):
        await refreshed(world, first.refresh_token, proof=KEY)


# --- attacks ----------------------------------------------------------------------------------


async def test_refresh_race_of_twenty_callers_one_wins_and_all_ends(world: World):
    first = await began(world)
    results = await asyncio.gather(
        *(refreshed(world, first.refresh_token) for _ in range(20)), return_exceptions=True
    )
    won = [r for r in results if isinstance(r, Issued)]
    assert len(won) <= 1
    assert all(isinstance(r, InvalidGrantError) for r in results if r not in won)
    # The one who won may be the thief.
    for each in (first, *won):
        assert not await is_active(world, each)
    for each in won:
        with pytest.raises(InvalidGrantError):
            await refreshed(world, each.refresh_token)


async def test_twenty_requests_of_one_attempt_get_one_answer(world: World):
    first = await began(world)
    results = await asyncio.gather(
        *(refreshed(world, first.refresh_token, attempt="one") for _ in range(20))
    )
    assert len({r.token.id for r in results}) == 1
    assert len({r.refresh_token for r in results}) == 1
    assert sum(not r.repeated for r in results) == 1
    assert await is_active(world, results[0])


async def test_rfc9700_4_14_2_reuse_after_rotation_revokes_all_of_it(world: World):
    first = await began(world)
    second = await refreshed(world, first.refresh_token)
    third = await refreshed(world, second.refresh_token)
    with pytest.raises(RefreshReplayedError):
        await refreshed(world, first.refresh_token)

    for each in (first, second, third):
        assert not await is_active(world, each)
        with pytest.raises(InvalidGrantError):
            await refreshed(world, each.refresh_token)
    event = await last_audited(world.ports, AuditKind.REFRESH_TOKEN_REPLAYED)
    assert event.details == {"count": 0}


async def test_attack_a_reuse_whose_finder_died_before_it_revoked(world: World):
    first = await began(world)
    second = await refreshed(world, first.refresh_token)
    with pytest.raises(RefreshReusedError):
        await world.ports.state.refreshes.rotate(
            first.token.challenge_id, 0, an_attempt(), world.clock.now()
        )
    assert await is_active(world, second)

    with pytest.raises(RefreshReplayedError):
        await refreshed(world, second.refresh_token)
    assert not await is_active(world, second)


async def test_rfc7662_2_2_the_newest_is_active_for_its_client_and_asking_uses_nothing(
    world: World,
):
    first = await began(world)
    world.clock.advance(MINUTE)
    for _ in range(3):
        told = await asked_about(world, first)
        assert told is not None
    ends = first.token.auth_time + 15 * MINUTE
    assert told["exp"] == int(ends.timestamp())
    assert (told["client_id"], told["sub"], told["acr"]) == ("bank", "alice", first.token.acr)
    assert told["auth_time"] == int(first.token.auth_time.timestamp())

    second = await refreshed(world, first.refresh_token)
    assert await asked_about(world, first) is None
    assert await asked_about(world, second)
    # Asking about a used one is no use of it.
    assert await refreshed(world, second.refresh_token)


async def test_rfc7662_4_nobody_else_hears_of_a_refresh_token(world: World):
    first = await began(world)
    other = world.add_client(
        "api", audiences=(first.token.audience,), roles=frozenset({Role.RS, Role.RP})
    )
    other = msgspec.structs.replace(other, refresh_tokens=True)
    assert await introspect.introspect(world.ports, other, first.refresh_token or "") is None


@pytest.mark.parametrize("how", ["revoked", "subject", "reused", "over", "no leave", "made up"])
async def test_rfc7662_2_2_what_gives_nothing_any_more_is_not_active(world: World, how: str):
    newest = first = await began(world)
    match how:
        case "revoked":
            await refresh_tokens.end_refresh(world.ports, world.bank, first.refresh_token or "")
        case "subject":
            await revoke.revoke_subject(world.ports, first.token.subject.id)
        case "reused":
            newest = await refreshed(world, first.refresh_token)
            with pytest.raises(RefreshReplayedError):
                await refreshed(world, first.refresh_token)
        case "over":
            world.clock.advance(15 * MINUTE)
        case "no leave":
            allow(world, refresh_tokens=False)
        case "made up":
            handle = RefreshHandle.parse(first.refresh_token or "")
            assert handle is not None
            made_up = str(msgspec.structs.replace(handle, count=7))
            newest = msgspec.structs.replace(first, refresh_token=made_up)
    assert await asked_about(world, newest) is None


async def asked_about(world: World, issued: Issued) -> dict | None:
    return await introspect.introspect(world.ports, world.bank, issued.refresh_token or "")


async def test_rfc6749_4_1_2_a_replayed_code_ends_its_refresh_tokens(world: World):
    push = a_push(world, acr_values="urn:stepup:acr:2", scope=SCOPE)
    accepted = await authorize.push(world.ports, world.bank, push, an_attempt())
    challenge = await holder.claim(world.ports, "bank", accepted.request_uri, BROWSER)
    await type_code(world, challenge.id)
    code = (await finish.issue_code(world.ports, challenge.id, BROWSER)).code
    first = await redeemed(world, code)
    second = await refreshed(world, first.refresh_token)
    with pytest.raises(CodeReplayedError):
        await redeemed(world, code)

    for each in (first, second):
        assert not await is_active(world, each)
    with pytest.raises(InvalidGrantError):
        await refreshed(world, second.refresh_token)


async def test_reuse_after_a_failover_that_forgot_the_use_is_stopped_by_the_ledger(world: World):
    first = await began(world)
    second = await refreshed(world, first.refresh_token)
    world.ports.state.refreshes.forget_uses(first.token.challenge_id, 0)

    with pytest.raises(RefreshReplayedError):
        await refreshed(world, first.refresh_token)
    assert not await is_active(world, second)
    with pytest.raises(InvalidGrantError):
        await refreshed(world, second.refresh_token)
    assert AuditKind.REFRESH_CONFLICTED in await kinds(world.ports)


async def test_whoever_has_the_newest_goes_on_after_such_a_failover(world: World):
    first = await began(world)
    second = await refreshed(world, first.refresh_token)
    world.ports.state.refreshes.forget_uses(first.token.challenge_id, 0)

    assert await refreshed(world, second.refresh_token)
    with pytest.raises(RefreshReplayedError):
        await refreshed(world, first.refresh_token)


async def test_rfc6749_6_another_client_s_token_is_refused_and_stays_good(world: World):
    first = await began(world)
    shop = world.add_client("shop", refresh_tokens=True)
    with pytest.raises(InvalidGrantError):
        await refreshed(world, first.refresh_token, caller=shop)
    assert await refreshed(world, first.refresh_token)


async def test_rfc6749_6_a_narrowed_scope_is_not_widened_past_what_was_granted(world: World):
    first = await began(world)
    narrow = await refreshed(world, first.refresh_token, scope="accounts")
    assert narrow.token.scope == "accounts"
    assert narrow.id_token is None
    with pytest.raises(InvalidScopeError):
        await refreshed(world, narrow.refresh_token, scope="accounts payments")
    again = await refreshed(world, narrow.refresh_token)
    assert again.token.scope == SCOPE


async def test_rfc8707_2_2_another_resource_is_refused(world: World):
    first = await began(world)
    with pytest.raises(InvalidTargetError):
        await refreshed(world, first.refresh_token, resource="other-api")
    assert (await refreshed(world, first.refresh_token, resource="bank-api")).token.audience


async def test_a_refresh_token_is_no_code_and_no_access_token_nor_the_reverse(world: World):
    first = await began(world)
    with pytest.raises(InvalidGrantError):
        await redeemed(world, first.refresh_token or "")
    told = await introspect.introspect(world.ports, world.bank, first.refresh_token or "")
    assert {"aud", "token_type"}.isdisjoint(told or {})
    for text in (first.text, first.id_token):
        with pytest.raises(InvalidGrantError):
            await refreshed(world, text)
    assert await is_active(world, first)


async def test_a_made_up_token_of_a_known_ceremony_ends_nothing(world: World):
    first = await began(world)
    handle = RefreshHandle.parse(first.refresh_token or "")
    assert handle is not None
    for made_up in (
        RefreshHandle(handle.challenge_id, 0, "A" * 43),
        RefreshHandle(handle.challenge_id, 7, handle.digest),
        RefreshHandle(handle.challenge_id, 0, handle.digest[:-1] + "_"),
    ):
        with pytest.raises(InvalidGrantError):
            await refreshed(world, str(made_up))
    assert await refreshed(world, first.refresh_token)
    assert AuditKind.REFRESH_TOKEN_REPLAYED not in await kinds(world.ports)


@pytest.mark.parametrize("text", ["", "x", "r1.x", "r1.a.b", "r1.a.r0.b", "r1.a.r-1." + "b" * 43])
async def test_what_is_no_refresh_token_is_refused(world: World, text: str):
    with pytest.raises(InvalidGrantError):
        await refreshed(world, text)


# --- keys -------------------------------------------------------------------------------------


async def test_rfc9449_5_a_public_client_s_is_bound_to_its_key(world: World):
    allow(world, auth_method=AuthMethod.NONE)
    first = await began(world, proof=KEY)
    for proof in (None, OTHER_KEY):
        with pytest.raises(InvalidGrantError):
            await refreshed(world, first.refresh_token, proof=proof)
    second = await refreshed(world, first.refresh_token, proof=KEY)
    assert second.token.confirmation == KEY


async def test_a_confidential_client_may_turn_its_key_and_never_loses_it(world: World):
    first = await began(world, proof=KEY)
    with pytest.raises(InvalidGrantError):
        await refreshed(world, first.refresh_token)
    second = await refreshed(world, first.refresh_token, proof=OTHER_KEY)
    assert second.token.confirmation == OTHER_KEY


async def test_a_client_of_bound_tokens_refreshes_with_a_proof(world: World):
    allow(world, dpop_bound=True)
    first = await began(world, proof=KEY)
    with pytest.raises(StepUpError, match="DPoP"):
        await refreshed(world, first.refresh_token)
    assert await refreshed(world, first.refresh_token, proof=KEY)


# --- what ends it -----------------------------------------------------------------------------


async def test_what_ends_the_subject_the_client_or_the_authenticator_ends_it(world: World):
    async def of_subject(first: Issued) -> None:
        await revoke.revoke_subject(world.ports, first.token.subject.id)

    async def of_client(first: Issued) -> None:
        await revoke.revoke_client(world.ports, world.bank.client_id)

    async def of_authenticator(first: Issued) -> None:
        [authenticator] = first.token.authenticators or (AuthenticatorId("unknown"),)
        subject_id = first.token.subject.id
        await revoke.revoke_authenticator(world.ports, subject_id, authenticator)

    for end in (of_subject, of_client, of_authenticator):
        first = await began(world)
        assert first.refresh_token
        await end(first)
        with pytest.raises(InvalidGrantError):
            await refreshed(world, first.refresh_token)
        world.clock.advance(MINUTE)


async def test_a_subject_that_was_revoked_stays_so_for_as_long_as_it_could_refresh(world: World):
    first = await began(world)
    await revoke.revoke_subject(world.ports, first.token.subject.id)
    world.clock.advance(14 * MINUTE)
    with pytest.raises(InvalidGrantError):
        await refreshed(world, first.refresh_token)


async def test_rfc7009_2_1_a_refresh_token_is_revoked_with_all_that_it_gave(world: World):
    first = await began(world)
    second = await refreshed(world, first.refresh_token)
    shop = world.add_client("shop", refresh_tokens=True)
    assert not await refresh_tokens.end_refresh(world.ports, shop, second.refresh_token or "")
    assert await is_active(world, second)

    assert await refresh_tokens.end_refresh(world.ports, world.bank, second.refresh_token or "")
    for each in (first, second):
        assert not await is_active(world, each)
    with pytest.raises(InvalidGrantError):
        await refreshed(world, second.refresh_token)


# --- outcomes that nobody knows ---------------------------------------------------------------


@pytest.fixture
async def unheard(world: World) -> World:
    state = world.ports.state._replace(refreshes=UnheardRefreshes(world.clock))
    world.ports = world.ports._replace(state=state)
    return world


async def test_a_client_without_attempts_finds_its_token_again_when_the_outcome_was_unknown(
    unheard: World,
):
    first = await began(unheard)
    request = refresh_tokens.RefreshRequest(refresh_token=first.refresh_token or "")
    with pytest.raises(OutcomeUnknownError):
        await refresh_tokens.refresh_unnamed(unheard.ports, unheard.bank, request)

    got = await refresh_tokens.refresh_unnamed(unheard.ports, unheard.bank, request)
    assert await is_active(unheard, got)


async def test_a_caller_with_a_name_comes_again_with_it(unheard: World):
    first = await began(unheard)
    with pytest.raises(OutcomeUnknownError):
        await refreshed(unheard, first.refresh_token, attempt="mine")
    got = await refreshed(unheard, first.refresh_token, attempt="mine")
    assert got.repeated
    assert await is_active(unheard, got)


async def test_the_ledger_away_leaves_a_row_for_later(world: World):
    first = await began(world)
    world.ports.database.ledger.away = True
    assert await refreshed(world, first.refresh_token)
    rows = [entry for _, entry in await world.ports.state.outbox.read(100)]
    assert "RefreshUsed" in {type(row).__name__ for row in rows}


async def test_a_required_ledger_that_is_away_gives_nothing(world: World):
    first = await began(world)
    site = msgspec.structs.replace(world.ports.site, ledger_required=True)
    world.ports = world.ports._replace(site=site)
    world.ports.database.ledger.away = True
    with pytest.raises(DependencyUnavailableError):
        await refreshed(world, first.refresh_token)


async def test_what_was_given_is_audited_once_and_holds_no_token(world: World):
    first = await began(world)
    second = await refreshed(world, first.refresh_token, attempt="a")
    await refreshed(world, first.refresh_token, attempt="a")
    events = [e for e in await audited(world.ports) if e.kind is AuditKind.TOKEN_REFRESHED]
    assert [e.details["jti"] for e in events] == [second.token.id]
    assert all((second.refresh_token or "?") not in str(e) for e in await audited(world.ports))
