"""What an assertion of a client must say (RFC 7523 section 3, FAPI 2.0 section 5.3.2.1)."""

from datetime import timedelta

import msgspec
import pytest

from stepup.crypto import client_assertions, client_keys, jwts, keys
from stepup.crypto.client_assertions import MAX_AHEAD, Expected
from tests.support.application import ISSUER
from tests.support.assertions import AT, JWK, assertion
from tests.support.determinism import NOON

KEYS = client_keys.read_keys([JWK])
EXPECTED = Expected(client_id="shop", issuer=ISSUER, now=NOON)
LENIENT = msgspec.structs.replace(EXPECTED, endpoints=frozenset({f"{ISSUER}/oauth2/token"}))


def read(text: str, expected: Expected = EXPECTED) -> client_assertions.Assertion:
    return client_assertions.read_assertion(text, KEYS, expected)


@pytest.mark.parametrize("typ", [None, "JWT", "client-authentication+jwt"])
def test_an_assertion_holds(typ):
    held = read(assertion(header={"typ": typ}))

    assert (held.id, held.until) == ("once", NOON + timedelta(seconds=60))


@pytest.mark.parametrize(
    ("changes", "since"),
    [
        ({}, timedelta(seconds=-30)),
        ({"iat": None}, timedelta(seconds=60) - MAX_AHEAD),
        ({"nbf": AT + 10}, timedelta(seconds=-20)),
        ({"iat": AT - 3600}, timedelta(seconds=60) - MAX_AHEAD),
    ],
    ids=str,
)
def test_nobody_can_have_shown_it_earlier(changes, since):
    assert read(assertion(**changes)).since == NOON + since


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": AT + 1},
        {"exp": AT + 600},
        {"iat": AT + 10},
        {"nbf": AT + 10},
        {"iat": None},
        {"exp": AT + 60.5},
        {"extra": {"is": "ignored"}},
    ],
    ids=str,
)
def test_fapi2_5_3_2_1_13_accepts_clocks_that_are_ten_seconds_ahead(changes):
    assert read(assertion(**changes)).id == "once"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "bank"},
        {"sub": "bank"},
        {"iss": "bank", "sub": "bank"},
        {"iss": None},
        {"sub": None},
        {"aud": None},
        {"aud": "https://other.example"},
        {"aud": f"{ISSUER}/"},
        {"aud": [ISSUER]},
        {"aud": f"{ISSUER}/oauth2/token"},
        {"aud": []},
        {"exp": None},
        {"exp": AT},
        {"exp": AT - 1},
        {"exp": AT + 601},
        {"exp": "soon"},
        {"exp": -1},
        {"exp": 1e300},
        {"iat": AT + 61},
        {"nbf": AT + 61},
        {"jti": None},
        {"jti": ""},
        {"jti": 1},
        {"jti": "x" * 513},
    ],
    ids=lambda changes: str(changes)[:60],
)
def test_rfc7523_3_refuses_what_does_not_hold(changes):
    with pytest.raises(jwts.InvalidTokenError):
        read(assertion(**changes))


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "at+jwt"},
        {"typ": "dpop+jwt"},
        {"typ": "oauth-authz-req+jwt"},
        {"typ": "secevent+jwt"},
        {"kid": "another"},
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/keys"},
        {"jwk": JWK},
        {"crit": ["exp"]},
        {"alg": "none"},
    ],
    ids=str,
)
def test_rfc8725_refuses_headers_of_other_kinds(header):
    text = assertion()
    if header.get("alg") == "none":
        text = ".".join([client_assertions.digests.encode(b'{"alg":"none"}'), *text.split(".")[1:]])
    else:
        text = assertion(header=header)
    with pytest.raises(jwts.InvalidTokenError):
        read(text)


def test_another_key_is_refused():
    strange = keys.generate_signing_key("ES256")
    found = client_keys.read_keys([{**strange.public_jwk, "kid": JWK["kid"]}])

    with pytest.raises(jwts.InvalidTokenError, match="signature"):
        client_assertions.read_assertion(assertion(), found, EXPECTED)


@pytest.mark.parametrize(
    "audience",
    [
        ISSUER,
        f"{ISSUER}/oauth2/token",
        [ISSUER],
        [f"{ISSUER}/oauth2/token", "https://other.example"],
    ],
    ids=str,
)
def test_rfc9126_2_a_lenient_client_may_name_the_endpoint_in_a_list(audience):
    assert read(assertion(aud=audience), LENIENT).id == "once"


@pytest.mark.parametrize("audience", ["https://other.example", [], ["https://other.example"]])
def test_a_lenient_client_is_not_everybodys(audience):
    with pytest.raises(jwts.InvalidTokenError, match="audience"):
        read(assertion(aud=audience), LENIENT)


@pytest.mark.parametrize(
    "text", ["", "a.b.c", "....", assertion().replace(".", "", 1), "é.é.é", "a" * 20_000]
)
def test_what_is_no_assertion_has_no_client(text):
    with pytest.raises(jwts.InvalidTokenError):
        client_assertions.peek_client(text)


def test_whose_it_is_said_to_be_is_read_first():
    assert client_assertions.peek_client(assertion()) == ("shop", JWK["kid"])
