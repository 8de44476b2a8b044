import base64
from datetime import timedelta

import pytest

from stepup.config import Secret
from stepup.config_reading import SettingsError, load, read
from stepup.domain.key_life import SHORTEST_ANNOUNCEMENT

KEY = base64.b64encode(bytes(32)).decode()
UPSTREAM = '[{"issuer": "https://id.example", "audience": "stepup", "client_secret": "hush"}]'
ENOUGH = {
    "STEPUP_ISSUER": "https://stepup.example",
    "STEPUP_POSTGRES_URL": "postgresql://stepup:hush@db/stepup",
    "STEPUP_REDIS_URL": "redis://:hush@cache",
    "STEPUP_KEY_ENCRYPTION_KEYS": f"1:{KEY}",
    "STEPUP_UPSTREAMS": UPSTREAM,
}


def test_reads_the_environment_and_fills_in_what_follows_from_the_issuer():
    settings = load(ENOUGH | {"HOME": "/nowhere", "STEPUP_TEST_REDIS": "not a setting"})

    assert settings.rp_id == "stepup.example"
    assert settings.webauthn_origins == ("https://stepup.example",)
    assert settings.subject_issuer == "https://id.example"
    assert settings.upstreams[0].audiences == ("stepup",)
    assert settings.key_encryption_ring == {1: bytes(32)}
    assert settings.port == 8000


def test_every_kind_of_value_can_come_from_the_environment():
    settings = load(
        ENOUGH
        | {
            "STEPUP_PORT": "9000",
            "STEPUP_DEVELOPMENT": "true",
            "STEPUP_DRAIN_DELAY": "500ms",
            "STEPUP_WEBAUTHN_ORIGINS": "https://a.example, https://b.example",
            "STEPUP_ADMIN_TOKEN": "hush",
        }
    )

    assert settings.port == 9000
    assert settings.development is True
    assert settings.drain_delay == timedelta(milliseconds=500)
    assert settings.webauthn_origins == ("https://a.example", "https://b.example")
    assert settings.admin_token == Secret("hush")


def test_the_environment_wins_over_the_file_and_a_flag_over_both(tmp_path):
    path = tmp_path / "stepup.toml"
    path.write_text('port = 1\nhost = "::1"\nworkers = 1\n[[upstreams]]\nissuer = "https://id"\n')

    settings = load(
        {key: value for key, value in ENOUGH.items() if key != "STEPUP_UPSTREAMS"}
        | {"STEPUP_CONFIG": str(path), "STEPUP_PORT": "2", "STEPUP_WORKERS": "2"},
        overrides={"workers": "3"},
    )

    assert (settings.host, settings.port, settings.workers) == ("::1", 2, 3)
    assert settings.upstreams[0].issuer == "https://id"


