"""What `stepup dev` starts: addresses, defaults and settings, before anything runs."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import rich_click as click

from stepup.cli.client_file import ClientEntry, read_clients
from stepup.cli.demo import DEFAULT_AUDIENCE
from stepup.cli.dev_secrets import DevelopmentSecrets
from stepup.cli.listening import free_port
from stepup.config import Settings
from stepup.config_reading import SettingsError, load, read
from stepup.domain.client import Role

_EVERYWHERE = {"0.0.0.0", "::", "127.0.0.1", "::1", "localhost"}  # noqa: S104  compared only
_DEFAULT_PORT = 8000
_DEFAULT_WORKERS = 1


class Demo(NamedTuple):
    """Where the demo identity provider and the demo bank listen."""

    idp_port: int
    bank_port: int

    @classmethod
    def beside(cls, port: int) -> "Demo":
        """Return the ports next to the service's."""
        return cls(port + 1, port + 2)

    @classmethod
    def on_free_ports(cls, port: int) -> "Demo":
        """Return the ports next to the service's, or others where somebody listens there."""
        return cls(free_port(port + 1), free_port(port + 2))

    @property
    def idp(self) -> str:
        """The identity provider's issuer."""
        return f"http://127.0.0.1:{self.idp_port}"

    @property
    def bank(self) -> str:
        """The bank.

        Not `localhost`: cookies know no ports, and the bank's must not reach the service.
        """
        return f"http://127.0.0.1:{self.bank_port}"


class Engine(NamedTuple):
    """The URLs of what keeps the state."""

    postgres: str
    redis: str


def demo_client(bank: str) -> ClientEntry:
    """Return the demo bank as a client; it asks, redeems, and receives tokens."""
    return ClientEntry(
        client_id="bank",
        name="Demo bank",
        redirect_uris=(f"{bank}/callback",),
        roles=(Role.PEP, Role.RP, Role.RS),
        audiences=(DEFAULT_AUDIENCE,),
        asserts_subject=True,
        asserts_authentication=True,
    )


def plan_clients(file: Path | None, demo: Demo | None, port: int) -> list[ClientEntry]:
    """Return the clients of a file, and the demo bank."""
    entries = list(read_clients(file)) if file else []
    # Without the demo and without a file there is still somebody to call as.
    if demo is not None or file is None:
        bank = demo_client((demo or Demo.beside(port)).bank)
        entries += [] if any(entry.client_id == bank.client_id for entry in entries) else [bank]
    return entries


class Listening(NamedTuple):
    """What must be known before anything is started."""

    host: str
    port: int
    workers: int


def plan_listening(flags: Mapping[str, Any], sets: Mapping[str, str]) -> Listening:
    """Return where to listen, and with how many: flags, then `--set`, then the environment."""
    try:
        given = {key: one.value for key, one in read(os.environ, None, sets).items()}
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    chosen = given | {key: value for key, value in flags.items() if value is not None}
    return Listening(
        chosen.get("host", "127.0.0.1"),
        chosen.get("port", _DEFAULT_PORT),
        chosen.get("workers", _DEFAULT_WORKERS),
    )


def plan_settings(
    engine: Engine,
    secrets: DevelopmentSecrets,
    demo: Demo | None,
    listening: Listening,
    sets: Mapping[str, str],
) -> Settings:
    """Fill in what development needs, below everything that was given, and check the whole."""
    host, port, _ = listening
    shown = "localhost" if host in _EVERYWHERE else host
    issuer = f"http://{shown}:{port}"
    defaults: dict[str, Any] = {
        "issuer": issuer,
        "postgres_url": engine.postgres,
        "redis_url": engine.redis,
        "key_encryption_keys": secrets.key_encryption_keys,
        "admin_token": secrets.admin_token,
        "development": True,
        "rp_name": "stepup (development)",
        "webauthn_origins": [issuer, f"http://127.0.0.1:{port}"],
        # With or without the demo, a bare subject is one of its people.
        "subject_issuer": (demo or Demo.beside(port)).idp,
        "upstreams": [_upstream(demo)] if demo else [],
        # Whoever tries things out wants to see every decision.
        "decision_sampling": 1,
        "drain_delay": "0s",
        "stop_timeout": "5s",
        "log_format": "console" if sys.stderr.isatty() else "json",
        "workers": _DEFAULT_WORKERS,
    }
    try:
        given = read(os.environ, None, sets)
        if "upstreams" in given:
            # A bare subject is one of theirs, not one of the demo's people.
            del defaults["subject_issuer"]
        if "issuer" in given:
            # The pages are met there, not here, as behind a load balancer.
            del defaults["webauthn_origins"]
        below = {key: value for key, value in defaults.items() if key not in given}
        settings = load(os.environ, None, {**below, **sets})
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    return msgspec.structs.replace(settings, **listening._asdict())


def _upstream(demo: Demo) -> dict[str, Any]:
    return {
        "issuer": demo.idp,
        # Of ID tokens for the bank and for our account pages, and of access tokens.
        "audiences": ["bank", "stepup", DEFAULT_AUDIENCE],
        "client_id": "stepup",
        "algorithms": ["ES256", "RS256"],
    }
