"""`stepup policy pull`: get the active document, to keep it in files."""

from pathlib import Path
from typing import Any

import rich_click as click

from stepup.cli.as_json import json_option
from stepup.cli.policy.output import say
from stepup.cli.policy.reaching import Reach, reach_options
from stepup.cli.policy.service import Service, Version
from stepup.cli.policy.source import files_in

_NAME = "policy.yaml"


@click.command()
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path),
    metavar="FILE|FOLDER",
    help="Write it there, into a folder as policy.yaml; to the terminal otherwise.",
)
@click.option("--force", is_flag=True, help="Also over a file that says something else.")
@reach_options
@json_option
def pull(target: Path | None, force: bool, as_json: bool, **reach: Any) -> None:
    """Write the active document, as it was applied.

    A document that was a folder of files is one file now.
    """

    async def task(service: Service) -> Version:
        active = await service.find_active()
        if active is None:
            raise click.ClickException("there is no active version yet")
        return active

    active = Reach(**reach).run(task)
    told = {"version": active.version, "author": active.author}
    if target is None:
        if as_json:
            say("", told | {"document": active.document}, as_json=True)
        else:
            click.echo(active.document, nl=False)
        return
    path = target / _NAME if target.is_dir() else target
    if not force:
        _refuse_to_overwrite(path, active.document)
    try:
        path.write_text(active.document, encoding="utf-8", newline="")
    except OSError as error:
        raise click.ClickException(f"{path}: {(error.strerror or str(error)).lower()}") from error
    said = f"{path}: version {active.version}"
    say(said, told | {"file": str(path)}, as_json=as_json)


def _refuse_to_overwrite(path: Path, text: str) -> None:
    # A second file in a folder would say everything twice.
    folder = path.parent if path.name == _NAME else None
    others = [file for file in (files_in(folder) if folder else ()) if file != path]
    if others:
        raise click.ClickException(f"{folder}: has documents already, as {others[0].name}")
    if path.exists() and path.read_bytes() != text.encode():
        raise click.ClickException(f"{path}: says something else; --force writes over it")
