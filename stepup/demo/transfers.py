"""The bank's transfer service: an API that believes nobody, its own web application included.

Small transfers go through with base login. Larger ones need an elevated token that was made for
this amount, this currency and this payee; the service verifies it on the spot and uses it up.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, Router, post
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException
from litestar.handlers.base import BaseRouteHandler
from litestar.params import JSONBody

from stepup.demo.base_identity import BaseIdentity
from stepup.demo.ledger import CURRENCY, InsufficientFundsError, Ledger, Order
from stepup.sdk import BindingError, InvalidToken, Requirement, StepUp, VerifiedToken, bearer_token
from stepup.sdk.litestar import Connection, exception_handlers, step_up

ACTION = "payments.transfer"
# Whatever the person saw on the page that asked: each of these could be changed on the way.
BOUND = ("amount", "currency", "payee")
WITH_SECOND_FACTOR = Requirement(ACTION, level="urn:stepup:acr:2", bind=BOUND, once=True)
WITH_PASSKEY = Requirement(ACTION, level="phr", max_age=0, bind=BOUND, once=True)
FREE_UP_TO = Decimal("100.00")
PASSKEY_ABOVE = Decimal("1000.00")
_JSON = re.compile(r"application/json(; ?charset=utf-8)?", re.IGNORECASE).fullmatch
_AMOUNT = re.compile(r"(0|[1-9][0-9]{0,6})\.[0-9]{2}", re.ASCII).fullmatch


class TransferOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request."""

    amount: Annotated[str, msgspec.Meta(max_length=12)]
    currency: Literal["EUR"]
    payee: Annotated[str, msgspec.Meta(min_length=1, max_length=70)]
    reference: Annotated[str, msgspec.Meta(max_length=140)] = ""


@dataclass(frozen=True, slots=True)
class TransferService:
    """What the route works with."""

    ledger: Ledger
    base: BaseIdentity

    async def sender(self, request: Request[Any, Any, Any]) -> tuple[str, VerifiedToken | None]:
        """Return whose money it is, and the elevated token if one was needed.

        Raises:
            InvalidToken: If a small transfer comes without a good token of the identity provider.
        """
        elevated: VerifiedToken | None = request.state.get("stepup")
        if elevated is not None:
            # `sub` alone would do for one identity provider; this is right with several, too.
            if elevated.subject_issuer != self.base.issuer or elevated.subject_sub is None:
                raise InvalidToken("the subject is from another identity provider")
            return elevated.subject_sub, elevated
        raw = bearer_token(request.headers.get("authorization"))
        sub = await asyncio.to_thread(self.base.read_access_token, raw) if raw else None
        if sub is None:
            raise InvalidToken
        return sub, None


def requirement_for(amount: str) -> Requirement | None:
    """Return what a transfer of this size needs beyond base login.

    Raises:
        BindingError: If this is no amount.
    """
    if not _AMOUNT(amount) or Decimal(amount) <= 0:
        raise BindingError("the amount reads like 12.50 and is more than nothing")
    if Decimal(amount) <= FREE_UP_TO:
        return None
    return WITH_PASSKEY if Decimal(amount) > PASSKEY_ABOVE else WITH_SECOND_FACTOR


def choose(values: Mapping[str, object]) -> Requirement | None:
    """Choose the requirement of one request, from its body.

    Raises:
        BindingError: If it is no amount, or not one of euros: the limits are.
    """
    if values.get("currency") != CURRENCY:
        raise BindingError(f"the accounts of this bank are in {CURRENCY}")
    return requirement_for(str(values.get("amount", "")))


def take_json_only(connection: Connection, _handler: BaseRouteHandler) -> None:
    """Refuse a body that is not sent as JSON: the route would decode it all the same."""
    sent = connection.headers.getall("content-type", [])
    if len(sent) != 1 or not _JSON(sent[0]):
        raise HTTPException("The body must be application/json.", status_code=415)


@post("/", status_code=201)
async def transfer(
    request: Request[Any, Any, Any],
    data: JSONBody[TransferOrder],
    service: NamedDependency[TransferService],
) -> Response[dict[str, Any]]:
    """Send money; repeated with the same Idempotency-Key, send it once."""
    sub, elevated = await service.sender(request)
    key = request.headers.get("idempotency-key") or (elevated.jti if elevated else "")
    if not key:
        raise BindingError("the field Idempotency-Key is missing")
    order = Order(amount=data.amount, payee=data.payee, reference=data.reference)
    try:
        booking = service.ledger.book(sub, key, order, _proof(elevated))
    except InsufficientFundsError:
        raise HTTPException("There is not enough money.", status_code=409) from None
    return Response({"id": booking.id, "amount": order.amount, "payee": order.payee})


def create_router(service: TransferService, su: StepUp) -> Router:
    """Make the API, for the bank's application to mount."""
    guard = step_up(su, choose, among=(WITH_SECOND_FACTOR, WITH_PASSKEY))
    return Router(
        "/api/transfers",
        route_handlers=[transfer],
        guards=[take_json_only, guard],
        dependencies={"service": Provide(lambda: service, sync_to_thread=False)},
        exception_handlers=exception_handlers,
    )


def _proof(token: VerifiedToken | None) -> Mapping[str, object] | None:
    if token is None:
        return None
    return {
        "level": token.level,
        "methods": list(token.methods),
        "auth_time": token.auth_time.timestamp(),
        "txn": token.txn,
        "jti": token.jti,
        "digest": token.bound_digest,
        "client": token.client_id,
        "expires_at": token.expires_at.timestamp(),
    }
