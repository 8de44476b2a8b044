"""Administrators with elevated tokens of our own: what lets them in, and what must not."""

from datetime import timedelta

import httpx2
import pytest

from stepup.domain.administrator import AdminAction, Scope
from stepup.domain.client import Role
from stepup.domain.ids import Subject
from stepup.policy_language import document
from stepup.usecases.administrators import dismiss
from tests.http.admin_visit import AUDIENCE, CONSOLE, POLICY, AdminVisit, bearer
from tests.http.conftest import app_over
from tests.http.flow import BANK
from tests.support.application import CLIENT_SECRET
from tests.support.authenticator import SoftwareAuthenticator
from tests.support.memory_database import AwayDatabase
from tests.support.world import BANK_CALLBACK, IDP, World

ACTIVATE = AdminAction.POLICY_ACTIVATE
READ = AdminAction.POLICY_READ


@pytest.fixture
async def visit(http: httpx2.AsyncClient, world: World) -> AdminVisit:
    return await AdminVisit(http, world).arrive()


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_base_login_step_up_with_a_passkey_and_a_policy_is_active(
    visit: AdminVisit, world: World
):
    activated = await visit.activate(await visit.token(ACTIVATE))

    assert (activated.status_code, activated.json()["version"]) == (200, 1)
    shown = await visit.look(await visit.token(READ))
    assert shown.json()["author"] == "alice"


async def test_whoever_agreed_to_change_something_may_look(visit: AdminVisit):
    token = await visit.token(ACTIVATE)
    await visit.activate(token)

    assert (await visit.look(token)).status_code == 200


# --- too weak, too old, for something else ----------------------------------------------------


async def test_a_code_of_an_app_activates_nothing(visit: AdminVisit):
    lowered = {"acr_values": "urn:stepup:acr:2", "resource": AUDIENCE}
    token = await visit.token_for(lowered, with_app=True)

    answer = await visit.activate(token)

    assert code_of(answer) == (401, "insufficient_user_authentication")
    assert answer.headers["www-authenticate"] == (
        'Bearer realm="stepup", error="insufficient_user_authentication", acr_values="phr", '
        'action="stepup.admin.policy.activate", max_age="300"'
    )
    problem = answer.json()
    assert (problem["acr_values"], problem["max_age"]) == ("phr", 300)


async def test_a_passkey_of_five_minutes_ago_activates_and_a_second_later_it_does_not(
    visit: AdminVisit, world: World
):
    token = await visit.token(ACTIVATE)

    world.clock.advance(timedelta(minutes=5))
    assert (await visit.activate(token)).status_code == 200
    world.clock.advance(timedelta(seconds=1))
    answer = await visit.activate(token)

    assert code_of(answer) == (401, "insufficient_user_authentication")
    assert (answer.json()["acr_values"], answer.json()["max_age"]) == ("phr", 300)
    assert (await visit.look(token)).status_code == 200


async def test_who_agreed_to_look_has_not_agreed_to_activate(visit: AdminVisit):
    answer = await visit.activate(await visit.token(READ))

    assert code_of(answer) == (401, "insufficient_user_authentication")
    assert 'action="stepup.admin.policy.activate"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("action", [AdminAction.POLICY_ROLLBACK, AdminAction.SUBJECT_CHANGE])
async def test_a_token_for_another_change_does_not_activate(visit: AdminVisit, action: AdminAction):
    assert (await visit.activate(await visit.token(action))).status_code == 401


async def test_a_token_for_a_level_alone_activates_nothing(visit: AdminVisit):
    asked = {"acr_values": "phr", "max_age": "0", "resource": AUDIENCE}
    token = await visit.token_for(asked)

    for answer in (await visit.activate(token), await visit.look(token)):
        assert code_of(answer) == (401, "insufficient_user_authentication")


# --- somebody else's ----------------------------------------------------------------------------


async def test_confused_audience_a_service_s_token_does_not_open_the_gate(visit: AdminVisit):
    token = await visit.token(ACTIVATE, resource="elsewhere")

    answer = await visit.activate(token)

    assert code_of(answer) == (401, "not_authorized")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_a_client_that_may_not_name_our_audience_gets_no_token_for_it(
    visit: AdminVisit, http: httpx2.AsyncClient
):
    asked = {
        "subject": {"type": "user", "id": "alice"},
        "action": {"name": ACTIVATE},
        "resource": {"type": "stepup", "id": "admin"},
    }
    decided = await http.post("/access/v1/evaluation", json=asked, auth=BANK)
    form = {
        "response_type": "code",
        "redirect_uri": BANK_CALLBACK,
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
        "step_up_ticket": decided.json()["context"]["step_up_ticket"],
        "subject_token": visit.world.subject_token(),
        "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
        "resource": AUDIENCE,
    }

    answer = await http.post("/oauth2/par", data=form, auth=BANK)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_target")


async def test_an_unlisted_subject_administers_nothing(visit: AdminVisit):
    await visit.enroll("mallory")

    answer = await visit.activate(await visit.token(ACTIVATE, "mallory"))

    assert code_of(answer) == (403, "insufficient_scope")
    assert answer.headers["www-authenticate"] == (
        'Bearer realm="stepup", error="insufficient_scope", scope="policy:activate"'
    )


async def test_the_same_sub_of_another_issuer_administers_nothing(visit: AdminVisit, world: World):
    await visit.enroll("bob")
    await visit.appoint("bob", issuer="https://other.example")

    answer = await visit.activate(await visit.token(ACTIVATE, "bob"))

    assert code_of(answer) == (403, "insufficient_scope")


