"""The account pages: what a subject has, and renaming and removing it."""

from collections.abc import Sequence
from typing import cast
from urllib.parse import urlencode

import msgspec
from litestar import Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath

from stepup.domain.assurance import Method
from stepup.domain.authenticator import Authenticator, RecoveryCodes, WebAuthnCredential
from stepup.domain.errors import InvalidRequestError, LastAuthenticatorError, SessionNotFoundError
from stepup.domain.ids import AuthenticatorId
from stepup.http.account_session import (
    ACCOUNT,
    Visitor,
    provide_visitor,
    send_to_sign_in,
)
from stepup.http.form import read_query
from stepup.http.page_forms import UNPROCESSABLE, AnyRequest, FormBody, PageResponse, see_other
from stepup.pages.account import (
    AccountPage,
    AuthenticatorCard,
    AuthenticatorKind,
    Badge,
    Notice,
    RecoveryCard,
    RemovePage,
    RenameError,
    RenamePage,
)
from stepup.pages.display import plain
from stepup.usecases import account, look_after
from stepup.usecases.account_guard import authenticators_of

_NOTICES = frozenset({"added", "renamed", "removed", "recovery_ready", "confirmed"})
_CONFLICT = 409
# What a subject may choose, and a number after it.
_LONGEST_NAME = 72


class RenameForm(msgspec.Struct, frozen=True):
    """A new name."""

    form_token: str
    name: str = ""


class RemoveForm(msgspec.Struct, frozen=True):
    """The button under the page that names the consequence; `accepted` says which one it named."""

    form_token: str
    accepted: str = ""


@get("/")
async def show_account(request: AnyRequest, visitor: NamedDependency[Visitor]) -> PageResponse:
    """List the subject's authenticators."""
    enrolled = await authenticators_of(visitor.ports, visitor.session)
    notice, name = _noticed(request, visitor)
    page = AccountPage(
        frame=visitor.frame,
        authenticators=tuple(_card(a) for a in enrolled if a.method is not Method.RECOVERY_CODE),
        recovery=_recovery_card(enrolled),
        add_passkey_url=f"{ACCOUNT}/add/passkey",
        add_app_url=f"{ACCOUNT}/add/app",
        notice=notice,
        notice_name=name,
        accepted_passkeys=account.accepted_passkeys(visitor.ports, visitor.session, enrolled),
    )
    return visitor.show(page)


@get("/authenticators/{authenticator_id:str}/rename")
async def show_rename(
    authenticator_id: FromPath[AuthenticatorId], visitor: NamedDependency[Visitor]
) -> PageResponse:
    """Ask for another name."""

    async def work() -> PageResponse:
        found = await look_after.prepare_rename(visitor.ports, visitor.session, authenticator_id)
        page = RenamePage(frame=visitor.frame, action_url=visitor.path, name=found.name)
        return visitor.show(page)

    return await visitor.stepping_up(work())


@post("/authenticators/{authenticator_id:str}/rename", status_code=200)
async def rename(
    authenticator_id: FromPath[AuthenticatorId],
    data: FormBody[RenameForm],
    visitor: NamedDependency[Visitor],
) -> PageResponse:
    """Give an authenticator another name."""
    account.check_form_token(visitor.session, data.form_token)

    async def work() -> PageResponse:
        try:
            name = await look_after.rename(
                visitor.ports, visitor.session, authenticator_id, data.name
            )
        except InvalidRequestError:
            error: RenameError = "too_long" if data.name.strip() else "missing"
            page = RenamePage(
                frame=visitor.frame, action_url=visitor.path, name=data.name, error=error
            )
            return visitor.show(page, UNPROCESSABLE)
        return see_other(noticing(visitor, "renamed", name))

    return await visitor.stepping_up(work())


