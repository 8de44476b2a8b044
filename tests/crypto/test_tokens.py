import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from stepup.crypto import digests, keys, tokens
from stepup.domain.assurance import Acr, Amr
from stepup.domain.confirmation import Confirmation
from stepup.domain.ids import (
    ActionName,
    AuthenticatorId,
    ChallengeId,
    ClientId,
    Subject,
    TokenId,
)
from stepup.domain.keyring import SIGNING_USES, Keyring, KeyState, KeyUse
from stepup.domain.site import Site
from stepup.domain.token import ElevatedToken, StatusReference
from tests.crypto.forging import forge, part, read

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SITE = Site(
    issuer="https://stepup.example",
    region="r1",
    rp_id="stepup.example",
    rp_name="Example",
    origins=("https://stepup.example",),
    subject_issuer="https://idp.example",
)
TOKEN = ElevatedToken(
    id=TokenId("r1.abc.def"),
    challenge_id=ChallengeId("r1.abc"),
    client_id=ClientId("bank"),
    subject=Subject("https://idp.example", "alice"),
    audience="https://transfers.example",
    acr=Acr("phr"),
    amr=(Amr("hwk"), Amr("user"), Amr("mfa")),
    auth_time=NOW - 5 * SECOND,
    issued_at=NOW,
    expires_at=NOW + 120 * SECOND,
    action=ActionName("payments.transfer"),
    bound_digest="n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg",
    once=True,
    scope="transfers",
)
KEY = keys.generate_signing_key()
KEYRING = Keyring(keys=(KEY,), root=b"r" * 32)
TEXT = tokens.sign_elevated(TOKEN, KEY, SITE)
HEADER, CLAIMS = read(TEXT, 0), read(TEXT, 1)


def refuse(text: str, *, keyring: Keyring = KEYRING, now: datetime = NOW) -> str:
    with pytest.raises(tokens.InvalidTokenError) as caught:
        tokens.read_elevated(text, keyring, SITE, now)
    return str(caught.value)


def claims(**changes: object) -> dict:
    """The true claims with some changed; None leaves one out."""
    return {name: value for name, value in (CLAIMS | changes).items() if value is not None}


def test_rfc9068_2_says_what_the_contract_says():
    assert {"alg": "ES256", "kid": KEY.id, "typ": "at+jwt"} == HEADER
    assert {
        "iss": "https://stepup.example",
        "sub": "alice",
        "sub_id": {"format": "iss_sub", "iss": "https://idp.example", "sub": "alice"},
        "aud": "https://transfers.example",
        "client_id": "bank",
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 120,
        "jti": "r1.abc.def",
        "acr": "phr",
        "amr": ["hwk", "user", "mfa"],
        "auth_time": int(NOW.timestamp()) - 5,
        "txn": "r1.abc",
        "scope": "transfers",
        "authorization_details": [
            {
                "type": "stepup_action",
                "action": "payments.transfer",
                "bound_digest": "n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg",
                "once": True,
            }
        ],
    } == CLAIMS


def test_introspection_shows_the_claims_that_were_signed():
    assert json.loads(json.dumps(tokens.claims_of(TOKEN, SITE))) == CLAIMS


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"scope": None, "once": False},
        {"action": None, "bound_digest": None, "once": False},
        {"subject": Subject("https://other.example", "alice")},
    ],
    ids=["everything", "nothing optional", "no action", "foreign subject"],
)
@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
def test_reads_what_it_signed(changes, algorithm):
    token = msgspec.structs.replace(TOKEN, **changes)
    key = keys.generate_signing_key(algorithm) if algorithm != "ES256" else KEY

    text = tokens.sign_elevated(token, key, SITE)

    keyring = Keyring(keys=(key,), root=b"")
    assert tokens.read_elevated(text, keyring, SITE, NOW) == token


