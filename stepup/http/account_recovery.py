"""Recovery codes: made and shown once, and one of them burned to prove that they were kept."""

import msgspec
from litestar import Router, get, post
from litestar.di import NamedDependency, Provide

from stepup.domain.authenticator import RecoveryCodes
from stepup.domain.errors import (
    AuthenticatorNotFoundError,
    SessionNotFoundError,
    VerificationFailedError,
)
from stepup.http.account_pages import noticing
from stepup.http.account_session import (
    ACCOUNT,
    Visitor,
    provide_visitor,
    send_to_sign_in,
)
from stepup.http.page_forms import UNPROCESSABLE, FormBody, PageResponse, see_other
from stepup.pages.account import RecoveryCodesPage, RecoveryError, RecoveryIntroPage
from stepup.usecases import account, recovery

_PATH = f"{ACCOUNT}/recovery-codes"


class GenerateForm(msgspec.Struct, frozen=True):
    """The button that makes a new set."""

    form_token: str


class BurnForm(msgspec.Struct, frozen=True):
    """One of the new codes."""

    form_token: str
    code: str = ""


@get("/recovery-codes")
async def show_intro(visitor: NamedDependency[Visitor]) -> PageResponse:
    """Say what recovery codes are and offer to make them."""

    async def work() -> PageResponse:
        present = await recovery.prepare(visitor.ports, visitor.session)
        codes = present.credential if present else None
        left = len(codes.digests) if isinstance(codes, RecoveryCodes) else None
        page = RecoveryIntroPage(frame=visitor.frame, action_url=_PATH, left=left)
        return visitor.show(page)

    return await visitor.stepping_up(work())


@post("/recovery-codes", status_code=200)
async def generate(data: FormBody[GenerateForm], visitor: NamedDependency[Visitor]) -> PageResponse:
    """Make a new set and show it, this one time."""
    account.check_form_token(visitor.session, data.form_token)

    async def work() -> PageResponse:
        codes = await recovery.generate(visitor.ports, visitor.session)
        return visitor.show(_codes_page(visitor, codes))

    return await visitor.stepping_up(work())


@post("/recovery-codes/confirm", status_code=200)
async def confirm(data: FormBody[BurnForm], visitor: NamedDependency[Visitor]) -> PageResponse:
    """Burn one code; from then on the others can be used."""
    account.check_form_token(visitor.session, data.form_token)
    if not data.code.strip():
        return visitor.show(_codes_page(visitor, error="missing"), UNPROCESSABLE)
    try:
        await recovery.confirm(visitor.ports, visitor.session, data.code)
    except VerificationFailedError:
        return visitor.show(_codes_page(visitor, error="wrong"), UNPROCESSABLE)
    except AuthenticatorNotFoundError:
        return see_other(_PATH)
    return see_other(noticing(visitor, "recovery_ready", ""))


def _codes_page(
    visitor: Visitor, codes: tuple[str, ...] = (), *, error: RecoveryError | None = None
) -> RecoveryCodesPage:
    return RecoveryCodesPage(
        frame=visitor.frame,
        action_url=f"{_PATH}/confirm",
        codes=codes,
        restart_url=_PATH,
        error=error,
    )


router = Router(
    path=ACCOUNT,
    route_handlers=[show_intro, generate, confirm],
    dependencies={"visitor": Provide(provide_visitor)},
    exception_handlers={SessionNotFoundError: send_to_sign_in},
    # Pages are for browsers; the OpenAPI document is for programs.
    include_in_schema=False,
)
