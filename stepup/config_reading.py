"""Settings are read here: from a TOML file, the environment and `--set`, each checked.

A key comes from a TOML file, then from the environment (`STEPUP_<KEY>`), then from `--set`; the
later one wins. A secret may also be named by `<KEY>_FILE`. What is unknown or malformed stops the
start with one line.
"""

import difflib
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin
from urllib.parse import urlsplit

import msgspec

from stepup.config import (
    REQUIRED,
    TYPES,
    Secret,
    Settings,
    UpstreamSettings,
    bare_type,
    describe,
    is_secret,
)
from stepup.config_values import (
    check_algorithms,
    check_issuer,
    check_origin,
    check_postgres_url,
    check_proxy,
    check_redis_url,
    check_signing_algorithms,
    check_url,
    parse_entries,
    parse_keys,
)

_PREFIX = "STEPUP_"
# Names that belong to the entry points, the tests and the demo; none of them is a setting.
_NOT_SETTINGS = {
    "STEPUP_API_KEY",
    "STEPUP_CONFIG",
    "STEPUP_DEMO_ADMIN_TOKEN",
    "STEPUP_DEMO_CLIENT_ID",
    "STEPUP_DEMO_CLIENT_SECRET",
    "STEPUP_DEMO_ISSUER",
    "STEPUP_DEMO_REDIRECT_URI",
    "STEPUP_DEMO_TOKEN_ENDPOINT",
    "STEPUP_REDIS_OPERATOR_URL",
    "STEPUP_REDIS_OPERATOR_URL_FILE",
    "STEPUP_SERVER",
    "STEPUP_TEST_POSTGRES",
    "STEPUP_TEST_REDIS",
}
_DURATION = re.compile(r"(\d+(?:\.\d+)?) ?(ms|s|m|h|d)")
_MOST_APPROVALS = 10
_MOST_REPLICAS = 8
# As the life cycle of the keys has it, which this floor cannot see (domain/keyring.py).
_SHORTEST_ANNOUNCEMENT = timedelta(minutes=15)
# As long as a copy is fresh: less would refuse where nobody has missed anything yet.
_LEAST_USABLE = timedelta(seconds=30)
# Past that a replay says nothing about today, and the records are no less personal.
_RETENTION = (timedelta(days=1), timedelta(days=90))
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


class SettingsError(Exception):
    """A setting is unknown, malformed, missing or contradictory; the message is one line."""


class Given(NamedTuple):
    """A value that somebody gave, and where."""

    value: Any
    source: str


def load(
    environ: Mapping[str, str], toml_path: Path | None = None, overrides: Mapping[str, Any] = {}
) -> Settings:
    """Read all settings.

    Raises:
        SettingsError: If any of them is unknown, malformed, missing or contradictory.
    """
    values = {key: given.value for key, given in read(environ, toml_path, overrides).items()}
    missing = [key for key in REQUIRED if key not in values]
    if values.get("key_encryption_source") != "file" and "key_encryption_keys" not in values:
        missing.append("key_encryption_keys")
    if missing:
        first, *others = (f"{_PREFIX}{key.upper()}" for key in missing)
        also = f" Missing too: {', '.join(others)}." if others else ""
        raise SettingsError(f"{first} is missing: {describe(missing[0])}{also}")
    settings = _with_derived(Settings(**values))
    _check(settings)
    return settings


def read(
    environ: Mapping[str, str], toml_path: Path | None = None, overrides: Mapping[str, Any] = {}
) -> dict[str, Given]:
    """Read what is given, checked one by one; what is missing stays missing.

    Raises:
        SettingsError: If a key is unknown or malformed.
    """
    path = toml_path or (Path(environ["STEPUP_CONFIG"]) if environ.get("STEPUP_CONFIG") else None)
    values: dict[str, Given] = {}
    for layer in (_toml_layer(path), _environment_layer(environ), _override_layer(overrides)):
        values |= _parse_layer(layer)
    return values


def _environment_layer(environ: Mapping[str, str]) -> Iterator[tuple[str, Given]]:
    for name, text in sorted(environ.items()):
        key = name.removeprefix(_PREFIX)
        if name.startswith(_PREFIX) and name not in _NOT_SETTINGS:
            yield key.lower(), Given(text, name)


def _toml_layer(path: Path | None) -> Iterator[tuple[str, Given]]:
    if path is None:
        return
    try:
        document = tomllib.loads(path.read_text())
    except OSError as error:
        raise SettingsError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from error
    except ValueError as error:  # bad TOML, bad UTF-8
        raise SettingsError(f"{path}: {error}") from error
    for key, value in document.items():
        yield key, Given(value, f"{key} in {path}")


def _override_layer(overrides: Mapping[str, Any]) -> Iterator[tuple[str, Given]]:
    for key, value in overrides.items():
        if key.lower().replace("-", "_") == "pkcs11_pin":
            raise SettingsError("--set pkcs11_pin: everybody sees it there; give pkcs11_pin_file")
        yield key.lower().replace("-", "_"), Given(value, f"--set {key}")


