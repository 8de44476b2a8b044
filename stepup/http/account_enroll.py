"""Adding an authenticator: an app by its QR code, or a passkey."""

import msgspec
from litestar import Response, Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath

from stepup.domain.errors import (
    AuthenticatorExistsError,
    EnrollmentNotFoundError,
    InvalidRequestError,
    SessionNotFoundError,
    VerificationFailedError,
    WrongClockError,
)
from stepup.http.account_pages import noticing
from stepup.http.account_session import (
    ACCOUNT,
    Visitor,
    provide_visitor,
    send_to_sign_in,
)
from stepup.http.page_forms import UNPROCESSABLE, FormBody, PageResponse, credential_of, see_other
from stepup.pages import qr
from stepup.pages.account import AddAppPage, AddPage, AddPasskeyPage, AppError, PasskeyError
from stepup.usecases import account, enroll

_APP = f"{ACCOUNT}/add/app"
_PASSKEY = f"{ACCOUNT}/add/passkey"


class AppForm(msgspec.Struct, frozen=True):
    """The app's first code, and a name for it."""

    form_token: str
    code: str = ""
    name: str = ""


class RegistrationForm(msgspec.Struct, frozen=True):
    """What the browser's authenticator answered, and a name for it.

    The answer is empty when the form was sent before the page's script was ready.
    """

    form_token: str
    ceremony_id: str
    credential: str = ""
    name: str = ""


@get("/add")
async def show_choice(visitor: NamedDependency[Visitor]) -> PageResponse:
    """Let the subject choose what to add."""
    return visitor.show(AddPage(frame=visitor.frame, passkey_url=_PASSKEY, app_url=_APP))


@get("/add/app")
async def begin_app(visitor: NamedDependency[Visitor]) -> PageResponse:
    """Make a new key and go on to the page that shows it, which can be reloaded."""

    async def work() -> PageResponse:
        offered = await enroll.begin_totp(visitor.ports, visitor.session)
        return see_other(f"{_APP}/{offered.enrollment_id}")

    return await visitor.stepping_up(work())


@get("/add/app/{enrollment_id:str}")
async def show_app(enrollment_id: FromPath[str], visitor: NamedDependency[Visitor]) -> PageResponse:
    """Show the new key and ask for the first code."""
    try:
        return visitor.show(await _app_page(visitor, enrollment_id))
    except EnrollmentNotFoundError:
        return see_other(_APP)


@get("/add/app/{enrollment_id:str}/qr.svg")
async def show_qr(
    enrollment_id: FromPath[str], visitor: NamedDependency[Visitor]
) -> Response[bytes]:
    """Draw the new key as a QR code."""
    offered = await enroll.find_totp(visitor.ports, visitor.session, enrollment_id)
    return Response(qr.svg(offered.uri), media_type="image/svg+xml")


@post("/add/app/{enrollment_id:str}", status_code=200)
async def confirm_app(
    enrollment_id: FromPath[str], data: FormBody[AppForm], visitor: NamedDependency[Visitor]
) -> PageResponse:
    """Enroll the app that showed its first code."""
    account.check_form_token(visitor.session, data.form_token)

    async def work() -> PageResponse:
        if not data.code.strip():
            page = await _app_page(visitor, enrollment_id, error="missing", name=data.name)
            return visitor.show(page, UNPROCESSABLE)
        try:
            enrolled = await enroll.confirm_totp(
                visitor.ports, visitor.session, enrollment_id, data.code, data.name.strip() or None
            )
        except VerificationFailedError as error:
            why: AppError = "clock" if isinstance(error, WrongClockError) else "wrong"
            page = await _app_page(visitor, enrollment_id, error=why, name=data.name)
            return visitor.show(page, UNPROCESSABLE)
        except EnrollmentNotFoundError:
            return see_other(_APP)
        return see_other(noticing(visitor, "added", enrolled.name))

    return await visitor.stepping_up(work())


@get("/add/passkey")
async def begin_passkey(visitor: NamedDependency[Visitor]) -> PageResponse:
    """Show the page that registers a passkey."""
    return await visitor.stepping_up(_show_registration(visitor))


@post("/add/passkey", status_code=200)
async def finish_passkey(
    data: FormBody[RegistrationForm], visitor: NamedDependency[Visitor]
) -> PageResponse:
    """Enroll the passkey that the browser made."""
    account.check_form_token(visitor.session, data.form_token)

    async def work() -> PageResponse:
        if not data.credential:
            return await _show_registration(visitor, data.name)
        try:
            enrolled = await enroll.finish_registration(
                visitor.ports,
                visitor.session,
                data.ceremony_id,
                credential_of(data.credential),
                data.name.strip() or None,
            )
        except AuthenticatorExistsError:
            return await _show_registration(visitor, data.name, error="exists")
        except EnrollmentNotFoundError:
            return await _show_registration(visitor, data.name, error="expired")
        except (VerificationFailedError, InvalidRequestError):
            return await _show_registration(visitor, data.name, error="wrong")
        return see_other(noticing(visitor, "added", enrolled.name))

    return await visitor.stepping_up(work())


async def _app_page(
    visitor: Visitor, enrollment_id: str, *, error: AppError | None = None, name: str = ""
) -> AddAppPage:
    offered = await enroll.find_totp(visitor.ports, visitor.session, enrollment_id)
    path = f"{_APP}/{enrollment_id}"
    return AddAppPage(
        frame=visitor.frame,
        action_url=path,
        qr_url=f"{path}/qr.svg",
        secret=offered.secret_text,
        setup_uri=offered.uri,
        default_name=name,
        error=error,
    )


async def _show_registration(
    visitor: Visitor, name: str = "", *, error: PasskeyError | None = None
) -> PageResponse:
    offered = await enroll.begin_registration(visitor.ports, visitor.session)
    page = AddPasskeyPage(
        frame=visitor.frame,
        action_url=_PASSKEY,
        ceremony_id=offered.enrollment_id,
        options=offered.options,
        default_name=name,
        error=error,
    )
    return visitor.show(page, 200 if error is None else UNPROCESSABLE)


router = Router(
    path=ACCOUNT,
    route_handlers=[
        show_choice,
        begin_app,
        show_app,
        show_qr,
        confirm_app,
        begin_passkey,
        finish_passkey,
    ],
    dependencies={"visitor": Provide(provide_visitor)},
    exception_handlers={SessionNotFoundError: send_to_sign_in},
    # Pages are for browsers; the OpenAPI document is for programs.
    include_in_schema=False,
)
