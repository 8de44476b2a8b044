"""What an attacker or a careless client sends, and what each gets for it."""

import asyncio
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta

import httpx2
import msgspec
import pytest
from typing_extensions import override

from stepup.crypto import keys
from stepup.domain.errors import DependencyUnavailableError
from stepup.usecases import provision
from tests.crypto import forging
from tests.http.conftest import app_over
from tests.http.flow import (
    BANK,
    Flow,
    a_transfer,
    answer_in,
    code_in,
    hidden_fields,
    passkey_options,
)
from tests.support.application import CLIENT_SECRET
from tests.support.authenticator import TRUTH, Lie
from tests.support.memory_database import AwayDatabase
from tests.support.world import BANK_CALLBACK, World


def assert_no_redirect(response: httpx2.Response, status: int = 400) -> None:
    assert response.status_code == status, response.text
    assert "location" not in response.headers


# --- shapes -----------------------------------------------------------------------------------


async def test_malformed_json_is_refused(http: httpx2.AsyncClient):
    answer = await http.post(
        "/access/v1/evaluation",
        content=b'{"subject":',
        headers={"content-type": "application/json"},
        auth=BANK,
    )
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_request"


@pytest.mark.parametrize("wrong", ["text", 7, None, ["list"]])
async def test_wrong_types_are_refused(http: httpx2.AsyncClient, wrong: object):
    request = a_transfer() | {"subject": wrong}
    answer = await http.post("/access/v1/evaluation", json=request, auth=BANK)
    assert answer.status_code == 400


async def test_an_oversize_body_is_refused(http: httpx2.AsyncClient):
    request = a_transfer() | {"context": {"padding": "x" * 70_000}}
    answer = await http.post("/access/v1/evaluation", json=request, auth=BANK)
    assert answer.status_code == 413
    assert answer.json()["code"] == "body_too_large"


async def test_an_oversize_form_is_refused(http: httpx2.AsyncClient):
    answer = await http.post("/oauth2/par", data={"state": "x" * 70_000}, auth=BANK)
    assert answer.status_code == 413
    assert answer.json()["error"] == "invalid_request"


# --- clients ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/oauth2/par", "/oauth2/token", "/oauth2/introspect"])
@pytest.mark.parametrize("who", [("nobody", CLIENT_SECRET), ("bank", "wrong")])
async def test_an_unknown_client_or_a_wrong_secret_is_refused_alike(
    http: httpx2.AsyncClient, path: str, who: tuple[str, str]
):
    answer = await http.post(path, data={"token": "x"}, auth=who)
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_client"
    assert answer.headers["www-authenticate"].startswith("Basic")


async def test_a_wrong_redirect_uri_does_not_redirect(flow: Flow):
    ticket = await flow.ticket()
    for uri in (
        f"{BANK_CALLBACK}/",
        f"{BANK_CALLBACK}?x=1",
        "https://bank.example.evil.example/callback",
        "http://bank.example/callback",
        "https://BANK.example/callback",
    ):
        assert_no_redirect(await flow.push(ticket, redirect_uri=uri))


async def test_authorize_never_redirects_on_what_a_url_says(flow: Flow):
    answer = await flow.http.get(
        "/oauth2/authorize",
        params={"client_id": "bank", "redirect_uri": "https://evil.example", "state": "s"},
    )
    assert_no_redirect(answer)


async def test_a_request_uri_of_another_client_is_refused(flow: Flow):
    pushed = await flow.push(await flow.ticket())
    assert_no_redirect(await flow.authorize(pushed.json()["request_uri"], client_id="shop"))


async def test_an_expired_request_uri_is_refused(flow: Flow):
    pushed = await flow.push(await flow.ticket())
    flow.world.clock.advance(timedelta(minutes=10, seconds=1))
    assert_no_redirect(await flow.authorize(pushed.json()["request_uri"]))


async def test_a_guessed_request_uri_is_refused(flow: Flow):
    pushed = await flow.push(await flow.ticket())
    guessed = pushed.json()["request_uri"].rpartition(".")[0] + ".guess"
    assert_no_redirect(await flow.authorize(guessed))


async def test_a_challenge_stays_in_the_browser_it_was_opened_in(flow: Flow):
    where = await flow.opened()
    async with app_over(flow.world.ports) as other:
        assert (await other.get(where)).status_code == 403


