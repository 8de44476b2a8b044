"""`stepup policy apply`: make a document the active version."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rich_click as click

from stepup.cli.applying import apply_policy, compare_policy
from stepup.cli.operating import operate
from stepup.cli.policy.output import check, json_option, say
from stepup.cli.policy.source import read_source, source_argument
from stepup.cli.settings import load_settings, settings_options
from stepup.crypto.sealing import Sealer
from stepup.ports import Ports

_AUTHOR = "stepup policy apply"


@click.command()
@source_argument
@settings_options
@click.option("--dry-run", is_flag=True, help="Check and compare only.")
@json_option
def apply(
    source: Path, config_file: Path | None, sets: Sequence[str], dry_run: bool, as_json: bool
) -> None:
    """Check a document, or a folder of them as one, and make it the active version.

    Nothing happens when it is that already.

    Every instance decides by it within two seconds. Exits with 3 when the document has findings
    that forbid its use; then nothing has changed.
    """
    given = read_source(source)
    settings = load_settings(config_file, sets)
    check(given, as_json=as_json)
    text = given.text
    version, changed = asyncio.run(operate(settings, _dry_run(text) if dry_run else _apply(text)))
    done = "would become" if dry_run else "is now"
    said = f"version {version} {done} active" if changed else f"version {version} is active already"
    result = {"version": version, "changed": changed, "dry_run": dry_run}
    say(f"{given.name}: {said}", {"file": given.name, "valid": True, **result}, as_json=as_json)


def _apply(text: str) -> Any:
    async def task(ports: Ports, sealer: Sealer) -> tuple[int, bool]:
        return await apply_policy(ports, sealer, text, _AUTHOR)

    return task


def _dry_run(text: str) -> Any:
    async def task(ports: Ports, _sealer: Sealer) -> tuple[int, bool]:
        return await compare_policy(ports, text)

    return task
