"""The pages on which a subject answers a challenge.

Each form leads to one use case; what it raises is turned into the same page with an explanation,
and success sends the browser back to the client. Codes work without JavaScript.
"""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import msgspec
from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from stepup.domain.assurance import Method
from stepup.domain.authenticator import RecoveryCodes, TotpSecret
from stepup.domain.authorization import ResponseMode
from stepup.domain.authorization_answer import Answer
from stepup.domain.challenge import METHOD_PAUSE, Challenge, ChallengeState
from stepup.domain.errors import (
    CeremonyExpiredError,
    ChallengeNotPendingError,
    CodeTooEarlyError,
    MethodNotUsableError,
    OutcomeUnknownError,
    TooManyAttemptsError,
    VerificationFailedError,
)
from stepup.domain.ids import AttemptId, ChallengeId
from stepup.http.attempts import FormAttempt
from stepup.http.challenge_views import (
    app_url,
    challenge_path,
    kind_of,
    no_method_page,
)
from stepup.http.challenge_visit import Visit, visit
from stepup.http.cookies import session_cookies
from stepup.http.page_forms import (
    UNPROCESSABLE,
    AnyRequest,
    FormBody,
    PageResponse,
    credential_of,
    see_other,
)
from stepup.pages.challenge import (
    CodeError,
    CodePage,
    ConsentPage,
    LockedPage,
    MethodsPage,
    PasskeyError,
    PasskeyPage,
    RecoveryPage,
)
from stepup.pages.ends import AlreadyDonePage, CancelledPage, DonePage
from stepup.ports import Ports
from stepup.usecases import answer, arrive, finish, holder, sessions
from stepup.usecases.unknown_passkey import unknown_passkey

_TOO_MANY = 429
_UNAVAILABLE = 503


class CodeForm(msgspec.Struct, frozen=True):
    """A typed code."""

    form_token: str
    attempt: FormAttempt
    code: str = ""


class PasskeyForm(msgspec.Struct, frozen=True):
    """What the browser's authenticator answered, as JSON text.

    It is empty when the form was sent before the page's script was ready.
    """

    form_token: str
    attempt: FormAttempt
    credential: str = ""


class PlainForm(msgspec.Struct, frozen=True):
    """A button."""

    form_token: str


CheckCode = Callable[
    [Ports, ChallengeId, holder.Holder, str, AttemptId], Coroutine[Any, Any, Challenge]
]


@get("/")
async def show_challenge(
    request: AnyRequest, challenge_id: FromPath[ChallengeId], ports: NamedDependency[Ports]
) -> PageResponse:
    """Show the best way to answer, or how the challenge ended."""
    visited = await visit(request, ports, challenge_id)
    if visited.challenge.state is not ChallengeState.PENDING:
        return await _show_end(visited)
    methods = holder.answerable_methods(ports, visited.challenge)
    if not methods:
        return visited.show(no_method_page(visited.challenge, visited.view))
    return await _show_method(visited, methods[0])


@get("/methods")
async def show_methods(
    request: AnyRequest, challenge_id: FromPath[ChallengeId], ports: NamedDependency[Ports]
) -> PageResponse:
    """Show every way to answer."""
    visited = await visit(request, ports, challenge_id)
    if visited.challenge.state is not ChallengeState.PENDING:
        return await _show_end(visited)
    return visited.show(MethodsPage(challenge=visited.view))


@get(["/code", "/passkey", "/recovery"])
async def show_method(
    request: AnyRequest, challenge_id: FromPath[ChallengeId], ports: NamedDependency[Ports]
) -> PageResponse:
    """Show one way to answer."""
    visited = await visit(request, ports, challenge_id)
    if visited.challenge.state is not ChallengeState.PENDING:
        return await _show_end(visited)
    leaf = request.url.path.rpartition("/")[2]
    method = {"code": Method.TOTP, "passkey": Method.WEBAUTHN}.get(leaf, Method.RECOVERY_CODE)
    if method not in holder.answerable_methods(ports, visited.challenge):
        return _show_unusable(visited, method)
    return await _show_method(visited, method)


