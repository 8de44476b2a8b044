"""Signing in to the account pages, and stepping up in them."""

import asyncio
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from stepup.domain.assurance import Acr
from stepup.domain.audit import AuditKind
from stepup.domain.errors import (
    ClientAuthenticationError,
    InvalidGrantError,
    InvalidRequestError,
    InvalidSubjectTokenError,
    SessionNotFoundError,
)
from stepup.domain.ids import ActionName
from stepup.domain.requirement import Requirement
from stepup.usecases import account, authorize, clients, finish, provision
from stepup.usecases.revoke import revoke_subject
from tests.support.builders import an_attempt
from tests.support.world import IDP, World
from tests.usecases.steps import (
    BROWSER,
    code,
    elevated,
    elevating,
    finish_elevating,
    finish_login,
    kinds,
    session_of,
    signed_in,
    type_code,
)


def state_of(url: str | None) -> str:
    return parse_qs(urlsplit(url or "").query)["state"][0]


# --- base login -------------------------------------------------------------------------------


async def test_base_login_makes_a_session_without_elevation(world: World):
    session = await session_of(world, await signed_in(world))

    assert session.identity.subject == world.subject()
    assert session.elevation is None
    assert session.expires_at - session.created_at == timedelta(hours=1)


async def test_the_browser_is_sent_to_the_upstream_with_nonce_and_pkce(world: World):
    begun = await account.begin_login(world.ports, "/account/add")

    assert begun.url.startswith(IDP)
    login = world.upstreams.logins[-1]
    assert login.issuer == IDP
    assert login.nonce != login.code_verifier
    assert len(login.code_verifier) >= 43
    assert begun.state not in repr(begun)


async def test_login_csrf_is_refused(world: World):
    attackers = await account.begin_login(world.ports, "/account")
    victims = await account.begin_login(world.ports, "/account")

    for cookie in (victims.state, "", "ü"):
        with pytest.raises(InvalidRequestError):
            await finish_login(world, state=attackers.state, cookie=cookie, code="mallory")


async def test_a_login_that_nobody_began_is_refused(world: World):
    for state in ("made-up", ""):
        with pytest.raises(InvalidRequestError):
            await finish_login(world, state=state, cookie=state, code="alice")


async def test_a_login_is_finished_once_by_twenty_callers(world: World):
    begun = await account.begin_login(world.ports, "/account")
    results = await asyncio.gather(
        *(
            finish_login(world, state=begun.state, cookie=begun.state, code="alice")
            for _ in range(20)
        ),
        return_exceptions=True,
    )

    assert sum(isinstance(r, tuple) for r in results) == 1


async def test_a_login_expires(world: World):
    begun = await account.begin_login(world.ports, "/account")
    world.clock.advance(timedelta(minutes=10))

    with pytest.raises(InvalidRequestError):
        await finish_login(world, state=begun.state, cookie=begun.state, code="alice")


async def test_an_upstream_that_refuses_the_code_signs_nobody_in(world: World):
    begun = await account.begin_login(world.ports, "/account")

    with pytest.raises(InvalidSubjectTokenError):
        await finish_login(world, state=begun.state, cookie=begun.state, code="")


async def test_every_sign_in_has_a_new_secret(world: World):
    assert await signed_in(world) != await signed_in(world)


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("/account", "/account"),
        ("/account/add/app", "/account/add/app"),
        ("/account?notice=added", "/account?notice=added"),
        ("https://evil.example", "/account"),
        ("//evil.example", "/account"),
        ("/\\evil.example", "/account"),
        ("/account\\..\\..", "/account"),
        ("/account\r\nset-cookie: x=1", "/account"),
        ("/account\t//evil.example", "/account"),
        ("/c/r1.x", "/account"),
        ("/accounting", "/account"),
        ("/account.evil.example", "/account"),
        ("/account/€", "/account"),
        ("/account/" + "a" * 247, "/account/" + "a" * 247),
        pytest.param("/account/" + "a" * 248, "/account", id="attack: it fills the store"),
        ("javascript:alert(1)", "/account"),
        ("", "/account"),
    ],
)
async def test_an_open_redirect_leads_to_the_account_page(world: World, asked: str, given: str):
    begun = await account.begin_login(world.ports, asked)
    _, return_to = await finish_login(world, state=begun.state, cookie=begun.state, code="alice")

    assert return_to == given


