"""Enrolling an authenticator: an app that makes codes, or a passkey."""

import asyncio
from datetime import timedelta

import pyotp
import pytest

from stepup.domain.account import AccountSession
from stepup.domain.assurance import Method
from stepup.domain.audit import AuditKind
from stepup.domain.authenticator import Authenticator
from stepup.domain.errors import (
    AuthenticatorExistsError,
    EnrollmentNotFoundError,
    InvalidRequestError,
    StepUpRequiredError,
    VerificationFailedError,
)
from stepup.usecases import answer, enroll
from tests.support.authenticator import Lie, SoftwareAuthenticator
from tests.support.builders import an_attempt
from tests.support.world import World
from tests.usecases.steps import (
    BROWSER,
    elevated,
    elevating,
    finish_elevating,
    last_audited,
    methods_of,
    opened,
    session_of,
    signed_in,
    touch,
)


@pytest.fixture
async def session(world: World) -> AccountSession:
    return await session_of(world, await signed_in(world))


def shown_by(world: World, offered: enroll.OfferedTotp) -> str:
    """The code that an app which scanned the offer shows now."""
    return pyotp.parse_uri(offered.uri).at(int(world.clock.now().timestamp()))


def a_passkey(world: World, **traits: object) -> SoftwareAuthenticator:
    return SoftwareAuthenticator(origin=world.site.origins[0], **traits)


async def register(
    world: World, session: AccountSession, passkey: SoftwareAuthenticator, lie: Lie | None = None
) -> Authenticator:
    offered = await enroll.begin_registration(world.ports, session)
    credential = passkey.register(offered.options, lie or Lie())
    return await enroll.finish_registration(
        world.ports, session, offered.enrollment_id, credential, None
    )


# --- apps -------------------------------------------------------------------------------------


async def test_an_app_is_enrolled_by_its_first_code(world: World, session: AccountSession):
    offered = await enroll.begin_totp(world.ports, session)
    enrolled = await enroll.confirm_totp(
        world.ports, session, offered.enrollment_id, shown_by(world, offered), "  My   phone "
    )

    assert enrolled.name == "My phone"
    assert await methods_of(world) == [Method.TOTP]
    event = await last_audited(world.ports, AuditKind.AUTHENTICATOR_ENROLLED)
    assert event.subject_id == world.subject().id
    assert event.details == {"authenticator": enrolled.id, "method": "totp", "by": "subject"}


async def test_nothing_is_enrolled_before_the_code(world: World, session: AccountSession):
    offered = await enroll.begin_totp(world.ports, session)

    assert await methods_of(world) == []
    assert offered.secret_text not in repr(offered)


async def test_the_offer_can_be_shown_again(world: World, session: AccountSession):
    offered = await enroll.begin_totp(world.ports, session)

    assert await enroll.find_totp(world.ports, session, offered.enrollment_id) == offered


async def test_a_wrong_code_leaves_the_offer(world: World, session: AccountSession):
    offered = await enroll.begin_totp(world.ports, session)
    right = shown_by(world, offered)
    wrong = f"{(int(right) + 1) % 1_000_000:06}"
    with pytest.raises(VerificationFailedError):
        await enroll.confirm_totp(world.ports, session, offered.enrollment_id, wrong, None)

    assert await enroll.confirm_totp(world.ports, session, offered.enrollment_id, right, None)


async def test_an_offer_is_confirmed_once_by_twenty_callers(world: World, session: AccountSession):
    offered = await enroll.begin_totp(world.ports, session)
    code = shown_by(world, offered)
    results = await asyncio.gather(
        *(
            enroll.confirm_totp(world.ports, session, offered.enrollment_id, code, None)
            for _ in range(20)
        ),
        return_exceptions=True,
    )

    assert sum(isinstance(r, Authenticator) for r in results) == 1
    assert await methods_of(world) == [Method.TOTP]


async def test_the_confirming_code_is_used_up(world: World, session: AccountSession):
    offered = await enroll.begin_totp(world.ports, session)
    code = shown_by(world, offered)
    await enroll.confirm_totp(world.ports, session, offered.enrollment_id, code, None)

    challenge_id = await opened(world)
    with pytest.raises(VerificationFailedError):
        await answer.answer_with_code(world.ports, challenge_id, BROWSER, code, an_attempt())


async def test_an_offer_is_the_subject_s_own(world: World, session: AccountSession):
    offered = await enroll.begin_totp(world.ports, session)
    mallory = await session_of(world, await signed_in(world, "mallory"))

    with pytest.raises(EnrollmentNotFoundError):
        await enroll.find_totp(world.ports, mallory, offered.enrollment_id)
    with pytest.raises(EnrollmentNotFoundError):
        await enroll.confirm_totp(
            world.ports, mallory, offered.enrollment_id, shown_by(world, offered), None
        )


async def test_an_offer_expires(world: World, session: AccountSession):
    offered = await enroll.begin_totp(world.ports, session)
    world.clock.advance(timedelta(minutes=10))

    with pytest.raises(EnrollmentNotFoundError):
        await enroll.find_totp(world.ports, session, offered.enrollment_id)


@pytest.mark.parametrize("name", ["x" * 65, "bell \a", "\u202eevil"])
async def test_a_name_that_nobody_could_read_is_refused_and_leaves_the_offer(
    world: World, session: AccountSession, name: str
):
    offered = await enroll.begin_totp(world.ports, session)
    code = shown_by(world, offered)
    with pytest.raises(InvalidRequestError):
        await enroll.confirm_totp(world.ports, session, offered.enrollment_id, code, name)

    assert await enroll.confirm_totp(world.ports, session, offered.enrollment_id, code, None)