@post("/code", status_code=200)
async def answer_with_code(
    request: AnyRequest,
    challenge_id: FromPath[ChallengeId],
    data: FormBody[CodeForm],
    ports: NamedDependency[Ports],
) -> PageResponse:
    """Answer with a code of an authenticator app."""
    visited = await visit(request, ports, challenge_id)
    holder.check_form_token(ports, challenge_id, visited.browser, data.form_token)
    return await _answer_typed(visited, Method.TOTP, answer.answer_with_code, data)


@post("/passkey", status_code=200)
async def answer_with_passkey(
    request: AnyRequest,
    challenge_id: FromPath[ChallengeId],
    data: FormBody[PasskeyForm],
    ports: NamedDependency[Ports],
) -> PageResponse:
    """Answer with a passkey."""
    visited = await visit(request, ports, challenge_id)
    holder.check_form_token(ports, challenge_id, visited.browser, data.form_token)
    if not data.credential:
        return see_other(challenge_path(challenge_id, "passkey"))
    credential = credential_of(data.credential)
    try:
        answered = await answer.answer_with_passkey(
            ports, challenge_id, visited.browser, credential, data.attempt
        )
    except CeremonyExpiredError:
        return visited.show(await _passkey_page(visited, error="expired"), UNPROCESSABLE)
    except VerificationFailedError as error:
        if error.tries_left == 0:
            return _show_unusable(visited, Method.WEBAUTHN, used_up=True)
        return await _show_refused(visited, credential, error.tries_left)
    except (ChallengeNotPendingError, MethodNotUsableError):
        return _back_to(challenge_id)
    return await _go_on(visited, answered)


@post("/recovery", status_code=200)
async def answer_with_recovery_code(
    request: AnyRequest,
    challenge_id: FromPath[ChallengeId],
    data: FormBody[CodeForm],
    ports: NamedDependency[Ports],
) -> PageResponse:
    """Answer with a recovery code, which is used up."""
    visited = await visit(request, ports, challenge_id)
    holder.check_form_token(ports, challenge_id, visited.browser, data.form_token)
    check = answer.answer_with_recovery_code
    return await _answer_typed(visited, Method.RECOVERY_CODE, check, data)


@post(["/cancel", "/report"], status_code=200)
async def cancel(
    request: AnyRequest,
    challenge_id: FromPath[ChallengeId],
    data: FormBody[PlainForm],
    ports: NamedDependency[Ports],
) -> PageResponse:
    """Leave without an answer: back to the client, or, when nobody asked for it, to a page."""
    visited = await visit(request, ports, challenge_id)
    holder.check_form_token(ports, challenge_id, visited.browser, data.form_token)
    reported = request.url.path.endswith("/report")
    try:
        outcome = await finish.cancel(ports, challenge_id, visited.browser, reported=reported)
    except ChallengeNotPendingError:
        return _back_to(challenge_id)
    if reported or outcome is None:
        return visited.show(_cancelled_page(visited, outcome, reported=reported))
    return visited.send(outcome)


@get("/consent")
async def show_consent(
    request: AnyRequest, challenge_id: FromPath[ChallengeId], ports: NamedDependency[Ports]
) -> PageResponse:
    """Ask for the subject's word, where nothing else is missing."""
    visited = await visit(request, ports, challenge_id)
    try:
        if not await arrive.may_agree(ports, visited.visitor, challenge_id):
            return _back_to(challenge_id)
    except ChallengeNotPendingError:
        return _back_to(challenge_id)
    page = ConsentPage(challenge=visited.view, action_url=challenge_path(challenge_id, "consent"))
    return visited.show(page)


