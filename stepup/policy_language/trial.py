"""What is said of a document that is only tried out, as data that goes from process to process."""

from typing import NamedTuple

from stepup.policy_language import document
from stepup.policy_language.findings import Finding


class TestResult(NamedTuple):
    """How one of a document's own tests came out; without failures it passed."""

    action: str
    name: str
    failures: tuple[str, ...]


class Checked(NamedTuple):
    """Everything that is wrong or doubtful, and how the tests came out if they could be run."""

    findings: list[Finding]
    tests: list[TestResult]


def checked(text: str) -> Checked:
    """Check a document and run its tests."""
    reading = document.judge(text)
    results = [
        TestResult(str(outcome.example.request.action), outcome.example.name, outcome.failures)
        for outcome in reading.outcomes
    ]
    return Checked(reading.findings.all(), results)
