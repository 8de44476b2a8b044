"""What can be enrolled in this release: a policy may name more, and its author is told.

It is a warning and no error: the demand is right, and can be met with a later release. What a level
merely lists beside other ways to reach it harms nobody.
"""

import msgspec

from stepup.domain.assurance import Factor, Level, Method
from stepup.domain.requirement import Requirement
from stepup.policy_language.findings import Code, Findings, Place

_METHODS = frozenset({Method.WEBAUTHN, Method.TOTP, Method.RECOVERY_CODE})


def warn_of_requirement(
    requirement: Requirement, level: Level, findings: Findings, at: Place
) -> None:
    """Tell of a requirement that nobody can meet yet, or of a method in it that nobody has."""
    for method in sorted((requirement.methods or frozenset()) - _METHODS):
        _warn(f"`{method}` cannot be enrolled in this release", findings, at)
    left = tuple(each for each in level.any_of if all(map(_can_enroll, each)))
    now = msgspec.structs.replace(level, any_of=left)
    if requirement.is_reachable(level) and not (left and requirement.is_reachable(now)):
        _warn(f"nobody can reach `{level.acr}` in this release", findings, at)


def _can_enroll(factor: Factor) -> bool:
    # No trust anchors are configured, so no statement makes an authenticator attested.
    return factor.method in _METHODS and not factor.attested and not factor.aaguids


def _warn(message: str, findings: Findings, at: Place) -> None:
    findings.warn(Code.NOT_ENROLLABLE, message, at)
