"""Administrators: in development one token; in production step-up, by our own means."""

import hashlib

from stepup.crypto import digests
from stepup.domain.errors import NotAuthorizedError
from stepup.ports import Ports


async def authenticate(ports: Ports, token: str) -> None:
    """Return when the token is the administrator's.

    Raises:
        NotAuthorizedError: If it is not, or this deployment has none.
    """
    expected = ports.site.admin_token_digest
    presented = hashlib.sha256(token.encode()).digest()
    if expected is None or not digests.equal(presented, expected):
        raise NotAuthorizedError
