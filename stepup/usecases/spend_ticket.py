"""Tickets come back: each is read for the client it was made for, and used up once."""

from stepup.crypto import tickets
from stepup.domain.authorization import Ticket
from stepup.domain.client import Client
from stepup.domain.errors import InvalidTicketError
from stepup.domain.ids import AttemptId
from stepup.ports import Ports
from stepup.usecases import decide


def read_ticket(ports: Ports, caller: Client, text: str) -> Ticket:
    """Verify a ticket and that it was made for this client.

    Raises:
        InvalidTicketError: If it was changed, has expired, or belongs to another client.
    """
    key = decide.ticket_key(ports.snapshot.keyring)
    ticket = tickets.read_ticket(text, key, ports.clock.now())
    if ticket.client_id != caller.client_id:
        raise InvalidTicketError("The ticket was made for another client.")
    return ticket


async def spend_ticket(ports: Ports, ticket: Ticket, attempt: AttemptId) -> None:
    """Use a ticket up; the same attempt may come again, and gets the same challenge.

    Raises:
        InvalidTicketError: If it was redeemed before, or may have been.
    """
    remembered = await ports.state.replays.remember(
        "ticket", ticket.id, attempt, ticket.expires_at, possible_since=ticket.issued_at
    )
    if not remembered:
        raise InvalidTicketError(
            "The ticket was redeemed before, or may have been; ask for a new one."
        )
