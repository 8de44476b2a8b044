"""`stepup policy apply`: make a document the active version, or a draft where others must approve."""

from pathlib import Path
from typing import Any

import rich_click as click

from stepup.cli.as_json import json_option
from stepup.cli.policy.confirming import confirm
from stepup.cli.policy.output import CHANGES_PENDING, check, say
from stepup.cli.policy.plan import Plan, make_plan
from stepup.cli.policy.reaching import Reach, reach_options
from stepup.cli.policy.service import Pending, Service
from stepup.cli.policy.source import read_source, source_argument


@click.command()
@source_argument
@reach_options
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
@click.option(
    "--force", "reason", metavar="REASON", help="On the host: without the approvals it needs."
)
@json_option
def apply(source: Path, dry_run: bool, yes: bool, as_json: bool, **more: Any) -> None:
    """Check a document, or a folder of them as one, and make it the active version.

    Nothing happens when it is that already. Otherwise it says what changes, and asks; without a
    terminal it wants `--yes`, unless it is the first version. Every instance decides by it within
    two seconds.

    Where others must approve it first, it makes a draft, says what is missing, and exits with 2.
    Exits with 3 when the document has findings that forbid its use; then nothing has changed.
    """
    given = read_source(source)
    check(given, as_json=as_json)
    reason = more.pop("reason")

    async def task(service: Service) -> tuple[Plan, int | Pending | None]:
        plan = await make_plan(service, given, as_json=as_json)
        if not plan.changed or dry_run:
            return plan, None
        if plan.active and not yes:
            confirm(plan.in_words, f"Replace version {plan.replacing}?", as_json=as_json)
        if reason is not None:
            return plan, await service.force(plan.text, reason)
        return plan, await service.activate(plan.text, given.name, replacing=plan.replacing)

    plan, done = Reach(**more).run(task)
    said, result = _told(plan, done)
    # Whoever was asked has seen it, and of a first version everything is new.
    shown = plan.in_words if plan.changed and plan.active and (dry_run or yes) else ""
    say("\n".join(filter(None, [shown, said])), result | {"dry_run": dry_run}, as_json=as_json)
    if isinstance(done, Pending):
        raise SystemExit(CHANGES_PENDING)


def _told(plan: Plan, done: int | Pending | None) -> tuple[str, dict[str, Any]]:
    name, version = plan.source.name, plan.replacing
    result = plan.as_document
    if isinstance(done, Pending):
        said = f"draft {done.draft} waits: {done.missing}; version {version} stays active"
        waiting = {"draft": done.draft, "missing": done.missing}
        return f"{name}: {said}", result | {"version": version, **waiting}
    if not plan.changed:
        said = f"version {version} is active already"
    elif done is None:
        version += 1
        said = f"version {version} would become active"
    else:
        version = done
        said = f"version {version} is now active"
    return f"{name}: {said}", result | {"version": version}
