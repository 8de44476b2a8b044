"""How commands write findings."""

from stepup.domain.errors import PolicyInvalidError

FINDINGS = 3
"""The exit code of a command that found something."""


def explain_findings(error: PolicyInvalidError) -> str:
    """Write what is wrong with a policy document, a line for each finding."""
    return "\n".join([str(error), *(f"  {finding}" for finding in error.findings)])
