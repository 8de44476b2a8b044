"""What an ID token tells a client about who authenticated, how and when."""

from datetime import datetime

import msgspec

from stepup.domain.assurance import Acr, Amr
from stepup.domain.ids import ClientId, Subject


class IdToken(msgspec.Struct, frozen=True, kw_only=True):
    """An authentication event as the client is told of it (OpenID Connect Core section 2).

    `auth_time`, `acr` and `amr` are those of the access token that it comes with: the step-up
    ceremony's. `session_id` is the `sid` of the browser's step-up session with this client.
    """

    subject: Subject
    client_id: ClientId
    acr: Acr
    amr: tuple[Amr, ...]
    auth_time: datetime
    issued_at: datetime
    expires_at: datetime
    nonce: str | None = None
    session_id: str | None = None
