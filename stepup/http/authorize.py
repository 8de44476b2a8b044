"""`/oauth2/authorize`: a browser arrives with a request, and goes on: to a page, or to its client.

What comes with a `request_uri` of ours was pushed. Anything else is checked here, and its subject
may have to sign in first. Until the client and its redirect URI are known to be good, whatever is
wrong is said on a page of ours: nobody is sent anywhere (RFC 6749 section 4.1.2.1).
"""

from collections.abc import Awaitable, Mapping
from typing import Any
from urllib.parse import urlencode

from litestar import Request, Router, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec

from stepup.domain import errors
from stepup.domain.account import BaseIdentity, KeptRequest
from stepup.domain.authorization_answer import Answer
from stepup.domain.authorization_request import PARAMETERS
from stepup.domain.checked_request import RefusedRequestError
from stepup.http.challenge_views import challenge_path
from stepup.http.cookies import cookie, login_cookie, secret_in, session_cookies, session_of
from stepup.http.form import read_form, read_query
from stepup.http.openapi import oauth_responses, reads_form, reads_query
from stepup.http.page_forms import AnyRequest, PageResponse, see_other
from stepup.http.request_log import request_log
from stepup.http.sending import refusal_of, send
from stepup.pages.locales import negotiate
from stepup.ports import Ports
from stepup.usecases import arrive, front, holder, sessions, waiting_requests
from stepup.usecases.account import BegunLogin
from stepup.usecases.arrive import Shows, Visitor
from stepup.usecases.authorize import AUTHORIZE_PATH, REQUEST_URI_PREFIX
from stepup.usecases.front import Arrived

RESUME_PATH = f"{AUTHORIZE_PATH}/resume"
_OTHERS = tuple(name for name in PARAMETERS if name != "client_id")
_FORM = ResponseSpec(
    str,
    generate_examples=False,
    media_type="text/html",
    description="The answer, in a form that sends itself (`response_mode=form_post`).",
)
_RESPONSES = {200: _FORM, **oauth_responses(errors.WrongBrowserError)}


@get(
    AUTHORIZE_PATH,
    tags=["oauth"],
    status_code=303,
    operation_class=reads_query(("client_id",), _OTHERS),
    media_type="text/html",
    responses=_RESPONSES,
)
async def authorize(request: Request[Any, Any, Any], ports: NamedDependency[Ports]) -> PageResponse:
    """Go on with a request that a browser brings (OpenID Connect Core 3.1.2.1, RFC 9126 4).

    Of a pushed request every parameter but `client_id` and `request_uri` is ignored.
    """
    return await _receive(request, ports, read_query(request))


@post(
    AUTHORIZE_PATH,
    tags=["oauth"],
    status_code=303,
    operation_class=reads_form(("client_id",), _OTHERS),
    media_type="text/html",
    responses=_RESPONSES,
)
async def authorize_posted(
    request: Request[Any, Any, Any], ports: NamedDependency[Ports]
) -> PageResponse:
    """Take a request as a form (OpenID Connect Core 3.1.2.1).

    A post from another site comes without our cookies, and its redirect with them: so the request
    is kept, and gone on with there.
    """
    form = await read_form(request)
    client_id = form.need("client_id")
    if "request_uri" in form:
        query = {"client_id": client_id, "request_uri": form["request_uri"]}
        return see_other(f"{AUTHORIZE_PATH}?{urlencode(query)}")
    handle = await front.keep(ports, form)
    return see_other(f"{RESUME_PATH}?{urlencode({'request': handle})}")


@get(RESUME_PATH, include_in_schema=False)
async def resume(request: AnyRequest, ports: NamedDependency[Ports]) -> PageResponse:
    """Go on with a request that was posted."""
    kept = await front.find(ports, read_query(request).need("request"))
    return await _receive(request, ports, kept.parameters)