@pytest.mark.parametrize(
    "confirmation", [Confirmation(jkt="abc"), Confirmation(x5t_s256="bwcK0esc3ACC3DB2Y5")]
)
def test_says_what_a_token_is_bound_to_and_where_its_status_is(confirmation):
    status = StatusReference(index=7, uri="https://stepup.example/status/1")
    token = msgspec.structs.replace(TOKEN, confirmation=confirmation, status=status)
    text = tokens.sign_elevated(token, KEY, SITE)
    assert tokens.read_elevated(text, KEYRING, SITE, NOW) == token
    assert read(text, 1)["status"] == {"status_list": {"idx": 7, "uri": status.uri}}


@pytest.mark.parametrize("cnf", [{}, {"jwk": {}}, {"kid": "1"}, {"jkt": "a", "x5t#S256": "b"}])
def test_rfc7800_3_1_refuses_a_binding_that_it_does_not_understand(cnf):
    refuse(forge(HEADER, claims(cnf=cnf), KEY.private_key))


def test_leaves_out_authorization_details_without_an_action():
    token = msgspec.structs.replace(TOKEN, action=None, bound_digest=None, once=False)

    assert "authorization_details" not in read(tokens.sign_elevated(token, KEY, SITE), 1)


@pytest.mark.parametrize("changes", [{"once": True}, {"bound_digest": "x"}])
def test_refuses_to_sign_a_bound_or_once_only_token_for_no_action(changes):
    nameless = {"action": None, "bound_digest": None, "once": False} | changes

    with pytest.raises(ValueError, match="action"):
        tokens.sign_elevated(msgspec.structs.replace(TOKEN, **nameless), KEY, SITE)


def test_two_issuers_with_one_sub_are_two_subjects():
    foreign = Subject("https://other.example", "alice")

    assert tokens.subject_of_token(TOKEN.subject, SITE) == "alice"
    assert tokens.subject_of_token(foreign, SITE) == foreign.id


def test_a_token_never_lives_longer_than_it_was_meant_to():
    token = msgspec.structs.replace(TOKEN, expires_at=TOKEN.expires_at + timedelta(microseconds=9))

    assert read(tokens.sign_elevated(token, KEY, SITE), 1)["exp"] == CLAIMS["exp"]


# --- time: one second either side of each limit -------------------------------------------------


def test_accepts_a_token_in_its_last_second():
    last = TOKEN.expires_at - SECOND

    assert tokens.read_elevated(TEXT, KEYRING, SITE, last) == TOKEN


@pytest.mark.parametrize("late", [timedelta(0), SECOND])
def test_rfc9068_4_refuses_a_token_expired_by_one_second(late):
    assert "expired" in refuse(TEXT, now=TOKEN.expires_at + late)


def test_accepts_a_token_from_a_machine_whose_clock_is_five_seconds_ahead():
    assert tokens.read_elevated(TEXT, KEYRING, SITE, NOW - 5 * SECOND) == TOKEN


def test_refuses_a_token_from_the_future():
    assert "future" in refuse(TEXT, now=NOW - 6 * SECOND)


def test_refuses_a_lifetime_that_we_never_give():
    at_most = claims(exp=CLAIMS["iat"] + 600)
    too_long = claims(exp=CLAIMS["iat"] + 601)

    assert tokens.read_elevated(forge(HEADER, at_most, KEY.private_key), KEYRING, SITE, NOW)
    assert "lives longer" in refuse(forge(HEADER, too_long, KEY.private_key))


def test_does_not_look_at_the_machine_s_clock():
    long_ago = datetime(2001, 1, 1, tzinfo=UTC)
    token = msgspec.structs.replace(
        TOKEN, auth_time=long_ago, issued_at=long_ago, expires_at=long_ago + 120 * SECOND
    )

    text = tokens.sign_elevated(token, KEY, SITE)

    assert tokens.read_elevated(text, KEYRING, SITE, long_ago) == token


# --- keys and algorithms ------------------------------------------------------------------------


@pytest.mark.parametrize("alg", ["none", "None", "nOnE", ""])
def test_rfc9068_2_1_refuses_alg_none(alg):
    refuse(forge(HEADER | {"alg": alg}, CLAIMS))


def test_refuses_alg_none_with_the_true_signature():
    signature = TEXT.rsplit(".", 1)[1]

    refuse(forge(HEADER | {"alg": "none"}, CLAIMS) + signature)


