import hashlib
from base64 import b32encode
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit

import pyotp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepup.ceremonies import otp
from stepup.domain.authenticator import TotpSecret
from stepup.domain.errors import InvalidRequestError
from stepup.domain.generation import is_below
from tests.support import vectors

HOTP = vectors.load("rfc4226-hotp")
TOTP = vectors.load("rfc6238-totp")
SECRET = TotpSecret(secret=bytes.fromhex(HOTP["secret_hex"]))
PERIOD = timedelta(seconds=30)
STEP_1 = datetime(1970, 1, 1, 0, 0, 30, tzinfo=UTC)


def at(unix_time: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=unix_time)


def code_of(step: int, secret: TotpSecret = SECRET) -> str:
    digest = getattr(hashlib, secret.algorithm.lower())
    key = b32encode(secret.secret).decode()
    return pyotp.HOTP(key, digits=secret.digits, digest=digest).at(step)


@pytest.mark.parametrize("vector", HOTP["vectors"], ids=lambda v: f"counter {v['counter']}")
def test_a_code_of_rfc_4226_appendix_d_belongs_to_its_counter(vector):
    now = at(vector["counter"] * 30)

    assert otp.matching_step(SECRET, vector["hotp"], now, window=0) == vector["counter"]


@pytest.mark.parametrize(
    "vector", TOTP["vectors"], ids=lambda v: f"{v['algorithm']} {v['unix_time']}"
)
def test_a_code_of_rfc_6238_appendix_b_belongs_to_its_step(vector):
    secret = TotpSecret(
        secret=bytes.fromhex(TOTP["secrets_hex"][vector["algorithm"]]),
        algorithm=vector["algorithm"],
        digits=8,
    )

    step = otp.matching_step(secret, vector["totp"], at(vector["unix_time"]))

    assert step == int(vector["t_hex"], 16)


# One code in a million belongs to two steps; the same examples every time keep that out.
@settings(derandomize=True)
@given(st.integers(-3, 3), st.integers(2, 2**32), st.integers(0, 29))
def test_a_code_is_good_one_step_either_way_and_no_further(distance, step, second):
    code = code_of(step)

    matched = otp.matching_step(SECRET, code, at((step + distance) * 30 + second))

    assert matched == step if abs(distance) <= 1 else matched != step


def test_a_code_expired_by_one_second_is_refused():
    code, end = code_of(100), at(102 * 30)

    assert otp.matching_step(SECRET, code, end - timedelta(seconds=1)) == 100
    assert otp.matching_step(SECRET, code, end) is None


def test_a_code_may_come_one_step_early_and_not_one_second_more():
    code, start = code_of(100), at(99 * 30)

    assert otp.matching_step(SECRET, code, start) == 100
    assert otp.matching_step(SECRET, code, start - timedelta(seconds=1)) is None


def test_a_wider_window_reaches_further():
    assert otp.matching_step(SECRET, code_of(100), at(103 * 30), window=3) == 100


def test_two_steps_with_one_code_are_both_spent():
    # The first two neighbors with one code under this key; found by trying them all.
    assert code_of(910_737) == code_of(910_738) == "911617"

    assert otp.matching_step(SECRET, "911617", at(910_737 * 30)) == 910_738


def test_the_first_step_of_all_time_has_nothing_before_it():
    assert otp.matching_step(SECRET, code_of(0), at(0)) == 0


def test_the_period_and_the_digits_are_the_secret_s():
    secret = TotpSecret(secret=SECRET.secret, digits=8, period=60)

    assert otp.matching_step(secret, code_of(5, secret), at(300)) == 5
    assert otp.matching_step(secret, code_of(10), at(300)) is None


@pytest.mark.parametrize(
    "typed", ["287 082", " 287082 ", "287-082", "2 8 7 0 8 2", "287\u00a0082", "287\u2013082"]
)
def test_takes_a_code_as_people_type_it(typed):
    assert otp.matching_step(SECRET, typed, STEP_1) == 1


@pytest.mark.parametrize(
    "typed",
    ["", " ", "28708", "2870820", "0287082", "+287082", "287082.0", "0x46176", "287082\0", "code"],
)
def test_refuses_what_is_no_code(typed):
    assert otp.matching_step(SECRET, typed, STEP_1) is None