async def test_a_dismissed_administrator_is_out_at_once(visit: AdminVisit, world: World):
    token = await visit.token(ACTIVATE)
    assert await dismiss(world.ports, Subject(IDP, "alice"), "host:root")

    assert code_of(await visit.activate(token)) == (403, "insufficient_scope")


async def test_scope_escalation_who_may_read_may_not_activate(visit: AdminVisit):
    token = await visit.token(ACTIVATE)
    await visit.appoint("alice", Scope.POLICY_READ, Scope.POLICY_DRAFT)

    assert code_of(await visit.activate(token)) == (403, "insufficient_scope")
    assert (await visit.look(token)).status_code == 404


# --- not any more -------------------------------------------------------------------------------


async def test_a_revoked_token_is_out_at_once(visit: AdminVisit, http: httpx2.AsyncClient):
    token = await visit.token(ACTIVATE)
    revoked = await http.post("/oauth2/revoke", data={"token": token}, auth=CONSOLE)
    assert revoked.status_code == 200

    assert code_of(await visit.activate(token)) == (401, "not_authorized")


async def test_an_expired_token_is_out(visit: AdminVisit, world: World):
    token = await visit.token(READ)
    world.clock.advance(timedelta(minutes=10, seconds=6))

    assert code_of(await visit.look(token)) == (401, "not_authorized")


async def test_a_guardrail_of_the_document_makes_the_token_good_for_one_use(
    visit: AdminVisit, world: World
):
    world.snapshot.held_policy = document.parse(
        """
apiVersion: stepup/v1
actions: {pay: {default: allow}}
guardrails:
  - id: once
    match: {actions: ["stepup.admin.policy.activate"]}
    require: {once: true}
""",
        version=1,
    )
    token = await visit.token(ACTIVATE)

    assert (await visit.activate(token)).status_code == 200
    assert code_of(await visit.activate(token)) == (401, "not_authorized")


async def test_a_guardrail_of_the_document_raises_what_looking_takes(
    visit: AdminVisit, world: World
):
    token = await visit.token(READ)
    world.snapshot.held_policy = document.parse(
        """
apiVersion: stepup/v1
actions: {pay: {default: allow}}
guardrails:
  - {id: top, match: {tags: [stepup-admin]}, require: {level: phrh, max_age: 1m}}
""",
        version=1,
    )

    answer = await visit.look(token)

    assert code_of(answer) == (401, "insufficient_user_authentication")
    assert (answer.json()["acr_values"], answer.json()["max_age"]) == ("phrh", 60)


@pytest.mark.parametrize("where", ["?access_token={}", "?token={}"])
async def test_a_token_in_the_query_opens_nothing(
    visit: AdminVisit, http: httpx2.AsyncClient, where: str
):
    token = await visit.token(READ)

    answer = await http.get(POLICY + where.format(token))

    assert code_of(answer) == (401, "not_authorized")


async def test_a_changed_signature_opens_nothing(visit: AdminVisit):
    head, payload, signature = (await visit.token(READ)).split(".")
    forged = f"{head}.{payload}.{signature[:-6]}AAAAAA"

    assert code_of(await visit.look(forged)) == (401, "not_authorized")


async def test_what_a_client_says_of_an_authentication_lets_nobody_administer(
    visit: AdminVisit, world: World, http: httpx2.AsyncClient
):
    world.add_client("loud", roles=frozenset(Role), asserts_authentication=True)
    answer = await http.get(POLICY, auth=("loud", CLIENT_SECRET))

    assert code_of(answer) == (401, "not_authorized")


async def test_with_the_database_away_nobody_knows_who_administers(visit: AdminVisit, world: World):
    token = await visit.token(ACTIVATE)
    async with app_over(world.ports._replace(database=AwayDatabase(world.clock))) as http:
        answer = await http.get(POLICY, headers=bearer(token))

    assert code_of(answer) == (503, "dependency_unavailable")


async def test_nobody_gives_another_administrator_a_passkey(
    visit: AdminVisit, http: httpx2.AsyncClient
):
    await visit.appoint("bob")
    token = await visit.token(AdminAction.SUBJECT_CHANGE)
    passkey = SoftwareAuthenticator(origin=visit.world.site.origins[0]).provisioning()

    answer = await http.post(
        "/v1/admin/subjects/bob/authenticators", json=passkey, headers=bearer(token)
    )

    assert code_of(answer) == (403, "administrator_protected")


async def test_an_explanation_shows_no_authenticators_that_a_guardrail_keeps_from_the_token(
    visit: AdminVisit, http: httpx2.AsyncClient, world: World
):
    guarded = """
apiVersion: stepup/v1
actions: {pay: {default: {level: phr}}}
guardrails:
  - id: top
    match: {actions: ["stepup.admin.subject.*"]}
    require: {level: phrh}
"""
    asked = {"subject": {"type": "user", "id": "alice"}, "action": {"name": "pay"}}
    token = await visit.token(READ)
    shown = []
    for text in (guarded.split("guardrails", maxsplit=1)[0], guarded):
        world.snapshot.held_policy = document.parse(text, version=1)
        answer = await http.post(f"{POLICY}/explain", json=asked, headers=bearer(token))
        shown.append((answer.status_code, bool(answer.json()["authenticators"])))

    assert shown == [(200, True), (200, False)]
