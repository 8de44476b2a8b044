"""What the pages of a challenge say beside the main thing: steps, spans, ways out, what to forget."""

import json
import re
from datetime import timedelta

import httpx2
import pytest

from stepup.ceremonies import webauthn
from stepup.crypto.digests import encode
from stepup.pages import assets
from tests.http.account_visit import HTML, AccountVisit
from tests.http.conftest import app_over
from tests.http.flow import Flow, code_in, hidden_fields, passkey_options
from tests.support.authenticator import TRUTH, Lie, SoftwareAuthenticator
from tests.support.world import World

EITHER_ALONE_OR_BOTH = """
apiVersion: stepup/v1
levels:
  both: {any_of: [[totp, {method: webauthn, user_verified: true}]], max_age: 5m}
actions:
  payments.transfer:
    attributes: {amount: {type: decimal}, payee: {type: string}}
    default: {level: both}
"""
AGES = """
apiVersion: stepup/v1
actions:
  payments.transfer:
    attributes: {amount: {type: decimal}, payee: {type: string}}
    default: {level: urn:stepup:acr:2, %s}
"""


async def read(flow: Flow, path: str) -> str:
    return (await flow.http.get(path, headers=HTML)).text


def forgotten(page: str) -> dict[str, str] | None:
    found = re.search(r"data-su-unknown>(.*?)</script>", page)
    return json.loads(found[1]) if found else None


async def refuse(flow: Flow, where: str, passkey: SoftwareAuthenticator, lie: Lie = TRUTH) -> str:
    answered = await flow.touch(where, passkey, lie)
    assert answered.status_code == 422, answered.text
    return answered.text


# --- steps and spans --------------------------------------------------------------------------


async def test_a_combination_says_from_the_start_how_many_steps_there_are():
    world = World(document=EITHER_ALONE_OR_BOTH)
    await world.enroll_app()
    _, passkey = await world.enroll_passkey()
    async with app_over(world.ports) as http:
        flow = Flow(http, world)
        where = await flow.opened()
        assert "Step 1 of 2" in await read(flow, where)
        await flow.touch(where, passkey)
        page = await read(flow, where)
        assert "Step 2 of 2" in page
        assert "Code from your authenticator app" in page
        assert code_in(await flow.type_code(where, world.code()))


async def test_one_answer_that_is_enough_is_no_step(flow: Flow):
    assert "Step " not in await read(flow, await flow.opened())


@pytest.mark.parametrize(
    ("demand", "said"),
    [
        ("max_age: 5m", True),
        ("max_age: 0s", False),
        ("max_age: 5m, once: true", False),
        ("max_age: 5m, bind: [amount]", False),
    ],
)
async def test_how_long_an_answer_counts_is_said_only_where_it_does(demand: str, said: bool):
    world = World(document=AGES % demand)
    await world.enroll_app()
    async with app_over(world.ports) as http:
        flow = Flow(http, world)
        page = await read(flow, await flow.opened())
    assert ("can rely on this for 5 minutes" in page) is said


# --- ways out ---------------------------------------------------------------------------------


async def test_what_is_already_done_leads_back_to_where_the_client_lives(flow: Flow):
    where = await flow.opened()
    await flow.redeem(code_in(await flow.type_code(where, flow.world.code())))
    assert 'href="https://bank.example/"' in await read(flow, where)


async def test_a_method_without_tries_says_when_it_opens_and_stays_in_sight(flow: Flow):
    await flow.world.enroll_passkey()
    where = await flow.opened()
    for _ in range(5):
        locked = await flow.type_code(where, flow.world.wrong_code())
    assert "for a new one it opens within 15 minutes" in locked.text
    assert "Use your passkey" in locked.text
    assert "Closed for this request" in await read(flow, f"{where}/methods")
    assert "data-su-another" not in await read(flow, f"{where}/passkey")


async def test_a_pause_of_the_subject_is_told_to_the_minute(flow: Flow):
    first = await flow.opened()
    for _ in range(5):
        await flow.type_code(first, flow.world.wrong_code())
    flow.world.clock.advance(timedelta(minutes=1))
    paused = await flow.type_code(await flow.opened(), flow.world.code())
    assert "it opens again in 2 minutes" in paused.text


