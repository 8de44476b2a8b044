"""One authorization request, from PAR to redeemed code, and the ticket that fixes its level."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

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


class ResponseMode(StrEnum):
    """How the answer comes back to the client (OAuth 2.0 Multiple Response Types section 2.1)."""

    QUERY = "query"
    FORM_POST = "form_post"


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

    `prompt` holds the values of OpenID Connect Core section 3.1.2.1. `max_age` is what the client
    asked for, in seconds. `acr_values` are those it accepts, best first, where it named several.
    `essential_acr` when another level than those is no answer at all. `dpop_jkt` is the key that
    the code, and the token after it, are bound to (RFC 9449 section 10).
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
    nonce: str | None = None
    response_mode: ResponseMode = ResponseMode.QUERY
    prompt: frozenset[str] = frozenset()
    max_age: int | None = None
    acr_values: tuple[Acr, ...] = ()
    essential_acr: bool = False
    dpop_jkt: str | None = None

    @property
    def wants_id_token(self) -> bool:
        """Say whether this is an OpenID Connect request (Core section 3.1.2.1)."""
        return "openid" in (self.scope or "").split()
