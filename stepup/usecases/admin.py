"""The administrators' gate: a person's elevated token, a pipeline's key, in development one token."""

import hashlib

from stepup.crypto import api_keys as keys_of_pipelines
from stepup.crypto import digests
from stepup.domain.admin_errors import InsufficientScopeError, TokenRefusedError
from stepup.domain.administrator import DEVELOPER, AdminAction, Administrator
from stepup.domain.confirmation import NOTHING_PROVED, Possession
from stepup.ports import Ports
from stepup.usecases.admin_tokens import find_person
from stepup.usecases.api_keys import find_pipeline


async def authenticate(
    ports: Ports, token: str, action: AdminAction, possession: Possession = NOTHING_PROVED
) -> Administrator:
    """Return who brings the token, if that is an administrator who may do this now.

    Raises:
        NotAuthorizedError: If it is nobody's.
        InsufficientScopeError: If it is somebody who may not do this.
        InsufficientUserAuthenticationError: If a token is too weak, too old, or for another act.
        ActionDeniedError: If the policy denies it to anybody.
        DependencyUnavailableError: If nobody can say who administers, or what was revoked.
    """
    is_developer = _is_developer(ports, token)
    if not is_developer and not token.startswith(keys_of_pipelines.PREFIX):
        return await find_person(ports, token, action, possession)
    # Neither is bound to a key, so neither is a DPoP token.
    if not possession.covers(None):
        raise TokenRefusedError
    if is_developer:
        return DEVELOPER
    pipeline = await find_pipeline(ports, token)
    if not pipeline.may(action.scope):
        raise InsufficientScopeError(action.scope)
    return pipeline


def _is_developer(ports: Ports, token: str) -> bool:
    expected = ports.site.admin_token_digest
    presented = hashlib.sha256(token.encode()).digest()
    return expected is not None and digests.equal(presented, expected)
