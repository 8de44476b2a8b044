"""`/v1/challenges`: the ceremonies as JSON, for clients with screens of their own."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from stepup.domain.client import Role
from tests.http.conftest import app_over
from tests.http.flow import BANK, Flow, a_transfer
from tests.support.application import CLIENT_SECRET
from tests.support.authenticator import Lie, SoftwareAuthenticator
from tests.support.world import BANK_CALLBACK, PKCE_CHALLENGE, PKCE_VERIFIER, World
from tests.usecases.steps import recovery_codes

PATH = "/v1/challenges"
LOW_LEVEL = """
apiVersion: stepup/v1
actions:
  payments.transfer:
    attributes: {amount: {type: decimal}, payee: {type: string}}
    default: {level: urn:stepup:acr:1, max_age: 5m}
"""
TWO_FACTORS = """
apiVersion: stepup/v1
levels:
  both: {any_of: [[totp, {method: webauthn, user_verified: true}]], max_age: 5m}
actions:
  payments.transfer:
    attributes: {amount: {type: decimal}, payee: {type: string}}
    default: {level: both}
"""


class Screens:
    """A client with screens of its own."""

    def __init__(self, flow: Flow, auth: tuple[str, str] = BANK) -> None:
        self.flow = flow
        self.http = flow.http
        self.auth = auth

    async def post(self, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        content = {} if body is None else {"json": body}
        return await self.http.post(f"{PATH}{path}", auth=self.auth, headers=headers, **content)

    async def get(self, path: str) -> httpx2.Response:
        return await self.http.get(f"{PATH}{path}", auth=self.auth)

    async def open(self, amount: str = "500.00", **changes: Any) -> httpx2.Response:
        body = {
            "ticket": await self.flow.ticket(amount),
            "subject_token": self.flow.world.subject_token(),
        }
        return await self.post("", {k: v for k, v in (body | changes).items() if v is not None})

    async def opened(self, amount: str = "500.00", **changes: Any) -> str:
        """Open a challenge and return the path of its own."""
        answer = await self.open(amount, **changes)
        assert answer.status_code == 201, answer.text
        return f"/{answer.json()['challenge_id']}"

    async def otp(
        self, where: str, code: str, method: str = "totp", **headers: str
    ) -> httpx2.Response:
        return await self.post(f"{where}/otp", {"method": method, "code": code}, **headers)

    async def touch(
        self, where: str, passkey: SoftwareAuthenticator, lie: Lie | None = None
    ) -> httpx2.Response:
        begun = await self.post(f"{where}/webauthn/options")
        assert begun.status_code == 200, begun.text
        credential = passkey.answer(begun.json()["options"], lie or Lie())
        return await self.post(f"{where}/webauthn", {"credential": credential})

    async def redeem(self, code: str, **form: str) -> httpx2.Response:
        data = {"grant_type": "authorization_code", "code": code} | form
        return await self.http.post("/oauth2/token", data=data, auth=self.auth)


@pytest.fixture
def screens(flow: Flow) -> Screens:
    return Screens(flow)


# --- opening ----------------------------------------------------------------------------------


async def test_a_ticket_opens_a_challenge(screens: Screens):
    answer = await screens.open()

    assert answer.status_code == 201
    opened = answer.json()
    assert opened["challenge_id"].startswith("r1.")
    assert (opened["status"], opened["methods"], opened["expires_in"]) == (
        "pending",
        ["totp"],
        600,
    )


async def test_an_action_and_a_subject_open_one_too(screens: Screens):
    answer = await screens.post(
        "", a_transfer() | {"subject_token": screens.flow.world.subject_token()}
    )

    assert answer.status_code == 201


async def test_names_alone_are_enough_where_the_policy_needs_no_more(http: httpx2.AsyncClient):
    world = World(document=LOW_LEVEL)
    await world.enroll_app()
    async with app_over(world.ports) as client:
        screens = Screens(Flow(client, world))
        body = {"action": "payments.transfer", "subject": "alice"}
        token = {"subject_token": world.subject_token()}
        assert (await screens.post("", body | token)).status_code == 201


async def test_an_action_that_needs_nothing_opens_nothing(screens: Screens):
    answer = await screens.post("", a_transfer("50.00"))

    assert (answer.status_code, answer.json()) == (200, {"status": "not_required"})


async def test_an_action_that_is_denied_opens_nothing(screens: Screens):
    answer = await screens.post("", a_transfer() | {"action": {"name": "payments.forget"}})

    assert (answer.status_code, answer.json()["code"]) == (403, "action_denied")


async def test_nothing_strong_enough_is_said_at_once(screens: Screens):
    answer = await screens.open("5000.00")

    assert answer.status_code == 403
    assert answer.json()["code"] == "unmet_authentication_requirements"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"action": "payments.transfer"},
        {"subject": "alice"},
        {"ticket": ""},
        {"ticket": 7},
        {"ticket": "x", "surprise": 1},
        {"action": "", "subject": "alice"},
        {"action": "payments.transfer", "subject": ""},
        {"action": {}, "subject": "alice"},
        {"action": "payments.transfer", "subject": {"type": "user"}},
        {"action": "a" * 1025, "subject": "alice"},
    ],
)
async def test_a_request_that_does_not_say_what_it_must_is_refused(screens: Screens, body: dict):
    answer = await screens.post("", body)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("ticket", ["x", "a.b.c"])
async def test_a_ticket_that_is_none_is_refused(screens: Screens, ticket: str):
    answer = await screens.open(ticket=ticket)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_ticket")


async def test_a_spent_ticket_is_refused_and_the_same_attempt_is_not(screens: Screens):
    body = {
        "ticket": await screens.flow.ticket(),
        "subject_token": screens.flow.world.subject_token(),
    }
    key = {"idempotency-key": "attempt-1"}
    assert (await screens.post("", body, **key)).status_code == 201
    assert (await screens.post("", body, **key)).status_code == 201

    assert (await screens.post("", body)).json()["code"] == "invalid_ticket"


async def test_a_swapped_subject_is_refused(screens: Screens):
    answer = await screens.open(subject_token=screens.flow.world.subject_token("mallory"))

    assert answer.status_code == 400
    assert "subject" in answer.json()["detail"]


async def test_without_a_subject_token_the_client_must_be_one_that_vouches(screens: Screens):
    world = screens.flow.world
    assert (await screens.open(subject_token=None)).status_code == 400
    world.add_client("kiosk", asserts_subject=True, audiences=("bank-api",))
    kiosk = Screens(screens.flow, ("kiosk", CLIENT_SECRET))

    assert (await kiosk.post("", a_transfer())).status_code == 201


async def test_an_audience_of_somebody_else_is_refused(screens: Screens):
    answer = await screens.open(audience="https://somebody-else.example")

    assert answer.json()["code"] == "invalid_target"


async def test_a_client_that_may_not_is_refused(screens: Screens):
    screens.flow.world.add_client("shop", roles=frozenset({Role.RS}))
    shop = Screens(screens.flow, ("shop", CLIENT_SECRET))
    answer = await shop.post("", a_transfer())

    assert (answer.status_code, answer.json()["code"]) == (403, "unauthorized_client")


# --- answering --------------------------------------------------------------------------------


async def test_a_code_passes_and_its_code_becomes_a_token(screens: Screens):
    passed = await screens.otp(await screens.opened(), screens.flow.world.code())
    assert passed.status_code == 200
    assert passed.json().keys() == {"status", "code"}
    token = await screens.redeem(passed.json()["code"])

    assert token.status_code == 200
    assert token.json()["authorization_details"][0]["action"] == "payments.transfer"


async def test_a_code_challenge_holds_here_too(screens: Screens):
    where = await screens.opened(code_challenge=PKCE_CHALLENGE)
    code = (await screens.otp(where, screens.flow.world.code())).json()["code"]
    assert (await screens.redeem(code)).json()["error"] == "invalid_grant"
    assert (await screens.redeem(code, code_verifier="a" * 43)).status_code == 400

    assert (await screens.redeem(code, code_verifier=PKCE_VERIFIER)).status_code == 200


async def test_a_passkey_answers_without_naming_its_ceremony(screens: Screens):
    _, passkey = await screens.flow.world.enroll_passkey()
    passed = await screens.touch(await screens.opened("5000.00"), passkey)

    assert passed.json()["status"] == "passed"


async def test_a_passkey_may_name_its_ceremony(screens: Screens):
    _, passkey = await screens.flow.world.enroll_passkey()
    where = await screens.opened("5000.00")
    begun = (await screens.post(f"{where}/webauthn/options")).json()
    body = {"credential": passkey.answer(begun["options"]), "ceremony_id": begun["ceremony_id"]}

    assert (await screens.post(f"{where}/webauthn", body)).json()["status"] == "passed"


async def test_a_passkey_that_names_another_ceremony_is_refused(screens: Screens):
    _, passkey = await screens.flow.world.enroll_passkey()
    where = await screens.opened("5000.00")
    first = (await screens.post(f"{where}/webauthn/options")).json()
    second = (await screens.post(f"{where}/webauthn/options")).json()
    credential = passkey.answer(first["options"])
    for ceremony_id in (second["ceremony_id"], "", "made-up"):
        body = {"credential": credential, "ceremony_id": ceremony_id}
        refused = await screens.post(f"{where}/webauthn", body)
        assert (refused.status_code, refused.json()["code"]) == (409, "ceremony_expired")


@pytest.mark.parametrize(
    "lie", [Lie(origin="https://evil.example"), Lie(user_verified=False), Lie(signature=b"x")]
)
async def test_a_lying_ceremony_is_refused(screens: Screens, lie: Lie):
    _, passkey = await screens.flow.world.enroll_passkey()
    refused = await screens.touch(await screens.opened("5000.00"), passkey, lie)

    assert (refused.status_code, refused.json()["code"]) == (403, "verification_failed")
    assert refused.json()["tries_left"] == 4


async def test_a_ceremony_answered_twice_is_over(screens: Screens):
    _, passkey = await screens.flow.world.enroll_passkey()
    where = await screens.opened("5000.00")
    begun = (await screens.post(f"{where}/webauthn/options")).json()
    forged = {"credential": passkey.answer(begun["options"], Lie(signature=b"x"))}
    assert (await screens.post(f"{where}/webauthn", forged)).status_code == 403
    again = await screens.post(
        f"{where}/webauthn", {"credential": passkey.answer(begun["options"])}
    )

    assert (again.status_code, again.json()["code"]) == (409, "ceremony_expired")


@pytest.mark.parametrize("credential", [{}, {"id": 1}, {"response": {}}])
async def test_a_credential_that_is_none_is_refused(screens: Screens, credential: dict):
    await screens.flow.world.enroll_passkey()
    where = await screens.opened("5000.00")
    answer = await screens.post(f"{where}/webauthn", {"credential": credential})

    assert (answer.status_code, answer.json()["code"]) == (403, "verification_failed")


async def test_a_recovery_code_answers_what_it_reaches():
    world = World(document=LOW_LEVEL)
    await world.enroll_app()
    codes = await recovery_codes(world)
    async with app_over(world.ports) as http:
        screens = Screens(Flow(http, world))
        where = await screens.opened()
        assert "recovery_code" in (await screens.get(where)).json()["methods"]
        wrong = await screens.otp(where, "AAAA-AAAA-AAAA-AAAA", "recovery_code")
        assert wrong.json()["code"] == "verification_failed"
        passed = await screens.otp(where, codes[0], "recovery_code")
        elsewhere = await screens.opened()
        again = await screens.otp(elsewhere, codes[0], "recovery_code")

    assert passed.json()["status"] == "passed"
    assert again.status_code == 403


async def test_a_recovery_code_does_not_approve_a_payment(screens: Screens):
    codes = await recovery_codes(screens.flow.world)
    answer = await screens.otp(await screens.opened(), codes[0], "recovery_code")

    assert (answer.status_code, answer.json()["code"]) == (400, "method_not_usable")


async def test_the_second_factor_is_named_after_the_first():
    world = World(document=TWO_FACTORS)
    await world.enroll_app()
    _, passkey = await world.enroll_passkey()
    async with app_over(world.ports) as http:
        screens = Screens(Flow(http, world))
        where = await screens.opened()
        half = await screens.otp(where, world.code())
        assert half.json() == {"status": "pending", "methods": ["webauthn"]}

        assert (await screens.touch(where, passkey)).json()["status"] == "passed"


async def test_wrong_codes_are_counted_and_then_paused(screens: Screens):
    where = await screens.opened()
    wrong = screens.flow.world.wrong_code()
    answers = [await screens.otp(where, wrong) for _ in range(5)]
    assert [a.status_code for a in answers] == [403] * 5
    assert [a.json()["tries_left"] for a in answers] == [4, 3, 2, 1, 0]

    elsewhere = await screens.otp(await screens.opened(), screens.flow.world.code())
    assert elsewhere.status_code == 429
    assert int(elsewhere.headers["retry-after"]) == elsewhere.json()["retry_after"]


async def test_a_right_code_that_came_too_early_names_the_wait(screens: Screens):
    world, where = screens.flow.world, await screens.opened()
    await world.ports.state.generations.raise_floor(world.clock.now())
    answer = await screens.otp(where, world.code())

    assert (answer.status_code, answer.json()["code"]) == (403, "code_too_early")
    assert answer.json()["tries_left"] == 4
    world.clock.advance(timedelta(seconds=answer.json()["retry_after"]))
    assert (await screens.otp(where, world.code())).status_code == 200


async def test_the_same_attempt_gets_the_same_answer(screens: Screens):
    where, code = await screens.opened(), screens.flow.world.code()
    key = {"idempotency-key": "attempt-1"}
    first = await screens.otp(where, code, **key)
    again = await screens.otp(where, code, **key)
    assert first.json() == again.json()

    other = await screens.otp(where, code, **{"idempotency-key": "attempt-2"})
    assert (other.status_code, other.json()["code"]) == (409, "challenge_not_pending")


async def test_of_twenty_concurrent_correct_answers_one_wins(screens: Screens):
    where, code = await screens.opened(), screens.flow.world.code()
    answers = await asyncio.gather(*(screens.otp(where, code) for _ in range(20)))

    assert [a.status_code for a in answers].count(200) == 1
    assert all(a.status_code in {200, 403, 409, 429} for a in answers)


@pytest.mark.parametrize("key", ["", "a b", "x" * 129])
async def test_a_malformed_idempotency_key_is_refused(screens: Screens, key: str):
    answer = await screens.otp(
        await screens.opened(), screens.flow.world.code(), **{"idempotency-key": key}
    )

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"method": "totp"},
        {"code": "1"},
        {"method": "totp", "code": 1},
        {"method": "", "code": ""},
    ],
)
async def test_an_answer_that_is_none_is_refused(screens: Screens, body: dict):
    answer = await screens.post(f"{await screens.opened()}/otp", body)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("method", ["email", "sms", "hotp"])
async def test_a_method_that_is_not_built_yet_says_so(screens: Screens, method: str):
    answer = await screens.otp(await screens.opened(), "123456", method)

    assert (answer.status_code, answer.json()["code"]) == (422, "not_supported_yet")


async def test_sending_a_code_is_not_supported_yet(screens: Screens):
    answer = await screens.post(f"{await screens.opened()}/send", {"method": "email"})

    assert (answer.status_code, answer.json()["code"]) == (422, "not_supported_yet")


# --- standing, leaving ------------------------------------------------------------------------


async def test_a_challenge_says_how_it_stands(screens: Screens):
    where = await screens.opened()
    screens.flow.world.clock.advance(timedelta(seconds=90))
    assert (await screens.get(where)).json()["expires_in"] == 510
    await screens.otp(where, screens.flow.world.code())
    stands = (await screens.get(where)).json()

    assert (stands["status"], stands["methods"]) == ("verified", [])


async def test_a_cancelled_challenge_cannot_be_answered(screens: Screens):
    where = await screens.opened()
    for _ in range(2):
        answer = await screens.http.delete(f"{PATH}{where}", auth=BANK)
        assert (answer.status_code, answer.content) == (204, b"")
    late = await screens.otp(where, screens.flow.world.code())

    assert (late.status_code, late.json()["code"]) == (409, "challenge_not_pending")
    assert (await screens.get(where)).json()["status"] == "denied"


async def test_an_answered_challenge_cannot_be_cancelled(screens: Screens):
    where = await screens.opened()
    await screens.otp(where, screens.flow.world.code())
    answer = await screens.http.delete(f"{PATH}{where}", auth=BANK)

    assert (answer.status_code, answer.json()["code"]) == (409, "challenge_not_pending")


# --- whose it is ------------------------------------------------------------------------------


async def tries(screens: Screens, where: str) -> list[httpx2.Response]:
    return [
        await screens.get(where),
        await screens.otp(where, screens.flow.world.code()),
        await screens.post(f"{where}/webauthn/options"),
        await screens.post(f"{where}/webauthn", {"credential": a_credential()}),
        await screens.post(f"{where}/send", {"method": "email"}),
        await screens.http.delete(f"{PATH}{where}", auth=screens.auth),
    ]


def a_credential() -> dict[str, Any]:
    passkey = SoftwareAuthenticator(origin="https://stepup.example")
    return passkey.answer({"challenge": "AAAA", "rpId": "stepup.example"})


async def test_another_client_s_challenge_is_not_found(screens: Screens):
    where = await screens.opened()
    screens.flow.world.add_client("shop", redirect_uris=(BANK_CALLBACK,))
    shop = Screens(screens.flow, ("shop", CLIENT_SECRET))
    answers = await tries(shop, where)

    assert {(a.status_code, a.json()["code"]) for a in answers} == {(404, "challenge_not_found")}
    assert (await screens.otp(where, screens.flow.world.code())).status_code == 200


async def test_a_browser_s_challenge_is_not_answered_here(screens: Screens):
    path = await screens.flow.opened()
    answers = await tries(screens, path.removeprefix("/c"))

    assert {(a.status_code, a.json()["code"]) for a in answers} == {(404, "challenge_not_found")}
    assert (await screens.flow.type_code(path, screens.flow.world.code())).status_code == 303


async def test_an_unknown_challenge_is_not_found(screens: Screens):
    answers = await tries(screens, "/r1.unknown")

    assert {a.status_code for a in answers} == {404}


async def test_an_expired_challenge_is_not_found(screens: Screens):
    where = await screens.opened()
    screens.flow.world.clock.advance(timedelta(minutes=10))
    answers = await tries(screens, where)

    assert {a.status_code for a in answers} == {404}


async def test_nobody_gets_in_without_a_secret(screens: Screens):
    where = await screens.opened()
    stranger = Screens(screens.flow, ("bank", "wrong"))
    answers = [await stranger.open(), *await tries(stranger, where)]

    assert {a.status_code for a in answers} == {401}
    assert all(a.headers["www-authenticate"].startswith("Basic") for a in answers)
