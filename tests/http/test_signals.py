"""SSF 1.0 over HTTP: a receiver gets a token, makes a stream, and fetches what happened."""

from datetime import timedelta

import pytest

from stepup.crypto import machine_tokens, tokens
from stepup.domain.client import Role
from stepup.domain.client_authentication import AuthMethod
from stepup.domain.signals import EVENTS_SUPPORTED, EventType
from stepup.domain.streams import MAX_STREAMS
from stepup.usecases import revoke
from tests.crypto.forging import forge, read
from tests.support import vectors
from tests.support.application import CLIENT_SECRET
from tests.support.dpop import ProofKey
from tests.support.receivers import CRM, ENDPOINT, a_receiver, told
from tests.support.world import IDP, World
from tests.usecases.steps import issued

STREAMS, STATUS = "/v1/signals/streams", "/v1/signals/status"
VERIFY = "/v1/signals/verification"
CONFIGURATION = "/.well-known/ssf-configuration"
PUSH, POLL = "urn:ietf:rfc:8935", "urn:ietf:rfc:8936"
SSF = vectors.load("ssf-caep-examples")["ssf"]


def example(figure: str) -> dict:
    return next(each["json"] for each in SSF if each["figure"].startswith(f"Figure {figure}:"))


async def token_of(http, client_id: str = CRM, **form: str) -> dict:
    answer = await http.post(
        "/oauth2/token",
        data={"grant_type": "client_credentials"} | form,
        auth=(client_id, CLIENT_SECRET),
    )
    return answer.json()


@pytest.fixture
async def crm(http, world: World):
    a_receiver(world)
    http.headers["authorization"] = f"Bearer {(await token_of(http))['access_token']}"
    return http


async def made(crm, **members) -> dict:
    answer = await crm.post(STREAMS, json=members)
    assert answer.status_code == 201, answer.text
    return answer.json()


# --- the receiver's token ---------------------------------------------------------------------


async def test_rfc8707_2_a_receiver_s_token_is_for_nothing_else(http, world: World):
    a_receiver(world)
    assert "access_token" in await token_of(http, resource=world.site.url("/v1/signals"))
    for other in ({"resource": "https://bank-api.example"}, {"audience": "bank-api"}):
        assert (await token_of(http, **other))["error"] == "invalid_target"
    details = await token_of(http, authorization_details='[{"type": "stepup_action"}]')
    assert details["error"] == "invalid_authorization_details"


async def test_rfc6749_4_4_a_receiver_gets_a_token_of_its_own(http, world: World):
    a_receiver(world)
    answer = await token_of(http)
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 600)
    assert answer["scope"] == "ssf.manage ssf.read"
    assert "refresh_token" not in answer
    claims = read(answer["access_token"], 1)
    assert claims["sub"] == claims["client_id"] == CRM
    assert {"acr", "auth_time", "amr", "sub_id"}.isdisjoint(claims)


async def test_rfc6749_3_3_a_scope_may_be_less_but_not_another_one(http, world: World):
    a_receiver(world)
    assert (await token_of(http, scope="ssf.read"))["scope"] == "ssf.read"
    assert (await token_of(http, scope="openid"))["error"] == "invalid_scope"


@pytest.mark.parametrize(
    "changes", [{"roles": frozenset({Role.RP})}, {"auth_method": AuthMethod.NONE}]
)
async def test_rfc6749_4_4_others_get_none(http, world: World, changes):
    a_receiver(world, **changes)
    answer = await http.post(
        "/oauth2/token",
        data={"grant_type": "client_credentials", "client_id": CRM},
        auth=None if "auth_method" in changes else (CRM, CLIENT_SECRET),
    )
    assert answer.json()["error"] == "unauthorized_client"


async def test_attack_a_token_of_a_client_is_no_elevated_token(http, world: World):
    a_receiver(world)
    text = (await token_of(http))["access_token"]
    with pytest.raises(tokens.InvalidTokenError):
        tokens.read(text, world.keyring, world.site, world.clock.now())
    for path in ("/oauth2/introspect", "/oauth2/consume"):
        answer = await http.post(path, data={"token": text}, auth=("bank", CLIENT_SECRET))
        assert answer.json().get("active") is not True
    userinfo = await http.get("/userinfo", headers={"authorization": f"Bearer {text}"})
    assert userinfo.status_code in {401, 404}