def test_refuses_a_foreign_kid():
    stranger = keys.generate_signing_key()

    assert "not ours" in refuse(tokens.sign_elevated(TOKEN, stranger, SITE))


def test_refuses_a_stranger_s_signature_under_our_kid():
    stranger = keys.generate_signing_key()

    assert "signature" in refuse(forge(HEADER, CLAIMS, stranger.private_key))


@pytest.mark.parametrize("kid", ["../../dev/null", "' OR 1=1 --", "", "\0", 7, None, ["a"]])
def test_attack_kid_injection(kid):
    refuse(forge(HEADER | {"kid": kid}, CLAIMS, KEY.private_key))


@pytest.mark.parametrize("use", [use for use in SIGNING_USES if use is not KeyUse.TOKEN])
def test_rfc8725_3_12_refuses_an_access_token_by_a_key_for_something_else(use):
    other = keys.generate_signing_key(use=use)
    keyring = Keyring(keys=(KEY, other), root=b"r" * 32)
    refuse(tokens.sign_elevated(TOKEN, other, SITE), keyring=keyring)


def test_refuses_a_token_without_a_kid():
    refuse(forge({"alg": "ES256", "typ": "at+jwt"}, CLAIMS, KEY.private_key))


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_rfc8725_3_1_alg_confusion_our_public_key_used_as_a_shared_secret(encoding):
    public = KEY.private_key.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)

    refuse(forge(HEADER | {"alg": "HS256"}, CLAIMS, public))


def test_alg_confusion_another_algorithm_under_our_kid():
    rsa = keys.generate_signing_key("RS256")

    refuse(forge(HEADER | {"alg": "RS256"}, CLAIMS, rsa.private_key))


def test_rfc8725_3_10_refuses_a_key_the_token_brings_itself():
    stranger = keys.generate_signing_key()
    for header in (
        {"jwk": stranger.public_jwk},
        {"jku": "https://evil.example/jwks.json"},
        {"x5u": "https://evil.example/cert.pem"},
        {"x5c": ["AAAA"]},
    ):
        refuse(forge(HEADER | header, CLAIMS, stranger.private_key))
        assert "header" in refuse(forge(HEADER | header, CLAIMS, KEY.private_key))


@pytest.mark.parametrize("header", [{"crit": ["exp"], "exp": 1}, {"b64": True, "crit": ["b64"]}])
def test_refuses_critical_extensions(header):
    refuse(forge(HEADER | header, CLAIMS, KEY.private_key))


def test_refuses_a_key_that_is_gone_and_accepts_one_that_is_retiring():
    def ring(state: KeyState) -> Keyring:
        return Keyring(keys=(msgspec.structs.replace(KEY, state=state),), root=b"")

    assert tokens.read_elevated(TEXT, ring(KeyState.RETIRING), SITE, NOW) == TOKEN
    assert "not ours" in refuse(TEXT, keyring=ring(KeyState.GONE))


# --- kind, issuer, claims -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "typ", ["JWT", "id_token", "secevent+jwt", "application/at+jwt", "AT+JWT", None]
)
def test_rfc9068_4_refuses_another_kind_of_token_signed_by_our_key(typ):
    header = {name: value for name, value in (HEADER | {"typ": typ}).items() if value}

    assert "kind" in refuse(forge(header, CLAIMS, KEY.private_key))


def test_rfc9068_4_refuses_another_issuer():
    for issuer in ("https://evil.example", "https://stepup.example/", "HTTPS://stepup.example"):
        forged = forge(HEADER, claims(iss=issuer), KEY.private_key)
        assert "issuer" in refuse(forged)


@pytest.mark.parametrize("name", sorted(set(CLAIMS) - {"scope", "authorization_details"}))
def test_rfc9068_2_2_refuses_a_token_without_a_claim(name):
    assert "malformed" in refuse(forge(HEADER, claims(**{name: None}), KEY.private_key))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("exp", "1795262520"),
        ("exp", 1e400),
        ("exp", -1),
        ("exp", 10**15),
        ("iat", True),
        ("aud", ["https://transfers.example"]),
        ("aud", ""),
        ("sub", 7),
        ("amr", "hwk"),
        ("sub_id", {"format": "email", "email": "a@example.org"}),
        ("authorization_details", [{"type": "other", "action": "x"}]),
        ("authorization_details", {"type": "stepup_action", "action": "x"}),
    ],
)
def test_refuses_a_claim_of_another_type(name, value):
    assert "malformed" in refuse(forge(HEADER, claims(**{name: value}), KEY.private_key))


