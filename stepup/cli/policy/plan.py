"""`stepup policy plan`: say what an `apply` would change."""

from pathlib import Path
from typing import Any, NamedTuple

import rich_click as click

from stepup.cli.as_json import json_option
from stepup.cli.findings import FINDINGS
from stepup.cli.policy.comparison import comparison_document, comparison_in_words
from stepup.cli.policy.output import CHANGES_PENDING, check, say
from stepup.cli.policy.reaching import Reach, reach_options
from stepup.cli.policy.service import Remark, Service, Version
from stepup.cli.policy.source import Source, read_source, source_argument
from stepup.policy_language.meaning.documents import Comparison, compare_documents


class Plan(NamedTuple):
    """What would become of the active version."""

    source: Source
    active: Version | None
    text: str
    comparison: Comparison

    @property
    def changed(self) -> bool:
        """Say whether the document is another one."""
        return self.active is None or self.active.document != self.text

    @property
    def replacing(self) -> int:
        """The version that would be replaced; 0 for none."""
        return self.active.version if self.active else 0

    @property
    def is_elsewhere(self) -> bool:
        """Say whether the active version was not made by an `apply`, whose folder knows nothing of it."""
        return self.changed and self.active is not None and not self.active.is_applied

    @property
    def as_document(self) -> dict[str, Any]:
        """Return it as JSON shows it."""
        return {
            "file": self.source.name,
            "valid": True,
            "changed": self.changed,
            "active": self.replacing or None,
            "made_elsewhere": self.is_elsewhere,
            **comparison_document(self.comparison),
        }

    @property
    def in_words(self) -> str:
        """Write it for people."""
        if not self.changed:
            return f"{self.source.name}: version {self.replacing} is active already"
        return "\n".join([*self._drift(), comparison_in_words(self.comparison)])

    def _drift(self) -> list[str]:
        active = self.active
        if active is None or not self.is_elsewhere:
            return []
        how = f"a rollback to version {active.rolled_back_from}" if active.rolled_back_from else ""
        made = how or (f"{active.note!r}" if active.note else "another way")
        at = active.activated_at.isoformat(timespec="seconds")
        return [
            f"version {active.version} was not made by `apply`: {active.author}, {at}, {made}",
            "what it changed is undone, unless it is in your files; `stepup policy pull` shows it",
            "",
        ]


@click.command()
@source_argument
@reach_options
@json_option
def plan(source: Path, as_json: bool, **reach: Any) -> None:
    """Say what `apply` would change, as text and in words; what is weaker comes first.

    Nothing is changed. Exits with 0 when there is nothing to do, with 2 when there is, and with 3
    when the document has findings that forbid its use.
    """
    given = read_source(source)
    check(given, as_json=as_json)

    async def task(service: Service) -> Plan:
        return await make_plan(service, given, as_json=as_json)

    made = Reach(**reach).run(task)
    say(made.in_words, made.as_document, as_json=as_json)
    if made.changed:
        raise SystemExit(CHANGES_PENDING)


async def make_plan(service: Service, given: Source, *, as_json: bool) -> Plan:
    """Compare a document that this release can read; end the command if the service cannot."""
    text = given.text
    active = await service.find_active()
    errors = [remark for remark in await service.check(text) if remark.severity == "error"]
    if errors:
        _refuse(given, errors, as_json=as_json)
    before = active.document if active else None
    names = (f"version {active.version}" if active else "nothing", given.name)
    return Plan(given, active, text, compare_documents(before, text, names))


def _refuse(given: Source, errors: list[Remark], *, as_json: bool) -> None:
    found = [{"code": e.code, "message": e.message, "line": e.line} for e in errors]
    lines = [f"{given.name}: the service refuses it", *(f"  {error}" for error in errors)]
    document = {"file": given.name, "valid": False, "findings": found}
    say("\n".join(lines), document, as_json=as_json)
    raise SystemExit(FINDINGS)