async def test_a_forged_form_from_another_site_is_refused(flow: Flow):
    where = await flow.opened()
    answer = await flow.type_code(where, flow.world.code(), form_token="forged")
    assert answer.status_code == 400
    assert (await flow.type_code(where, flow.world.code())).status_code == 303


# --- tickets and base identity ----------------------------------------------------------------


def tampered(token: str, **changes: object) -> str:
    """Change claims of a JWT and keep its signature."""
    head, payload, signature = token.split(".")
    claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    claims |= changes
    changed = urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{head}.{changed}.{signature}"


async def test_a_ticket_with_a_lowered_level_is_refused(flow: Flow):
    ticket = await flow.ticket("5000.00")
    weaker = forging.read(await flow.ticket("500.00"), 1)
    claims = forging.read(ticket, 1)
    changed = {name: weaker[name] for name in claims if claims[name] != weaker[name]}
    assert "phr" in json.dumps(claims)
    assert "phr" not in json.dumps(claims | changed)
    answer = await flow.push(tampered(ticket, **changed))
    assert answer.status_code == 400
    assert "ticket" in answer.json()["error_description"]
    assert (await flow.push(ticket)).status_code == 201


async def test_a_ticket_cannot_be_redeemed_twice(flow: Flow):
    ticket = await flow.ticket()
    assert (await flow.push(ticket)).status_code == 201
    assert (await flow.push(ticket)).status_code == 400


async def test_an_expired_ticket_is_refused(flow: Flow):
    ticket = await flow.ticket()
    flow.world.clock.advance(timedelta(seconds=121))
    assert (await flow.push(ticket)).status_code == 400


async def test_a_ticket_of_another_client_is_refused(flow: Flow):
    flow.world.add_client("shop", redirect_uris=(BANK_CALLBACK,), audiences=("bank-api",))
    ticket = await flow.ticket()
    form = flow.push_form(ticket)
    answer = await flow.http.post("/oauth2/par", data=form, auth=("shop", CLIENT_SECRET))
    assert answer.status_code == 400


async def test_a_ticket_and_a_lowered_level_beside_it_are_refused(flow: Flow):
    ticket = await flow.ticket("5000.00")
    answer = await flow.push(ticket, acr_values="urn:stepup:acr:1")
    assert answer.status_code == 400


async def test_a_swapped_subject_is_refused(flow: Flow):
    ticket = await flow.ticket()
    answer = await flow.push(ticket, subject_token=flow.world.subject_token("mallory"))
    assert answer.status_code == 400
    assert "subject" in answer.json()["error_description"]


async def test_the_same_sub_of_another_issuer_is_another_subject(flow: Flow):
    ticket = await flow.ticket()
    foreign = flow.world.subject_token("alice", issuer="https://other-idp.example")
    assert (await flow.push(ticket, subject_token=foreign)).status_code == 400


async def test_no_subject_token_is_refused_for_a_client_that_may_not_assert(flow: Flow):
    assert (await flow.push(await flow.ticket(), subject_token="")).status_code == 400


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("code_challenge", ""),
        ("code_challenge_method", "plain"),
        ("code_challenge", "short"),
        ("response_type", "token"),
        ("scope", 'a"b'),
        ("resource", "https://somebody-else.example"),
    ],
)
async def test_a_push_with_a_wrong_parameter_is_refused(flow: Flow, parameter: str, value: str):
    answer = await flow.push(await flow.ticket(), **{parameter: value})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(("invalid_", "unsupported_response_type"))


@pytest.mark.parametrize(
    ("parameter", "value", "error"),
    [
        ("request", "eyJ.eyJ.sig", "invalid_request_object"),
        ("request_uri", "urn:ietf:params:oauth:request_uri:x", "invalid_request"),
        ("authorization_details", '[{"type":"x"}]', "invalid_authorization_details"),
        ("dpop_jkt", "thumbprint", "invalid_request"),
        ("prompt", "none login", "invalid_request"),
        ("response_mode", "fragment", "invalid_request"),
    ],
)
async def test_what_would_change_the_meaning_of_a_request_is_not_ignored(
    flow: Flow, parameter: str, value: str, error: str
):
    answer = await flow.push(await flow.ticket(), **{parameter: value})
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_an_unknown_parameter_is_ignored(flow: Flow):
    answer = await flow.push(await flow.ticket(), prompt="login", utm_source="mail", nonce="n")
    assert answer.status_code == 201


async def test_a_proof_of_possession_gets_no_bearer_token(flow: Flow):
    code = await flow.code()
    refused = await flow.redeem(code, headers={"dpop": "eyJ.eyJ.sig"})
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_dpop_proof")
    assert (await flow.redeem(code)).status_code == 200


