"""The bank's books: balances and transfers, in memory. A transfer is booked once per key."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from stepup.demo.people import PEOPLE

CURRENCY = "EUR"


class InsufficientFundsError(Exception):
    """There is not enough money in the account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What somebody wants to send to whom. `amount` is text, exactly as it was confirmed."""

    amount: str
    payee: str
    reference: str = ""

    @property
    def cents(self) -> int:
        """The amount as a whole number."""
        return int(Decimal(self.amount) * 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """A transfer that was made, and the proof it was made on, if it needed one."""

    id: str
    sub: str
    order: Order
    booked_at: float
    proof: Mapping[str, object] | None = None


@dataclass(slots=True)
class _Account:
    balance_cents: int
    bookings: list[Booking] = field(default_factory=list)


class Ledger:
    """Everybody's account."""

    def __init__(self) -> None:
        self._accounts = {
            sub: _Account(person.balance_cents, _history(person.sub))
            for sub, person in PEOPLE.items()
        }
        self._by_key: dict[tuple[str, str], Booking] = {}

    def balance(self, sub: str) -> int:
        """Return what somebody has, in cents."""
        return self._account(sub).balance_cents

    def bookings(self, sub: str) -> list[Booking]:
        """Return somebody's transfers, newest first."""
        return self._account(sub).bookings[::-1]

    def find(self, sub: str, booking_id: str) -> Booking | None:
        """Find one of somebody's own transfers."""
        return next((b for b in self._account(sub).bookings if b.id == booking_id), None)

    def booked(self, sub: str, key: str) -> Booking | None:
        """Return what was booked under an idempotency key before."""
        return self._by_key.get((sub, key))

    def book(
        self, sub: str, key: str, order: Order, proof: Mapping[str, object] | None = None
    ) -> Booking:
        """Send the money, once per key.

        Raises:
            InsufficientFundsError: If there is not enough.
        """
        before = self._by_key.get((sub, key))
        if before is not None:
            return before
        account = self._account(sub)
        if order.cents > account.balance_cents:
            raise InsufficientFundsError
        account.balance_cents -= order.cents
        booking = Booking(
            id=secrets.token_hex(6), sub=sub, order=order, booked_at=time.time(), proof=proof
        )
        account.bookings.append(booking)
        self._by_key[sub, key] = booking
        return booking

    def _account(self, sub: str) -> _Account:
        return self._accounts.setdefault(sub, _Account(1_000_000))


def _history(sub: str) -> list[Booking]:
    """Return a few transfers of the last days, so that the first page is not empty."""
    day = 86_400
    past = (
        (9 * day, Order(amount="742.00", payee="Harbor Housing Co-op", reference="Rent")),
        (3 * day, Order(amount="38.40", payee="Green Grocer", reference="Vegetable box")),
        (1 * day, Order(amount="61.95", payee="City Power & Light", reference="Contract 20-118")),
    )
    return [
        Booking(id=f"{sub}{i}", sub=sub, order=order, booked_at=time.time() - age)
        for i, (age, order) in enumerate(past)
    ]
