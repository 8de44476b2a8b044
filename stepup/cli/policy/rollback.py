"""`stepup policy rollback`: make the text of an earlier version the active one again."""

from typing import Any

import rich_click as click

from stepup.cli.as_json import json_option
from stepup.cli.policy.comparison import comparison_document, comparison_in_words
from stepup.cli.policy.confirming import confirm
from stepup.cli.policy.output import say
from stepup.cli.policy.reaching import Reach, reach_options
from stepup.cli.policy.service import Service
from stepup.domain.policy_errors import AlreadyActiveError
from stepup.policy_language.meaning.documents import Comparison, compare_documents


@click.command()
@click.argument("version", type=click.IntRange(1, 2**31 - 1))
@click.option("--reason", required=True, help="Why; it stays with the new version.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
@reach_options
@json_option
def rollback(
    version: int, reason: str, *, yes: bool, dry_run: bool, as_json: bool, **reach: Any
) -> None:
    """Make the text of VERSION the active one again, as a new version.

    At once, if that text was approved by as many others as one needs now; it takes a draft
    otherwise. Without a terminal it wants `--yes`.
    """

    async def task(service: Service) -> tuple[Comparison, int | None]:
        active = await service.find_active()
        old = await service.get(version)
        if active is not None and active.version == version:
            raise AlreadyActiveError
        names = (f"version {active.version if active else 0}", f"version {version}")
        comparison = compare_documents(active.document if active else None, old.document, names)
        if dry_run:
            return comparison, None
        if not yes:
            shown = comparison_in_words(comparison)
            confirm(shown, f"Go back to version {version}?", as_json=as_json)
        return comparison, await service.roll_back(version, reason)

    comparison, made = Reach(**reach).run(task)
    result = {"rolled_back_from": version, "version": made, "dry_run": dry_run}
    said = comparison_in_words(comparison)
    if made is not None:
        said = f"version {made} is now active, with the text of version {version}"
    say(said, result | comparison_document(comparison), as_json=as_json)