# --- codes ------------------------------------------------------------------------------------


async def test_a_replayed_code_revokes_what_it_gave(flow: Flow):
    code = await flow.code()
    token = (await flow.redeem(code)).json()["access_token"]
    assert await flow.is_active(token)
    replayed = await flow.redeem(code)
    assert replayed.status_code == 400
    assert replayed.json()["error"] == "invalid_grant"
    assert not await flow.is_active(token)


async def test_the_same_attempt_gets_the_same_token(flow: Flow):
    code = await flow.code()
    key = {"idempotency-key": "attempt-1"}
    first = await flow.redeem(code, headers=key)
    again = await flow.redeem(code, headers=key)
    assert first.status_code == again.status_code == 200
    claims = [
        msgspec.json.decode(urlsafe_b64decode(r.json()["access_token"].split(".")[1] + "=="))
        for r in (first, again)
    ]
    assert claims[0] == claims[1]
    assert await flow.is_active(first.json()["access_token"])


async def test_an_expired_code_is_refused(flow: Flow):
    code = await flow.code()
    flow.world.clock.advance(timedelta(seconds=61))
    assert (await flow.redeem(code)).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": "a" * 43},
        {"code_verifier": ""},
        {"redirect_uri": f"{BANK_CALLBACK}2"},
    ],
    ids=["wrong verifier", "no verifier (downgrade)", "wrong redirect"],
)
async def test_a_code_is_bound_to_what_it_was_issued_for(flow: Flow, changes: dict[str, str]):
    code = await flow.code()
    assert (await flow.redeem(code, **changes)).json()["error"] == "invalid_grant"
    assert (await flow.redeem(code)).status_code == 200


async def test_a_stolen_code_is_of_no_use_to_another_client(flow: Flow):
    flow.world.add_client("shop", redirect_uris=(BANK_CALLBACK,))
    code = await flow.code()
    form = flow.token_form(code)
    stolen = await flow.http.post("/oauth2/token", data=form, auth=("shop", CLIENT_SECRET))
    assert stolen.json()["error"] == "invalid_grant"
    assert (await flow.redeem(code)).status_code == 200


async def test_an_unknown_grant_type_is_refused(flow: Flow):
    answer = await flow.redeem("x", grant_type="password")
    assert answer.json()["error"] == "unsupported_grant_type"


# --- tokens -----------------------------------------------------------------------------------


def with_header(token: str, **changes: object) -> str:
    head, payload, signature = token.split(".")
    header = json.loads(urlsafe_b64decode(head + "=" * (-len(head) % 4))) | changes
    changed = urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    return f"{changed}.{payload}.{signature}"


async def test_alg_none_is_not_active(flow: Flow):
    token = await flow.token()
    unsigned = with_header(token, alg="none").rpartition(".")[0] + "."
    assert not await flow.is_active(unsigned)


async def test_a_token_of_a_foreign_key_is_not_active_under_its_name_or_ours(flow: Flow):
    token = await flow.token()
    foreign = keys.generate_signing_key()
    header, claims = forging.read(token, 0), forging.read(token, 1)
    (ours,) = (key for key in flow.world.keyring.keys if key.id == header["kid"])
    for kid in (foreign.id, ours.id):
        forged = forging.forge(header | {"kid": kid}, claims, foreign.private_key)
        assert not await flow.is_active(forged)
    # The same words under our own key are active: nothing else was wrong with them.
    assert await flow.is_active(forging.forge(header, claims, ours.private_key))


async def test_a_token_is_active_for_its_own_parties_only(flow: Flow):
    token = await flow.token()
    flow.world.add_client("shop", audiences=("shop-api",))
    answer = await flow.http.post(
        "/oauth2/introspect", data={"token": token}, auth=("shop", CLIENT_SECRET)
    )
    assert answer.json() == {"active": False}


async def test_a_once_only_token_is_consumed_once_by_twenty_callers(flow: Flow):
    token = await flow.token()
    answers = await asyncio.gather(*(flow.consume(token) for _ in range(20)))
    assert sorted(a.status_code for a in answers) == [200] + [409] * 19


async def test_two_resource_servers_that_choose_the_same_key_do_not_both_consume(flow: Flow):
    flow.world.add_client("other-service", audiences=("bank-api",))
    token = await flow.token()
    answers = [
        await flow.http.post(
            "/oauth2/consume",
            data={"token": token},
            auth=(client, CLIENT_SECRET),
            headers={"idempotency-key": "1"},
        )
        for client in ("bank", "other-service")
    ]
    assert [answer.status_code for answer in answers] == [200, 409]


