"""Base identity from identity providers, against real HTTP servers: each attack, each outage."""

import asyncio
import base64
import json
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from stepup.adapters.upstream.cached import FRESH, PAUSE, USABLE
from stepup.adapters.upstream.provider import Provider
from stepup.adapters.upstream.upstreams import HttpUpstreams
from stepup.domain.account import PendingLogin
from stepup.domain.errors import DependencyUnavailableError, InvalidSubjectTokenError
from stepup.domain.ids import Subject
from tests.support.determinism import NOON
from tests.support.identity_provider import IdentityProvider

SECOND = timedelta(seconds=1)
LEEWAY = timedelta(seconds=5)
REDIRECT_URI = "http://localhost:8000/account/callback"


@pytest.fixture
def idp():
    provider = IdentityProvider()
    yield provider
    provider.stop()


@pytest.fixture
def other_idp():
    provider = IdentityProvider()
    yield provider
    provider.stop()


def provider_of(idp: IdentityProvider, **changes: object) -> Provider:
    fields: dict = {
        "issuer": idp.issuer,
        "audiences": frozenset({"bank"}),
        "client_id": "step up",
        "client_secret": "s:cr t",
    }
    return Provider(**fields | changes)


@pytest.fixture
async def upstreams(idp, other_idp, clock):
    upstreams = HttpUpstreams([provider_of(idp), provider_of(other_idp)], clock)
    yield upstreams
    await upstreams.close()


def login_at(idp: IdentityProvider) -> PendingLogin:
    return PendingLogin(
        issuer=idp.issuer, nonce="nonce-1", code_verifier="verifier-1", return_to="/account"
    )


async def refused(upstreams: HttpUpstreams, token: str, why: str, now: datetime = NOON) -> None:
    with pytest.raises(InvalidSubjectTokenError, match=why):
        await upstreams.verify(token, now)


class TestSubjectToken:
    async def test_says_who_the_subject_is(self, idp, upstreams):
        identity = await upstreams.verify(idp.token(), NOON)

        assert identity.subject == Subject(issuer=idp.issuer, sub="alice")
        assert (identity.name, identity.acr) == ("Alice", "urn:example:password")
        assert identity.auth_time == NOON - timedelta(minutes=1)
        assert identity.auth_time.tzinfo is UTC

    async def test_may_say_no_more_than_the_subject(self, idp, upstreams):
        token = idp.token(name=None, acr=None, auth_time=None, preferred_username="alice77")
        identity = await upstreams.verify(token, NOON)
        assert (identity.name, identity.acr, identity.auth_time) == ("alice77", None, None)

    async def test_two_issuers_with_the_same_sub_are_two_subjects(self, idp, other_idp, upstreams):
        one = await upstreams.verify(idp.token(sub="alice"), NOON)
        other = await upstreams.verify(other_idp.token(sub="alice"), NOON)
        assert one.subject != other.subject
        assert one.subject.id != other.subject.id

    async def test_one_issuer_signing_for_another_is_refused(self, idp, other_idp, upstreams):
        # A kid that both have, and one that only the signer has.
        other_idp.add_key("key-2")
        await refused(upstreams, other_idp.token(iss=idp.issuer), "signature")
        await refused(upstreams, other_idp.token("key-2", iss=idp.issuer), "key is unknown")

    async def test_a_foreign_issuer_is_refused_and_never_asked(self, idp, other_idp, clock):
        upstreams = HttpUpstreams([provider_of(idp)], clock)
        await refused(upstreams, other_idp.token(), "issuer is not known")
        assert other_idp.requests == idp.requests == {}
        await upstreams.close()

    async def test_alg_none_is_refused(self, idp, upstreams):
        header = {"alg": "none", "typ": "JWT", "kid": "key-1"}
        parts = [
            base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
            for part in (header, idp.claims())
        ]
        await refused(upstreams, ".".join([*parts, ""]), "algorithm is not allowed")

    async def test_a_public_key_used_as_a_shared_secret_is_refused(self, idp, upstreams):
        public = idp.keys["key-1"].public_key()
        secret = public.public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        token = jwt.encode(idp.claims(), secret, "HS256", headers={"kid": "key-1"})
        await refused(upstreams, token, "algorithm is not allowed")

    async def test_an_algorithm_that_is_not_on_the_list_is_refused(self, idp, clock):
        idp.keys["rsa"] = rsa.generate_private_key(65537, 2048)
        strict = HttpUpstreams([provider_of(idp, algorithms=frozenset({"ES256"}))], clock)
        await refused(strict, idp.token("rsa"), "algorithm is not allowed")
        await strict.close()

    async def test_a_changed_token_is_refused(self, idp, upstreams):
        head, _, signature = idp.token().split(".")
        body = base64.urlsafe_b64encode(json.dumps(idp.claims(sub="bob")).encode())
        changed = f"{head}.{body.rstrip(b'=').decode()}.{signature}"
        await refused(upstreams, changed, "signature")

    async def test_a_token_expired_by_one_second_is_refused(self, idp, upstreams):
        token, end = idp.token(), NOON + timedelta(minutes=5) + LEEWAY
        await upstreams.verify(token, end - SECOND)
        await refused(upstreams, token, "expired", now=end)

    async def test_a_token_for_another_audience_is_refused(self, idp, upstreams):
        await refused(upstreams, idp.token(aud="shop"), "another audience")
        await refused(upstreams, idp.token(aud=["shop", "post"]), "another audience")
        await upstreams.verify(idp.token(aud=["shop", "bank"]), NOON)

    async def test_a_provider_without_audiences_vouches_for_nobody(self, idp, clock):
        upstreams = HttpUpstreams([provider_of(idp, audiences=frozenset())], clock)
        await refused(upstreams, idp.token(), "another audience")
        await upstreams.close()

    @pytest.mark.parametrize("token", ["", "a.b.c", "x" * 100_000, "ünicode"])
    async def test_text_that_is_no_token_is_refused_and_nobody_is_asked(
        self, idp, upstreams, token
    ):
        await refused(upstreams, token, "not a JWT")
        assert idp.requests == {}

    @pytest.mark.parametrize("claims", [{"acr": 2}, {"auth_time": "noon"}, {"auth_time": -1}])
    async def test_mistyped_claims_are_refused(self, idp, upstreams, claims):
        await refused(upstreams, idp.token(**claims), "malformed")

    async def test_an_address_in_the_token_is_never_asked(self, idp, other_idp, upstreams):
        for header in ("jku", "x5u"):
            token = idp.token(headers={header: f"{other_idp.issuer}/jwks"})
            await refused(upstreams, token, "not allowed")
        assert other_idp.requests == {}


