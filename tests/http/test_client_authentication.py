"""Every way in which a client authenticates, and every attack on one (RFC 6749, 7523, 8705)."""

from base64 import b64encode
from datetime import timedelta

import httpx2
import msgspec
import pytest

from stepup.crypto import keys
from stepup.domain.client import Role
from stepup.domain.client_authentication import AuthMethod, Profile, TlsName, TlsSubject
from stepup.domain.ids import ClientId
from stepup.http.client_certificate import CertificatesFromProxies
from tests.crypto.forging import forge
from tests.http.conftest import app_over
from tests.support.application import CLIENT_SECRET, ISSUER, calling
from tests.support.assertions import AT, JWK, KEY, TYPE, assertion, form_of
from tests.support.certificates import AUTHORITY, DAY, SUBJECT, issue
from tests.support.determinism import NOON, CountingEntropy
from tests.support.one_app import app_of
from tests.support.world import World

REVOKE = "/oauth2/revoke"
KEYED = {"auth_method": AuthMethod.PRIVATE_KEY_JWT, "jwks": (JWK,), "secret_digests": ()}
EVALUATION = {
    "subject": {"type": "user", "id": "alice"},
    "action": {"name": "transfer.create"},
    "resource": {"type": "account", "id": "1"},
}


@pytest.fixture(autouse=True)
def shop(world):
    return world.add_client("shop", **KEYED)


async def tries(http: httpx2.AsyncClient, form: dict, path: str = REVOKE, **more: object):
    return await http.post(path, data={"token": "x", **form}, **more)


def is_invalid_client(response: httpx2.Response) -> bool:
    return response.status_code == 401 and response.json() == {
        "error": "invalid_client",
        "error_description": "Client authentication failed.",
    }