async def test_a_revoked_token_cannot_be_consumed(flow: Flow):
    token = await flow.token()
    await flow.http.post("/oauth2/revoke", data={"token": token}, auth=BANK)
    assert (await flow.consume(token)).status_code == 400


async def test_consuming_for_another_action_or_other_values_burns_nothing(flow: Flow):
    token = await flow.token()
    assert (await flow.consume(token, action="payments.cancel")).status_code == 400
    assert (await flow.consume(token, bound_digest="other")).status_code == 400
    for bound in ('{"amount":"1.00"}', "[]", "", "{", '{"a":1,"a":2}', "null"):
        refused = await flow.consume(token, bound=bound or "x")
        assert refused.status_code == 400, bound
    values = '{"payee":"ACME","amount":"500.00","currency":"EUR"}'
    assert (await flow.consume(token, action="payments.transfer", bound=values)).status_code == 200


async def test_a_lost_answer_is_asked_again_by_the_same_caller_and_by_no_other(flow: Flow):
    """An idempotency key that was overheard is worth nothing to another client."""
    flow.world.add_client("other-service", audiences=("bank-api",))
    token = await flow.token()

    async def consume(client: str) -> httpx2.Response:
        return await flow.http.post(
            "/oauth2/consume",
            data={"token": token},
            auth=(client, CLIENT_SECRET),
            headers={"idempotency-key": "overheard"},
        )

    first, again, stolen = [await consume(c) for c in ("bank", "bank", "other-service")]
    assert (first.status_code, again.status_code, stolen.status_code) == (200, 200, 409)
    assert again.json() == first.json()
    assert stolen.json()["consumed_at"] == first.json()["consumed_at"]


# --- answers ----------------------------------------------------------------------------------


async def test_the_second_use_of_a_totp_code_is_refused(flow: Flow):
    code = flow.world.code()
    first, second = await flow.opened(), await flow.opened()
    assert (await flow.type_code(first, code)).status_code == 303
    assert (await flow.type_code(second, code)).status_code == 422
    flow.world.clock.advance(timedelta(seconds=30))
    assert (await flow.type_code(second, flow.world.code())).status_code == 303


async def test_of_twenty_concurrent_correct_answers_one_wins(flow: Flow):
    where = await flow.opened()
    page = await flow.http.get(f"{where}/code")
    form = hidden_fields(page.text) | {"code": flow.world.code()}
    answers = await asyncio.gather(
        *(
            flow.http.post(f"{where}/code", data=form | {"attempt": f"attempt-{n}"})
            for n in range(20)
        )
    )
    won = [
        a
        for a in answers
        if a.status_code == 303 and a.headers["location"].startswith(BANK_CALLBACK)
    ]
    assert len(won) == 1


async def test_five_wrong_codes_pause_the_method_and_nothing_else(flow: Flow):
    _, passkey = await flow.world.enroll_passkey()
    where = await flow.opened()
    for _ in range(4):
        assert (await flow.type_code(where, flow.world.wrong_code())).status_code == 422
    assert (await flow.type_code(where, flow.world.wrong_code())).status_code == 429
    # The right code comes too late, here and in a new challenge; the passkey still answers.
    page = await flow.http.get(f"{where}/passkey")
    late = await flow.http.post(
        f"{where}/code", data=hidden_fields(page.text) | {"code": flow.world.code()}
    )
    assert late.status_code == 429
    assert "location" not in late.headers
    elsewhere = await flow.opened()
    assert (await flow.type_code(elsewhere, flow.world.code())).status_code == 429
    assert code_in(await flow.touch(where, passkey))


async def test_guessing_under_one_attempt_is_counted_like_any_other(flow: Flow):
    where = await flow.opened()
    guess = flow.world.wrong_code()
    pages = [
        await flow.type_code(where, f"{int(guess) + n:06}", attempt="the same") for n in range(3)
    ]
    assert ["tries left" in page.text for page in pages] == [True, True, True]
    assert "2 tries left" in pages[-1].text


