"""`/v1/admin/subjects/{subject}/authenticators`: provision, list, remove."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Router, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from stepup.domain import admin_errors, errors
from stepup.domain.administrator import AdminAction, Administrator
from stepup.domain.authenticator import Authenticator
from stepup.domain.ids import AuthenticatorId, Subject
from stepup.http.admin.gate import administrators_only, performs
from stepup.http.json_body import read_kept_json
from stepup.http.openapi import ADMIN_SECURITY, admin_responses, reads_json
from stepup.ports import Ports
from stepup.usecases import provision

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


class ProvisionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An authenticator whose secret or public key somebody else made; `type` says which members."""

    type: Text
    name: str | None = None
    secret: Text | None = None
    algorithm: str | None = None
    digits: int | None = None
    period: int | None = None
    counter: int | None = None
    credential_id: Text | None = None
    public_key: Text | None = None
    sign_count: int | None = None
    transports: list[str] | None = None
    backup_eligible: bool | None = None
    backed_up: bool | None = None
    aaguid: str | None = None
    user_handle: str | None = None

    def __repr__(self) -> str:
        return f"ProvisionRequest({self.type}, ***)"


class AuthenticatorDocument(msgspec.Struct, frozen=True):
    """What may be seen of an authenticator: nothing secret."""

    id: AuthenticatorId
    type: str
    name: str
    created_at: datetime
    last_used_at: datetime | None


@post(
    "/",
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.SUBJECT_CHANGE),
    operation_class=reads_json(ProvisionRequest),
    responses=admin_responses(
        errors.AuthenticatorExistsError,
        errors.NotSupportedYetError,
        admin_errors.AdministratorProtectedError,
    ),
)
async def provision_authenticator(
    request: Request[Any, Any, Any],
    subject: FromPath[str],
    ports: NamedDependency[Ports],
    administrator: NamedDependency[Administrator],
    issuer: FromQuery[str | None] = None,
) -> AuthenticatorDocument:
    """Enroll an authenticator for a subject that does not administer."""
    described = await read_kept_json(request, ProvisionRequest)
    enrolled = await provision.provision(
        ports, _subject(ports, subject, issuer), msgspec.to_builtins(described), administrator
    )
    return _document(enrolled)


@get(
    "/",
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.SUBJECT_READ),
    responses=admin_responses(),
)
async def list_authenticators(
    subject: FromPath[str], ports: NamedDependency[Ports], issuer: FromQuery[str | None] = None
) -> dict[str, list[AuthenticatorDocument]]:
    """List a subject's authenticators, oldest first."""
    found = await provision.list_authenticators(ports, _subject(ports, subject, issuer))
    return {"authenticators": [_document(authenticator) for authenticator in found]}


@delete(
    "/{authenticator_id:str}",
    status_code=204,
    tags=["admin"],
    security=ADMIN_SECURITY,
    opt=performs(AdminAction.SUBJECT_CHANGE),
    responses=admin_responses(errors.AuthenticatorNotFoundError),
)
async def remove_authenticator(
    subject: FromPath[str],
    authenticator_id: FromPath[AuthenticatorId],
    ports: NamedDependency[Ports],
    administrator: NamedDependency[Administrator],
    issuer: FromQuery[str | None] = None,
) -> None:
    """Remove one of a subject's authenticators."""
    await provision.remove(ports, _subject(ports, subject, issuer), authenticator_id, administrator)


def _subject(ports: Ports, sub: str, issuer: str | None) -> Subject:
    return Subject(issuer or ports.site.subject_issuer, sub)


def _document(authenticator: Authenticator) -> AuthenticatorDocument:
    return AuthenticatorDocument(
        id=authenticator.id,
        type=authenticator.method.value,
        name=authenticator.name,
        created_at=authenticator.created_at,
        last_used_at=authenticator.last_used_at,
    )


router = Router(
    path="/v1/admin/subjects/{subject:str}/authenticators",
    route_handlers=[provision_authenticator, list_authenticators, remove_authenticator],
    guards=[administrators_only],
)