@post("/consent", status_code=200)
async def agree(
    request: AnyRequest,
    challenge_id: FromPath[ChallengeId],
    data: FormBody[PlainForm],
    ports: NamedDependency[Ports],
) -> PageResponse:
    """Take the subject's word, and bring the code back."""
    visited = await visit(request, ports, challenge_id)
    holder.check_form_token(ports, challenge_id, visited.browser, data.form_token)
    try:
        agreed = await arrive.agree(ports, visited.visitor, challenge_id)
    except ChallengeNotPendingError:
        return _back_to(challenge_id)
    return visited.send(agreed) if isinstance(agreed, Answer) else _back_to(challenge_id)


def _back_to(challenge_id: ChallengeId) -> PageResponse:
    return see_other(challenge_path(challenge_id))


async def _go_on(visited: Visit, answered: Challenge) -> PageResponse:
    if answered.state is ChallengeState.PENDING:
        return _back_to(answered.id)
    session = await sessions.keep(visited.ports, visited.session, answered)
    cookies = session_cookies(visited.ports.site, session)
    passed = await finish.issue_code(visited.ports, answered.id, visited.browser)
    if passed.answer is None:
        return _back_to(answered.id)
    return visited.send(passed.answer, *cookies)


async def _show_method(visited: Visit, method: Method) -> PageResponse:
    if method is Method.WEBAUTHN:
        return visited.show(await _passkey_page(visited))
    return visited.show(_typing_page(visited, method))


async def _answer_typed(
    visited: Visit, method: Method, check: CheckCode, form: CodeForm
) -> PageResponse:
    if not form.code.strip():
        page = _typing_page(visited, method, error="missing")
        return visited.show(page, UNPROCESSABLE)
    challenge_id = visited.challenge.id
    try:
        answered = await check(
            visited.ports, challenge_id, visited.browser, form.code, form.attempt
        )
    except (VerificationFailedError, TooManyAttemptsError, OutcomeUnknownError) as error:
        return _explain(visited, method, error, form.attempt)
    except (ChallengeNotPendingError, MethodNotUsableError):
        return _back_to(challenge_id)
    return await _go_on(visited, answered)


def _explain(
    visited: Visit,
    method: Method,
    error: VerificationFailedError | TooManyAttemptsError | OutcomeUnknownError,
    attempt: AttemptId,
) -> PageResponse:
    """Say why a typed code was not accepted, and what to do now."""
    match error:
        case TooManyAttemptsError():
            kind = kind_of(method)
            locked = LockedPage(
                challenge=visited.view, kind=kind, opens_in=error.retry_after, exact=True
            )
            return visited.show(locked, _TOO_MANY)
        case OutcomeUnknownError():
            page = _typing_page(visited, method, error="unavailable")
            # The same attempt may be repeated and counts once; a new one would be another try.
            page = replace(page, challenge=replace(page.challenge, attempt=attempt))
            return visited.show(page, _UNAVAILABLE)
        case VerificationFailedError(tries_left=0):
            return _show_unusable(visited, method, used_up=True)
        case CodeTooEarlyError():
            page = replace(_code_page(visited, "too_early"), counts_in=error.retry_after)
            return visited.show(page, UNPROCESSABLE)
        case VerificationFailedError():
            page = _typing_page(visited, method, error="wrong")
            return visited.show(replace(page, tries_left=error.tries_left), UNPROCESSABLE)


async def _show_refused(
    visited: Visit, credential: dict[str, Any], tries_left: int | None
) -> PageResponse:
    unknown = await unknown_passkey(visited.ports, visited.challenge, credential)
    page = await _passkey_page(visited, error="refused" if unknown is None else "unknown")
    page = replace(page, tries_left=tries_left, unknown_credential_id=unknown)
    return visited.show(page, UNPROCESSABLE)


async def _passkey_page(visited: Visit, *, error: PasskeyError | None = None) -> PasskeyPage:
    challenge_id = visited.challenge.id
    ceremony = await answer.begin_passkey(visited.ports, challenge_id, visited.browser)
    return PasskeyPage(
        challenge=visited.view,
        action_url=challenge_path(challenge_id, "passkey"),
        options=ceremony.options,
        error=error,
    )