async def signed_in(
    request: AnyRequest, ports: Ports, kept: KeptRequest, identity: BaseIdentity
) -> PageResponse:
    """Go on with a request whose subject comes back from its base login."""
    session = await sessions.sign_in(ports, identity)
    visitor = Visitor(_browser(request, ports), session)
    work = front.resume(ports, visitor, kept, identity)
    return await _answering(request, ports, visitor, kept.parameters, work)


async def not_signed_in(request: AnyRequest, ports: Ports, kept: KeptRequest) -> PageResponse:
    """Tell the client that its subject did not sign in."""
    refused = await front.give_up(ports, kept)
    return _refuse(request, ports, kept.parameters, refused)


async def _receive(
    request: AnyRequest, ports: Ports, parameters: Mapping[str, str]
) -> PageResponse:
    visitor = Visitor(_browser(request, ports), session_of(request, ports.site))
    receive = _arrive if _has_challenge(parameters) else front.receive
    work = receive(ports, visitor, parameters)
    return await _answering(request, ports, visitor, parameters, work)


def _has_challenge(parameters: Mapping[str, str]) -> bool:
    """Say whether a request was pushed with its subject, so that its challenge is open."""
    sent = parameters.get("request_uri", "")
    handle = sent.removeprefix(REQUEST_URI_PREFIX)
    return handle != sent and not waiting_requests.is_waiting(handle)


async def _arrive(ports: Ports, visitor: Visitor, parameters: Mapping[str, str]) -> Arrived:
    client_id = parameters.get("client_id")
    if client_id is None:
        raise errors.InvalidRequestError("The parameter client_id is missing.")
    challenge = await holder.claim(ports, client_id, parameters["request_uri"], visitor.browser)
    return Arrived(challenge, await arrive.arrive(ports, visitor, challenge))


async def _answering(
    request: AnyRequest,
    ports: Ports,
    visitor: Visitor,
    parameters: Mapping[str, str],
    work: Awaitable[Arrived | BegunLogin],
) -> PageResponse:
    # Set again each time: a cookie lives as long as the browser's session.
    cookies = [
        cookie(ports.site, "browser", visitor.browser.secret),
        *session_cookies(ports.site, visitor.session),
    ]
    try:
        done = await work
    except RefusedRequestError as refused:
        response = _refuse(request, ports, parameters, refused)
        response.cookies.extend(cookies)
        return response
    if isinstance(done, BegunLogin):
        response = see_other(done.url)
        response.cookies.extend([*cookies, login_cookie(request, ports.site, done)])
        return response
    return _show(request, done, cookies)


def _show(request: AnyRequest, arrived: Arrived, cookies: list[Cookie]) -> PageResponse:
    challenge, outcome = arrived.challenge, arrived.outcome
    log = request_log(request)
    log.client = challenge.authorization.client_id
    log.subject = challenge.authorization.subject.id
    if isinstance(outcome, Answer):
        locale = _locale(request, challenge.authorization.ui_locales)
        return send(outcome, challenge.authorization.client_name, locale, *cookies)
    leaf = "consent" if outcome is Shows.CONSENT else ""
    response = see_other(challenge_path(challenge.id, leaf))
    response.cookies.extend(cookies)
    return response


def _refuse(
    request: AnyRequest,
    ports: Ports,
    parameters: Mapping[str, str],
    refused: RefusedRequestError,
) -> PageResponse:
    answer = refusal_of(refused, ports.site.issuer)
    request_log(request).error = answer.parameters["error"]
    app_name = front.client_name(ports, parameters)
    return send(answer, app_name, _locale(request, parameters.get("ui_locales")))


def _browser(request: AnyRequest, ports: Ports) -> holder.Browser:
    return holder.Browser(secret_in(request, ports.site, "browser") or ports.entropy.token(32))


def _locale(request: AnyRequest, ui_locales: str | None) -> str:
    return negotiate(ui_locales, request.headers.get("accept-language"))


router = Router(path="/", route_handlers=[authorize, authorize_posted, resume])
