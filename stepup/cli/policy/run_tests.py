"""`stepup policy test`: run a document's own tests."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import rich_click as click

from stepup.cli.as_json import json_option
from stepup.cli.findings import FINDINGS
from stepup.cli.policy.output import counted, say, say_findings
from stepup.cli.policy.source import read_source, source_argument
from stepup.policy_language import document
from stepup.policy_language.coverage import uncovered
from stepup.policy_language.examples import Outcome
from stepup.policy_language.findings import Code, printable


@click.command("test")
@source_argument
@click.option("--filter", "pattern", metavar="TEXT", help="Only tests with it in `action: name`.")
@click.option("--coverage", is_flag=True, help="Ask for a test of each rule and each default.")
@click.option(
    "--junit",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the outcomes as JUnit XML too.",
)
@json_option
def run_tests(
    source: Path, pattern: str | None, coverage: bool, junit: Path | None, as_json: bool
) -> None:
    """Run the tests of a document and say how each came out.

    Exits with 3 when one fails, when the document has other errors, and, with --coverage, when
    nothing tests a rule or a default.
    """
    given = read_source(source)
    reading = document.read_files(given.files)
    others = [f for f in reading.findings.all() if f.is_error and f.code is not Code.TEST_FAILED]
    if others or reading.tested is None:
        say_findings(given.name, reading.findings.all(), as_json=as_json)
        raise SystemExit(FINDINGS)
    outcomes = [each for each in reading.outcomes if _is_meant(each, pattern)]
    missing = uncovered(reading.tested, reading.outcomes) if coverage else []
    if junit:
        _write_junit(junit, outcomes)
    failed = sum(bool(each.failures) for each in outcomes)
    summary = f"{given.name}: {counted(len(outcomes), 'test')}, {failed} failed"
    result = {
        "file": given.name,
        "passed": not failed and not missing,
        "tests": [_told(each) for each in outcomes],
        **({"uncovered": missing} if coverage else {}),
    }
    lines = [*map(_line, outcomes), *(f"untested  {each}" for each in missing), summary]
    say("\n".join(lines), result, as_json=as_json)
    if failed or missing:
        raise SystemExit(FINDINGS)


def _name(outcome: Outcome) -> str:
    return f"{outcome.example.request.action}: {outcome.example.name}"


def _is_meant(outcome: Outcome, pattern: str | None) -> bool:
    name = _name(outcome)
    return pattern is None or pattern in name or fnmatchcase(name, pattern)


def _line(outcome: Outcome) -> str:
    name = printable(_name(outcome))
    if not outcome.failures:
        return f"ok        {name}"
    return f"FAILED    {name}\n          {printable('; '.join(outcome.failures))}"


def _told(outcome: Outcome) -> dict[str, Any]:
    example = outcome.example
    return {
        "action": example.request.action,
        "name": example.name,
        "passed": not outcome.failures,
        "failures": list(outcome.failures),
        "rule": outcome.decision.basis.rule or "default",
        "file": example.at.file,
        "line": example.at.line,
    }


def _write_junit(path: Path, outcomes: Sequence[Outcome]) -> None:
    failed = sum(bool(each.failures) for each in outcomes)
    suite = ET.Element(
        "testsuite", name="stepup policy", tests=str(len(outcomes)), failures=str(failed)
    )
    for outcome in outcomes:
        example = outcome.example
        case = ET.SubElement(
            suite,
            "testcase",
            classname=example.request.action,
            name=printable(example.name),
            file=example.at.file,
            line=str(example.at.line),
        )
        for failure in outcome.failures:
            ET.SubElement(case, "failure", message=printable(failure))
    path.write_bytes(ET.tostring(suite, encoding="utf-8", xml_declaration=True) + b"\n")
