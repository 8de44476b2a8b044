"""Steps of the main job over the use cases, each one call, for tests that change one thing."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

from stepup.domain.account import AccountSession
from stepup.domain.assurance import Acr, Method
from stepup.domain.audit import AuditEvent, AuditKind
from stepup.domain.authorization_request import AuthorizationRequest
from stepup.domain.client import Client
from stepup.domain.decision_request import DecisionRequest
from stepup.domain.ids import ActionName, AttemptId, ChallengeId, ClientId
from stepup.domain.requirement import Requirement
from stepup.ports import Ports
from stepup.usecases import (
    account,
    answer,
    authorize,
    decide,
    finish,
    holder,
    own_screens,
    recovery,
    redeem,
)
from stepup.usecases.account_guard import GENERATE_CODES
from stepup.usecases.drain import drain_once
from stepup.usecases.holder import ApiClient, Browser, Holder
from stepup.usecases.make_token import Issued
from tests.support.audit_page import undescribed
from tests.support.authenticator import SoftwareAuthenticator
from tests.support.builders import an_attempt
from tests.support.world import BANK_CALLBACK, PKCE_CHALLENGE, PKCE_VERIFIER, World

BROWSER = Browser("the-browser")
BANK = ApiClient(ClientId("bank"))
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"


def a_question(amount: str = "500.00", sub: str = "alice", **changes: object) -> decide.Question:
    """Ask about a transfer: 50.00 needs nothing, 500.00 a code, 5000.00 a passkey."""
    request = DecisionRequest(
        subject_type="user",
        subject_id=sub,
        action=ActionName("payments.transfer"),
        resource_type="account",
        resource_id="1",
        action_properties={"amount": amount, "payee": "ACME", "currency": "EUR"},
    )
    return decide.Question(request=request, **changes)


async def ticket(world: World, amount: str = "500.00", caller: Client | None = None) -> str:
    answered = await decide.decide(world.ports, caller or world.bank, a_question(amount))
    assert answered.ticket is not None
    return answered.ticket


def a_push(world: World, **changes: object) -> AuthorizationRequest:
    fields: dict = {
        "response_type": "code",
        "redirect_uri": BANK_CALLBACK,
        "state": "state-1",
        "code_challenge": PKCE_CHALLENGE,
        "code_challenge_method": "S256",
        "subject_token": world.subject_token(),
        "subject_token_type": ID_TOKEN,
    }
    return AuthorizationRequest(**fields | changes)


async def pushed(world: World, amount: str = "500.00", **changes: object) -> authorize.Pushed:
    push = a_push(world, step_up_ticket=await ticket(world, amount), **changes)
    return await authorize.push(world.ports, world.bank, push, an_attempt())


async def opened(world: World, amount: str = "500.00", **changes: object) -> ChallengeId:
    """Open a challenge that `BROWSER` holds."""
    accepted = await pushed(world, amount, **changes)
    claimed = await holder.claim(world.ports, "bank", accepted.request_uri, BROWSER)
    return claimed.id


async def opened_by_client(world: World, amount: str = "500.00") -> ChallengeId:
    """Open a challenge that `BANK` answers on its own screens."""
    request = own_screens.OpenRequest(
        ticket=await ticket(world, amount), subject_token=world.subject_token()
    )
    opened_here = await own_screens.open_for_client(world.ports, world.bank, request, an_attempt())
    return opened_here.id


async def touch(
    world: World, challenge_id: ChallengeId, passkey: SoftwareAuthenticator, by: Holder = BROWSER
):
    """Answer with a passkey, from the options to the challenge that it leaves."""
    begun = await answer.begin_passkey(world.ports, challenge_id, by)
    credential = passkey.answer(begun.options)
    return await answer.answer_with_passkey(world.ports, challenge_id, by, credential, an_attempt())


async def type_code(world: World, challenge_id: ChallengeId, by: Holder = BROWSER):
    """Answer with the next code of the authenticator app."""
    return await answer.answer_with_code(
        world.ports, challenge_id, by, fresh_code(world), an_attempt()
    )


def fresh_code(world: World) -> str:
    """Wait for a code that was not used before."""
    world.clock.advance(timedelta(seconds=30))
    return world.code()


async def code(world: World, amount: str = "500.00") -> str:
    """Go as far as the authorization code, with an authenticator app."""
    challenge_id = await opened(world, amount)
    await type_code(world, challenge_id)
    return (await finish.issue_code(world.ports, challenge_id, BROWSER)).code


def a_code_grant(authorization_code: str, **changes: object) -> redeem.CodeGrant:
    """Bring a code as its client does."""
    fields: dict = {
        "code": authorization_code,
        "redirect_uri": BANK_CALLBACK,
        "code_verifier": PKCE_VERIFIER,
    }
    return redeem.CodeGrant(**fields | changes)


async def redeemed(
    world: World,
    authorization_code: str,
    *,
    attempt: AttemptId | None = None,
    caller: Client | None = None,
    **changes: object,
) -> Issued:
    grant = a_code_grant(authorization_code, **changes)
    return await redeem.redeem(world.ports, caller or world.bank, grant, attempt or an_attempt())


async def issued(world: World) -> Issued:
    """Go all the way to the elevated token."""
    return await redeemed(world, await code(world))


# --- the account pages ------------------------------------------------------------------------


async def signed_in(world: World, sub: str = "alice") -> str:
    """Sign in to the account pages; returns the session's secret."""
    begun = await account.begin_login(world.ports, "/account")
    secret, _ = await finish_login(world, state=begun.state, cookie=begun.state, code=sub)
    return secret