async def test_attack_an_elevated_token_manages_no_streams(http, world: World):
    await world.enroll_app()
    text = (await issued(world)).text
    answer = await http.get(STREAMS, headers={"authorization": f"Bearer {text}"})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://bank-api.example"},
        {"iss": "https://other.example"},
        {"sub": "alice"},
        {"acr": "phr"},
        {"exp": 0},
        {"scope": None},
    ],
)
async def test_attack_a_token_that_is_nearly_one(http, world: World, changes):
    a_receiver(world)
    text = (await token_of(http))["access_token"]
    claims = read(text, 1) | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    forged = forge(read(text, 0), claims, world.keyring.active.private_key)
    answer = await http.get(STREAMS, headers={"authorization": f"Bearer {forged}"})
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("changes", [{}, {"dpop_bound": True}])
async def test_rfc9449_7_1_a_bound_token_manages_streams_with_a_proof(http, world: World, changes):
    a_receiver(world, **changes)
    key = ProofKey()
    text = (await _bound_token(http, world, key))["access_token"]
    url, at = world.site.url(STREAMS), world.clock.now()
    proof = key.proof("GET", url, at, access_token=text)
    headers = {"authorization": f"DPoP {text}", "dpop": proof}
    assert (await http.get(STREAMS, headers=headers)).status_code == 200
    assert (await http.get(STREAMS, headers=headers)).status_code == 401


async def test_attack_a_bound_token_of_a_receiver_was_stolen(http, world: World):
    a_receiver(world)
    text = (await _bound_token(http, world, ProofKey()))["access_token"]
    thief = ProofKey().proof("GET", world.site.url(STREAMS), world.clock.now(), access_token=text)
    for headers in (
        {"authorization": f"Bearer {text}"},
        {"authorization": f"DPoP {text}"},
        {"authorization": f"DPoP {text}", "dpop": thief},
    ):
        assert (await http.get(STREAMS, headers=headers)).status_code == 401


async def _bound_token(http, world: World, key: ProofKey) -> dict:
    proof = key.proof("POST", world.site.url("/oauth2/token"), world.clock.now())
    answer = await http.post(
        "/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=(CRM, CLIENT_SECRET),
        headers={"dpop": proof},
    )
    assert answer.json()["token_type"] == "DPoP"
    return answer.json()


async def test_rfc7009_2_1_a_receiver_ends_its_own_token(crm, world: World):
    text = crm.headers["authorization"].partition(" ")[2]
    a_receiver(world, "other")
    for client_id, status in (("other", 200), (CRM, 401)):
        form = {"token": text}
        answer = await crm.post("/oauth2/revoke", data=form, auth=(client_id, CLIENT_SECRET))
        assert (answer.status_code, answer.content) == (200, b"")
        headers = {"authorization": f"Bearer {text}"}
        assert (await crm.get(STREAMS, headers=headers)).status_code == status


@pytest.mark.parametrize("what", ["client", "key"])
async def test_attack_a_receivers_token_outlives_what_was_revoked(crm, world: World, what):
    if what == "client":
        await revoke.revoke_client(world.ports, CRM)
    else:
        min_iat = world.clock.now() + timedelta(seconds=1)
        await revoke.revoke_key(world.ports, world.keyring.active.id, min_iat)
    assert (await crm.get(STREAMS)).status_code == 401


async def test_rfc6750_3_1_a_scope_that_is_not_enough(http, world: World):
    a_receiver(world)
    text = (await token_of(http, scope="ssf.read"))["access_token"]
    headers = {"authorization": f"Bearer {text}"}
    assert (await http.get(STREAMS, headers=headers)).status_code == 200
    refused = await http.post(STREAMS, headers=headers, json={})
    assert refused.status_code == 403
    assert refused.json()["scope"] == "ssf.manage"


async def test_a_disabled_client_is_let_in_no_more(crm, world: World):
    a_receiver(world, disabled=True)
    assert (await crm.get(STREAMS)).status_code == 401
    a_receiver(world, roles=frozenset())
    assert (await crm.get(STREAMS)).status_code == 403


