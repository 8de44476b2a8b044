"""What `stepup dev` and `stepup cluster` start and fill before anybody is served."""

import asyncio
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import rich_click as click

from stepup.cli.children import Child, start_demo
from stepup.cli.client_file import ClientEntry
from stepup.cli.dev_plan import Demo
from stepup.cli.files import read_text
from stepup.cli.findings import explain_findings
from stepup.config import Settings
from stepup.domain.client_errors import ClientInvalidError
from stepup.domain.errors import PolicyInvalidError


def prepare(settings: Settings, policy: Path | None, clients: Sequence[ClientEntry]) -> None:
    """Bring the schema up to date, load policy and clients, or end the command with one line."""
    # Imported while the workers and the demo import what they need.
    from stepup.cli.db import apply_migrations  # noqa: PLC0415
    from stepup.cli.dev_content import load_policy_and_clients  # noqa: PLC0415

    apply_migrations(settings.postgres_url.reveal())
    try:
        text = read_policy(policy) if policy else None
        asyncio.run(load_policy_and_clients(settings, text, clients))
    except PolicyInvalidError as error:
        raise click.ClickException(f"{policy}: {explain_findings(error)}") from error
    except ClientInvalidError as error:
        raise click.ClickException(error.detail) from error


def read_policy(path: Path) -> str:
    """Read a document that stands in a file, or in the files of a folder.

    Raises:
        PolicyInvalidError: If the files have errors, which then name their file.
    """
    if not path.is_dir():
        return read_text(path)
    # Only who has a folder waits until this is imported.
    from stepup.cli.policy.source import read_source  # noqa: PLC0415
    from stepup.policy_language import document  # noqa: PLC0415

    source = read_source(path)
    found = document.read_files(source.files).findings
    if found.has_errors:
        raise PolicyInvalidError("The policy documents have errors", tuple(found.all()))
    return source.text


def start_demo_beside(
    settings: Settings, demo: Demo, clients: Sequence[ClientEntry], stack: ExitStack
) -> Child:
    """Start the demo identity provider and the demo bank of a service; the stack stops them."""
    bank = next(entry for entry in clients if entry.client_id == "bank")
    arguments = ["--idp-port", str(demo.idp_port), "--bank-port", str(demo.bank_port)]
    arguments += ["--issuer", settings.issuer, "--client-id", bank.client_id]
    arguments += ["--audience", *bank.audiences[:1]]
    process = start_demo(arguments, bank.client_secret)
    stack.callback(process.stop, signal.SIGTERM)
    return process