# --- sessions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", [None, "", "made-up"])
async def test_nobody_is_signed_in_with_a_wrong_cookie(world: World, secret: str | None):
    with pytest.raises(SessionNotFoundError):
        await account.find_session(world.ports, secret)


async def test_a_session_ends_after_an_hour(world: World):
    secret = await signed_in(world)
    world.clock.advance(timedelta(minutes=60, seconds=-1))
    await account.find_session(world.ports, secret)

    world.clock.advance(timedelta(seconds=1))
    with pytest.raises(SessionNotFoundError):
        await account.find_session(world.ports, secret)


async def test_signing_out_ends_the_session_and_may_be_repeated(world: World):
    secret = await signed_in(world)
    for _ in range(2):
        await account.sign_out(world.ports, secret)

    with pytest.raises(SessionNotFoundError):
        await account.find_session(world.ports, secret)


async def test_a_forged_form_is_refused(world: World):
    session = await session_of(world, await signed_in(world))
    other = await session_of(world, await signed_in(world))
    account.check_form_token(session, session.form_token)

    for presented in (None, "", "ü", other.form_token):
        with pytest.raises(InvalidRequestError):
            account.check_form_token(session, presented)


# --- elevation --------------------------------------------------------------------------------


@pytest.fixture
async def alice(world: World) -> World:
    await world.enroll_app()
    return world


async def test_an_answered_challenge_raises_the_session(alice: World):
    session = await elevated(alice, await signed_in(alice))

    assert session.elevation.acr == "urn:stepup:acr:2"
    assert session.elevation.auth_time == alice.clock.now()


async def test_attack_a_session_outlives_no_revocation_of_its_subject(alice: World):
    secret = await signed_in(alice)
    await revoke_subject(alice.ports, alice.subject().id)

    with pytest.raises(SessionNotFoundError):
        await session_of(alice, secret)
    alice.clock.advance(timedelta(seconds=2))
    assert await session_of(alice, await signed_in(alice))


async def test_attack_an_elevation_outlives_no_authenticator_that_gave_it(alice: World):
    secret = await signed_in(alice)
    await elevated(alice, secret)
    [app] = await provision.list_authenticators(alice.ports, alice.subject())
    await provision.remove(alice.ports, alice.subject(), app.id)

    session = await session_of(alice, secret)
    assert (session.elevation, session.elevated_for) == (None, None)


async def test_elevation_leaves_the_same_trail_as_any_client(alice: World):
    await elevated(alice, await signed_in(alice))

    assert await kinds(alice.ports) == [
        AuditKind.CHALLENGE_OPENED,
        AuditKind.CHALLENGE_VERIFIED,
        AuditKind.TOKEN_ISSUED,
    ]


async def test_elevation_is_bound_to_the_session_that_began_it(alice: World):
    mine, other = await signed_in(alice), await signed_in(alice)
    challenge_id = await elevating(alice, mine)
    await type_code(alice, challenge_id)

    with pytest.raises(InvalidRequestError):
        await finish_elevating(alice, other, challenge_id)
    assert (await session_of(alice, other)).elevation is None


async def test_elevation_is_used_once(alice: World):
    secret = await signed_in(alice)
    challenge_id = await elevating(alice, secret)
    await type_code(alice, challenge_id)
    passed = await finish.issue_code(alice.ports, challenge_id, BROWSER)
    await account.finish_elevation(
        alice.ports,
        secret,
        state=state_of(passed.answer.url),
        code=passed.code,
        attempt=an_attempt(),
    )

    with pytest.raises(InvalidRequestError):
        await account.finish_elevation(
            alice.ports,
            secret,
            state=state_of(passed.answer.url),
            code=passed.code,
            attempt=an_attempt(),
        )


