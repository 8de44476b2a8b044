"""The pages of docs/ that say what the code says: `make docs` writes them, a test compares them."""

from collections.abc import Iterator
from pathlib import Path

import click

from stepup.cli.config import settings_page
from stepup.cli.main import stepup
from stepup.telemetry import describe_metrics
from tests.support.audit_page import audit_page
from tests.support.errors_page import errors_page
from tests.support.policy_reference import policy_reference_page

ROOT = Path(__file__).parents[2]


def pages() -> dict[Path, str]:
    """Return every generated page by its path."""
    docs = ROOT / "docs"
    return {
        docs / "settings.md": settings_page(),
        docs / "metrics.md": metrics_page(),
        docs / "cli.md": cli_page(),
        docs / "errors.md": errors_page(),
        docs / "audit.md": audit_page(),
        docs / "policy-reference.md": policy_reference_page(),
    }


def metrics_page() -> str:
    """Return docs/metrics.md."""
    rows = [
        f"| `{metric.name}` | {metric.kind} | {', '.join(metric.labels)} | {metric.text} |"
        for metric in describe_metrics()
    ]
    return "\n".join(
        [
            "# Metrics",
            "",
            "`GET /metrics` answers in the Prometheus text format, for all workers of the server.",
            "Written by `make docs`.",
            "",
            "| name | type | labels | what it counts |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def cli_page() -> str:
    """Return docs/cli.md."""
    return "\n".join(
        [
            "# Command line",
            "",
            "Exit codes: 0 done, 1 error, 2 wrong usage or changes pending, 3 findings.",
            "Written by `make docs`.",
            *_command(stepup, "stepup", None),
            "",
        ]
    )


def command_names() -> list[str]:
    """Return every command and subcommand as one types it."""
    page = cli_page().splitlines()
    return [line.removeprefix("## `").rstrip("`") for line in page if line.startswith("## `")]


def _command(command: click.Command, name: str, parent: click.Context | None) -> Iterator[str]:
    context = click.Context(command, info_name=name.rpartition(" ")[2], parent=parent)
    if isinstance(command, click.Group):
        # A group that acts by itself is a command too.
        if command.invoke_without_command and parent is not None:
            yield from _own(command, name, context)
        for each in command.list_commands(context):
            inner = command.get_command(context, each)
            assert inner is not None
            yield from _command(inner, f"{name} {each}", context)
        return
    yield from _own(command, name, context)


def _own(command: click.Command, name: str, context: click.Context) -> Iterator[str]:
    arguments = [p.make_metavar(context) for p in command.params if isinstance(p, click.Argument)]
    yield from ("", f"## `{name}`", "")
    if arguments:
        yield from (f"`{' '.join([name, *arguments])}`", "")
    yield from (" ".join((command.help or "").split()), "")
    for parameter in command.params:
        if isinstance(parameter, click.Option) and (record := parameter.get_help_record(context)):
            yield f"- `{record[0]}`: {' '.join(record[1].split())}"


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