class TestPrivateKeyJwt:
    async def test_rfc7523_2_2_a_client_signs_that_it_is_calling(self, http, log_lines):
        assert (await tries(http, form_of(assertion()))).status_code == 200
        assert log_lines[-1]["client"] == "shop"

    async def test_rfc7521_4_2_the_client_id_must_agree(self, http):
        assert (await tries(http, form_of(assertion(), client_id="shop"))).status_code == 200
        assert is_invalid_client(await tries(http, form_of(assertion(jti="2"), client_id="bank")))

    async def test_assertion_replay_is_refused(self, http):
        assert (await tries(http, form_of(assertion()))).status_code == 200
        assert is_invalid_client(await tries(http, form_of(assertion())))

    async def test_assertion_replay_with_the_same_idempotency_key_is_refused(self, http):
        again = {"idempotency-key": "one"}
        assert (await tries(http, form_of(assertion()), headers=again)).status_code == 200
        assert is_invalid_client(await tries(http, form_of(assertion()), headers=again))

    async def test_assertion_replay_across_two_instances_is_refused(self, http, world):
        other = World(keyring=world.keyring, clock=world.clock)
        other.add_client("shop", **KEYED)
        chance = CountingEntropy()
        chance.drawn = 1000
        other.ports = other.ports._replace(state=world.ports.state, entropy=chance)
        assert (await tries(http, form_of(assertion()))).status_code == 200
        async with app_over(other.ports) as elsewhere:
            assert is_invalid_client(await tries(elsewhere, form_of(assertion())))
            assert (await tries(elsewhere, form_of(assertion(jti="2")))).status_code == 200

    async def test_what_was_replayed_is_not_spent_by_who_cannot_sign(self, http):
        forged = forge(
            {"alg": "ES256", "kid": KEY.id},
            {"iss": "shop", "sub": "shop", "aud": ISSUER, "exp": AT + 60, "jti": "once"},
            keys.generate_signing_key("ES256").private_key,
        )
        assert is_invalid_client(await tries(http, form_of(forged)))
        assert (await tries(http, form_of(assertion()))).status_code == 200

    async def test_two_clients_may_count_from_one(self, http, world):
        world.add_client("shop2", **KEYED)
        for client_id in ("shop", "shop2"):
            assert (await tries(http, form_of(assertion(client_id)))).status_code == 200

    async def test_an_assertion_of_before_the_state_was_lost_is_neither_taken_nor_refused(
        self, http, world
    ):
        await world.ports.state.generations.lose()
        asked = await tries(http, form_of(assertion()))
        assert (asked.status_code, "retry-after" in asked.headers) == (503, True)
        world.clock.advance(timedelta(seconds=31))
        later = assertion(iat=AT + 31, exp=AT + 600, jti="2")
        assert (await tries(http, form_of(later))).status_code == 200

    async def test_an_assertion_of_another_client_is_refused(self, http, world):
        own = keys.generate_signing_key("ES256")
        world.add_client("mill", **(KEYED | {"jwks": ({**own.public_jwk, "kid": KEY.id},)}))
        # Signed with the key of `shop`, under the same kid, in the name of `mill`.
        assert is_invalid_client(await tries(http, form_of(assertion("mill"))))
        assert is_invalid_client(await tries(http, form_of(assertion("shop", sub="mill"))))

    @pytest.mark.parametrize(
        "changes",
        [
            {"client_id": "bank"},
            {"client_id": "nobody"},
            {"iss": "bank"},
            {"aud": "https://other.example"},
            {"exp": AT - 1},
            {"jti": None},
            {"header": {"typ": "dpop+jwt"}},
            {"header": {"jku": "https://evil.example"}},
        ],
        ids=str,
    )
    async def test_every_failure_looks_the_same(self, http, changes):
        assert is_invalid_client(await tries(http, form_of(assertion(**changes))))

    @pytest.mark.parametrize(
        "form",
        [
            {"client_assertion": assertion()},
            {"client_assertion_type": TYPE},
            {"client_assertion_type": "urn:x", "client_assertion": assertion()},
            {"client_assertion_type": TYPE, "client_assertion": "rubbish"},
        ],
        ids=lambda form: "+".join(form) + str(len(form.get("client_assertion", ""))),
    )
    async def test_rfc7521_4_2_half_an_assertion_is_none(self, http, form):
        assert is_invalid_client(await tries(http, form))

    async def test_alg_confusion_with_the_public_key_as_secret_is_refused(self, http):
        public = msgspec.json.encode(KEY.public_jwk)
        claims = {"iss": "shop", "sub": "shop", "aud": ISSUER, "exp": AT + 60, "jti": "1"}
        forged = forge({"alg": "HS256", "kid": KEY.id}, claims, public)
        assert is_invalid_client(await tries(http, form_of(forged)))

    @pytest.mark.parametrize("audience", ["/oauth2/token", "/oauth2/par", REVOKE])
    async def test_an_assertion_for_an_endpoint_is_for_lenient_clients(self, http, world, audience):
        text = assertion(aud=ISSUER + audience)
        assert is_invalid_client(await tries(http, form_of(text)))
        world.add_client("shop", **KEYED, legacy_assertion_audience=True)
        assert (await tries(http, form_of(text))).status_code == 200

    async def test_fapi2_5_3_2_1_8_takes_the_issuer_alone_from_everybody(self, http, world):
        world.add_client("shop", **KEYED, legacy_assertion_audience=True, profile=Profile.FAPI2)
        text = assertion(aud=f"{ISSUER}/oauth2/token")
        assert is_invalid_client(await tries(http, form_of(text)))
        assert (await tries(http, form_of(assertion()))).status_code == 200

    async def test_keys_at_a_url_that_is_away_are_no_reason_to_refuse(self, http, world):
        world.add_client("shop", **(KEYED | {"jwks": ()}), jwks_uri="https://shop.example/jwks")
        assert (await tries(http, form_of(assertion()))).status_code == 503
        world.upstreams.key_sets["https://shop.example/jwks"] = [JWK]
        assert (await tries(http, form_of(assertion()))).status_code == 200

    async def test_at_json_endpoints_the_assertion_is_a_bearer_token(self, http):
        path = "/access/v1/evaluation"
        bearer = {"authorization": f"Bearer {assertion()}"}
        assert (await http.post(path, json=EVALUATION, headers=bearer)).status_code == 200
        assert (await http.post(path, json=EVALUATION, headers=bearer)).status_code == 401