def _parse_layer(layer: Iterator[tuple[str, Given]]) -> dict[str, Given]:
    values: dict[str, Given] = {}
    for name, given in layer:
        key, raw = name, given.value
        secret = name.removesuffix("_file")
        if name not in TYPES and secret in TYPES and is_secret(secret):
            key, raw = secret, _contents(raw, given.source)
        if key not in TYPES:
            raise SettingsError(f"{given.source} is not a setting{_nearest(key, given.source)}")
        if key in values:
            raise SettingsError(f"{given.source}: {values[key].source} says it already")
        values[key] = Given(_parse(key, raw, given.source), given.source)
    return values


def _parse(key: str, raw: Any, source: str) -> Any:
    if isinstance(raw, str):
        raw = _from_text(key, raw, source)
    if key == "upstreams" and isinstance(raw, list):
        raw = [_upstream(entry, source) for entry in raw]
    try:
        return msgspec.convert(raw, TYPES[key], strict=not isinstance(raw, str), dec_hook=_decode)
    except msgspec.ValidationError as error:
        # The message names types and limits, never the value, which may be a secret.
        message = str(error)
        raise SettingsError(f"{source}: {message[0].lower()}{message[1:]}") from error


def _from_text(key: str, text: str, source: str) -> Any:
    if timedelta in bare_type(key):
        found = _DURATION.fullmatch(text.strip())
        if found is None:
            raise SettingsError(f"{source}: expected a duration such as 10s, 500ms or 2m")
        return timedelta(seconds=float(found[1]) * _UNITS[found[2]])
    if key == "upstreams":
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise SettingsError(f"{source}: not JSON: {error}") from error
    if get_origin(get_args(TYPES[key])[0]) is tuple:
        return [item.strip() for item in text.split(",") if item.strip()]
    return text


