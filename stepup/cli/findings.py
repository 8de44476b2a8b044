"""How commands write findings."""

from stepup.domain.errors import PolicyInvalidError

FINDINGS = 3
"""The exit code of a command that found something."""


def explain_findings(error: PolicyInvalidError) -> str:
    """Write what is wrong with a policy document, a line for each finding."""
    # The error itself names the first finding, for those who show no list.
    return "\n".join(["this document has errors", *(f"  {each}" for each in error.findings)])
