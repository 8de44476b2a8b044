"""The demo bank: a web application that sends people to stepup before large transfers."""

from dataclasses import dataclass
from typing import Any

from litestar import Litestar, Request, Response, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath

from stepup.demo.bank_words import CURRENCY_SIGN, money, proof_in_words, when
from stepup.demo.base_identity import BaseIdentity, PendingSignIn, SignInError
from stepup.demo.browser import Notice, Site, first_values, origin_of, static_files
from stepup.demo.ledger import Ledger
from stepup.demo.network import Network
from stepup.demo.people import PEOPLE, full_name
from stepup.demo.sending import Sending, Settled
from stepup.demo.sessions import Draft, Session, Sessions
from stepup.demo.transfers import TransferService, create_router
from stepup.sdk import StepUp

COOKIE = "demo_bank"
SIGN_IN_COOKIE = "demo_bank_sign_in"


@dataclass(frozen=True, slots=True, kw_only=True)
class BankSettings:
    """Where the bank is, and who it is to others."""

    origin: str
    issuer: str
    idp: str
    client_id: str
    client_secret: str
    api_audience: str


@dataclass(frozen=True, slots=True)
class Bank:
    """What the bank's pages work with."""

    settings: BankSettings
    site: Site
    base: BaseIdentity
    ledger: Ledger
    sending: Sending
    sessions: Sessions

    def session(self, request: Request[Any, Any, Any]) -> Session | None:
        """Return who is signed in with this browser."""
        return self.sessions.find(self.site.read_cookie(request, COOKIE))

    def page(
        self, template: str, session: Session | None = None, status: int = 200, **values: Any
    ) -> Response[str]:
        """Render one of the bank's pages."""
        person = PEOPLE.get(session.login.sub) if session else None
        return self.site.page(
            template,
            status=status,
            person=person,
            name=full_name(session.login.sub) if session else None,
            csrf=session.csrf if session else None,
            account_url=f"{self.settings.issuer}/account",
            money=money,
            when=when,
            currency=CURRENCY_SIGN,
            **values,
        )

    def transfer_page(self, session: Session, draft: Draft, status: int = 200) -> Response[str]:
        """Show the account with a transfer's form as it was left."""
        notice, draft.notice = draft.notice, None
        return self.page(
            "bank_account.html",
            session,
            status,
            balance=self.ledger.balance(session.login.sub),
            bookings=self.ledger.bookings(session.login.sub)[:6],
            draft=draft,
            notice=notice,
            payees=[p.name for p in PEOPLE.values() if p.sub != session.login.sub],
        )

    def settled(self, session: Session, draft: Draft, settled: Settled) -> Response[Any]:
        """Answer with what became of a transfer."""
        match settled.kind:
            case "sent":
                return self.site.redirect(f"/receipts/{draft.booking_id}")
            case "confirm":
                return self.site.redirect(settled.url)
            case "sign_in":
                return self.site.redirect(f"/sign-in?to={draft.id}")
            case "refused":
                return self.transfer_page(session, draft, settled.status)


@get("/", sync_to_thread=False)
def front(request: Request[Any, Any, Any], bank: NamedDependency[Bank]) -> Response[Any]:
    """Welcome whoever comes."""
    if bank.session(request) is not None:
        return bank.site.redirect("/account")
    return bank.page("bank_front.html", people=PEOPLE.values())


@get("/sign-in", sync_to_thread=False)
def sign_in(request: Request[Any, Any, Any], bank: NamedDependency[Bank]) -> Response[Any]:
    """Send somebody to the identity provider."""
    draft_id = request.query_params.get("to", "")
    pending = PendingSignIn(return_to=f"/transfers/{draft_id}" if draft_id else "/account")
    cookie = bank.site.cookie(SIGN_IN_COOKIE, bank.sessions.begin_sign_in(pending), 600)
    return bank.site.redirect(bank.base.sign_in_url(pending), cookie)


@get("/signed-in")
async def signed_in(request: Request[Any, Any, Any], bank: NamedDependency[Bank]) -> Response[Any]:
    """Take somebody back from the identity provider."""
    pending = bank.sessions.end_sign_in(bank.site.read_cookie(request, SIGN_IN_COOKIE))
    if pending is None:
        return bank.site.redirect("/")
    try:
        login = await bank.base.finish(pending, first_values(request.query_params.multi_items()))
    except SignInError as error:
        cancelled = str(error) == "access_denied"
        notice = Notice("quiet" if cancelled else "bad", "You are not signed in", "Try again.")
        return bank.page("bank_front.html", people=PEOPLE.values(), notice=notice)
    secret = bank.sessions.open(login, bank.site.read_cookie(request, COOKIE))
    cookies = (bank.site.cookie(COOKIE, secret), bank.site.cookie(SIGN_IN_COOKIE, "", 0))
    return bank.site.redirect(pending.return_to, *cookies)