class TestOneWay:
    @pytest.mark.parametrize(
        "form",
        [
            {"client_id": "bank", "client_secret": CLIENT_SECRET},
            {"client_assertion": assertion()},
            {"client_assertion_type": TYPE},
        ],
        ids="+".join,
    )
    async def test_rfc6749_2_3_refuses_the_header_and_another_way(self, http, form):
        response = await tries(http, form, auth=("bank", CLIENT_SECRET))
        assert (response.status_code, response.json()["error"]) == (400, "invalid_request")

    async def test_rfc6749_2_3_refuses_a_secret_and_an_assertion(self, http):
        response = await tries(http, form_of(assertion(), client_secret="x"))
        assert (response.status_code, response.json()["error"]) == (400, "invalid_request")

    @pytest.mark.parametrize(
        ("registered", "header", "body"),
        [
            (None, 200, 200),
            (AuthMethod.SECRET_BASIC, 200, 401),
            (AuthMethod.SECRET_POST, 401, 200),
            (AuthMethod.PRIVATE_KEY_JWT, 401, 401),
            (AuthMethod.TLS, 401, 401),
            (AuthMethod.NONE, 401, 401),
        ],
    )
    async def test_only_the_registered_method_counts(self, http, world, registered, header, body):
        world.add_client("mill", auth_method=registered)
        in_body = {"client_id": "mill", "client_secret": CLIENT_SECRET}
        assert (await tries(http, {}, auth=("mill", CLIENT_SECRET))).status_code == header
        assert (await tries(http, in_body)).status_code == body

    async def test_fapi2_5_3_2_1_6_takes_no_secret(self, http, world):
        world.add_client("mill", profile=Profile.FAPI2)
        assert is_invalid_client(await tries(http, {}, auth=("mill", CLIENT_SECRET)))

    @pytest.mark.parametrize("method", [None, AuthMethod.SECRET_BASIC, AuthMethod.PRIVATE_KEY_JWT])
    async def test_a_name_alone_is_for_public_clients(self, http, world, method):
        world.add_client("mill", auth_method=method)
        assert is_invalid_client(await tries(http, {"client_id": "mill"}))


class TestPublicClients:
    @pytest.fixture(autouse=True)
    def app(self, world):
        everything = frozenset(Role)
        return world.add_client(
            "app", auth_method=AuthMethod.NONE, secret_digests=(), roles=everything
        )

    async def test_rfc9126_2_a_public_client_names_itself(self, http):
        for path in ("/oauth2/par", "/oauth2/token", REVOKE):
            assert (await tries(http, {"client_id": "app"}, path)).status_code != 401

    @pytest.mark.parametrize("path", ["/oauth2/introspect", "/oauth2/consume"])
    async def test_rfc7662_2_1_a_public_client_learns_nothing_of_tokens(self, http, path):
        assert (await tries(http, {"client_id": "app"}, path)).status_code == 401

    async def test_a_public_client_asks_for_no_decisions(self, http):
        named = {"authorization": f"Basic {b64encode(b'app:').decode()}"}
        response = await http.post("/access/v1/evaluation", json=EVALUATION, headers=named)
        assert response.status_code == 401

    async def test_a_disabled_one_is_refused(self, http, world):
        world.add_client("app", auth_method=AuthMethod.NONE, disabled=True)
        assert is_invalid_client(await tries(http, {"client_id": "app"}))