async def test_ssf_8_1_401_without_a_token(http):
    for method, path in (
        ("GET", STREAMS),
        ("POST", STREAMS),
        ("PATCH", STREAMS),
        ("PUT", STREAMS),
        ("DELETE", STREAMS),
        ("GET", STATUS),
        ("POST", STATUS),
        ("POST", VERIFY),
        ("POST", "/v1/signals/subjects/add"),
        ("POST", "/v1/signals/subjects/remove"),
        ("POST", "/v1/signals/poll/x"),
    ):
        answer = await http.request(method, path)
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_the_machine_token_shows_nothing_of_a_person():
    assert {"acr", "amr"}.isdisjoint(machine_tokens.MachineToken.__struct_fields__)


# --- metadata ---------------------------------------------------------------------------------


async def test_ssf_7_1_the_transmitter_describes_itself(http, world: World):
    metadata = (await http.get(CONFIGURATION)).json()
    assert set(metadata) == set(example("19"))
    assert metadata["spec_version"] == example("14")["spec_version"]
    assert metadata["issuer"] == world.site.issuer
    assert metadata["default_subjects"] == "ALL"
    assert {"spec_urn": "urn:ietf:rfc:6749"} in metadata["authorization_schemes"]
    assert metadata["delivery_methods_supported"] == [PUSH, POLL]


async def test_ssf_7_2_only_the_issuers_own_path_is_served(http):
    assert (await http.get(f"{CONFIGURATION}/somebody-else")).status_code == 404


async def test_rfc8414_2_the_grant_is_promised(http):
    metadata = (await http.get("/.well-known/oauth-authorization-server")).json()
    assert "client_credentials" in metadata["grant_types_supported"]


# --- streams ----------------------------------------------------------------------------------


async def test_ssf_8_1_1_1_a_stream_has_the_published_shape(crm, world: World):
    stream = await made(
        crm,
        delivery={
            "method": PUSH,
            "endpoint_url": ENDPOINT,
            "authorization_header": "Bearer secret",
        },
        events_requested=["urn:example:other", str(EventType.SESSION_REVOKED)],
        description="The CRM",
    )
    published = example("22")
    assert set(stream) == set(published) | {"min_verification_interval"}
    # What the receiver wants to see as Authorization is shown to nobody.
    assert stream["delivery"] == {"method": PUSH, "endpoint_url": ENDPOINT}
    assert (stream["iss"], stream["aud"]) == (world.site.issuer, CRM)
    assert stream["events_supported"] == list(EVENTS_SUPPORTED)
    assert stream["events_delivered"] == [EventType.SESSION_REVOKED]
    assert stream["min_verification_interval"] == 60


async def test_ssf_8_1_1_1_without_a_delivery_it_is_polled(crm, world: World):
    stream = await made(crm)
    url = world.site.url(f"/v1/signals/poll/{stream['stream_id']}")
    assert stream["delivery"] == {"method": POLL, "endpoint_url": url}


async def test_ssf_8_1_1_1_409_when_there_are_too_many(crm):
    for _ in range(MAX_STREAMS):
        await made(crm)
    assert (await crm.post(STREAMS, json={})).status_code == 409


async def test_ssf_8_1_1_2_reads_one_or_all(crm):
    assert (await crm.get(STREAMS)).json() == []
    first, second = await made(crm), await made(crm)
    everything = (await crm.get(STREAMS)).json()
    assert sorted(each["stream_id"] for each in everything) == sorted(
        each["stream_id"] for each in (first, second)
    )
    one = await crm.get(STREAMS, params={"stream_id": second["stream_id"]})
    assert one.json() == second
    assert one.headers["cache-control"] == "no-store"


async def test_ssf_8_1_1_3_an_update_changes_what_it_mentions(crm):
    stream = await made(crm, description="first", events_requested=["urn:example:other"])
    request = {**example("29"), "stream_id": stream["stream_id"]}
    changed = (await crm.patch(STREAMS, json=request)).json()
    assert changed["description"] == request["description"]
    assert changed["events_requested"] == request["events_requested"]
    assert changed["delivery"] == stream["delivery"]


