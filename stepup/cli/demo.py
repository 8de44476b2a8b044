"""`stepup demo`: the demo sites, and one whole step-up without a browser."""

import asyncio
import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import rich_click as click

# What the development policy names as the audience of the bank's actions.
DEFAULT_AUDIENCE = "bank-api"


@click.group(invoke_without_command=True)
@click.option("--headless", is_flag=True, help="Run a whole step-up over HTTP, and check it.")
@click.option(
    "--method", type=click.Choice(["totp", "passkey"]), help="How to confirm.  [default: both]"
)
@click.option("--ready-file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--issuer", envvar="STEPUP_DEMO_ISSUER", help="A running service.")
@click.option("--admin-token", envvar="STEPUP_DEMO_ADMIN_TOKEN", show_envvar=True)
@click.option("--client-id", envvar="STEPUP_DEMO_CLIENT_ID")
@click.option("--client-secret", envvar="STEPUP_DEMO_CLIENT_SECRET", show_envvar=True)
@click.option("--redirect-uri", envvar="STEPUP_DEMO_REDIRECT_URI")
@click.option("--token-endpoint", envvar="STEPUP_DEMO_TOKEN_ENDPOINT", help="Of the demo IdP.")
@click.option("--audience", default=DEFAULT_AUDIENCE, show_default=True, help="The bank's API.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--repeat", type=click.IntRange(1), default=1, show_default=True)
@click.option("--concurrency", type=click.IntRange(1, 1000), default=1, show_default=True)
@click.pass_context
def demo(context: click.RichContext, /, **options: Any) -> None:
    """See it work: the demo sites, or one checked run without a browser.

    Without a service given, `--headless` starts one of its own and removes it afterwards. With
    `--issuer` alone it runs against the `stepup dev` of this user.
    """
    if context.invoked_subcommand is not None:
        return
    if not options["headless"]:
        click.echo(context.get_help())
        return
    context.exit(0 if _run_headless(options) else 1)


@demo.command()
@click.option("--idp-port", type=click.IntRange(1, 65535), default=8001, show_default=True)
@click.option("--bank-port", type=click.IntRange(1, 65535), default=8002, show_default=True)
@click.option("--issuer", default="http://localhost:8000", show_default=True, help="The service.")
@click.option("--client-id", default="bank", show_default=True)
@click.option(
    "--client-secret",
    envvar="STEPUP_DEMO_CLIENT_SECRET",
    show_envvar=True,
    help="Better given by the environment, where no list of processes shows it.",
)
@click.option(
    "--client-secret-fd",
    type=click.IntRange(3),
    help="An open file that the secret is read from: nobody else sees it there.",
)
@click.option("--audience", default=DEFAULT_AUDIENCE, show_default=True, help="The bank's API.")
def serve(client_secret_fd: int | None, **options: Any) -> None:
    """Serve the demo identity provider and the demo bank."""
    if client_secret_fd is not None:
        options["client_secret"] = _secret_from(client_secret_fd)
    elif not options["client_secret"]:
        raise click.UsageError("one of --client-secret and --client-secret-fd is needed")
    from stepup.demo import serve as sites  # noqa: PLC0415  Litestar is slow to import

    options["api_audience"] = options.pop("audience")
    asyncio.run(sites.serve(sites.DemoSettings(**options)))


def _secret_from(fd: int) -> str:
    try:
        with os.fdopen(fd, encoding="utf-8") as pipe:
            secret = pipe.read().strip()
    except OSError as error:
        raise click.UsageError(f"the secret cannot be read from {fd}: {error}") from error
    if not secret:
        raise click.UsageError(f"there is no secret to be read from {fd}")
    return secret


def _run_headless(options: dict[str, Any]) -> bool:
    from stepup.cli.data_folder import find_ready_file  # noqa: PLC0415  as above
    from stepup.demo import load, target  # noqa: PLC0415  as above

    with ExitStack() as stack:
        try:
            given = {name: options[name] for name in _TARGET_OPTIONS if options[name]}
            ready = options["ready_file"] or find_ready_file(given.get("issuer", ""))
            if ready is not None:
                given = target.read_ready_file(ready) | given
            elif not given:
                if not options["as_json"]:
                    click.echo("Starting a service of its own ...")
                given = stack.enter_context(target.own_service())
            chosen = target.target_of(given, options["audience"])
        except target.TargetError as error:
            raise click.ClickException(str(error)) from error
        methods: list[Literal["totp", "passkey"]] = ["totp", "passkey"]
        if options["method"]:
            methods = [options["method"]]
        many = load.run_many(chosen, methods, options["repeat"], options["concurrency"])
        runs, seconds = asyncio.run(many)
    if options["repeat"] > 1:
        return _show_load(load.report(runs, seconds), as_json=options["as_json"])
    return _show_runs(runs, as_json=options["as_json"])


_TARGET_OPTIONS = (
    "issuer",
    "admin_token",
    "client_id",
    "client_secret",
    "redirect_uri",
    "token_endpoint",
)


def _show_runs(runs: list[Any], *, as_json: bool) -> bool:
    ok = all(run.failure is None for run in runs)
    if as_json:
        documents = [
            {
                "method": run.method,
                "ok": run.failure is None,
                "failure": run.failure,
                "steps": [
                    {"name": name, "ms": round(ms, 2), "detail": detail}
                    for name, ms, detail in run.steps
                ],
            }
            for run in runs
        ]
        click.echo(json.dumps({"ok": ok, "runs": documents}, indent=2))
        return ok
    for run in runs:
        click.echo(f"\n{run.method}")
        for name, ms, detail in run.steps:
            click.echo(f"  ok  {name:<28} {ms:8.1f} ms  {detail}")
        if run.failure is not None:
            click.echo(f"  NOT ok  {run.failure}")
    click.echo("\nEvery check held." if ok else "\nNot every check held.")
    return ok


def _show_load(report: dict[str, Any], *, as_json: bool) -> bool:
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return bool(report["ok"])
    good = report["runs"] - report["failed"]
    click.echo(
        f"{good} of {report['runs']} step-ups in {report['seconds']:.2f} s:"
        f" {report['step_ups_per_second']} per second"
    )
    rows = {**report["steps_ms"], "whole step-up": report["step_up_ms"]}
    click.echo(f"  {'ms':<28} {'p50':>9} {'p90':>9} {'p99':>9} {'max':>9}")
    for name, figures in rows.items():
        numbers = " ".join(f"{value:9.2f}" for value in figures.values())
        click.echo(f"  {name:<28} {numbers}")
    for failure, count in report["failures"].items():
        click.echo(f"  {count} times: {failure}")
    return bool(report["ok"])
