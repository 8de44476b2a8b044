import base64
import dataclasses
import hashlib
import hmac
import json

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from stepup.sdk import BindingError, InvalidToken, Requirement, StepUpRequired
from tests.sdk.minting import (
    ABSENT,
    ACTION,
    ISSUER,
    NOW,
    PLAIN,
    TRANSFER,
    VALUES,
    Issuer,
    Key,
    a_stepup,
    claims_of_level,
    details,
)


def b64(data):
    data = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_reads_a_good_token(su, issuer):
    token = su.verify(issuer.mint(), TRANSFER, VALUES)

    assert (token.subject, token.level, token.action) == ("alice", "phr", ACTION)
    assert (token.subject_issuer, token.subject_sub) == ("http://localhost:8001", "alice")
    assert token.methods == ("hwk", "user", "mfa")
    assert token.auth_time.timestamp() == NOW - 2
    assert token.once
    assert token.raw not in repr(token)


def test_a_token_cannot_be_changed_after_verification(su, issuer):
    token = su.verify(issuer.mint(), TRANSFER, VALUES)
    with pytest.raises(dataclasses.FrozenInstanceError):
        token.level = "phrh"


MALFORMED = {
    "iss": [ABSENT, None, "", 7, "http://localhost:8000/", "http://evil.example", [ISSUER]],
    "sub": [ABSENT, None, "", 7, ["alice"]],
    "aud": [ABSENT, None, "", 7, "other", ["bank-transfers"], ["bank-transfers", "other"], {}],
    "client_id": [ABSENT, None, "", 7],
    "iat": [ABSENT, None, "", "1800000000", True, 1.5, -1, 0, NOW + 6, NOW + 120, 10**30],
    "exp": [ABSENT, None, "", str(NOW + 120), True, float(NOW + 120), -1, 0, 10**30],
    "jti": [ABSENT, None, "", 7],
    "acr": [ABSENT, None, "", 2, ["phr"]],
    "amr": [ABSENT, None, [], "hwk", ["hwk", 7], {"hwk": True}],
    "auth_time": [ABSENT, None, "", str(NOW), True, float(NOW), -1, NOW + 6],
    "txn": [ABSENT, None, "", 7],
    "scope": [None, 7, ["a"]],
    "nbf": [None, "", True, float(NOW), NOW + 6],
    "cnf": [None, {"jkt": "x"}],
    "sub_id": [None, "alice", {}, {"format": "email", "iss": ISSUER, "sub": "alice"},
               {"format": "iss_sub", "iss": "", "sub": "alice"},
               {"format": "iss_sub", "iss": ISSUER, "sub": 7}],
    "authorization_details": [
        None, [], {}, "x", [None], ["stepup_action"], details() * 2,
        details(type="other"), details(type=ABSENT), details(action=ABSENT), details(action=""),
        details(bound_digest=ABSENT), details(bound_digest=""),
        [details()[0] | {"action": 7}], details(bound_digest=7), details(once="yes"),
        details(once=1), details(once=None),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        pytest.param(claim, value, id=f"{claim}-{n}-{'absent' if value is ABSENT else value}"[:60])
        for claim, values in MALFORMED.items()
        for n, value in enumerate(values)
    ],
)
def test_refuses_each_missing_or_malformed_claim(issuer, su, claim, value):
    with pytest.raises(InvalidToken):
        su.verify(issuer.mint(**{claim: value}), TRANSFER, VALUES)


def test_accepts_every_optional_claim_that_is_absent(su, issuer):
    raw = issuer.mint(**claims_of_level(sub_id=ABSENT))
    assert su.verify(raw, PLAIN).subject_issuer is None