def test_refuses_a_token_for_two_actions():
    details = [{"type": "stepup_action", "action": name} for name in ("a.b", "c.d")]

    forged = forge(HEADER, claims(authorization_details=details), KEY.private_key)

    assert "more than one" in refuse(forged)


@pytest.mark.parametrize("payload", [b"", b"null", b"[]", b"{", b"\xff\xfe", b'"text"'])
def test_refuses_claims_that_are_no_object(payload):
    refuse(forge(HEADER, payload, KEY.private_key))


@given(st.data())
def test_refuses_any_changed_character(data):
    position = data.draw(st.integers(0, len(TEXT) - 1))
    character = data.draw(st.sampled_from("AZaz09-_.=é "))
    changed = TEXT[:position] + character + TEXT[position + 1 :]
    if changed != TEXT:
        refuse(changed)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c.d",
        TEXT + ".",
        TEXT + " ",
        "\n" + TEXT,
        "é.é.é",
        "\ud800..",
        "." * 9,
    ],
)
def test_refuses_what_is_no_jwt(text):
    refuse(text)


def test_refuses_an_oversize_token_before_reading_it():
    assert "not a JWT" in refuse(TEXT + "A" * 20_000)


# --- the JWK set --------------------------------------------------------------------------------


def test_publishes_every_key_that_a_verifier_may_meet_without_private_members():
    ring = Keyring(
        keys=tuple(keys.generate_signing_key(state=state) for state in KeyState), root=b""
    )

    published = tokens.jwks(ring)["keys"]

    assert [key["kid"] for key in published] == [
        key.id for key in ring.keys if key.state is not KeyState.GONE
    ]
    for jwk in published:
        assert set(jwk) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
        assert (jwk["use"], jwk["alg"]) == ("sig", "ES256")
        assert jwk["kid"] == keys.thumbprint(jwk)


def test_never_publishes_a_private_member_that_slipped_into_a_record():
    number = KEY.private_key.private_numbers().private_value
    leaky = msgspec.structs.replace(KEY, public_jwk={**KEY.public_jwk, "d": str(number)})

    (jwk,) = tokens.jwks(Keyring(keys=(leaky,), root=b""))["keys"]

    assert "d" not in jwk


def test_anybody_can_verify_with_the_published_key():
    (jwk,) = tokens.jwks(KEYRING)["keys"]
    numbers = [int.from_bytes(digests.decode(jwk[name]), "big") for name in ("x", "y")]

    public = ec.EllipticCurvePublicNumbers(*numbers, ec.SECP256R1()).public_key()

    assert public == KEY.private_key.public_key()


@pytest.mark.parametrize("depth", [10, 1000, 3000])
def test_refuses_a_header_however_deeply_it_nests(depth):
    deep = b'{"alg":"ES256","x":' + b"[" * depth + b"]" * depth + b"}"

    # Interpreters differ in what they read; none accepts it.
    assert refuse(f"{part(deep)}.AA.AA")


def test_who_gave_it_is_read_by_us_and_by_nobody_else():
    given = msgspec.structs.replace(TOKEN, authenticators=(AuthenticatorId("app-1"),))
    text = tokens.sign_elevated(given, KEY, SITE, KEYRING.root)
    assert tokens.read_elevated(text, KEYRING, SITE, NOW) == given
    assert "app-1" not in json.dumps(read(text, 1))
    stranger = msgspec.structs.replace(KEYRING, root=bytes(32))
    assert tokens.read_elevated(text, stranger, SITE, NOW).authenticators != ("app-1",)
    # A release before this one noted nobody.
    assert tokens.read_elevated(TEXT, KEYRING, SITE, NOW).authenticators is None
