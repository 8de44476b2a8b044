"""Tickets: a decision, signed, that a client redeems through PAR.

Only we sign and read them, so a derived symmetric key does; to the client a ticket is opaque.
"""

from datetime import datetime
from typing import Annotated

import msgspec

from stepup.crypto import jwts
from stepup.domain.authorization import Ticket
from stepup.domain.errors import InvalidTicketError, NewerFormatError
from stepup.domain.requirement import OnDegraded, OnUnenrolled

TICKET_TYP = "stepup-ticket+jwt"
FORMAT = 2

_ALGORITHM = "HS256"


class _Envelope(msgspec.Struct, frozen=True):
    """The format alone, read before anything a newer release may have changed."""

    v: Annotated[int, msgspec.Meta(ge=1)]


class _Claims(msgspec.Struct, frozen=True, kw_only=True):
    v: int
    jti: str
    iat: int
    exp: int
    ticket: Ticket


_encoder = msgspec.json.Encoder()
_envelope = msgspec.json.Decoder(_Envelope)
_decoder = msgspec.json.Decoder(_Claims)


def sign_ticket(ticket: Ticket, key: bytes) -> str:
    """Sign a ticket with a key derived for tickets."""
    claims = _Claims(
        v=_format_of(ticket),
        jti=ticket.id,
        iat=int(ticket.issued_at.timestamp()),
        exp=int(ticket.expires_at.timestamp()),
        ticket=ticket,
    )
    signing_key = jwts.Key(algorithm=_ALGORITHM, key=key)
    return jwts.sign(_encoder.encode(claims), signing_key, typ=TICKET_TYP)


def _format_of(ticket: Ticket) -> int:
    """Return the oldest format whose readers understand all of the demand.

    To those of format 1 authenticators had no age, demands no fallback, and outages no meaning.
    """
    demand = ticket.requirement
    is_older = (
        not demand.min_credential_age
        and demand.on_unenrolled is not OnUnenrolled.FALLBACK
        and demand.on_degraded is OnDegraded.SERVE
    )
    return 1 if is_older else FORMAT


def read_ticket(text: str, key: bytes, now: datetime) -> Ticket:
    """Verify a ticket and return the decision in it.

    Raises:
        InvalidTicketError: If it was changed, has expired, or is of another kind.
        NewerFormatError: If a newer release signed it.
    """
    try:
        payload = jwts.verify(text, jwts.Key(algorithm=_ALGORITHM, key=key), typs=(TICKET_TYP,))
        # A field that this release does not know could be one that makes the demand stronger.
        if _envelope.decode(payload).v > FORMAT:
            raise NewerFormatError
        ticket = _decoder.decode(payload).ticket
        jwts.check_times(now, issued_at=ticket.issued_at, expires_at=ticket.expires_at)
    except (jwts.InvalidTokenError, *jwts.MALFORMED_JSON):
        raise InvalidTicketError from None
    return ticket
