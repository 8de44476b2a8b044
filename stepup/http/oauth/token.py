"""`/oauth2/token`: a code becomes an elevated token (RFC 6749 section 4.1.3)."""

from typing import Any

import msgspec
from litestar import Request, Router, post
from litestar.di import NamedDependency

from stepup.domain import errors
from stepup.domain.client import Client
from stepup.domain.errors import StepUpError, UnsupportedGrantTypeError
from stepup.domain.token import ElevatedToken
from stepup.http.attempts import attempt_of, names_its_attempt
from stepup.http.form import Form
from stepup.http.oauth.unsupported import check_no_proof
from stepup.http.openapi import CLIENT_SECURITY, oauth_responses, reads_form
from stepup.http.request_log import request_log
from stepup.ports import Ports
from stepup.telemetry import redemptions_total, tokens_minted_total
from stepup.usecases import redeem


class TokenResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 6749 section 5.1, with the granted details of RFC 9396 section 7."""

    access_token: str
    expires_in: int
    # Members with a default would be left out; this one is required.
    token_type: str
    scope: str | None = None
    authorization_details: list[dict[str, object]] | None = None

    def __repr__(self) -> str:
        return "TokenResponse(***)"


@post(
    "/oauth2/token",
    status_code=200,
    tags=["oauth"],
    security=CLIENT_SECURITY,
    operation_class=reads_form(("grant_type", "code"), ("redirect_uri", "code_verifier")),
    responses=oauth_responses(
        errors.InvalidGrantError,
        errors.ClientNotAllowedError,
        errors.UnsupportedGrantTypeError,
        errors.OutcomeUnknownError,
    ),
)
async def token(
    request: Request[Any, Any, Any],
    form: NamedDependency[Form],
    form_caller: NamedDependency[Client],
    ports: NamedDependency[Ports],
) -> TokenResponse:
    """Redeem a code, once; the same `Idempotency-Key` gets the same token again."""
    check_no_proof(request)
    if form.need("grant_type") != "authorization_code":
        raise UnsupportedGrantTypeError
    try:
        issued = await _redeemed(request, form, form_caller, ports)
    except StepUpError as error:
        redemptions_total.labels(outcome=_outcome(error)).inc()
        raise
    redemptions_total.labels(outcome="repeated" if issued.repeated else "granted").inc()
    tokens_minted_total.labels(kid=issued.key_id, acr=issued.token.acr).inc()
    log = request_log(request)
    log.subject = issued.token.subject.id
    log.action = issued.token.action
    return TokenResponse(
        access_token=issued.text,
        expires_in=issued.expires_in,
        token_type="Bearer",  # noqa: S106  the name of a scheme
        scope=issued.token.scope,
        authorization_details=_details(issued.token),
    )


async def _redeemed(
    request: Request[Any, Any, Any], form: Form, caller: Client, ports: Ports
) -> redeem.Issued:
    code, redirect_uri = form.need("code"), form.get("redirect_uri")
    verifier = form.get("code_verifier")
    if not names_its_attempt(request):
        return await redeem.redeem_unnamed(
            ports, caller, code, redirect_uri=redirect_uri, code_verifier=verifier
        )
    attempt = attempt_of(request, ports, caller)
    return await redeem.redeem(
        ports, caller, code, attempt, redirect_uri=redirect_uri, code_verifier=verifier
    )


def _outcome(error: StepUpError) -> str:
    match error:
        case errors.CodeReplayedError():
            return "replayed"
        case errors.OutcomeUnknownError() | errors.DependencyUnavailableError():
            return "unknown"
        case _:
            return "refused"


def _details(issued: ElevatedToken) -> list[dict[str, object]] | None:
    if issued.action is None:
        return None
    detail: dict[str, object] = {"type": "stepup_action", "action": issued.action}
    if issued.bound_digest is not None:
        detail["bound_digest"] = issued.bound_digest
    if issued.once:
        detail["once"] = True
    return [detail]


router = Router(path="/", route_handlers=[token])