class TestKeys:
    async def test_are_fetched_once_by_50_concurrent_callers(self, idp, upstreams):
        await asyncio.gather(*(upstreams.verify(idp.token(), NOON) for _ in range(50)))
        assert idp.requests == {"/.well-known/openid-configuration": 1, "/jwks": 1}

    async def test_are_fetched_anew_after_ten_minutes(self, idp, upstreams, clock):
        await upstreams.verify(idp.token(), NOON)
        clock.advance(FRESH - SECOND)
        await upstreams.verify(idp.token(), NOON)
        assert idp.requests["/jwks"] == 1
        clock.advance(SECOND)
        await upstreams.verify(idp.token(), NOON)
        assert idp.requests["/jwks"] == 2

    async def test_a_key_that_was_withdrawn_is_refused_after_ten_minutes(
        self, idp, upstreams, clock
    ):
        token = idp.token()
        await upstreams.verify(token, NOON)
        idp.add_key("key-2")
        del idp.keys["key-1"]
        clock.advance(FRESH)
        await refused(upstreams, token, "key is unknown")

    async def test_a_new_key_is_found_at_once(self, idp, upstreams, clock):
        await upstreams.verify(idp.token(), NOON)
        idp.add_key("key-2")
        clock.advance(PAUSE)
        await upstreams.verify(idp.token("key-2"), NOON)

    async def test_invented_key_names_make_us_ask_once_in_30_seconds(self, idp, upstreams, clock):
        def invented(number: int) -> str:
            return idp.token(headers={"kid": f"invented-{number}"})

        await upstreams.verify(idp.token(), NOON)
        for number in range(20):
            await refused(upstreams, invented(number), "key is unknown")
        assert idp.requests["/jwks"] == 1

        clock.advance(PAUSE)
        await asyncio.gather(
            *(refused(upstreams, invented(number), "key is unknown") for number in range(20))
        )
        assert idp.requests["/jwks"] == 2

    async def test_may_be_where_the_settings_say(self, idp, clock):
        upstreams = HttpUpstreams([provider_of(idp, jwks_uri=f"{idp.issuer}/jwks")], clock)
        await upstreams.verify(idp.token(), NOON)
        assert idp.requests == {"/jwks": 1}
        await upstreams.close()


