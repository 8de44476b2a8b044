"""ID tokens: what clients are told, and which hints are ours."""

import hashlib
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from stepup.crypto import digests, id_tokens, keys, tokens
from stepup.domain.assurance import Acr, Amr
from stepup.domain.id_token import IdToken
from stepup.domain.ids import ClientId, Subject
from stepup.domain.keyring import Keyring, KeyState
from tests.crypto.forging import forge, read
from tests.crypto.test_tokens import KEY, KEYRING, SITE, TOKEN
from tests.crypto.test_tokens import TEXT as ACCESS_TOKEN

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ID_TOKEN = IdToken(
    subject=Subject("https://idp.example", "alice"),
    client_id=ClientId("bank"),
    acr=Acr("phr"),
    amr=(Amr("hwk"), Amr("user")),
    auth_time=NOW - timedelta(seconds=5),
    issued_at=NOW,
    expires_at=NOW + timedelta(seconds=120),
    nonce="n-0S6_WzA2Mj",
    session_id="sid-1",
)
TEXT = id_tokens.sign(ID_TOKEN, ACCESS_TOKEN, KEY, SITE)
HEADER, CLAIMS = read(TEXT, 0), read(TEXT, 1)
NOW_SECONDS = int(NOW.timestamp())


def refuse(text: str, *, keyring: Keyring = KEYRING) -> str:
    with pytest.raises(id_tokens.InvalidTokenError) as caught:
        id_tokens.read_hint(text, keyring, SITE)
    return str(caught.value)


def test_oidc_core_2_says_who_authenticated_how_and_when():
    assert {"alg": "ES256", "kid": KEY.id, "typ": "JWT"} == HEADER
    assert {
        "iss": "https://stepup.example",
        "sub": "alice",
        "sub_id": {"format": "iss_sub", "iss": "https://idp.example", "sub": "alice"},
        "aud": "bank",
        "iat": NOW_SECONDS,
        "exp": NOW_SECONDS + 120,
        "auth_time": NOW_SECONDS - 5,
        "acr": "phr",
        "amr": ["hwk", "user"],
        "nonce": "n-0S6_WzA2Mj",
        "at_hash": id_tokens.hash_of(ACCESS_TOKEN, "ES256"),
        "sid": "sid-1",
    } == CLAIMS


def test_leaves_out_what_there_is_nothing_to_say_about():
    bare = msgspec.structs.replace(ID_TOKEN, nonce=None, session_id=None)
    assert {"nonce", "sid"}.isdisjoint(read(id_tokens.sign(bare, ACCESS_TOKEN, KEY, SITE), 1))


def test_the_sub_is_that_of_the_access_token():
    for subject in (Subject("https://idp.example", "alice"), Subject("https://b.example", "alice")):
        text = id_tokens.sign(
            msgspec.structs.replace(ID_TOKEN, subject=subject), ACCESS_TOKEN, KEY, SITE
        )
        assert read(text, 1)["sub"] == tokens.subject_of_token(subject, SITE)


def test_oidc_core_3_1_3_6_at_hash_is_the_left_half_of_the_algorithm_s_digest():
    # The example of Core appendix A.3: an access token and its at_hash under RS256.
    assert (
        id_tokens.hash_of("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", "RS256")
        == "77QmUPtjPfzWtF2AnpK9RQ"
    )
    whole = hashlib.sha512(b"token").digest()
    assert id_tokens.hash_of("token", "EdDSA") == digests.encode(whole[:32])


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
def test_reads_a_hint_that_we_signed(algorithm):
    key = keys.generate_signing_key(algorithm)
    text = id_tokens.sign(ID_TOKEN, ACCESS_TOKEN, key, SITE)
    assert id_tokens.read_hint(text, Keyring(keys=(key,), root=b""), SITE) == ID_TOKEN


def test_oidc_core_3_1_2_2_accepts_an_expired_hint():
    old = msgspec.structs.replace(ID_TOKEN, expires_at=NOW - timedelta(days=400))
    assert id_tokens.read_hint(id_tokens.sign(old, ACCESS_TOKEN, KEY, SITE), KEYRING, SITE) == old


def test_oidc_core_3_1_2_1_refuses_a_hint_of_another_issuer():
    stolen = forge(HEADER, CLAIMS | {"iss": "https://mallory.example"}, KEY.private_key)
    assert refuse(stolen) == "the token is of another issuer"


def test_refuses_a_hint_under_a_key_that_is_not_ours():
    theirs = keys.generate_signing_key()
    assert refuse(id_tokens.sign(ID_TOKEN, ACCESS_TOKEN, theirs, SITE)) == "the key is not ours"
    # Our name of the key, and another key.
    forged = forge(HEADER, CLAIMS, theirs.private_key)
    assert refuse(forged) == "the signature does not hold"


def test_refuses_a_hint_under_a_key_that_is_gone():
    gone = msgspec.structs.replace(KEY, state=KeyState.GONE)
    assert refuse(TEXT, keyring=Keyring(keys=(gone,), root=b"")) == "the key is not ours"


def test_rfc8725_3_12_an_access_token_is_no_id_token_nor_the_reverse():
    assert refuse(ACCESS_TOKEN) == "the typ is of another kind of token"
    with pytest.raises(tokens.InvalidTokenError, match="another kind"):
        tokens.read_elevated(TEXT, KEYRING, SITE, NOW)
    # The claims of an access token under the header of an ID token: ours never sign that, and the
    # reverse would need the other typ.
    relabeled = forge(HEADER | {"typ": "at+jwt"}, CLAIMS, KEY.private_key)
    with pytest.raises(tokens.InvalidTokenError):
        tokens.read_elevated(relabeled, KEYRING, SITE, NOW)


@pytest.mark.parametrize("typ", [None, "at+jwt", "secevent+jwt", "dpop+jwt", "jwt"])
def test_rfc8725_3_11_refuses_any_other_typ(typ):
    header = {name: value for name, value in (HEADER | {"typ": typ}).items() if value}
    assert refuse(forge(header, CLAIMS, KEY.private_key)) == "the typ is of another kind of token"


def test_rfc8725_3_1_refuses_alg_confusion():
    assert refuse(forge(HEADER | {"alg": "HS256"}, CLAIMS, b"x")) == (
        "the algorithm is not the key's"
    )
    assert refuse(forge(HEADER | {"alg": "none"}, CLAIMS)) == "the algorithm is not the key's"


@pytest.mark.parametrize(
    "changes", [{"sub_id": None}, {"aud": ["bank"]}, {"auth_time": "now"}, {"sub": ""}]
)
def test_refuses_claims_that_we_never_wrote(changes):
    broken = {name: value for name, value in (CLAIMS | changes).items() if value is not None}
    assert refuse(forge(HEADER, broken, KEY.private_key)) == "the claims are malformed"


def test_the_times_of_both_tokens_agree_when_they_come_together():
    assert CLAIMS["auth_time"] == read(ACCESS_TOKEN, 1)["auth_time"]
    assert TOKEN.acr == CLAIMS["acr"]