@pytest.mark.parametrize("zero", ["\u0660", "\uff10", "\u0966"])
def test_refuses_digits_of_another_script(zero):
    typed = "".join(chr(ord(zero) + int(digit)) for digit in "287082")

    assert otp.normalize_code(typed) == typed
    assert otp.matching_step(SECRET, typed, STEP_1) is None


def test_refuses_a_lone_surrogate():
    assert otp.matching_step(SECRET, "28708\ud800", STEP_1) is None


def test_an_app_learns_everything_from_the_uri():
    secret = TotpSecret(secret=SECRET.secret, algorithm="SHA256", digits=8, period=60)

    uri = urlsplit(otp.provisioning_uri(secret, account="alice+b@example.org", issuer="Bank: é"))
    members = {name: value for name, (value,) in parse_qs(uri.query).items()}

    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert unquote(uri.path) == "/Bank: é:alice+b@example.org"
    assert members == {
        "secret": b32encode(SECRET.secret).decode(),
        "issuer": "Bank: é",
        "algorithm": "SHA256",
        "digits": "8",
        "period": "60",
    }


def test_the_uri_of_the_usual_parameters_is_short():
    uri = otp.provisioning_uri(SECRET, account="alice", issuer="Bank")

    assert set(parse_qs(urlsplit(uri).query)) == {"secret", "issuer"}


def test_writes_the_secret_in_groups_of_four():
    assert otp.group_secret(SECRET) == "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ"


@pytest.mark.parametrize(
    "written",
    [
        "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
        "gezd gnbv gy3t qojq gezd gnbv gy3t qojq",
        "GEZD-GNBV-GY3T-QOJQ-GEZD-GNBV-GY3T-QOJQ",
        " GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\n",
    ],
)
def test_reads_a_secret_as_people_copy_it(written):
    assert otp.parse_totp_parameters({"type": "totp", "secret": written}) == SECRET


@given(st.binary(min_size=14, max_size=128))
def test_reads_every_secret_it_wrote(secret):
    written = otp.group_secret(TotpSecret(secret=secret))

    assert otp.parse_totp_parameters({"secret": written}).secret == secret
    assert otp.parse_totp_parameters({"secret": b32encode(secret).decode()}).secret == secret


def test_reads_every_parameter():
    described = {
        "type": "totp",
        "name": "My phone",
        "secret": b32encode(SECRET.secret).decode(),
        "algorithm": "SHA512",
        "digits": 8,
        "period": 60,
    }

    assert otp.parse_totp_parameters(described) == TotpSecret(
        secret=SECRET.secret, algorithm="SHA512", digits=8, period=60
    )


@pytest.mark.parametrize(
    "change",
    [
        {"secret": None},
        {"secret": ""},
        {"secret": 7},
        {"secret": "GEZDGNBVGY3TQOJQ0189"},
        {"secret": "é" * 32},
        {"secret": b32encode(b"s" * 13).decode()},
        {"secret": b32encode(b"s" * 129).decode()},
        {"secret": "A" * 401},
        {"algorithm": "MD5"},
        {"algorithm": "sha1"},
        {"digits": 7},
        {"digits": "6"},
        {"digits": 6.0},
        {"digits": True},
        {"period": 0},
        {"period": 45},
        {"period": None},
        {"type": "hotp"},
        {"counter": 1},
    ],
    ids=str,
)
def test_refuses_a_parameter_that_is_malformed_or_not_supported(change):
    described = {"type": "totp", "secret": b32encode(SECRET.secret).decode()} | change

    with pytest.raises(InvalidRequestError) as caught:
        otp.parse_totp_parameters(described)

    assert str(described["secret"]) not in caught.value.detail or not described["secret"]


def test_refuses_a_description_without_a_secret():
    with pytest.raises(InvalidRequestError, match="secret"):
        otp.parse_totp_parameters({"type": "totp"})


@given(
    floor=st.integers(0, 4_000_000_000_000).map(lambda ms: at(0) + timedelta(milliseconds=ms)),
    period=st.sampled_from([30, 60]),
)
def test_the_code_that_counts_after_a_floor_is_the_first_that_does(floor: datetime, period: int):
    secret = TotpSecret(secret=SECRET.secret, period=period)
    shown_at = otp.counts_from(secret, floor)
    step = int(shown_at.timestamp()) // period

    assert not is_below(floor, otp.possible_since(secret, step))
    assert is_below(floor, otp.possible_since(secret, step - 1))