async def test_another_client_s_code_does_not_elevate(alice: World):
    secret = await signed_in(alice)
    left = await finish.cancel(alice.ports, await elevating(alice, secret), BROWSER)

    with pytest.raises(InvalidGrantError):
        await account.finish_elevation(
            alice.ports,
            secret,
            state=state_of(left.url),
            code=await code(alice),
            attempt=an_attempt(),
        )
    assert (await session_of(alice, secret)).elevation is None


async def test_a_cancelled_challenge_leaves_the_session_as_it_was(alice: World):
    secret = await signed_in(alice)
    left = await finish.cancel(alice.ports, await elevating(alice, secret), BROWSER)
    return_to = await account.finish_elevation(
        alice.ports, secret, state=state_of(left.url), code=None, attempt=an_attempt()
    )

    assert return_to == "/account"
    assert (await session_of(alice, secret)).elevation is None


async def test_who_signed_out_meanwhile_is_not_elevated(alice: World):
    secret = await signed_in(alice)
    challenge_id = await elevating(alice, secret)
    await type_code(alice, challenge_id)
    await account.sign_out(alice.ports, secret)

    with pytest.raises(SessionNotFoundError):
        await finish_elevating(alice, secret, challenge_id)


async def test_a_sign_out_while_the_elevation_is_finished_is_not_undone(alice: World):
    secret = await signed_in(alice)
    challenge_id = await elevating(alice, secret)
    await type_code(alice, challenge_id)
    passed = await finish.issue_code(alice.ports, challenge_id, BROWSER)
    # The session is read first and written last; each step of the sign-out falls in between.
    finishing, _ = await asyncio.gather(
        account.finish_elevation(
            alice.ports,
            secret,
            state=state_of(passed.answer.url),
            code=passed.code,
            attempt=an_attempt(),
        ),
        account.sign_out(alice.ports, secret),
        return_exceptions=True,
    )

    assert isinstance(finishing, SessionNotFoundError)
    with pytest.raises(SessionNotFoundError):
        await session_of(alice, secret)


async def test_an_elevation_opened_by_somebody_else_s_session_is_somebody_else_s(alice: World):
    await alice.enroll_app("mallory")
    mallorys = await signed_in(alice, "mallory")
    challenge_id = await elevating(alice, mallorys)
    await type_code(alice, challenge_id)
    alices = await signed_in(alice)

    with pytest.raises(InvalidRequestError):
        await finish_elevating(alice, alices, challenge_id)


async def test_the_way_back_from_an_elevation_is_a_path_of_ours(alice: World):
    secret = await signed_in(alice)
    requirement = Requirement(acr=Acr("urn:stepup:acr:2"))
    begun = await account.begin_elevation(
        alice.ports, secret, requirement, ActionName("account.none"), "https://evil.example"
    )

    assert begun.url.startswith(alice.site.url(authorize.AUTHORIZE_PATH))
    kept = [e for e, _ in alice.ports.state.accounts._elevations._values.values()]
    assert [e.return_to for e in kept] == ["/account"]


async def test_nobody_can_call_as_the_account_pages(world: World):
    client = account.account_client(world.site)
    assert client.secret_digests == ()

    for secret in ("", "None"):
        with pytest.raises(ClientAuthenticationError):
            await clients.authenticate(world.ports, client.client_id, secret)


async def test_the_accepted_passkeys_are_the_subject_s_own(world: World):
    passkey, software = await world.enroll_passkey()
    app = await world.enroll_app()
    session = await session_of(world, await signed_in(world))
    told = account.accepted_passkeys(world.ports, session, [passkey, app])

    assert told["rpId"] == "stepup.example"
    assert told["allAcceptedCredentialIds"] == [software.provisioning()["credential_id"]]
    assert "alice" not in str(told)
