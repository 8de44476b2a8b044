"""What the text of a setting may say."""

from base64 import b64encode, urlsafe_b64encode
from itertools import chain

import pytest

from stepup import config_values
from stepup.config_values import parse_keys

KEY, OTHER = b"n" * 32, b"o" * 32
ACCEPTED = {
    "check_postgres_url": (
        "postgresql://stepup:hush@db/stepup",
        "postgresql://stepup@a:5432,b:5433/stepup?sslmode=verify-full",
        "postgresql+psycopg://stepup@/stepup?host=%2Frun%2Fpostgres",
        "postgresql:///stepup",
        "postgres://[::1]:5432/stepup",
    ),
    "check_redis_url": (
        "redis://cache",
        "redis://:hush@cache:6379/1",
        "rediss://cache",
        "unix:///run/redis.sock?db=1",
        "redis+unix:///run/redis.sock",
        "redis+sentinel://a:26379,b:26379/main",
        "redis+sentinel://:hush@a,b,[::1]:26379/main/2",
        "redis+cluster://a:6379,b,[::1]:6379",
        "rediss+cluster://:hush@a:6379/0",
    ),
    "check_issuer": ("https://id.example", "https://id.example/realms/a", "http://localhost:8001"),
    "check_url": ("https://id.example/keys?v=1",),
    "check_origin": (
        "https://app.example",
        "http://127.0.0.1:8000",
        "android:apk-key-hash:pNiP5iKyQ8JwgGOaKA1zGPUPJIS0H1xKCQcfIoGLOvQ",
    ),
    "check_proxy": ("10.0.0.1", "10.0.0.0/8", "::1", "fd00::/8"),
    "check_algorithms": (("ES256",), ("RS256", "PS512", "EdDSA")),
}
REFUSED = {
    "check_postgres_url": ("", "nonsense", "mysql://db/stepup", "postgresql://db:port/stepup"),
    "check_redis_url": (
        "",
        "nonsense",
        "http://cache",
        "redis://",
        "redis://cache:port",
        "redis://cache:99999",
        "unix://",
        "redis+sentinel://a:1,b:2",
        "redis+sentinel://a:port/main",
        "redis+cluster://",
        "redis+cluster://a:1,:2",
        "redis+cluster://a:1/3",
        "redis-cluster://a:1",
        "redis://a,b",
    ),
    "check_issuer": ("", "id.example", "http://idp.example", "https://id.example?a=b", "https://"),
    "check_url": ("ftp://id.example", "http://idp.example", "https://u:p@id.example", "https://[x"),
    "check_origin": (
        "foo",
        "https://app.example/",
        "https://app.example/path",
        "https://App.example",
        "http://app.example",
        "android:apk-key-hash:",
    ),
    "check_proxy": ("bar", "*", "10.0.0.1/8", "proxy.example"),
    "check_algorithms": ((), ("none",), ("HS256",), ("ES256", "HS512"), ("es256",)),
}


def cases(table):
    return list(chain.from_iterable(((name, value) for value in table[name]) for name in table))


@pytest.mark.parametrize(("check", "value"), cases(ACCEPTED))
def test_accepts(check, value):
    getattr(config_values, check)(value)


@pytest.mark.parametrize(("check", "value"), cases(REFUSED))
def test_refuses_and_says_what_is_expected(check, value):
    with pytest.raises(ValueError, match=r"expected|not supported|use https|no query"):
        getattr(config_values, check)(value)


@pytest.mark.parametrize(
    ("check", "value"),
    [
        ("check_postgres_url", "postgresql://stepup:hush@db:port/stepup"),
        ("check_redis_url", "http://:hush@cache"),
        ("check_url", "https://u:hush@id.example"),
        ("check_url", "https://[hush"),
    ],
)
def test_repeats_no_secret(check, value):
    with pytest.raises(ValueError, match="expected") as refused:
        getattr(config_values, check)(value)

    assert "hush" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_reads_keys_in_either_alphabet_and_with_or_without_padding():
    key = bytes([251, 255] * 16)
    standard, url = b64encode(key).decode(), urlsafe_b64encode(key).decode().rstrip("=")

    assert parse_keys(f"1:{standard}, 12:{url}") == {1: key, 12: key}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "entry 1"),
        (b64encode(KEY).decode(), "entry 1"),
        ("0:" + b64encode(KEY).decode(), "entry 1"),
        ("x:" + b64encode(KEY).decode(), "entry 1"),
        ("1:" + b64encode(KEY).decode() + ",", "entry 2"),
        ("1:" + b64encode(KEY[:31]).decode(), "key 1"),
        ("1:" + b64encode(KEY).decode()[:-3], "key 1"),
        ("9999999999:" + b64encode(KEY).decode(), "entry 1"),
        ("1:" + b64encode(KEY).decode() + ",1:" + b64encode(OTHER).decode(), "twice"),
    ],
)
def test_refuses_malformed_keys_without_repeating_them(text, complaint):
    with pytest.raises(ValueError, match=complaint) as caught:
        parse_keys(text)

    assert b64encode(KEY).decode()[:8] not in str(caught.value)
    assert caught.value.__cause__ is None
