"""`stepup policy`: check a policy document, activate one."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import rich_click as click

from stepup.cli.files import EXISTING_FILE, read_text
from stepup.cli.findings import FINDINGS, explain_findings, findings_document
from stepup.cli.settings import load_settings, settings_options
from stepup.crypto.sealing import Sealer
from stepup.domain.errors import PolicyInvalidError
from stepup.policy_language import document
from stepup.ports import Ports

_AUTHOR = "stepup policy apply"
_json_option = click.option("--json", "as_json", is_flag=True, help="As one JSON object.")


@click.group()
def policy() -> None:
    """Work on policy documents."""


@policy.command()
@click.argument("file", type=EXISTING_FILE)
@_json_option
def lint(file: Path, as_json: bool) -> None:
    """Check a document: schema, types, conditions and its own examples."""
    _check(file, read_text(file), as_json=as_json)
    _say(f"{file}: no findings", {"file": str(file), "valid": True, "findings": []}, as_json)


@policy.command()
@click.argument("file", type=EXISTING_FILE)
@settings_options
@click.option("--dry-run", is_flag=True, help="Check and compare only.")
@_json_option
def apply(
    file: Path, config_file: Path | None, sets: Sequence[str], dry_run: bool, as_json: bool
) -> None:
    """Check a document and make it the active version, unless it is already.

    Every instance decides by it within two seconds. Exits with 3 when the document has findings
    that forbid its use; then nothing has changed.
    """
    from stepup.cli.operating import operate  # noqa: PLC0415  `lint` needs no stores

    text = read_text(file)
    settings = load_settings(config_file, sets)
    _check(file, text, as_json=as_json)
    version, changed = asyncio.run(operate(settings, _dry_run(text) if dry_run else _apply(text)))
    done = "would become" if dry_run else "is now"
    said = f"version {version} {done} active" if changed else f"version {version} is active already"
    result = {"version": version, "changed": changed, "dry_run": dry_run}
    _say(f"{file}: {said}", {"file": str(file), "valid": True, **result}, as_json)


def _apply(text: str) -> Any:
    from stepup.cli.applying import apply_policy  # noqa: PLC0415  as above

    async def task(ports: Ports, sealer: Sealer) -> tuple[int, bool]:
        return await apply_policy(ports, sealer, text, _AUTHOR)

    return task


def _dry_run(text: str) -> Any:
    from stepup.cli.applying import compare_policy  # noqa: PLC0415  as above

    async def task(ports: Ports, _sealer: Sealer) -> tuple[int, bool]:
        return await compare_policy(ports, text)

    return task


def _check(file: Path, text: str, *, as_json: bool) -> None:
    try:
        document.parse(text, version=0)
    except PolicyInvalidError as error:
        _refuse(file, error, as_json=as_json)


def _refuse(file: Path, error: PolicyInvalidError, *, as_json: bool) -> NoReturn:
    found = {"file": str(file), "valid": False, "findings": findings_document(error)}
    _say(f"{file}: {explain_findings(error)}", found, as_json)
    raise SystemExit(FINDINGS)


def _say(text: str, as_document: dict[str, Any], as_json: bool) -> None:
    click.echo(json.dumps(as_document) if as_json else text)