async def test_default_names_are_numbered(world: World):
    secret = await signed_in(world)
    session = await session_of(world, secret)
    names = []
    for _ in range(3):
        offered = await enroll.begin_totp(world.ports, session)
        code = shown_by(world, offered)
        enrolled = await enroll.confirm_totp(
            world.ports, session, offered.enrollment_id, code, None
        )
        names.append(enrolled.name)
        world.clock.advance(timedelta(seconds=30))
        session = await first_app_elevated(world, secret, offered)

    assert names == ["Authenticator app", "Authenticator app (2)", "Authenticator app (3)"]


async def first_app_elevated(
    world: World, secret: str, offered: enroll.OfferedTotp
) -> AccountSession:
    challenge_id = await elevating(world, secret)
    await answer.answer_with_code(
        world.ports, challenge_id, BROWSER, shown_by(world, offered), an_attempt()
    )
    await finish_elevating(world, secret, challenge_id)
    return await session_of(world, secret)


async def test_a_second_authenticator_needs_a_step_up_at_both_halves(
    world: World, session: AccountSession
):
    offered = await enroll.begin_totp(world.ports, session)
    await world.enroll_passkey()

    with pytest.raises(StepUpRequiredError):
        await enroll.begin_totp(world.ports, session)
    with pytest.raises(StepUpRequiredError):
        await enroll.begin_registration(world.ports, session)
    with pytest.raises(StepUpRequiredError):
        await enroll.confirm_totp(
            world.ports, session, offered.enrollment_id, shown_by(world, offered), None
        )


# --- passkeys ---------------------------------------------------------------------------------


async def test_a_registered_passkey_answers(world: World, session: AccountSession):
    passkey = a_passkey(world)
    enrolled = await register(world, session, passkey)

    assert enrolled.name == "Passkey"
    assert enrolled.best_facts.device_bound
    await touch(world, await opened(world, "5000.00"), passkey)


async def test_a_synced_passkey_is_known_as_one(world: World, session: AccountSession):
    enrolled = await register(
        world, session, a_passkey(world, backup_eligible=True, backed_up=True)
    )

    assert not enrolled.best_facts.device_bound


async def test_a_passkey_that_cannot_verify_its_user_is_not_counted_as_one_that_can(
    world: World, session: AccountSession
):
    enrolled = await register(world, session, a_passkey(world, user_verified=False))

    assert not enrolled.best_facts.user_verified
    challenge = await world.ports.state.challenges.find(await opened(world, "5000.00"))
    assert challenge.methods == ()


async def test_the_options_exclude_what_is_enrolled_and_hide_the_subject(world: World):
    _, passkey = await world.enroll_passkey()
    session = await elevated(world, await signed_in(world), passkey=passkey)
    options = (await enroll.begin_registration(world.ports, session)).options

    known = passkey.provisioning()["credential_id"]
    assert [c["id"] for c in options["excludeCredentials"]] == [known]
    assert options["user"]["name"] == "alice@example.com"
    assert options["rp"]["id"] == "stepup.example"


@pytest.mark.parametrize(
    "lie",
    [
        Lie(origin="https://evil.example"),
        Lie(cross_origin=True),
        Lie(type="webauthn.get"),
        Lie(challenge=b"x" * 32),
        Lie(rp_id="evil.example"),
        Lie(user_present=False),
    ],
    ids=["origin", "cross-origin", "type", "challenge", "relying party", "absent"],
)
async def test_a_lying_registration_is_refused(world: World, session: AccountSession, lie: Lie):
    with pytest.raises(VerificationFailedError):
        await register(world, session, a_passkey(world), lie)

    assert await methods_of(world) == []


async def test_a_registration_is_finished_once_by_twenty_callers(
    world: World, session: AccountSession
):
    offered = await enroll.begin_registration(world.ports, session)
    credential = a_passkey(world).register(offered.options)
    results = await asyncio.gather(
        *(
            enroll.finish_registration(
                world.ports, session, offered.enrollment_id, credential, None
            )
            for _ in range(20)
        ),
        return_exceptions=True,
    )

    assert sum(isinstance(r, Authenticator) for r in results) == 1


async def test_somebody_else_s_credential_cannot_be_enrolled_again(
    world: World, session: AccountSession
):
    _, passkey = await world.enroll_passkey("bob")

    with pytest.raises(AuthenticatorExistsError):
        await register(world, session, passkey)
    assert await methods_of(world) == []


async def test_a_registration_is_the_subject_s_own(world: World, session: AccountSession):
    offered = await enroll.begin_registration(world.ports, session)
    credential = a_passkey(world).register(offered.options)
    mallory = await session_of(world, await signed_in(world, "mallory"))

    with pytest.raises(EnrollmentNotFoundError):
        await enroll.finish_registration(
            world.ports, mallory, offered.enrollment_id, credential, None
        )
    # A stranger who guessed the identifier has not spent it.
    assert await enroll.finish_registration(
        world.ports, session, offered.enrollment_id, credential, None
    )


async def test_an_app_s_offer_is_no_registration(world: World, session: AccountSession):
    app = await enroll.begin_totp(world.ports, session)
    passkey = await enroll.begin_registration(world.ports, session)

    with pytest.raises(EnrollmentNotFoundError):
        await enroll.find_totp(world.ports, session, passkey.enrollment_id)
    with pytest.raises(EnrollmentNotFoundError):
        await enroll.finish_registration(world.ports, session, app.enrollment_id, {}, None)
