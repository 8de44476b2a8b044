"""`stepup policy diff`: compare two documents, whether they lie in files or are versions."""

from pathlib import Path
from typing import Any, NamedTuple

import rich_click as click

from stepup.cli.as_json import json_option
from stepup.cli.policy.comparison import comparison_document, comparison_in_words
from stepup.cli.policy.output import CHANGES_PENDING, check, say
from stepup.cli.policy.reaching import Reach, reach_options
from stepup.cli.policy.service import Service
from stepup.cli.policy.source import read_source
from stepup.policy_language.meaning.documents import compare_documents

_ACTIVE = "@active"


class _Document(NamedTuple):
    name: str
    text: str


@click.command()
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@reach_options
@json_option
def diff(before: str, after: str, as_json: bool, **reach: Any) -> None:
    """Say how B differs from A, as text and in words; what is weaker comes first.

    Each is a file, a folder, `@active`, or a version such as `@12`. Exits with 0 when they are the
    same, with 2 when they differ, and with 3 when a file has findings that forbid its use.
    """
    names = [before, after]
    read = {n: _of_files(n, as_json=as_json) for n in names if not n.startswith("@")}

    async def task(service: Service) -> dict[str, _Document]:
        return {name: await _of_service(service, name) for name in names if name not in read}

    if len(read) < len(set(names)):
        read |= Reach(**reach).run(task)
    old, new = read[before], read[after]
    found = compare_documents(old.text, new.text, (old.name, new.name))
    result = {"before": old.name, "after": new.name, "changed": bool(found.text)}
    say(comparison_in_words(found), result | comparison_document(found), as_json=as_json)
    if found.text:
        raise SystemExit(CHANGES_PENDING)


def _of_files(name: str, *, as_json: bool) -> _Document:
    path = Path(name)
    if not path.exists():
        raise click.ClickException(f"{name}: no such file; a version is @12 or @active")
    given = read_source(path)
    check(given, as_json=as_json)
    return _Document(name, given.text)


async def _of_service(service: Service, name: str) -> _Document:
    if name == _ACTIVE:
        active = await service.find_active()
        if active is None:
            raise click.ClickException("there is no active version yet")
        return _Document(f"version {active.version}", active.document)
    number = name.removeprefix("@")
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise click.UsageError(f"{name} is no version: @12 or @active")
    found = await service.get(int(number))
    return _Document(f"version {found.version}", found.document)