async def test_ssf_8_1_1_4_a_replacement_deletes_what_it_does_not_mention(crm):
    stream = await made(crm, description="first", events_requested=["urn:example:other"])
    request = {**example("31"), "stream_id": stream["stream_id"]}
    del request["description"]
    changed = (await crm.put(STREAMS, json=request)).json()
    assert "description" not in changed
    assert changed["delivery"] == request["delivery"]


@pytest.mark.parametrize(
    ("method", "asked", "answered"), [("PATCH", "29", "30"), ("PUT", "31", "32")]
)
async def test_ssf_8_1_1_answers_have_the_published_members(crm, method, asked, answered):
    named = {"stream_id": (await made(crm, delivery={"method": POLL}))["stream_id"]}
    changed = (await crm.request(method, STREAMS, json=example(asked) | named)).json()
    assert set(changed) == set(example(answered)) | {"min_verification_interval"}
    read = (await crm.get(STREAMS, params=named)).json()
    assert set(read) == set(example("24")) | {"min_verification_interval"}
    assert read == changed


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_ssf_8_1_1_3_what_the_transmitter_supplies_may_be_there_as_it_is(crm, method):
    stream = await made(crm)
    assert (await crm.request(method, STREAMS, json=stream)).json() == stream
    for name in ("iss", "aud", "events_supported", "events_delivered"):
        wrong = stream | {name: "https://other.example"}
        answer = await crm.request(method, STREAMS, json=wrong)
        assert answer.status_code == 400, name


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"delivery":{"method":"urn:example:carrier-pigeon"}}',
        b'{"delivery":{"method":"urn:ietf:rfc:8935"}}',
        b'{"delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"http://crm.example"}}',
        b'{"delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"https://10.0.0.1/"}}',
        b'{"events_requested":"all"}',
        b'{"description":"\\u0000"}',
        b'{"description":"a","description":"b"}',
    ],
)
async def test_ssf_8_1_1_1_400_for_what_cannot_be_served(crm, body):
    answer = await crm.post(STREAMS, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400


async def test_ssf_8_1_1_5_a_stream_is_deleted(crm):
    stream = await made(crm)
    params = {"stream_id": stream["stream_id"]}
    answer = await crm.delete(STREAMS, params=params)
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await crm.delete(STREAMS, params=params)).status_code == 404
    assert (await crm.delete(STREAMS)).status_code == 400


async def test_attack_a_stream_of_another_client_is_read_changed_or_deleted(crm, world: World):
    stream = await made(crm)
    stream_id = stream["stream_id"]
    a_receiver(world, "thief")
    thief = {"authorization": f"Bearer {(await token_of(crm, 'thief'))['access_token']}"}
    subject = {"format": "iss_sub", "iss": IDP, "sub": "alice"}
    named = {"stream_id": stream_id}
    for method, path, sent in (
        ("GET", STREAMS, {"params": named}),
        ("PATCH", STREAMS, {"json": named | {"description": "mine"}}),
        ("PUT", STREAMS, {"json": named}),
        ("DELETE", STREAMS, {"params": named}),
        ("GET", STATUS, {"params": named}),
        ("POST", STATUS, {"json": named | {"status": "disabled"}}),
        ("POST", VERIFY, {"json": named}),
        ("POST", "/v1/signals/subjects/add", {"json": named | {"subject": subject}}),
        ("POST", "/v1/signals/subjects/remove", {"json": named | {"subject": subject}}),
        ("POST", f"/v1/signals/poll/{stream_id}", {"json": {"returnImmediately": True}}),
    ):
        answer = await crm.request(method, path, headers=thief, **sent)
        assert answer.status_code == 404, (method, path)
    assert (await crm.get(STREAMS, headers=thief)).json() == []
    assert (await crm.get(STREAMS)).json() == [stream]


async def test_ssf_8_1_2_the_status_is_read_and_set(crm):
    stream_id = (await made(crm))["stream_id"]
    status = (await crm.get(STATUS, params={"stream_id": stream_id})).json()
    assert status == {"stream_id": stream_id, "status": "enabled"}
    for figure in ("37", "38"):
        request = {**example(figure), "stream_id": stream_id}
        assert (await crm.post(STATUS, json=request)).json() == request
        assert (await crm.get(STATUS, params={"stream_id": stream_id})).json() == request
    # The last one has a reason, as in the published answers to both.
    assert set(request) == set(example("36")) == set(example("39"))
    answer = await crm.post(STATUS, json={"stream_id": stream_id, "status": "sleeping"})
    assert answer.status_code == 400