def test_a_secret_can_lie_in_a_file_and_never_shows_itself(tmp_path):
    path = tmp_path / "keys"
    path.write_text(f"1:{KEY},2:{KEY}\n")
    environ = ENOUGH | {"STEPUP_KEY_ENCRYPTION_KEYS_FILE": str(path)}
    del environ["STEPUP_KEY_ENCRYPTION_KEYS"]

    settings = load(environ)

    assert sorted(settings.key_encryption_ring) == [1, 2]
    assert "hush" not in repr(settings)
    assert KEY not in f"{settings!r} {settings.key_encryption_keys}"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"STEPUP_PROT": "1"}, "STEPUP_PROT is not a setting; did you mean STEPUP_PORT?"),
        ({"STEPUP_XYZZY": "1"}, "STEPUP_XYZZY is not a setting; `stepup config docs` lists"),
        ({"STEPUP_PORT": "http"}, "STEPUP_PORT: expected `int`"),
        ({"STEPUP_PORT": "70000"}, "STEPUP_PORT: expected `int` <= 65535"),
        ({"STEPUP_DEVELOPMENT": "maybe"}, "STEPUP_DEVELOPMENT: expected `bool`"),
        ({"STEPUP_DRAIN_DELAY": "soon"}, "STEPUP_DRAIN_DELAY: expected a duration such as 10s"),
        ({"STEPUP_LOG_LEVEL": "loud"}, "STEPUP_LOG_LEVEL: invalid enum value 'loud'"),
        ({"STEPUP_UPSTREAMS": "{"}, "STEPUP_UPSTREAMS: not JSON"),
        (
            {"STEPUP_UPSTREAMS": '[{"isuer": "x"}]'},
            "isuer is not known of an upstream; did you mean issuer?",
        ),
        ({"STEPUP_UPSTREAMS": "[]"}, "STEPUP_UPSTREAMS is missing"),
        ({"STEPUP_REDIS_URL_FILE": "/missing"}, "STEPUP_REDIS_URL_FILE: cannot read /missing"),
        ({"STEPUP_KEY_ENCRYPTION_KEYS": "1:short"}, "STEPUP_KEY_ENCRYPTION_KEYS: key 1 is not 32"),
        ({"STEPUP_KEY_ENCRYPTION_KEYS": f"1:{KEY},1:{KEY}"}, "key 1 is given twice"),
        ({"STEPUP_KEY_ENCRYPTION_KEYS": f"99999999999:{KEY}"}, "entry 1 is not written as"),
        ({"STEPUP_REDIS_URL": "nonsense"}, "STEPUP_REDIS_URL: expected a URL such as redis://"),
        ({"STEPUP_REDIS_URL": "redis+sentinel://a:1"}, "STEPUP_REDIS_URL: expected redis+sentinel"),
        ({"STEPUP_REDIS_URL": "redis+cluster://a:1/2"}, "STEPUP_REDIS_URL: expected redis+cluster"),
        ({"STEPUP_POSTGRES_URL": "nonsense"}, "STEPUP_POSTGRES_URL: expected a URL such as post"),
        ({"STEPUP_WEBAUTHN_ORIGINS": "foo"}, "STEPUP_WEBAUTHN_ORIGINS: expected a URL such as"),
        ({"STEPUP_TRUSTED_PROXIES": "bar"}, "STEPUP_TRUSTED_PROXIES: expected addresses or"),
        ({"STEPUP_SUBJECT_ISSUER": "https://x"}, "STEPUP_SUBJECT_ISSUER: is none of the upstreams"),
        ({"STEPUP_UPSTREAMS": '[{"issuer": "http://idp.example"}]'}, "http is accepted for a loop"),
        (
            {"STEPUP_UPSTREAMS": '[{"issuer": "https://a", "algorithms": ["none"]}]'},
            "STEPUP_UPSTREAMS: expected algorithms among ES256",
        ),
        (
            {"STEPUP_UPSTREAMS": '[{"issuer": "https://a"}, {"issuer": "https://a"}]'},
            "STEPUP_UPSTREAMS: an issuer is given twice",
        ),
        (
            {"STEPUP_QWERTZUIOP": "1"},
            "STEPUP_QWERTZUIOP is not a setting; `stepup config docs` lists them all",
        ),
        ({"STEPUP_CONFIG_FIEL": "1"}, "STEPUP_CONFIG_FIEL is not a setting"),
        ({"STEPUP_TEST_REDSI": "1"}, "STEPUP_TEST_REDSI is not a setting"),
        ({"STEPUP_DEMO_XYZZY": "1"}, "STEPUP_DEMO_XYZZY is not a setting"),
        ({"STEPUP_ISSUER": "stepup.example"}, "STEPUP_ISSUER: expected a URL"),
        ({"STEPUP_ISSUER": "http://stepup.example"}, "http is accepted for a loopback host only"),
        ({"STEPUP_RP_ID": "other.example"}, "STEPUP_RP_ID: must be stepup.example or a domain"),
        ({"STEPUP_ADMIN_TOKEN": "hush"}, "STEPUP_ADMIN_TOKEN: accepted in development mode only"),
        ({"STEPUP_CONFIG": "/missing.toml"}, "/missing.toml: no such file"),
    ],
)
def test_stops_with_one_line_that_names_the_key(change, complaint):
    with pytest.raises(SettingsError) as stopped:
        load(ENOUGH | change)
    assert complaint in str(stopped.value)
    assert "\n" not in str(stopped.value)
    assert "hush" not in str(stopped.value)