@pytest.mark.parametrize(
    "lie",
    [
        Lie(origin="https://stepup.example.evil.example"),
        Lie(cross_origin=True),
        Lie(cross_origin=True, top_origin="https://evil.example"),
        Lie(rp_id="evil.example"),
        Lie(user_verified=False),
        Lie(user_handle=b"somebody else"),
        Lie(signature=b"forged"),
        Lie(challenge=b"x" * 32),
    ],
    ids=lambda lie: str(
        [
            k
            for k in (
                "origin",
                "cross_origin",
                "top_origin",
                "rp_id",
                "user_verified",
                "user_handle",
                "signature",
                "challenge",
            )
            if getattr(lie, k) is not None
        ]
    ),
)
async def test_a_lying_ceremony_is_refused(flow: Flow, lie: Lie):
    _, passkey = await flow.world.enroll_passkey()
    where = await flow.opened("5000.00")
    assert (await flow.touch(where, passkey, lie)).status_code == 422
    assert code_in(await flow.touch(where, passkey))


async def test_a_ceremony_of_a_wrong_origin_is_refused(flow: Flow):
    _, passkey = await flow.world.enroll_passkey()
    for origin in (
        "https://stepup.example.evil.example",
        "https://evil.example/https://stepup.example",
        "http://stepup.example",
        "https://stepup.example:8443",
    ):
        where = await flow.opened("5000.00")
        assert (await flow.touch(where, passkey, Lie(origin=origin))).status_code == 422


async def test_a_cross_origin_ceremony_is_refused(flow: Flow):
    _, passkey = await flow.world.enroll_passkey()
    for lie in (
        Lie(cross_origin=True),
        Lie(cross_origin=True, top_origin="https://evil.example"),
        Lie(cross_origin=True, top_origin="https://stepup.example"),
    ):
        where = await flow.opened("5000.00")
        assert (await flow.touch(where, passkey, lie)).status_code == 422


async def test_a_counter_that_goes_back_is_refused(flow: Flow):
    _, passkey = await flow.world.enroll_passkey(sign_count=5)
    clone = passkey.twin()
    assert code_in(await flow.touch(await flow.opened("5000.00"), passkey))
    refused = await flow.touch(await flow.opened("5000.00"), clone)
    assert refused.status_code == 422


async def test_a_webauthn_answer_cannot_be_replayed(flow: Flow):
    _, passkey = await flow.world.enroll_passkey()
    where = await flow.opened("5000.00")
    page = await flow.http.get(f"{where}/passkey")
    credential = json.dumps(passkey.answer(passkey_options(page.text)))
    form = hidden_fields(page.text) | {"credential": credential}
    assert code_in(await flow.http.post(f"{where}/passkey", data=form))
    again = await flow.http.post(f"{where}/passkey", data=form | {"attempt": "another"})
    assert BANK_CALLBACK not in again.headers.get("location", "")
    assert again.status_code == 303, again.text


async def test_a_ceremony_is_spent_by_a_wrong_answer_too(flow: Flow):
    _, passkey = await flow.world.enroll_passkey()
    where = await flow.opened("5000.00")
    page = await flow.http.get(f"{where}/passkey")
    options = passkey_options(page.text)
    wrong, right = passkey.answer(options, Lie(signature=b"forged")), passkey.answer(options)
    form = hidden_fields(page.text)
    statuses = [
        (
            await flow.http.post(
                f"{where}/passkey",
                data=form | {"credential": json.dumps(credential), "attempt": attempt},
            )
        ).status_code
        for attempt, credential in (("first", wrong), ("second", right))
    ]
    assert statuses == [422, 422]
    assert code_in(await flow.touch(where, passkey))


async def test_a_webauthn_answer_of_another_challenge_is_refused(flow: Flow):
    _, passkey = await flow.world.enroll_passkey()
    where = await flow.opened("5000.00")
    page = await flow.http.get(f"{where}/passkey")
    other = await flow.opened("5000.00")
    credential = json.dumps(passkey.answer(passkey_options(page.text)))
    fields = hidden_fields((await flow.http.get(f"{other}/passkey")).text)
    elsewhere = await flow.http.post(f"{other}/passkey", data=fields | {"credential": credential})
    assert elsewhere.status_code == 422
    form = hidden_fields(page.text) | {"credential": credential}
    assert code_in(await flow.http.post(f"{where}/passkey", data=form))


