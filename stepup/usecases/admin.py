"""Administrators: in development one token; in production step-up, by our own means."""

import hashlib

from stepup.crypto import digests
from stepup.domain.administrator import DEVELOPER, AdminAction, Administrator
from stepup.domain.errors import InsufficientScopeError, TokenRefusedError
from stepup.ports import Ports


async def authenticate(ports: Ports, token: str, action: AdminAction) -> Administrator:
    """Return who brings the token, if that is an administrator who may do this.

    Raises:
        NotAuthorizedError: If it is nobody's.
        InsufficientScopeError: If it is somebody who may not do this.
    """
    administrator = _developer(ports, token)
    if administrator is None:
        raise TokenRefusedError
    if not administrator.may(action.scope):
        raise InsufficientScopeError(action.scope)
    return administrator


def _developer(ports: Ports, token: str) -> Administrator | None:
    expected = ports.site.admin_token_digest
    presented = hashlib.sha256(token.encode()).digest()
    return DEVELOPER if expected is not None and digests.equal(presented, expected) else None
