"""How the bank makes a transfer: ask stepup, let the person confirm, redeem, hand it over."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import httpx2

from stepup.demo.browser import Notice
from stepup.demo.ledger import CURRENCY
from stepup.demo.network import Network
from stepup.demo.sessions import Draft, Session
from stepup.demo.transfers import ACTION, WITH_SECOND_FACTOR, requirement_for
from stepup.sdk import (
    ActionRequest,
    CallbackError,
    InvalidToken,
    SdkError,
    ServiceError,
    StepUp,
    StepUpRequired,
    UnavailableError,
)

# Commas may group thousands; `12.345` has two readings and is refused.
_AMOUNT = re.compile(
    r"([0-9]{1,7}|[0-9](?:,[0-9]{3}){2}|[0-9]{1,3},[0-9]{3})(?:[.,]([0-9]{1,2}))?", re.ASCII
).fullmatch


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a submitted transfer."""

    kind: Literal["sent", "confirm", "sign_in", "refused"]
    url: str = ""
    status: int = 200


class Sending:
    """The way of a transfer through the bank."""

    def __init__(self, origin: str, su: StepUp, network: Network) -> None:
        self._origin = origin
        self._su = su
        self._network = network

    async def submit(self, session: Session, draft: Draft, form: Mapping[str, str]) -> Settled:
        """Take a filled-in form; ask whether it may go through as it is."""
        if draft.booking_id is not None:
            return Settled("sent")
        draft.amount = form.get("amount", "").strip()[:20]
        draft.payee = " ".join(form.get("payee", "").split())[:70]
        draft.reference = " ".join(form.get("reference", "").split())[:140]
        amount = read_amount(draft.amount)
        if amount is None or not draft.payee:
            draft.notice = Notice(
                "bad",
                "Something is missing",
                "Say who gets the money, and an amount such as 25 or 1,250.50.",
            )
            return Settled("refused", status=422)
        draft.amount = amount
        try:
            return await self._start(session, draft)
        except SdkError as error:
            return _refused_by(error, draft)

    async def finish(self, draft: Draft, answer: Mapping[str, str]) -> Settled:
        """Take the answer of stepup; with a code, make the transfer."""
        if draft.booking_id is not None:
            return Settled("sent")
        if draft.pending is None:
            return Settled("refused")
        requirement = requirement_for(draft.amount) or WITH_SECOND_FACTOR
        try:
            token = await self._su.redeem(draft.pending, answer, requirement, _values(draft))
        except SdkError as error:
            settled = _refused_by(error, draft)
        else:
            settled = await self._hand_over(draft, token.raw)
        if settled.kind != "sent":
            draft.pending = None
        return settled

    async def _start(self, session: Session, draft: Draft) -> Settled:
        started = await self._su.start(
            ActionRequest(
                action=ACTION,
                subject=session.login.sub,
                properties=_values(draft),
                resource_type="account",
                resource_id=session.login.sub,
            ),
            redirect_uri=f"{self._origin}/callback",
            subject_token=session.login.id_token,
        )
        if started.outcome == "deny":
            draft.notice = Notice("bad", "The rules of the bank do not allow this transfer")
            return Settled("refused", status=403)
        if started.authorization_url is not None:
            draft.pending = started.pending
            return Settled("confirm", url=started.authorization_url)
        return await self._hand_over(draft, session.login.access_token)

    async def _hand_over(self, draft: Draft, token: str) -> Settled:
        """Call the transfer service, which trusts nothing but the token."""
        order = _values(draft) | {"reference": draft.reference}
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": draft.id}
        try:
            async with self._network.client() as http:
                answer = await http.post(
                    f"{self._origin}/api/transfers", json=order, headers=headers
                )
        except httpx2.HTTPError:
            draft.notice = Notice("bad", "The transfer service does not answer", "Try again.")
            return Settled("refused", status=503)
        if answer.status_code == 201:
            draft.booking_id = answer.json()["id"]
            return Settled("sent")
        detail = str(answer.json().get("detail", ""))
        draft.notice = Notice("bad", "The transfer was not made", detail)
        return Settled("refused", status=409)


def read_amount(text: str) -> str | None:
    """Return an amount in the form that is confirmed and sent; None when it is none."""
    match = _AMOUNT(text.replace(" ", "").removeprefix("€"))
    if match is None:
        return None
    whole = match[1].replace(",", "")
    amount = Decimal(f"{whole}.{match[2] or '0'}").quantize(Decimal("0.01"))
    return str(amount) if amount > 0 else None


def _values(draft: Draft) -> dict[str, str]:
    return {"amount": draft.amount, "currency": CURRENCY, "payee": draft.payee}


def _refused_by(error: SdkError, draft: Draft) -> Settled:
    """Tell the person what happened; the form stays as it was."""
    kept = "Nothing was sent, and your form is as you left it."
    match error:
        case CallbackError() if error.is_cancelled:
            draft.notice = Notice("quiet", "You did not confirm the transfer", kept)
        case CallbackError(error="unmet_authentication_requirements"):
            draft.notice = Notice(
                "bad",
                "This transfer needs a way to confirm that you have not set up yet",
                "Add a passkey or an authenticator app in your security settings, then try again.",
            )
        case ServiceError(error="invalid_subject_token" | "invalid_request_object"):
            return Settled("sign_in")
        case UnavailableError():
            draft.notice = Notice("bad", "We cannot ask you to confirm at the moment", kept)
            return Settled("refused", status=503)
        case InvalidToken() | StepUpRequired():
            draft.notice = Notice("bad", "The confirmation was not for this transfer", kept)
        case _:
            draft.notice = Notice("bad", "The confirmation did not work", f"{kept} Try again.")
    return Settled("refused", status=409)
