"""Signing in to the account pages, stepping up in them, signing out.

Who is signed in is known by a cookie; what changes anything asks for a step-up first, which is a
challenge of our own that leads back to the page that asked.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Response, Router, get, post
from litestar.di import NamedDependency

from stepup.domain.account import AccountSession
from stepup.domain.errors import InvalidRequestError, SessionNotFoundError, StepUpRequiredError
from stepup.domain.ids import AttemptId
from stepup.http import authorize
from stepup.http.cookies import (
    cookie,
    cookie_after_login,
    expired_cookie,
    login_cookie,
    secret_in,
    session_of,
)
from stepup.http.form import read_query
from stepup.http.page_forms import AnyRequest, FormBody, PageResponse, see_other
from stepup.http.request_log import request_log
from stepup.pages.account import AccountFrame
from stepup.pages.display import plain
from stepup.pages.ends import SignedOutPage
from stepup.pages.locales import negotiate
from stepup.pages.rendering import Page, render
from stepup.ports import Ports
from stepup.usecases import account, sessions

ACCOUNT = "/account"


class SignOutForm(msgspec.Struct, frozen=True):
    """A button."""

    form_token: str


@dataclass(frozen=True, slots=True)
class Visitor:
    """A signed-in subject and the request it made."""

    ports: Ports
    secret: str
    session: AccountSession
    locale: str
    path: str

    @property
    def frame(self) -> AccountFrame:
        """Fill in what all account pages show."""
        identity = self.session.identity
        return AccountFrame(
            name=plain(identity.name or identity.subject.sub),
            home_url=ACCOUNT,
            sign_out_url=f"{ACCOUNT}/sign-out",
            form_token=self.session.form_token,
            attempt=self.ports.entropy.token(12),
        )

    def show(self, page: Page, status: int = 200) -> PageResponse:
        """Render a page."""
        return Response(render(page, self.locale), status_code=status, media_type="text/html")

    async def stepping_up(self, work: Awaitable[PageResponse]) -> PageResponse:
        """Do some work; when it needs a step-up, send the browser there and back to this page."""
        try:
            return await work
        except StepUpRequiredError as needed:
            begun = await account.begin_elevation(
                self.ports, self.secret, needed.requirement, needed.action, self.path
            )
            return see_other(begun.url)


async def provide_visitor(request: AnyRequest, ports: NamedDependency[Ports]) -> Visitor:
    """Find out who is signed in.

    Raises:
        SessionNotFoundError: If nobody is.
    """
    secret = secret_in(request, ports.site, "account")
    session = await account.find_session(ports, secret)
    request_log(request).subject = session.identity.subject.id
    locale = negotiate(None, request.headers.get("accept-language"))
    return Visitor(ports, secret or "", session, locale, request.url.path)


def send_to_sign_in(request: AnyRequest, error: Exception) -> Response[Any]:
    """Send a browser that asks for a page to base login, and back to that page."""
    if request.method != "GET":
        # A posted form cannot be taken along; the application's own handler says what happened.
        return request.app.exception_handlers[Exception](request, error)
    query = urlencode({"return_to": request.url.path})
    return see_other(f"{ACCOUNT}/login?{query}")


@get("/login")
async def sign_in(request: AnyRequest, ports: NamedDependency[Ports]) -> PageResponse:
    """Begin base login at the upstream."""
    begun = await account.begin_login(ports, read_query(request).get("return_to", ACCOUNT))
    response = see_other(begun.url)
    response.cookies.append(login_cookie(request, ports.site, begun))
    return response


@get("/login/callback")
async def signed_in(request: AnyRequest, ports: NamedDependency[Ports]) -> PageResponse:
    """Take the browser back from base login."""
    query = read_query(request)
    code, state = query.get("code"), query.get("state")
    if state is None:
        return see_other(f"{ACCOUNT}/signed-out")
    begun = secret_in(request, ports.site, "login") or ""
    if code is None:
        # The subject changed its mind at the upstream, or something failed there.
        return await _not_signed_in(request, ports, state, begun)
    login = await account.take_login(ports, state=state, cookie=begun)
    identity = await account.finish_login(ports, login, code)
    if login.request is not None:
        response = await authorize.signed_in(request, ports, login.request, identity)
    else:
        response = see_other(login.return_to)
        secret = await account.begin_session(ports, identity)
        response.cookies.append(cookie(ports.site, "account", secret))
    response.cookies.append(cookie_after_login(ports.site, begun, state))
    return response


async def _not_signed_in(request: AnyRequest, ports: Ports, state: str, begun: str) -> PageResponse:
    try:
        login = await account.take_login(ports, state=state, cookie=begun)
    except InvalidRequestError:
        # Somebody else's, or over: there is nobody to tell.
        return see_other(f"{ACCOUNT}/signed-out")
    if login.request is None:
        return see_other(f"{ACCOUNT}/signed-out")
    return await authorize.not_signed_in(request, ports, login.request)


@get("/elevated")
async def elevated(request: AnyRequest, ports: NamedDependency[Ports]) -> PageResponse:
    """Take the browser back from a challenge of our own; cancelled ones lead to the list."""
    query = read_query(request)
    if query.get("iss") != ports.site.issuer:
        # RFC 9207 section 2.4: an answer of somebody else is no answer.
        raise InvalidRequestError("This confirmation comes from another issuer.")
    secret = secret_in(request, ports.site, "account")
    if secret is None:
        raise SessionNotFoundError
    code = query.get("code")
    return_to = await account.finish_elevation(
        ports,
        secret,
        state=query.get("state", ""),
        code=code,
        attempt=AttemptId(ports.entropy.token(16)),
    )
    return see_other(return_to if code is not None else ACCOUNT)


@post("/sign-out", status_code=200)
async def sign_out(
    request: AnyRequest, data: FormBody[SignOutForm], ports: NamedDependency[Ports]
) -> PageResponse:
    """End the session."""
    secret = secret_in(request, ports.site, "account")
    if secret is not None:
        session = await account.find_session(ports, secret)
        account.check_form_token(session, data.form_token)
        await account.sign_out(ports, secret)
    # Whoever signs out leaves nothing behind that another one could use.
    await sessions.end(ports, session_of(request, ports.site))
    response = see_other(f"{ACCOUNT}/signed-out")
    response.cookies.append(expired_cookie(ports.site, "account"))
    response.cookies.append(expired_cookie(ports.site, "session"))
    return response


@get("/signed-out")
async def signed_out(request: AnyRequest) -> PageResponse:
    """Say that nobody is signed in any more."""
    locale = negotiate(None, request.headers.get("accept-language"))
    page = SignedOutPage(sign_in_url=ACCOUNT)
    return Response(render(page, locale), media_type="text/html")


router = Router(
    path=ACCOUNT,
    route_handlers=[sign_in, signed_in, elevated, sign_out, signed_out],
    # Pages are for browsers; the OpenAPI document is for programs.
    include_in_schema=False,
)