async def test_what_was_removed_meanwhile_answers_no_open_challenge(flow: Flow):
    app = await flow.world.enroll_app("alice", name="Old phone")
    enrolled, passkey = await flow.world.enroll_passkey()
    first, second = await flow.opened(), await flow.opened("5000.00")
    subject = flow.world.subject()
    held = await provision.list_authenticators(flow.world.ports, subject)
    for authenticator in held:
        await provision.remove(flow.world.ports, subject, authenticator.id)
    assert {app.id, enrolled.id} <= {authenticator.id for authenticator in held}
    assert (await flow.type_code(first, flow.world.code())).status_code == 422
    assert (await flow.touch(second, passkey)).status_code == 422


async def test_three_tabs_do_not_disturb_each_other(flow: Flow):
    _, passkey = await flow.world.enroll_passkey()
    where = await flow.opened("5000.00")
    pages = [await flow.http.get(f"{where}/passkey") for _ in range(3)]
    assert len({passkey_options(page.text)["challenge"] for page in pages}) == 3
    # Each tab's ceremony is still its own, whatever the ones before it came to.
    for page, lie in zip(pages, (Lie(signature=b"x"), Lie(signature=b"x"), TRUTH), strict=True):
        credential = json.dumps(passkey.answer(passkey_options(page.text), lie))
        form = hidden_fields(page.text) | {"credential": credential}
        answered = await flow.http.post(f"{where}/passkey", data=form)
        assert answered.status_code == (303 if lie is TRUTH else 422)
    assert code_in(answered)


async def test_cancelling_says_so_to_the_client(flow: Flow):
    where = await flow.opened()
    page = await flow.http.get(where)
    answer = await flow.http.post(f"{where}/cancel", data=hidden_fields(page.text))
    assert answer_in(answer) == {
        "error": "access_denied",
        "error_description": "The subject cancelled.",
        "state": "st-1",
        "iss": flow.world.site.issuer,
    }


async def test_a_subject_with_nothing_strong_enough_is_told_so(http: httpx2.AsyncClient):
    world = World()
    async with app_over(world.ports) as client:
        flow = Flow(client, world)
        where = await flow.opened("5000.00")
        page = await client.get(where)
        assert page.status_code == 200
        answer = await client.post(f"{where}/cancel", data=hidden_fields(page.text))
        assert answer_in(answer)["error"] == "unmet_authentication_requirements"


async def test_an_expired_challenge_is_explained_on_a_page(flow: Flow):
    where = await flow.opened()
    flow.world.clock.advance(timedelta(minutes=10, seconds=1))
    page = await flow.http.get(where, headers={"accept": "text/html"})
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")


# --- stores away ------------------------------------------------------------------------------


class Away:
    """Stands for a store that does not answer, whatever it is asked."""

    @override
    def __getattribute__(self, name: str) -> object:
        async def refuse(*_: object, **__: object) -> object:
            raise DependencyUnavailableError

        return refuse


async def test_redis_away_grants_nothing_and_says_when_to_come_again(flow: Flow):
    code = await flow.code()
    away = flow.world.ports.state._replace(challenges=Away(), attempts=Away(), tokens=Away())
    async with app_over(flow.world.ports._replace(state=away)) as http:
        answer = await http.post("/oauth2/token", data=flow.token_form(code), auth=BANK)
    assert answer.status_code == 503
    assert answer.json()["error"] == "temporarily_unavailable"
    assert int(answer.headers["retry-after"]) >= 1
    # Nothing was lost: the same code is good once the store is back.
    assert (await flow.redeem(code)).status_code == 200


@pytest.mark.parametrize(
    ("asked", "again"),
    [
        ("/account", "/account"),
        ("/account?x=1&amp", "/account?x=1&amp;amp"),
        ("/account?x=" + "a" * 5000, None),
    ],
)
async def test_attack_a_host_header_decides_where_try_again_leads(
    flow: Flow, asked: str, again: str | None
):
    away = flow.world.ports.state._replace(accounts=Away())
    async with app_over(flow.world.ports._replace(state=away)) as http:
        http.cookies.set("__Host-stepup-account", "x")
        page = await http.get(asked, headers={"host": "evil.example", "accept": "text/html"})
    assert page.status_code == 503
    assert "evil.example" not in page.text
    assert ('href="/account' in page.text) is (again is not None)
    assert again is None or f'href="{again}"' in page.text


async def test_postgres_away_is_a_clear_503(flow: Flow):
    ticket = await flow.ticket()
    async with app_over(flow.world.ports._replace(database=AwayDatabase(flow.world.clock))) as http:
        answer = await http.post("/oauth2/par", data=flow.push_form(ticket), auth=BANK)
    assert answer.status_code == 503
    assert answer.json()["error"] == "temporarily_unavailable"