async def test_a_passkey_without_tries_is_closed_for_this_request_only(flow: Flow):
    _, passkey = await flow.world.enroll_passkey()
    where = await flow.opened("5000.00")
    for _ in range(5):
        locked = await flow.touch(where, passkey, Lie(signature=b"forged"))
    assert locked.status_code == 429
    assert "start again" in locked.text
    assert "opens" not in locked.text
    assert code_in(await flow.touch(await flow.opened("5000.00"), passkey))


# --- passkeys ---------------------------------------------------------------------------------


async def test_a_form_sent_before_its_script_was_ready_shows_the_page_again(flow: Flow):
    await flow.world.enroll_passkey()
    where = await flow.opened("5000.00")
    form = hidden_fields(await read(flow, f"{where}/passkey"))
    answer = await flow.http.post(f"{where}/passkey", data=form | {"credential": ""})
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{where}/passkey"
    assert 'role="alert"' not in await read(flow, f"{where}/passkey")


async def test_a_registration_sent_before_its_script_was_ready_keeps_the_name(world: World):
    async with app_over(world.ports) as http:
        visit = AccountVisit(http, world)
        await visit.sign_in()
        form = {"credential": "", "name": "My laptop"}
        page = await visit.submit("/account/add/passkey", **form)
    assert page.status_code == 200
    assert 'value="My laptop"' in page.text
    assert 'role="alert"' not in page.text


async def test_the_page_of_a_passkey_carries_no_name_of_its_ceremony(flow: Flow):
    await flow.world.enroll_passkey()
    page = await read(flow, await flow.opened("5000.00"))
    assert "ceremony_id" not in page


async def test_a_passkey_that_is_kept_nowhere_is_told_to_be_forgotten(flow: Flow):
    await flow.world.enroll_passkey()
    gone = SoftwareAuthenticator(origin=flow.world.site.origins[0])
    gone.user_handle = webauthn.user_handle(flow.world.subject())
    page = await refuse(flow, await flow.opened("5000.00"), gone)
    assert "know this passkey" in page
    assert "You have 4 tries left." in page
    assert forgotten(page) == {
        "rpId": passkey_options(page)["rpId"],
        "credentialId": encode(gone.credential_id),
    }


async def test_a_passkey_that_was_added_in_another_tab_is_not_forgotten(flow: Flow):
    await flow.world.enroll_passkey()
    where = await flow.opened("5000.00")
    _, fresh = await flow.world.enroll_passkey()
    fresh.user_handle = webauthn.user_handle(flow.world.subject())
    assert forgotten(await refuse(flow, where, fresh)) is None


async def test_a_passkey_of_somebody_else_is_not_forgotten(flow: Flow):
    await flow.world.enroll_passkey()
    stranger = SoftwareAuthenticator(origin=flow.world.site.origins[0])
    stranger.user_handle = webauthn.user_handle(flow.world.subject("bob"))
    where = await flow.opened("5000.00")
    assert forgotten(await refuse(flow, where, stranger)) is None
    stranger.user_handle = None
    assert forgotten(await refuse(flow, where, stranger)) is None


async def test_a_passkey_that_did_not_verify_is_refused_and_not_forgotten(flow: Flow):
    _, passkey = await flow.world.enroll_passkey()
    where = await flow.opened("5000.00")
    page = await refuse(flow, where, passkey, Lie(user_verified=False))
    assert "prove that it" in page
    assert forgotten(page) is None


# --- HEAD -------------------------------------------------------------------------------------


async def test_head_answers_like_get_without_a_body(flow: Flow):
    where = await flow.opened()
    for path in (where, "/account/signed-out", assets.built()["stepup.css"].url):
        got = await flow.http.get(path, headers=HTML)
        head = await flow.http.head(path, headers=HTML)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == got.headers["content-type"]


async def test_head_uses_nothing_up(flow: Flow):
    pushed = await flow.push(await flow.ticket())
    query = {"client_id": "bank", "request_uri": pushed.json()["request_uri"]}
    head = await flow.http.head("/oauth2/authorize", params=query)
    assert head.status_code == 405
    authorized: httpx2.Response = await flow.authorize(query["request_uri"])
    assert authorized.status_code == 303