class TestHostileTokens:
    def refuse(self, su, raw, requirement=TRANSFER):
        with pytest.raises(InvalidToken):
            su.verify(raw, requirement, VALUES)

    @pytest.mark.parametrize("alg", ["none", "None", "NONE", "", None, 7, ["ES256"]], ids=repr)
    def test_alg_none(self, su, issuer, alg):
        _, payload, signature = issuer.mint().split(".")
        header = b64({"typ": "at+jwt", "kid": "key-1", "alg": alg})
        self.refuse(su, f"{header}.{payload}.")
        self.refuse(su, f"{header}.{payload}.{signature}")

    def test_hs256_with_the_public_key_as_secret(self, su, issuer):
        public = issuer.keys[0].private.public_key()
        pem = public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        header = b64({"typ": "at+jwt", "kid": "key-1", "alg": "HS256"})
        message = f"{header}.{issuer.mint().split('.')[1]}"
        signature = hmac.digest(pem, message.encode(), hashlib.sha256)
        self.refuse(su, f"{message}.{b64(signature)}")

    def test_foreign_kid(self, su, issuer):
        self.refuse(su, issuer.mint(key=Key("key-2")))

    def test_foreign_key_under_our_kid(self, su, issuer):
        self.refuse(su, issuer.mint(key=Key("key-1")))

    @pytest.mark.parametrize(
        "header", ["kid", "typ", "crit", "jwk", "jku"], ids=lambda header: header
    )
    def test_header_that_brings_its_own_trust(self, su, issuer, header):
        values = {
            "kid": ABSENT,
            "typ": ABSENT,
            "crit": ["exp"],
            "jwk": Key("key-1").jwk(),
            "jku": "http://evil.example/jwks",
        }
        key = Key("key-1") if header in {"jwk", "jku"} else None
        self.refuse(su, issuer.mint(key=key, headers={header: values[header]}))

    @pytest.mark.parametrize(
        "typ", ["JWT", "id_token", "AT+JWT", "application/at+jwt", "stepup-ticket+jwt", ""]
    )
    def test_wrong_typ(self, su, issuer, typ):
        self.refuse(su, issuer.mint(headers={"typ": typ}))

    def test_key_of_another_algorithm(self, sdk_clock):
        ec, rsa = Key("ec", "ES256"), Key("rsa", "RS256")
        issuer = Issuer(ec, rsa)
        su = a_stepup(issuer, sdk_clock, algorithms=["ES256", "RS256"])
        assert su.verify(issuer.mint(key=rsa), TRANSFER, VALUES)
        rsa.kid = "ec"
        self.refuse(su, issuer.mint(key=rsa))

    def test_algorithm_that_is_not_allowed(self, sdk_clock):
        issuer = Issuer(Key("rsa", "RS256"))
        self.refuse(a_stepup(issuer, sdk_clock), issuer.mint())

    @pytest.mark.parametrize("part", [0, 1, 2])
    def test_one_flipped_bit(self, su, issuer, part):
        parts = issuer.mint().split(".")
        data = bytearray(base64.urlsafe_b64decode(parts[part] + "=="))
        data[len(data) // 2] ^= 1
        parts[part] = b64(bytes(data))
        self.refuse(su, ".".join(parts))

    @pytest.mark.parametrize(
        "raw",
        ["", ".", "..", "a.b", "a.b.c", "a.b.c.d", "é.b.c", "a.b.c\n", " ", "x" * 10_000,
         "\ud800.a.b", "W10.W10.W10", "e30.e30.e30", "bnVsbA.e30.AA", ("W" * 3000) + ".e30.AA"],
    )  # fmt: skip
    def test_garbage(self, su, raw):
        self.refuse(su, raw)

    @pytest.mark.parametrize("raw", [None, b"a.b.c", 7])
    def test_not_even_text(self, su, raw):
        self.refuse(su, raw)

    def test_payload_that_is_not_an_object(self, su, issuer):
        raw = jwt.PyJWS().encode(
            b"[1]", issuer.keys[0].private, "ES256", headers={"typ": "at+jwt", "kid": "key-1"}
        )
        self.refuse(su, raw)


class TestRequirement:
    def refuse(self, su, raw, requirement, values=VALUES):
        with pytest.raises(StepUpRequired) as caught:
            su.verify(raw, requirement, values)
        return caught.value.reason

    def test_swapped_action(self, su, issuer):
        other = Requirement("payments.refund", level="phr", bind=("amount", "payee"), once=True)
        assert "another action" in self.refuse(su, issuer.mint(), other)

    @pytest.mark.parametrize(
        "values",
        [
            VALUES | {"amount": "5000.01"},
            VALUES | {"amount": 5000},
            VALUES | {"payee": "DE89 3705"},
            VALUES | {"payee": "DE89 3704 "},
            {"amount": VALUES["payee"], "payee": VALUES["amount"]},
        ],
        ids=str,
    )
    def test_changed_amount_or_payee(self, su, issuer, values):
        assert "other values" in self.refuse(su, issuer.mint(), TRANSFER, values)

    def test_values_that_are_not_bound_do_not_matter(self, su, issuer):
        assert su.verify(issuer.mint(), TRANSFER, VALUES | {"note": "lunch", "tip": 1.5})

    def test_a_service_that_forgot_to_bind(self, su, issuer):
        careless = Requirement(ACTION, level="phr", once=True)
        assert "other values" in self.refuse(su, issuer.mint(), careless)

    @pytest.mark.parametrize("acr", ["urn:stepup:acr:1", "urn:stepup:acr:2", "PHR", "phr2", "0"])
    def test_lowered_level(self, su, issuer, acr):
        assert "level" in self.refuse(su, issuer.mint(acr=acr), TRANSFER)

    def test_a_higher_level_satisfies_a_lower_demand(self, su, issuer):
        for acr in ("urn:stepup:acr:2", "phr", "phrh"):
            assert su.verify(issuer.mint(**claims_of_level(acr)), PLAIN).level == acr

    def test_levels_are_compared_by_their_order_here(self, issuer, sdk_clock):
        su = a_stepup(issuer, sdk_clock, levels=["phr", "urn:stepup:acr:2"])
        assert "level" in self.refuse(su, issuer.mint(**claims_of_level("phr")), PLAIN)

    def test_stale_auth_time(self, su, issuer):
        limit = NOW - 300 - 5
        assert su.verify(issuer.mint(**claims_of_level(auth_time=limit)), PLAIN)
        stale = issuer.mint(**claims_of_level(auth_time=limit - 1))
        assert "recent" in self.refuse(su, stale, PLAIN)

    def test_stale_auth_time_of_a_token_that_is_bound(self, su, issuer):
        recent = Requirement(ACTION, level="phr", max_age=60, bind=TRANSFER.bind, once=True)
        assert "recent" in self.refuse(su, issuer.mint(auth_time=NOW - 66), recent)

    def test_an_age_of_zero_is_met_by_a_ceremony_for_this_very_action(self, su, issuer):
        assert su.verify(issuer.mint(auth_time=NOW - 90), TRANSFER, VALUES)
        bare = Requirement("payments.list", level="phr", max_age=0)
        general = issuer.mint(**claims_of_level("phr", auth_time=NOW - 6))
        assert "recent" in self.refuse(su, general, bare)

    def test_future_auth_time(self, su, issuer):
        assert su.verify(issuer.mint(auth_time=NOW + 5), TRANSFER, VALUES)
        with pytest.raises(InvalidToken):
            su.verify(issuer.mint(auth_time=NOW + 6), TRANSFER, VALUES)

    def test_general_token_for_an_action_that_needs_its_own_ceremony(self, su, issuer):
        raw = issuer.mint(**claims_of_level("phrh"))
        assert "on its own" in self.refuse(su, raw, TRANSFER)
        assert "on its own" in self.refuse(su, raw, Requirement("a", level="phr", once=True))

    def test_reusable_token_where_a_once_only_one_is_needed(self, su, issuer):
        for once in (False, ABSENT):
            raw = issuer.mint(authorization_details=details(once=once))
            assert "one use" in self.refuse(su, raw, TRANSFER)

    def test_once_only_token_where_nobody_would_use_it_up(self, su, issuer):
        reusing = Requirement(ACTION, level="phr", bind=TRANSFER.bind)
        with pytest.raises(InvalidToken, match="once=True"):
            su.verify(issuer.mint(), reusing, VALUES)

    @pytest.mark.parametrize("value", [1.5, None, float("nan"), b"x", object(), {1: "x"}, [0.5]])
    def test_a_value_without_an_exact_form(self, su, issuer, value):
        with pytest.raises(BindingError):
            su.verify(issuer.mint(), TRANSFER, VALUES | {"amount": value})

    def test_a_missing_value(self, su, issuer):
        with pytest.raises(BindingError):
            su.verify(issuer.mint(), TRANSFER, {"amount": "5000.00"})
        with pytest.raises(BindingError):
            su.verify(issuer.mint(), TRANSFER)

    def test_a_level_that_is_not_on_the_ladder(self, su, issuer):
        with pytest.raises(ValueError, match="one of the levels"):
            su.verify(issuer.mint(), Requirement(ACTION, level="gold"), VALUES)


class TestTime:
    def test_expired_by_one_second(self, su, issuer, sdk_clock):
        raw = issuer.mint()
        sdk_clock.advance(119)
        assert su.verify(raw, TRANSFER, VALUES)
        sdk_clock.advance(1)
        with pytest.raises(InvalidToken, match="expired"):
            su.verify(issuer.mint(), TRANSFER, VALUES)

    def test_a_token_seen_before_expires_all_the_same(self, su, issuer, sdk_clock):
        raw = issuer.mint()
        assert su.verify(raw, TRANSFER, VALUES) is su.verify(raw, TRANSFER, VALUES)
        sdk_clock.advance(120)
        with pytest.raises(InvalidToken, match="expired"):
            su.verify(raw, TRANSFER, VALUES)

    def test_a_token_seen_before_is_still_held_to_the_requirement(self, su, issuer):
        raw = issuer.mint()
        assert su.verify(raw, TRANSFER, VALUES)
        with pytest.raises(StepUpRequired):
            su.verify(raw, TRANSFER, VALUES | {"amount": "9.00"})
        with pytest.raises(StepUpRequired):
            su.verify(raw, Requirement("other", level="phr", once=True), VALUES)

    def test_a_token_seen_before_grows_stale(self, su, issuer, sdk_clock):
        raw = issuer.mint(**claims_of_level(auth_time=NOW - 250))
        assert su.verify(raw, PLAIN)
        sdk_clock.advance(60)
        with pytest.raises(StepUpRequired, match="recent"):
            su.verify(raw, PLAIN)

    def test_remembers_a_bounded_number_of_tokens(self, issuer, sdk_clock, monkeypatch):
        monkeypatch.setattr("stepup.sdk.verifier.SEEN_TOKENS", 8)
        su = a_stepup(issuer, sdk_clock)
        for n in range(30):
            assert su.verify(issuer.mint(jti=f"token-{n}"), TRANSFER, VALUES)
        assert len(su._verifier._seen) <= 8