class TestCertificates:
    @pytest.fixture(autouse=True)
    def hears(self, world):
        site = msgspec.structs.replace(
            world.site, hears_certificates=True, client_authorities=(AUTHORITY.der,)
        )
        world.ports = world.ports._replace(site=site)
        self.world = world
        return world

    def add(self, client_id: str = "mill", **changes: object) -> None:
        fields = {
            "auth_method": AuthMethod.TLS,
            "tls_subject": TlsSubject(name=TlsName.SUBJECT_DN, value=SUBJECT),
            "secret_digests": (),
        }
        self.world.add_client(client_id, **fields | changes)

    async def shown(self, certificate: bytes | None, *, client_id: str = "mill") -> int:
        app = CertificatesFromProxies(app_of(self.world.ports), "Client-Cert", ["127.0.0.1"])
        headers = {} if certificate is None else {"client-cert": certificate.decode()}
        async with calling(app) as http:
            return (await tries(http, {"client_id": client_id}, headers=headers)).status_code

    async def test_rfc8705_2_1_a_name_in_a_certificate_of_an_authority(self):
        self.add()
        assert await self.shown(issue(AUTHORITY).rfc9440) == 200

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            (TlsName.SAN_DNS, "bank.example"),
            (TlsName.SAN_URI, "spiffe://example/bank"),
            (TlsName.SAN_IP, "192.0.2.7"),
            (TlsName.SAN_EMAIL, "ops@bank.example"),
        ],
    )
    async def test_rfc8705_2_1_2_each_name(self, name, value):
        self.add(tls_subject=TlsSubject(name=name, value=value))
        assert await self.shown(issue(AUTHORITY).escaped) == 200
        self.add(tls_subject=TlsSubject(name=name, value=f"x{value}"))
        assert await self.shown(issue(AUTHORITY).escaped) == 401

    @pytest.mark.parametrize(
        "certificate",
        [
            None,
            issue().rfc9440,
            issue(AUTHORITY, subject="CN=shop").rfc9440,
            issue(AUTHORITY, since=NOON - 3 * DAY, until=NOON - DAY).rfc9440,
            issue(AUTHORITY, since=NOON + DAY, until=NOON + 2 * DAY).rfc9440,
        ],
        ids=["none", "self-signed", "of another client", "over", "not yet valid"],
    )
    async def test_rfc8705_2_any_other_certificate_is_refused(self, certificate):
        self.add()
        assert await self.shown(certificate) == 401

    async def test_header_forgery_by_a_direct_caller_is_refused(self):
        self.add()
        forged = {"client-cert": issue(AUTHORITY).rfc9440.decode()}
        # Without a proxy, and from an address that is none.
        behind = CertificatesFromProxies(app_of(self.world.ports), "Client-Cert", ["10.0.0.1"])
        for app in (app_of(self.world.ports), behind):
            async with calling(app) as http:
                response = await tries(http, {"client_id": "mill"}, headers=forged)
                assert is_invalid_client(response)

    async def test_without_authorities_a_name_proves_nothing(self):
        self.add()
        site = msgspec.structs.replace(self.world.ports.site, client_authorities=())
        self.world.ports = self.world.ports._replace(site=site)
        assert await self.shown(issue(AUTHORITY).rfc9440) == 401

    async def test_rfc8705_2_2_a_self_signed_certificate_is_in_the_key_set(self):
        mine = issue()
        numbers = mine.key.public_key().public_numbers()
        members = {
            "kty": "EC",
            "crv": "P-256",
            "x": keys.digests.encode(numbers.x.to_bytes(32, "big")),
            "y": keys.digests.encode(numbers.y.to_bytes(32, "big")),
        }
        whole = members | {"x5c": [b64encode(mine.der).decode()]}
        same_key = issue(key=mine.key)
        for jwks, certificate, expected in (
            (members, mine, 200),
            (members, same_key, 200),
            (whole, mine, 200),
            (whole, same_key, 401),
            (members, issue(), 401),
            (members, issue(key=mine.key, until=NOON - DAY / 2), 401),
        ):
            self.add(auth_method=AuthMethod.SELF_SIGNED_TLS, jwks=(jwks,))
            assert await self.shown(certificate.rfc9440) == expected

    async def test_at_json_endpoints_the_client_is_named_in_the_header(self):
        self.add(roles=frozenset({Role.PEP}))
        app = CertificatesFromProxies(app_of(self.world.ports), "Client-Cert", ["127.0.0.1"])
        headers = {
            "authorization": f"Basic {b64encode(b'mill:').decode()}",
            "client-cert": issue(AUTHORITY).rfc9440.decode(),
        }
        async with calling(app) as http:
            path = "/access/v1/evaluation"
            assert (await http.post(path, json=EVALUATION, headers=headers)).status_code == 200
            del headers["client-cert"]
            assert (await http.post(path, json=EVALUATION, headers=headers)).status_code == 401


async def test_the_demo_clients_are_known(world):
    assert world.snapshot.client(ClientId("shop")).auth_method is AuthMethod.PRIVATE_KEY_JWT