def _upstream(entry: Any, source: str) -> Any:
    if not isinstance(entry, dict):
        return entry
    table = dict(entry)
    if "audience" in table:
        audience = table.pop("audience")
        table["audiences"] = [audience] if isinstance(audience, str) else audience
    if "client_secret_file" in table:
        table["client_secret"] = _contents(table.pop("client_secret_file"), source)
    if "signal_token_file" in table:
        table["signal_token"] = _contents(table.pop("signal_token_file"), source)
    for name in table:
        if name not in UpstreamSettings.__struct_fields__:
            near = difflib.get_close_matches(name, UpstreamSettings.__struct_fields__, 1, 0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise SettingsError(f"{source}: {name} is not known of an upstream{hint}")
    return table


def _contents(path: Any, source: str) -> str:
    try:
        return Path(str(path)).read_text().strip()
    except (OSError, ValueError) as error:
        raise SettingsError(f"{source}: cannot read {path}") from error


def _decode(wanted: type, value: Any) -> Any:
    if wanted is Secret and isinstance(value, str):
        return Secret(value)
    raise TypeError(f"Expected text, got `{type(value).__name__}`")


def _nearest(key: str, source: str) -> str:
    near = difflib.get_close_matches(key, TYPES, n=1, cutoff=0.5)
    if not near:
        return "; `stepup config docs` lists them all"
    # As it is written where the mistake is: a key in the file, a name in the environment.
    written = f"{_PREFIX}{near[0].upper()}" if source.startswith(_PREFIX) else near[0]
    return f"; did you mean {written}?"


def _with_derived(settings: Settings) -> Settings:
    issuer = settings.issuer.rstrip("/")
    settings = msgspec.structs.replace(settings, issuer=issuer)
    first = settings.upstreams[0].issuer if settings.upstreams else ""
    return msgspec.structs.replace(
        settings,
        rp_id=settings.rp_id or urlsplit(issuer).hostname or "",
        webauthn_origins=settings.webauthn_origins or (settings.origin,),
        subject_issuer=settings.subject_issuer or first,
    )


def _check(settings: Settings) -> None:
    """Refuse what is well-formed but cannot be meant."""
    _expect("issuer", check_issuer, settings.issuer)
    host = urlsplit(settings.issuer).hostname or ""
    if host != settings.rp_id and not host.endswith(f".{settings.rp_id}"):
        raise SettingsError(f"STEPUP_RP_ID: must be {host} or a domain that it lies in")
    if settings.admin_token is not None and not settings.development:
        raise SettingsError("STEPUP_ADMIN_TOKEN: accepted in development mode only")
    _expect("postgres_url", check_postgres_url, settings.postgres_url.reveal())
    _expect("redis_url", check_redis_url, settings.redis_url.reveal())
    _check_key_encryption(settings)
    _check_keys(settings)
    _check_signing(settings)
    for origin in settings.webauthn_origins:
        _expect("webauthn_origins", check_origin, origin)
    for proxy in settings.trusted_proxies:
        _expect("trusted_proxies", check_proxy, proxy)
    _check_certificates(settings)
    _check_upstreams(settings)
    _check_replicas(settings)
    if settings.snapshot_usable_for < _LEAST_USABLE:
        raise SettingsError("STEPUP_SNAPSHOT_USABLE_FOR: expected at least 30s")
    if not _RETENTION[0] <= settings.decision_retention <= _RETENTION[1]:
        raise SettingsError("STEPUP_DECISION_RETENTION: expected 1d to 90d")
    if not 0 <= settings.approvals_needed <= _MOST_APPROVALS:
        raise SettingsError(f"STEPUP_POLICY_APPROVALS: expected 0 to {_MOST_APPROVALS}")


def _check_certificates(settings: Settings) -> None:
    if not settings.client_certificate_header:
        if settings.client_certificate_authorities:
            raise SettingsError(
                "STEPUP_CLIENT_CERTIFICATE_AUTHORITIES: needs STEPUP_CLIENT_CERTIFICATE_HEADER"
            )
        return
    if not settings.trusted_proxies:
        raise SettingsError("STEPUP_CLIENT_CERTIFICATE_HEADER: needs STEPUP_TRUSTED_PROXIES")
    if settings.client_certificate_authorities:
        _expect("client_certificate_authorities", _check_readable, settings)


def _check_readable(settings: Settings) -> None:
    try:
        text = Path(settings.client_certificate_authorities).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        raise ValueError("the file cannot be read") from None
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise ValueError("the file has no PEM certificates")


def _check_replicas(settings: Settings) -> None:
    for key in ("redis_replicas", "redis_all_replicas"):
        given = getattr(settings, key)
        if given is not None and not 0 <= given <= _MOST_REPLICAS:
            raise SettingsError(f"{_PREFIX}{key.upper()}: expected 0 to {_MOST_REPLICAS}")
    wanted, there_are = settings.redis_replicas, settings.redis_all_replicas
    if wanted is not None and there_are is not None and there_are < wanted:
        raise SettingsError("STEPUP_REDIS_ALL_REPLICAS: less than STEPUP_REDIS_REPLICAS")


def _check_key_encryption(settings: Settings) -> None:
    source, entries = settings.key_encryption_source, settings.key_encryption_keys.reveal()
    if source == "file":
        if settings.key_encryption_file is None:
            raise SettingsError("STEPUP_KEY_ENCRYPTION_FILE is missing: where the keys are")
        return
    if source == "pkcs11":
        for key in ("pkcs11_module", "pkcs11_token", "pkcs11_pin"):
            if getattr(settings, key) is None:
                raise SettingsError(f"{_PREFIX}{key.upper()} is missing: {describe(key)}")
    _expect("key_encryption_keys", parse_keys if source == "settings" else parse_entries, entries)
    check_sealing_key(settings, parse_entries(entries))


def check_sealing_key(settings: Settings, numbers: Collection[int]) -> None:
    """Refuse to seal under a key that is not there.

    Raises:
        SettingsError: If `key_encryption_active` is none of these.
    """
    sealing = settings.key_encryption_active
    if sealing is not None and sealing not in numbers:
        raise SettingsError(
            f"STEPUP_KEY_ENCRYPTION_ACTIVE: key {sealing} is not among STEPUP_KEY_ENCRYPTION_KEYS"
        )


def _check_keys(settings: Settings) -> None:
    announced, lifetime = settings.signing_key_announcement, settings.signing_key_lifetime
    if announced < _SHORTEST_ANNOUNCEMENT:
        raise SettingsError("STEPUP_SIGNING_KEY_ANNOUNCEMENT: at least 15m, or caches outlive it")
    if timedelta(0) < lifetime < announced:
        raise SettingsError(
            "STEPUP_SIGNING_KEY_LIFETIME: at least STEPUP_SIGNING_KEY_ANNOUNCEMENT, or 0s"
        )


def _check_signing(settings: Settings) -> None:
    for use, algorithms in settings.signing_algorithms.items():
        key = f"signing_algorithm_{use}"
        key = key if key in TYPES else f"signing_algorithms_{use}"
        _expect(key, check_signing_algorithms, algorithms)
    if "RS256" not in settings.signing_algorithms_id_token:
        raise SettingsError(
            "STEPUP_SIGNING_ALGORITHMS_ID_TOKEN: OpenID Connect Discovery wants RS256 among them"
        )


def _check_upstreams(settings: Settings) -> None:
    for upstream in settings.upstreams:
        _expect("upstreams", check_issuer, upstream.issuer)
        _expect("upstreams", check_algorithms, upstream.algorithms)
        for url in (upstream.jwks_uri, upstream.signal_jwks_uri):
            if url is not None:
                _expect("upstreams", check_url, url)
    issuers = [upstream.issuer for upstream in settings.upstreams]
    if len(set(issuers)) < len(issuers):
        raise SettingsError("STEPUP_UPSTREAMS: an issuer is given twice")
    if not settings.subject_issuer:
        raise SettingsError("STEPUP_UPSTREAMS is missing: at least one identity provider is needed")
    # Without any upstream subjects can still be named, as when others show all the pages.
    if issuers and settings.subject_issuer not in issuers:
        raise SettingsError("STEPUP_SUBJECT_ISSUER: is none of the upstreams")


def _expect(key: str, check: Callable[[Any], object], value: object) -> None:
    try:
        check(value)
    except ValueError as error:
        raise SettingsError(f"{_PREFIX}{key.upper()}: {error}") from None