class TestOutage:
    async def test_an_unreachable_provider_is_unavailable_and_its_token_is_not_invalid(
        self, idp, upstreams
    ):
        idp.stop()
        with pytest.raises(DependencyUnavailableError):
            await upstreams.verify(idp.token(), NOON)

    async def test_known_keys_serve_while_the_provider_is_away(self, idp, upstreams, clock):
        await upstreams.verify(idp.token(), NOON)
        idp.stop()
        for _ in range(3):
            clock.advance(FRESH)
            await upstreams.verify(idp.token(), NOON)

    async def test_known_keys_do_not_serve_for_ever(self, idp, upstreams, clock):
        await upstreams.verify(idp.token(), NOON)
        idp.stop()
        clock.advance(USABLE)
        with pytest.raises(DependencyUnavailableError):
            await upstreams.verify(idp.token(), NOON)

    async def test_an_unknown_key_while_the_provider_is_away_is_unavailable(
        self, idp, upstreams, clock
    ):
        await upstreams.verify(idp.token(), NOON)
        idp.status = 500
        clock.advance(PAUSE)
        token = idp.token(headers={"kid": "rotated in the meantime"})
        for _ in range(2):
            with pytest.raises(DependencyUnavailableError):
                await upstreams.verify(token, NOON)
        assert idp.requests["/jwks"] == 2

    async def test_is_over_when_the_provider_is_back(self, idp, upstreams, clock):
        idp.status = 503
        for _ in range(5):
            with pytest.raises(DependencyUnavailableError):
                await upstreams.verify(idp.token(), NOON)
        assert idp.requests == {"/.well-known/openid-configuration": 1}
        idp.status = 200
        clock.advance(SECOND)
        await upstreams.verify(idp.token(), NOON)

    async def test_a_provider_that_drips_is_given_up_after_five_seconds(self, idp, upstreams):
        idp.drip_seconds = 0.2
        began = time.monotonic()
        with pytest.raises(DependencyUnavailableError):
            await upstreams.verify(idp.token(), NOON)
        assert time.monotonic() - began < 6

    async def test_with_old_keys_nobody_waits_for_a_provider_that_drips(
        self, idp, upstreams, clock
    ):
        await upstreams.verify(idp.token(), NOON)
        idp.drip_seconds = 0.2
        clock.advance(FRESH)
        began = time.monotonic()
        await upstreams.verify(idp.token(), NOON)
        assert time.monotonic() - began < 1

    async def test_a_caller_that_is_cancelled_takes_nothing_away_from_others(self, idp, upstreams):
        first = asyncio.create_task(upstreams.verify(idp.token(), NOON))
        await asyncio.sleep(0)
        second = asyncio.create_task(upstreams.verify(idp.token(), NOON))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).subject.sub == "alice"

    async def test_an_answer_that_is_too_large_is_not_read(self, idp, upstreams):
        idp.body = b'{"keys": [' + b" " * 300_000 + b"]}"
        with pytest.raises(DependencyUnavailableError):
            await upstreams.verify(idp.token(), NOON)

    @pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"issuer": 1}', b"\xff"])
    async def test_an_answer_that_is_something_else_is_unavailable(self, idp, upstreams, body):
        idp.body = body
        with pytest.raises(DependencyUnavailableError):
            await upstreams.verify(idp.token(), NOON)

    async def test_a_redirect_is_not_followed(self, idp, other_idp, upstreams):
        idp.status, idp.location = 302, f"{other_idp.issuer}/.well-known/openid-configuration"
        with pytest.raises(DependencyUnavailableError):
            await upstreams.verify(idp.token(), NOON)
        assert other_idp.requests == {}


class TestDiscovery:
    @pytest.mark.parametrize(
        "changes",
        [
            {"issuer": "https://evil.example"},
            {"jwks_uri": "http://idp.example/jwks"},
            {"token_endpoint": "http://idp.example/token"},
            {"authorization_endpoint": "javascript:alert(1)"},
            {"jwks_uri": "https://"},
            {"jwks_uri": "https://user:password@idp.example/"},
            {"jwks_uri": "https://[::1"},
        ],
        ids=lambda changes: "-".join(f"{name}-{value}" for name, value in changes.items()),
    )
    async def test_a_document_that_leads_elsewhere_is_not_believed(self, idp, upstreams, changes):
        idp.changes = changes
        with pytest.raises(DependencyUnavailableError):
            await upstreams.verify(idp.token(), NOON)
        assert "/jwks" not in idp.requests

    @pytest.mark.parametrize(
        "issuer", ["http://idp.example", "http://10.0.0.1", "ftp://localhost", "idp.example", ""]
    )
    def test_an_issuer_that_anybody_could_speak_for_is_not_accepted(self, issuer):
        with pytest.raises(ValueError, match="https"):
            Provider(issuer=issuer)

    @pytest.mark.parametrize(
        "issuer",
        ["https://idp.example/realm", "http://localhost:8001", "http://127.0.0.1", "http://[::1]"],
    )
    def test_https_and_this_machine_are_accepted(self, issuer):
        assert Provider(issuer=issuer).issuer == issuer

    def test_a_provider_does_not_show_its_secret(self):
        provider = Provider(issuer="https://idp.example", client_secret="s3cret")
        assert "s3cret" not in f"{provider!r} {provider}"


