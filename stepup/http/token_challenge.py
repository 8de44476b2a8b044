"""What whoever shows a token that does not do is told, in the scheme that it used.

RFC 6750 section 3 for bearer tokens, RFC 9449 section 7.1 for DPoP tokens, and RFC 9470 section 3
for what would do.
"""

import re

from litestar.types import Scope

from stepup.domain import admin_errors, proof_errors
from stepup.domain.confirmation import DPOP_ALGORITHMS
from stepup.domain.errors import StepUpError
from stepup.http.headers import header

_BEARER = 'Bearer realm="stepup"'
_DPOP = f'DPoP algs="{" ".join(DPOP_ALGORITHMS)}"'
# RFC 6750 section 3: what may stand between the quotes; a level may have any name.
_NOT_QUOTABLE = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")


def shows_dpop_token(scope: Scope) -> bool:
    """Say whether the request shows its token with the scheme DPoP."""
    sent = header(scope, b"authorization") or b""
    return sent.partition(b" ")[0].lower() == b"dpop"


def token_challenge(error: StepUpError, *, dpop: bool) -> str:
    """Write the `WWW-Authenticate` of a refusal; `action` in it is ours."""
    match error:
        case proof_errors.ProofRefusedError() | proof_errors.TokenNonceNeededError():
            told: dict[str, object] = {"error": error.code}
        case admin_errors.TokenRefusedError():
            told = {"error": "invalid_token"}
        case admin_errors.NotAuthorizedError():
            # RFC 6750 section 3.1: who shows nothing is told of no error. RFC 9449 section 7.2:
            # and of every scheme that there is.
            return f"{_BEARER}, {_DPOP}"
        case _:
            told = {"error": error.code, **what_is_needed(error)}
    quoted = (f'{name}="{_NOT_QUOTABLE.sub("?", str(value))}"' for name, value in told.items())
    return ", ".join([_DPOP if dpop else _BEARER, *quoted])


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