@get("/authenticators/{authenticator_id:str}/remove")
async def show_removal(
    authenticator_id: FromPath[AuthenticatorId], visitor: NamedDependency[Visitor]
) -> PageResponse:
    """Say what removing an authenticator means."""
    return await visitor.stepping_up(_removal_page(visitor, authenticator_id))


@post("/authenticators/{authenticator_id:str}/remove", status_code=200)
async def remove(
    authenticator_id: FromPath[AuthenticatorId],
    data: FormBody[RemoveForm],
    visitor: NamedDependency[Visitor],
) -> PageResponse:
    """Remove an authenticator; the page before has named the consequence."""
    account.check_form_token(visitor.session, data.form_token)

    async def work() -> PageResponse:
        accepted = data.accepted == "last"
        try:
            name = await look_after.remove(
                visitor.ports, visitor.session, authenticator_id, consequence_accepted=accepted
            )
        except LastAuthenticatorError:
            # It became the last one after the page was shown, which did not say so.
            return await _removal_page(visitor, authenticator_id, _CONFLICT)
        return see_other(noticing(visitor, "removed", name))

    return await visitor.stepping_up(work())


async def _removal_page(
    visitor: Visitor, authenticator_id: AuthenticatorId, status: int = 200
) -> PageResponse:
    removal = await look_after.prepare_removal(visitor.ports, visitor.session, authenticator_id)
    leaving = removal.authenticator
    page = RemovePage(
        frame=visitor.frame,
        action_url=visitor.path,
        name=leaving.name,
        kind=_kind(leaving),
        last=removal.is_last,
    )
    return visitor.show(page, status)


def noticing(visitor: Visitor, notice: Notice, name: str) -> str:
    """Return the list's address with word of what was just done."""
    proof = account.notice_proof(visitor.session, notice, name)
    return f"{ACCOUNT}?{urlencode({'notice': notice, 'name': name, 'proof': proof})}"


def _noticed(request: AnyRequest, visitor: Visitor) -> tuple[Notice | None, str]:
    """Read what `noticing` said; a link from anywhere else must not speak in our voice."""
    query = read_query(request)
    notice, name = query.get("notice", ""), query.get("name", "")
    known = notice in _NOTICES
    if not known or not account.is_own_notice(
        visitor.session, notice, name, query.get("proof", "")
    ):
        return None, ""
    return cast("Notice", notice), plain(name, _LONGEST_NAME)


def _card(authenticator: Authenticator) -> AuthenticatorCard:
    path = f"{ACCOUNT}/authenticators/{authenticator.id}"
    return AuthenticatorCard(
        name=authenticator.name,
        kind=_kind(authenticator),
        created_at=authenticator.created_at,
        last_used_at=authenticator.last_used_at,
        badge=_badge(authenticator),
        rename_url=f"{path}/rename",
        remove_url=f"{path}/remove",
    )


def _kind(authenticator: Authenticator) -> AuthenticatorKind:
    return "webauthn" if authenticator.method is Method.WEBAUTHN else "totp"


def _badge(authenticator: Authenticator) -> Badge | None:
    credential = authenticator.credential
    if not isinstance(credential, WebAuthnCredential):
        return None
    if credential.backup_eligible:
        return "synced"
    return "device" if "internal" in credential.transports else "security_key"


def _recovery_card(enrolled: Sequence[Authenticator]) -> RecoveryCard:
    url = f"{ACCOUNT}/recovery-codes"
    for authenticator in enrolled:
        credential = authenticator.credential
        if isinstance(credential, RecoveryCodes):
            return RecoveryCard(
                url=url, left=len(credential.digests), confirmed=credential.confirmed
            )
    return RecoveryCard(url=url)


router = Router(
    path=ACCOUNT,
    route_handlers=[show_account, show_rename, rename, show_removal, remove],
    dependencies={"visitor": Provide(provide_visitor)},
    exception_handlers={SessionNotFoundError: send_to_sign_in},
    # Pages are for browsers; the OpenAPI document is for programs.
    include_in_schema=False,
)