def _typing_page(
    visited: Visit, method: Method, *, error: CodeError | None = None
) -> CodePage | RecoveryPage:
    if method is Method.RECOVERY_CODE:
        return _recovery_page(visited, error)
    return _code_page(visited, error)


def _code_page(visited: Visit, error: CodeError | None) -> CodePage:
    apps = visited.challenge.authenticators_for(Method.TOTP)
    digits = {a.credential.digits for a in apps if isinstance(a.credential, TotpSecret)}
    return CodePage(
        challenge=visited.view,
        action_url=challenge_path(visited.challenge.id, "code"),
        target=apps[0].name if len(apps) == 1 else None,
        digits=max(digits, default=6),
        error=error,
    )


def _recovery_page(visited: Visit, error: CodeError | None) -> RecoveryPage:
    sets = visited.challenge.authenticators_for(Method.RECOVERY_CODE)
    left = sum(len(a.credential.digests) for a in sets if isinstance(a.credential, RecoveryCodes))
    return RecoveryPage(
        challenge=visited.view,
        action_url=challenge_path(visited.challenge.id, "recovery"),
        codes_left=left,
        error=error,
    )


def _show_unusable(visited: Visit, method: Method, *, used_up: bool = False) -> PageResponse:
    """Say why a method cannot be used, and offer the others where there are any."""
    if used_up or (
        method in visited.challenge.methods and not visited.challenge.tries_left(method)
    ):
        # A passkey cannot be guessed, so it is closed in this challenge only.
        opens_in = None if method is Method.WEBAUTHN else METHOD_PAUSE
        page = LockedPage(challenge=visited.view, kind=kind_of(method), opens_in=opens_in)
        return visited.show(page, _TOO_MANY)
    if not holder.answerable_methods(visited.ports, visited.challenge):
        return visited.show(no_method_page(visited.challenge, visited.view), UNPROCESSABLE)
    return _back_to(visited.challenge.id)


async def _show_end(visited: Visit) -> PageResponse:
    challenge = visited.challenge
    app_name = challenge.authorization.client_name
    match challenge.state:
        case ChallengeState.VERIFIED:
            passed = await finish.issue_code(visited.ports, challenge.id, visited.browser)
            if passed.answer is None:
                return visited.show(_already_done_page(visited))
            if passed.answer.target.response_mode is ResponseMode.FORM_POST:
                return visited.send(passed.answer)
            return visited.show(DonePage(app_name=app_name, continue_url=passed.answer.url))
        case ChallengeState.DENIED:
            cancelled = await finish.cancel(visited.ports, challenge.id, visited.browser)
            return visited.show(_cancelled_page(visited, cancelled))
        case _:
            return visited.show(_already_done_page(visited))


def _already_done_page(visited: Visit) -> AlreadyDonePage:
    challenge = visited.challenge
    return AlreadyDonePage(
        app_name=challenge.authorization.client_name, return_url=app_url(challenge)
    )


def _cancelled_page(
    visited: Visit, answered: Answer | None, *, reported: bool = False
) -> CancelledPage:
    page = CancelledPage(
        app_name=visited.challenge.authorization.client_name,
        reported=reported,
        account_url="/account",
    )
    if answered is None:
        return page
    if answered.target.response_mode is ResponseMode.FORM_POST:
        fields = tuple(answered.parameters.items())
        return replace(page, return_url=answered.target.redirect_uri, return_fields=fields)
    return replace(page, return_url=answered.url)


router = Router(
    path="/c/{challenge_id:str}",
    route_handlers=[
        show_challenge,
        show_methods,
        show_method,
        answer_with_code,
        answer_with_passkey,
        answer_with_recovery_code,
        cancel,
        show_consent,
        agree,
    ],
    # Pages are for browsers; the OpenAPI document is for programs.
    include_in_schema=False,
)
