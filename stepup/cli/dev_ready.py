"""When `stepup dev` is ready: asking, the ready file and the table."""

import http.client
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import rich_click as click

from stepup.cli.children import Child
from stepup.cli.client_file import ClientEntry
from stepup.cli.dev_plan import Demo
from stepup.config import Settings

_PATIENCE_SECONDS = 60.0


def wait_until_answers(url: str, name: str, process: Child | None = None) -> None:
    """Return when a URL answers with less than 400, or end the command with one line."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        answer = _ask(url)
        if answer is not None and answer[0] < 400:
            return
        if process is not None and not process.alive:
            raise click.ClickException(f"{name} did not start; the lines above say why")
        if time.monotonic() > deadline:
            said = "nothing" if answer is None else f"{answer[0]} {answer[1]}"
            raise click.ClickException(f"{name} is not ready: {url} said {said}")
        time.sleep(0.05)


def ready_document(
    settings: Settings, demo: Demo | None, clients: Sequence[ClientEntry]
) -> dict[str, Any]:
    """Return what the ready file says."""
    postgres = _postgres_url(settings)
    redis = settings.redis_url.reveal()
    document: dict[str, Any] = {
        "issuer": settings.issuer,
        "pid": os.getpid(),
        "engines": {
            "postgres": postgres,
            "redis": f"redis+{redis}" if redis.startswith("unix:") else redis,
        },
        "admin": {"token": settings.admin_token.reveal() if settings.admin_token else None},
        "clients": [
            {
                "client_id": entry.client_id,
                "client_secret": entry.client_secret,
                "redirect_uris": entry.redirect_uris,
                "roles": entry.roles,
            }
            for entry in clients
        ],
        "upstreams": [{"issuer": upstream.issuer} for upstream in settings.upstreams],
    }
    if demo is not None:
        for upstream in document["upstreams"]:
            if upstream["issuer"] == demo.idp:
                upstream["token_endpoint"] = f"{demo.idp}/dev/token"
        document["demo"] = {
            "bank": demo.bank,
            "idp": demo.idp,
            "outbox": f"{settings.issuer}/dev/outbox",
        }
    return document


def write_ready_file(path: Path, document: dict[str, Any]) -> None:
    """Write the ready file; who sees it sees all of it. It holds secrets: mode 0600."""
    _write_private(path, msgspec.json.format(msgspec.json.encode(document)) + b"\n")


def write_settings_file(path: Path, settings: Settings) -> None:
    """Write what a command must know to work on this service as its operator."""
    told: dict[str, Any] = {
        "issuer": settings.issuer,
        "postgres_url": _postgres_url(settings),
        "redis_url": settings.redis_url.reveal(),
        "key_encryption_keys": settings.key_encryption_keys.reveal(),
        "subject_issuer": settings.subject_issuer,
        "development": settings.development,
        "policy_approvals": settings.approvals_needed,
    }
    # A TOML text is written like one in JSON, and so are numbers, true and false.
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in told.items()]
    head = "# The service of this `stepup dev`; STEPUP_CONFIG names this file to other commands."
    _write_private(path, "\n".join([head, *lines, ""]).encode())


def _postgres_url(settings: Settings) -> str:
    return settings.postgres_url.reveal().replace("postgresql+psycopg:", "postgresql:", 1)


def _write_private(path: Path, content: bytes) -> None:
    # With engines from elsewhere nobody has made the data folder.
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
    unfinished.replace(path)


def print_table(document: dict[str, Any], *, ending: str = "Ctrl-C stops everything.") -> None:
    """Say where everything is, in a few lines."""
    rows = [("service", document["issuer"])]
    if "demo" in document:
        rows.append(("demo bank", document["demo"]["bank"]))
        rows.append(("demo identity provider", document["demo"]["idp"]))
        rows.append(("outbox", document["demo"]["outbox"]))
        tokens = [upstream.get("token_endpoint") for upstream in document["upstreams"]]
        rows += [("base tokens", endpoint) for endpoint in tokens if endpoint]
    rows.append(("admin token", document["admin"]["token"] or "none"))
    rows += [
        (f"secret of {client['client_id']}", client["client_secret"])
        for client in document["clients"]
    ]
    rows.append(("PostgreSQL", document["engines"]["postgres"]))
    rows.append(("Redis", document["engines"]["redis"]))
    width = max(len(name) for name, _ in rows)
    click.echo(f"\nstepup is ready. {ending}\n")
    for name, value in rows:
        click.echo(f"  {name:<{width}}  {value}")
    click.echo("")


def _ask(url: str) -> tuple[int, str] | None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
    try:
        connection.request("GET", parts.path or "/")
        answer = connection.getresponse()
        return answer.status, answer.read(500).decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
