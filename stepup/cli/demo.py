"""`stepup demo`: the demo sites, and one whole step-up without a browser."""

import asyncio

import rich_click as click

DEFAULT_AUDIENCE = "bank-api"


@click.group(invoke_without_command=True)
@click.option("--headless", is_flag=True, help="Run one whole step-up over HTTP, and check it.")
@click.pass_context
def demo(context: click.RichContext, /, **options: object) -> None:
    """See it work: two demo sites, or one checked run without a browser."""
    if context.invoked_subcommand is None and not options["headless"]:
        click.echo(context.get_help())


@demo.command()
@click.option("--idp-port", type=click.IntRange(1, 65535), default=8001, show_default=True)
@click.option("--bank-port", type=click.IntRange(1, 65535), default=8002, show_default=True)
@click.option("--issuer", default="http://localhost:8000", show_default=True, help="The service.")
@click.option("--client-id", default="bank", show_default=True)
@click.option(
    "--client-secret",
    envvar="STEPUP_DEMO_CLIENT_SECRET",
    required=True,
    show_envvar=True,
    help="Better given by the environment, where no list of processes shows it.",
)
@click.option("--audience", default=DEFAULT_AUDIENCE, show_default=True, help="The bank's API.")
def serve(**options: object) -> None:
    """Serve the demo identity provider and the demo bank."""
    from stepup.demo.serve import DemoSettings, serve  # noqa: PLC0415  Litestar is slow to import

    settings = DemoSettings(
        issuer=str(options["issuer"]),
        idp_port=int(str(options["idp_port"])),
        bank_port=int(str(options["bank_port"])),
        client_id=str(options["client_id"]),
        client_secret=str(options["client_secret"]),
        api_audience=str(options["audience"]),
    )
    asyncio.run(serve(settings))