async def test_ssf_8_1_3_subjects_are_added_and_removed(crm):
    stream_id = (await made(crm))["stream_id"]
    alice = {"format": "iss_sub", "iss": IDP, "sub": "alice"}
    named = {"stream_id": stream_id, "subject": alice}
    added = await crm.post("/v1/signals/subjects/add", json=named | {"verified": True})
    assert (added.status_code, added.content) == (200, b"")
    removed = await crm.post("/v1/signals/subjects/remove", json=named)
    assert (removed.status_code, removed.content) == (204, b"")
    for figure, path in (("40", "add"), ("42", "remove")):
        unknown = {**example(figure), "stream_id": stream_id}
        answer = await crm.post(f"/v1/signals/subjects/{path}", json=unknown)
        assert answer.status_code == 404


async def test_ssf_8_1_4_2_a_verification_is_asked_for_and_not_too_often(crm):
    stream = await made(crm)
    request = {**example("44"), "stream_id": stream["stream_id"]}
    answer = await crm.post(VERIFY, json=request)
    assert (answer.status_code, answer.content) == (204, b"")
    again = await crm.post(VERIFY, json=request)
    assert again.status_code == 429
    assert again.headers["retry-after"] == "60"
    polled = (await crm.post(poll_path(stream), json={})).json()
    [text] = polled["sets"].values()
    published, claims = example("46"), read(text, 1)
    assert set(claims) == set(published) | {"txn"}
    assert claims["events"] == published["events"]
    assert claims["sub_id"] == {"format": "opaque", "id": stream["stream_id"]}


# --- poll -------------------------------------------------------------------------------------


def poll_path(stream: dict) -> str:
    return (
        stream["delivery"]["endpoint_url"].partition("/v1")[1]
        + (stream["delivery"]["endpoint_url"].partition("/v1")[2])
    )


async def test_rfc8936_a_receiver_hears_of_an_elevation(crm, world: World):
    stream = await made(crm)
    await told(world)
    await world.enroll_app()
    await issued(world)
    await told(world)
    answer = await crm.post(poll_path(stream), json={"maxEvents": 10})
    assert answer.headers["content-type"] == "application/json"
    polled = answer.json()
    assert polled["moreAvailable"] is False
    [(jti, text)] = polled["sets"].items()
    assert read(text, 0)["typ"] == "secevent+jwt"
    claims = read(text, 1)
    assert claims["jti"] == jti
    [(kind, payload)] = claims["events"].items()
    assert kind == EventType.ASSURANCE_LEVEL_CHANGE
    assert payload["change_direction"] == "increase"
    acked = await crm.post(poll_path(stream), json={"ack": [jti], "returnImmediately": True})
    assert acked.json() == {"sets": {}, "moreAvailable": False}


async def test_rfc8936_2_4_4_errors_set_aside(crm, world: World):
    stream = await made(crm)
    await crm.post(VERIFY, json={"stream_id": stream["stream_id"]})
    [jti] = (await crm.post(poll_path(stream), json={})).json()["sets"]
    fault = {jti: {"err": "invalid_key", "description": "Who is that?"}}
    body = {"setErrs": fault, "returnImmediately": True}
    assert (await crm.post(poll_path(stream), json=body)).json()["sets"] == {}
    async with world.ports.database.transaction() as stores:
        [aside] = await stores.signals.aside(stream["stream_id"])
        assert aside.problem == "invalid_key"


@pytest.mark.parametrize(
    "body",
    [{"maxEvents": -1}, {"maxEvents": "1"}, {"ack": "x"}, {"setErrs": {"x": "y"}}, {"ack": ["\0"]}],
)
async def test_rfc8936_2_4_a_poll_that_cannot_be_read(crm, body):
    stream = await made(crm)
    assert (await crm.post(poll_path(stream), json=body)).status_code == 400
