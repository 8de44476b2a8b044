"""What an administrator who was not let in is told: RFC 6750 section 3, RFC 9470 section 3."""

import re

from stepup.domain import admin_errors
from stepup.domain.errors import StepUpError

_SCHEME = 'Bearer realm="stepup"'
# RFC 6750 section 3: what may stand between the quotes; a level may have any name.
_NOT_QUOTABLE = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")


def bearer_challenge(error: StepUpError) -> str:
    """Write the `WWW-Authenticate` of a refusal; `action` in it is ours."""
    match error:
        case admin_errors.TokenRefusedError():
            told: dict[str, object] = {"error": "invalid_token"}
        case admin_errors.NotAuthorizedError():
            # RFC 6750 section 3.1: who shows nothing is told of no error.
            told = {}
        case _:
            told = {"error": error.code, **what_is_needed(error)}
    quoted = (f'{name}="{_NOT_QUOTABLE.sub("?", str(value))}"' for name, value in told.items())
    return ", ".join([_SCHEME, *quoted])


def what_is_needed(error: StepUpError) -> dict[str, object]:
    """Return what would do, as the challenge and the problem say it."""
    match error:
        case admin_errors.InsufficientScopeError():
            return {"scope": error.scope}
        case admin_errors.InsufficientUserAuthenticationError():
            max_age = error.requirement.max_age
            needed: dict[str, object] = {
                "acr_values": error.requirement.acr,
                "action": error.action,
            }
            return needed if max_age is None else needed | {"max_age": int(max_age.total_seconds())}
        case _:
            return {}