class TestBaseLogin:
    async def test_begins_at_the_provider(self, idp, upstreams):
        url = await upstreams.login_url(
            login_at(idp), state="state-1", redirect_uri=REDIRECT_URI, code_challenge="challenge-1"
        )

        parts = urlsplit(url)
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{idp.issuer}/authorize"
        assert {name: value for name, [value] in parse_qs(parts.query).items()} == {
            "tenant": "1",
            "response_type": "code",
            "client_id": "step up",
            "redirect_uri": REDIRECT_URI,
            "scope": "openid profile",
            "state": "state-1",
            "nonce": "nonce-1",
            "code_challenge": "challenge-1",
            "code_challenge_method": "S256",
        }

    async def test_ends_with_an_identity(self, idp, upstreams):
        idp.token_answer = {"id_token": idp.token(aud="step up", nonce="nonce-1")}

        identity = await self._finish(idp, upstreams)

        assert identity.subject == Subject(issuer=idp.issuer, sub="alice")
        assert idp.forms == [
            {
                "grant_type": "authorization_code",
                "code": "code-1",
                "redirect_uri": REDIRECT_URI,
                "code_verifier": "verifier-1",
            }
        ]
        # RFC 6749 section 2.3.1: form-encoded, then joined.
        pair = base64.b64decode(idp.authorizations[0].removeprefix("Basic ")).decode()
        assert pair == "step+up:s%3Acr+t"

    async def test_of_a_public_client_names_the_client_in_the_form(self, idp, clock):
        upstreams = HttpUpstreams([provider_of(idp, client_secret=None)], clock)
        idp.token_answer = {"id_token": idp.token(aud="step up", nonce="nonce-1")}
        await self._finish(idp, upstreams)
        assert idp.forms[0]["client_id"] == "step up"
        assert idp.authorizations == [None]
        await upstreams.close()

    @pytest.mark.parametrize(
        "claims",
        [
            {"nonce": "another-login"},
            {"nonce": None},
            {"aud": "bank"},
            {"azp": "bank"},
            {"exp": int(NOON.timestamp()) - 60},
            {"iss": "https://evil.example"},
        ],
        ids=lambda claims: f"{next(iter(claims))}-{next(iter(claims.values()))}",
    )
    async def test_refuses_an_id_token_made_for_something_else(self, idp, upstreams, claims):
        right = {"aud": "step up", "nonce": "nonce-1"}
        idp.token_answer = {"id_token": idp.token(**right | claims)}
        with pytest.raises(InvalidSubjectTokenError):
            await self._finish(idp, upstreams)

    async def test_refuses_the_id_token_of_another_issuer(self, idp, other_idp, upstreams):
        right = {"aud": "step up", "nonce": "nonce-1"}
        idp.token_answer = {"id_token": other_idp.token(**right)}
        with pytest.raises(InvalidSubjectTokenError):
            await self._finish(idp, upstreams)

    async def test_a_code_that_the_provider_refuses_is_refused(self, idp, upstreams):
        idp.token_status, idp.token_answer = 400, {"error": "invalid_grant"}
        with pytest.raises(InvalidSubjectTokenError, match="refused the code"):
            await self._finish(idp, upstreams)

    @pytest.mark.parametrize("status", [401, 429, 500, 302])
    async def test_an_answer_that_does_not_speak_of_the_code_is_unavailable(
        self, idp, upstreams, status
    ):
        idp.token_status = status
        with pytest.raises(DependencyUnavailableError):
            await self._finish(idp, upstreams)

    async def test_an_answer_without_an_id_token_is_unavailable(self, idp, upstreams):
        idp.token_answer = {"access_token": "opaque"}
        with pytest.raises(DependencyUnavailableError):
            await self._finish(idp, upstreams)

    async def test_needs_a_client_at_the_provider(self, idp, clock):
        upstreams = HttpUpstreams([provider_of(idp, client_id=None)], clock)
        with pytest.raises(InvalidSubjectTokenError, match="no base login"):
            await self._finish(idp, upstreams)
        await upstreams.close()

    @pytest.mark.parametrize("endpoint", ["authorization_endpoint", "token_endpoint"])
    async def test_needs_a_provider_with_a_code_flow(self, idp, upstreams, endpoint):
        idp.changes = {endpoint: None}
        with pytest.raises(DependencyUnavailableError, match="no code flow"):
            await self._begin_and_finish(idp, upstreams)

    async def _begin_and_finish(self, idp, upstreams):
        await upstreams.login_url(
            login_at(idp), state="state-1", redirect_uri=REDIRECT_URI, code_challenge="challenge-1"
        )
        return await self._finish(idp, upstreams)

    @staticmethod
    async def _finish(idp, upstreams):
        return await upstreams.finish_login(
            login_at(idp), code="code-1", redirect_uri=REDIRECT_URI, now=NOON
        )