@post("/sign-out", status_code=303)
async def sign_out(request: Request[Any, Any, Any], bank: NamedDependency[Bank]) -> Response[Any]:
    """Sign somebody out, here and at the identity provider."""
    session = bank.session(request)
    if session is not None and not await _is_forged(request, bank, session):
        bank.sessions.close(bank.site.read_cookie(request, COOKIE))
    url = f"{bank.settings.idp}/logout?post_logout_redirect_uri={bank.settings.origin}/"
    return bank.site.redirect(url, bank.site.cookie(COOKIE, "", 0))


@get("/account", sync_to_thread=False)
def account(request: Request[Any, Any, Any], bank: NamedDependency[Bank]) -> Response[Any]:
    """Show the balance, and the form for a transfer."""
    session = bank.session(request)
    if session is None:
        return bank.site.redirect("/")
    return bank.transfer_page(session, session.new_draft())


@get("/transfers/{draft_id:str}", sync_to_thread=False)
def unfinished(
    request: Request[Any, Any, Any], bank: NamedDependency[Bank], draft_id: FromPath[str]
) -> Response[Any]:
    """Show a transfer that was not made yet, as it was left."""
    session = bank.session(request)
    draft = session.drafts.get(draft_id) if session else None
    if session is None or draft is None:
        return bank.site.redirect("/account")
    if draft.booking_id is not None:
        return bank.site.redirect(f"/receipts/{draft.booking_id}")
    return bank.transfer_page(session, draft)


@post("/transfers/{draft_id:str}", status_code=303)
async def submit(
    request: Request[Any, Any, Any], bank: NamedDependency[Bank], draft_id: FromPath[str]
) -> Response[Any]:
    """Make a transfer, or send somebody to confirm it first."""
    session = bank.session(request)
    if session is None:
        return bank.site.redirect("/sign-in")
    draft = session.drafts.get(draft_id)
    if draft is None or await _is_forged(request, bank, session):
        return bank.site.redirect("/account")
    form = first_values((await request.form()).multi_items())
    # One at a time: the second of two clicks finds what the first one did.
    async with draft.turn:
        return bank.settled(session, draft, await bank.sending.submit(session, draft, form))


@get("/callback")
async def callback(request: Request[Any, Any, Any], bank: NamedDependency[Bank]) -> Response[Any]:
    """Take somebody back from stepup, and make the transfer that they confirmed."""
    session = bank.session(request)
    answer = first_values(request.query_params.multi_items())
    draft = session.draft_of_state(answer.get("state", "")) if session else None
    if session is None or draft is None:
        return bank.page("bank_lost.html", session, 400)
    async with draft.turn:
        settled = await bank.sending.finish(draft, answer)
        if settled.kind == "refused":
            # Away from the URL with the code in it, so that reloading tries nothing again.
            return bank.site.redirect(f"/transfers/{draft.id}")
        return bank.settled(session, draft, settled)


@get("/receipts/{booking_id:str}", sync_to_thread=False)
def receipt(
    request: Request[Any, Any, Any], bank: NamedDependency[Bank], booking_id: FromPath[str]
) -> Response[Any]:
    """Show a transfer that was made, and what it was made on."""
    session = bank.session(request)
    booking = bank.ledger.find(session.login.sub, booking_id) if session else None
    if booking is None:
        return bank.site.redirect("/account")
    return bank.page(
        "bank_receipt.html", session, booking=booking, proof=proof_in_words(booking.proof)
    )


def create_bank(settings: BankSettings, network: Network | None = None) -> Litestar:
    """Make the application, the transfer service included."""
    network = network or Network()
    base = BaseIdentity(
        settings.idp,
        client_id=settings.client_id,
        redirect_uri=f"{settings.origin}/signed-in",
        api_audience=settings.api_audience,
        network=network,
    )
    su = StepUp(
        issuer=settings.issuer,
        audience=settings.api_audience,
        client_id=settings.client_id,
        client_secret=settings.client_secret,
        recognizes=lambda raw: base.read_access_token(raw) is not None,
        fetcher=network.fetch,
        transport=network.send,
    )
    ledger = Ledger()
    bank = Bank(
        settings=settings,
        site=Site(settings.origin, (origin_of(settings.issuer), origin_of(settings.idp))),
        base=base,
        ledger=ledger,
        sending=Sending(settings.origin, su, network),
        sessions=Sessions(),
    )
    routes = [front, sign_in, signed_in, sign_out, account, unfinished, submit, callback, receipt]
    return Litestar(
        [*routes, create_router(TransferService(ledger, base), su), static_files()],
        dependencies={"bank": Provide(lambda: bank, sync_to_thread=False)},
        openapi_config=None,
        logging_config=None,
    )


async def _is_forged(request: Request[Any, Any, Any], bank: Bank, session: Session) -> bool:
    form = first_values((await request.form()).multi_items())
    return not bank.site.is_own_form(request) or form.get("csrf") != session.csrf
