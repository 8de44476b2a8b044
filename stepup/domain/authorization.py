"""One authorization request, from PAR to redeemed code, and the ticket that fixes its level."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from stepup.domain.assurance import Acr
from stepup.domain.binding import Value
from stepup.domain.ids import ActionName, ClientId, Subject
from stepup.domain.requirement import Requirement

# Long enough for a browser round trip, too short to be collected (STANDARDS A2).
TICKET_LIFETIME = timedelta(seconds=120)
# FAPI 2.0 section 5.3.2.2 wants less than 600 s.
REQUEST_URI_LIFETIME = timedelta(seconds=590)
# FAPI 2.0 section 5.3.2.1: at most 60 s.
CODE_LIFETIME = timedelta(seconds=60)


class Purpose(msgspec.Struct, frozen=True, kw_only=True):
    """What an approval is for: the action, and the values it holds for.

    `bound_digest` covers the action and the bound values; it goes into the token. `displayed`
    is what the subject saw.
    """

    action: ActionName
    title: Mapping[str, str] = {}
    bound: Mapping[str, Value] = {}
    bound_digest: str
    displayed: Mapping[str, Value] = {}
    policy_version: int


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """A signed decision that a client redeems through PAR; no URL can lower its level."""

    id: str
    client_id: ClientId
    subject: Subject
    requirement: Requirement
    purpose: Purpose
    issued_at: datetime
    expires_at: datetime


class Authorization(msgspec.Struct, frozen=True, kw_only=True):
    """What a client pushed and a challenge will answer.

    `redirect_uri` is None for clients with screens of their own, `code_challenge` (S256) then too.
    `purpose` is None when a client asked for a level alone (RFC 9470). `fallback_for` is the level
    that was demanded when `requirement` is the fallback of that demand.
    """

    client_id: ClientId
    client_name: str
    subject: Subject
    requirement: Requirement
    purpose: Purpose | None = None
    audience: str
    scope: str | None = None
    redirect_uri: str | None = None
    state: str | None = None
    code_challenge: str | None = None
    ui_locales: str | None = None
    fallback_for: Acr | None = None