def test_names_all_the_missing_keys_at_once():
    with pytest.raises(SettingsError, match="Missing too: STEPUP_POSTGRES_URL, STEPUP_REDIS_URL"):
        load({})


def test_names_a_missing_key_and_what_it_is_for():
    with pytest.raises(SettingsError, match="STEPUP_ISSUER is missing: The service's own URL"):
        load({})


def test_a_key_and_its_file_together_are_refused(tmp_path):
    path = tmp_path / "url"
    path.write_text("redis://b")
    with pytest.raises(SettingsError, match="STEPUP_REDIS_URL says it already"):
        load(ENOUGH | {"STEPUP_REDIS_URL_FILE": str(path)})


def test_a_typo_in_the_file_names_the_file(tmp_path):
    path = tmp_path / "stepup.toml"
    path.write_text("isuer = 'https://stepup.example'")
    with pytest.raises(SettingsError, match=r"isuer in .*stepup\.toml is not a setting; .* issuer"):
        load(ENOUGH, path)


def test_one_value_can_be_read_without_the_others():
    given = read({"STEPUP_POSTGRES_URL": "postgresql://db/stepup"})
    assert given["postgres_url"].value.reveal() == "postgresql://db/stepup"
    assert given["postgres_url"].source == "STEPUP_POSTGRES_URL"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "stepup.localhost"])
def test_accepts_http_on_a_loopback_host(host):
    assert load(ENOUGH | {"STEPUP_ISSUER": f"http://{host}:8000/"}).issuer == f"http://{host}:8000"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"SIGNING_KEY_ANNOUNCEMENT": "14m"}, "STEPUP_SIGNING_KEY_ANNOUNCEMENT: at least 15m"),
        ({"SIGNING_KEY_LIFETIME": "23h"}, "STEPUP_SIGNING_KEY_LIFETIME: at least"),
        ({"KEY_ENCRYPTION_ACTIVE": "2"}, "key 2 is not among"),
    ],
)
def test_keys_that_cannot_be_meant_are_refused(changes, message):
    with pytest.raises(SettingsError, match=message):
        load(ENOUGH | {f"STEPUP_{key}": text for key, text in changes.items()})


def test_keys_can_be_rotated_by_hand_only():
    settings = load(ENOUGH | {"STEPUP_SIGNING_KEY_LIFETIME": "0s"})
    assert settings.signing_key_lifetime == timedelta(0)


def test_the_floor_of_an_announcement_is_that_of_the_life_cycle():
    settings = load(ENOUGH | {"STEPUP_SIGNING_KEY_ANNOUNCEMENT": "15m"})
    assert settings.signing_key_announcement == SHORTEST_ANNOUNCEMENT


def test_a_snapshot_of_less_than_its_freshness_is_refused():
    assert load(ENOUGH | {"STEPUP_SNAPSHOT_USABLE_FOR": "30s"}).snapshot_usable_for == timedelta(
        seconds=30
    )
    with pytest.raises(SettingsError, match="STEPUP_SNAPSHOT_USABLE_FOR: expected at least 30s"):
        load(ENOUGH | {"STEPUP_SNAPSHOT_USABLE_FOR": "29s"})