async def finish_login(world: World, *, state: str, cookie: str, code: str) -> tuple[str, str]:
    """Come back from the upstream; returns the session's secret and where it goes on."""
    login = await account.take_login(world.ports, state=state, cookie=cookie)
    identity = await account.finish_login(world.ports, login, code)
    return await account.begin_session(world.ports, identity), login.return_to


async def session_of(world: World, secret: str) -> AccountSession:
    return await account.find_session(world.ports, secret)


async def elevating(
    world: World,
    secret: str,
    acr: str = "urn:stepup:acr:2",
    action: ActionName = GENERATE_CODES,
) -> ChallengeId:
    """Begin a step-up of the account pages and open its challenge; `BROWSER` holds it."""
    begun = await account.begin_elevation(
        world.ports, secret, Requirement(acr=Acr(acr)), action, "/account"
    )
    query = {name: values[0] for name, values in parse_qs(urlsplit(begun.url).query).items()}
    claimed = await holder.claim(world.ports, query["client_id"], query["request_uri"], BROWSER)
    return claimed.id


async def finish_elevating(world: World, secret: str, challenge_id: ChallengeId) -> str:
    """Bring the answered challenge's code back to the session."""
    passed = await finish.issue_code(world.ports, challenge_id, BROWSER)
    query = parse_qs(urlsplit(passed.answer.url).query)
    return await account.finish_elevation(
        world.ports, secret, state=query["state"][0], code=passed.code, attempt=an_attempt()
    )


async def elevated(
    world: World,
    secret: str,
    passkey: SoftwareAuthenticator | None = None,
    action: ActionName = GENERATE_CODES,
) -> AccountSession:
    """Step up in the account pages, with a passkey or the authenticator app."""
    challenge_id = await elevating(world, secret, "phr" if passkey else "urn:stepup:acr:2", action)
    if passkey is None:
        await type_code(world, challenge_id)
    else:
        await touch(world, challenge_id, passkey)
    await finish_elevating(world, secret, challenge_id)
    return await session_of(world, secret)


async def recovery_codes(world: World, *, confirmed: bool = True) -> tuple[str, ...]:
    """Make alice's recovery codes; one of them is gone when they are confirmed.

    She needs an authenticator app for it.
    """
    session = await elevated(world, await signed_in(world))
    codes = await recovery.generate(world.ports, session)
    if not confirmed:
        return codes
    await recovery.confirm(world.ports, session, codes[0])
    return codes[1:]


# --- what is left behind ----------------------------------------------------------------------


async def audited(ports: Ports) -> list[AuditEvent]:
    """Drain the outbox and return the whole audit log."""
    while await drain_once(ports):
        pass
    events: list[AuditEvent] = ports.database.tables.events()
    # Whatever a test looks for: docs/audit.md says what each detail means.
    assert {event.kind: told for event in events if (told := undescribed(event))} == {}
    return events


async def kinds(ports: Ports) -> list[AuditKind]:
    return [event.kind for event in await audited(ports)]


async def last_audited(ports: Ports, kind: AuditKind) -> AuditEvent:
    found = [event for event in await audited(ports) if event.kind is kind]
    assert found, f"no {kind} was recorded"
    return found[-1]


async def methods_of(world: World, sub: str = "alice") -> list[Method]:
    async with world.ports.database.transaction() as stores:
        return [a.method for a in await stores.authenticators.of_subject(world.subject(sub))]