def test_nobody_changes_a_policy_alone_unless_the_settings_say_so():
    assert load(ENOUGH).approvals_needed == 1
    assert load(ENOUGH | {"STEPUP_POLICY_APPROVALS": "0"}).approvals_needed == 0
    assert load(ENOUGH | {"STEPUP_POLICY_APPROVALS": "2"}).approvals_needed == 2
    for wrong in ("-1", "11", "one"):
        with pytest.raises(SettingsError, match="STEPUP_POLICY_APPROVALS"):
            load(ENOUGH | {"STEPUP_POLICY_APPROVALS": wrong})


@pytest.mark.parametrize("span", ["23h", "91d", "0s"])
def test_records_are_kept_for_a_day_at_least_and_ninety_at_most(span):
    assert load(ENOUGH | {"STEPUP_DECISION_RETENTION": "90d"}).decision_retention.days == 90
    with pytest.raises(SettingsError, match="STEPUP_DECISION_RETENTION: expected 1d to 90d"):
        load(ENOUGH | {"STEPUP_DECISION_RETENTION": span})


@pytest.mark.parametrize("one_in", ["-1", "0.1", "all"])
def test_of_so_many_decisions_one_is_a_whole_number(one_in):
    with pytest.raises(SettingsError, match="STEPUP_DECISION_SAMPLING"):
        load(ENOUGH | {"STEPUP_DECISION_SAMPLING": one_in})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"STEPUP_CLIENT_CERTIFICATE_HEADER": "Client-Cert"}, "needs STEPUP_TRUSTED_PROXIES"),
        (
            {"STEPUP_CLIENT_CERTIFICATE_AUTHORITIES": "/tmp/ca.pem"},  # noqa: S108  is not read
            "needs STEPUP_CLIENT_CERTIFICATE_HEADER",
        ),
        (
            {
                "STEPUP_CLIENT_CERTIFICATE_HEADER": "Client-Cert",
                "STEPUP_TRUSTED_PROXIES": "10.0.0.1",
                "STEPUP_CLIENT_CERTIFICATE_AUTHORITIES": "/nowhere/ca.pem",
            },
            "the file cannot be read",
        ),
    ],
)
def test_certificates_are_heard_of_from_trusted_proxies(given, message):
    with pytest.raises(SettingsError, match=message):
        load(ENOUGH | given)


def test_a_pin_is_never_given_on_the_command_line():
    with pytest.raises(SettingsError, match="pkcs11_pin_file"):
        load(ENOUGH, overrides={"pkcs11-pin": "1234"})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"SIGNING_ALGORITHM_TOKEN": "HS256"}, "SIGNING_ALGORITHM_TOKEN: expected"),
        ({"SIGNING_ALGORITHM_SET": "none"}, "SIGNING_ALGORITHM_SET: expected"),
        ({"SIGNING_ALGORITHMS_ID_TOKEN": "RS256,RS256"}, "expected each once"),
        ({"SIGNING_ALGORITHMS_ID_TOKEN": "ES256"}, "wants RS256 among them"),
        ({"SIGNING_ALGORITHMS_INTROSPECTION": ""}, "expected each once"),
        ({"KEY_ENCRYPTION_SOURCE": "file"}, "KEY_ENCRYPTION_FILE is missing"),
        ({"KEY_ENCRYPTION_SOURCE": "pkcs11"}, "PKCS11_MODULE is missing"),
        ({"KEY_ENCRYPTION_SOURCE": "vault"}, "KEY_ENCRYPTION_SOURCE"),
    ],
    ids=str,
)
def test_settings_of_keys_that_cannot_be_meant_are_refused(given: dict[str, str], said: str):
    environ = ENOUGH | {f"STEPUP_{key}": value for key, value in given.items()}
    with pytest.raises(SettingsError, match=said):
        load(environ)


def test_each_use_is_signed_with_the_algorithm_that_its_setting_names():
    settings = load(ENOUGH | {"STEPUP_SIGNING_ALGORITHM_TOKEN": "EdDSA"})
    assert settings.signing_algorithms["token"] == ("EdDSA",)
    assert set(settings.signing_algorithms["id_token"]) == {"ES256", "RS256"}
