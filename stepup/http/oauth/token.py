"""`/oauth2/token`: a code or a refresh token becomes an elevated token (RFC 6749 section 3.2).

With the scope `openid` an ID token comes with it (OpenID Connect Core section 3.1.3.3).
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import msgspec
from litestar import Request, Router, post
from litestar.di import NamedDependency
from prometheus_client import Counter

from stepup.domain import authorization_errors, errors
from stepup.domain.client import Client
from stepup.domain.confirmation import Confirmation
from stepup.domain.errors import (
    InvalidAuthorizationDetailsError,
    InvalidTargetError,
    StepUpError,
    UnsupportedGrantTypeError,
)
from stepup.domain.ids import AttemptId
from stepup.domain.token import ElevatedToken
from stepup.http.attempts import attempt_of, names_its_attempt
from stepup.http.caller import lets_public_clients_in
from stepup.http.form import Form
from stepup.http.oauth import client_credentials
from stepup.http.openapi import CLIENT_SECURITY, oauth_responses, reads_form
from stepup.http.request_log import request_log
from stepup.ports import Ports
from stepup.telemetry import redemptions_total, refreshes_total, tokens_minted_total
from stepup.usecases import redeem, refresh_tokens
from stepup.usecases.make_token import Issued


class TokenResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 6749 section 5.1, with the granted details of RFC 9396 section 7."""

    access_token: str
    expires_in: int
    # Members with a default would be left out; this one is required.
    token_type: str
    scope: str | None = None
    id_token: str | None = None
    refresh_token: str | None = None
    # So that nobody needs to look into the access token, which is none of a client's business
    # (RFC 9470 section 2).
    acr: str | None = None
    txn: str | None = None
    authorization_details: list[dict[str, object]] | None = None

    def __repr__(self) -> str:
        return "TokenResponse(***)"


@post(
    "/oauth2/token",
    status_code=200,
    tags=["oauth"],
    opt=lets_public_clients_in(),
    security=CLIENT_SECURITY,
    operation_class=reads_form(
        ("grant_type",),
        ("code", "redirect_uri", "code_verifier", "refresh_token", "scope", "resource"),
        takes_proof=True,
    ),
    responses=oauth_responses(
        errors.InvalidGrantError,
        errors.ClientNotAllowedError,
        errors.UnsupportedGrantTypeError,
        errors.InvalidScopeError,
        errors.InvalidTargetError,
        errors.InvalidAuthorizationDetailsError,
        errors.OutcomeUnknownError,
        authorization_errors.InvalidDpopProofError,
        authorization_errors.UseDpopNonceError,
    ),
)
async def token(
    request: Request[Any, Any, Any],
    form: NamedDependency[Form],
    form_caller: NamedDependency[Client],
    ports: NamedDependency[Ports],
    proof: NamedDependency[Confirmation | None],
) -> TokenResponse:
    """Use a code or a refresh token, once; the same `Idempotency-Key` gets the same tokens again."""
    grant_type = form.need("grant_type")
    if grant_type not in {client_credentials.GRANT, *_GRANTS}:
        raise UnsupportedGrantTypeError
    if "authorization_details" in form:
        # RFC 9396 section 6 has them narrow what was granted; one action is no set to narrow.
        raise InvalidAuthorizationDetailsError
    if grant_type == client_credentials.GRANT:
        asked = client_credentials.Asked(form.get("scope"), _resource(form), proof)
        return TokenResponse(**await client_credentials.granted(ports, form_caller, asked))
    give, counter = _GRANTS[grant_type]
    try:
        issued = await give(_Asked(request, form, form_caller, proof), ports)
    except StepUpError as error:
        counter.labels(outcome=_outcome(error)).inc()
        raise
    counter.labels(outcome="repeated" if issued.repeated else "granted").inc()
    tokens_minted_total.labels(kid=issued.key_id, acr=issued.token.acr).inc()
    log = request_log(request)
    log.subject = issued.token.subject.id
    log.action = issued.token.action
    return _response(issued)


class _Asked(NamedTuple):
    """A request for tokens: what it says, who sent it, and the key that was proved with it."""

    request: Request[Any, Any, Any]
    form: Form
    caller: Client
    proof: Confirmation | None

    @property
    def is_named(self) -> bool:
        """Say whether the caller knows the name of its attempt, and may come again with it."""
        return names_its_attempt(self.request)

    def attempt(self, ports: Ports) -> AttemptId:
        """Name the attempt; who asks for something else makes another one.

        So no key gets the token of another, and no scope that of another.
        """
        named = attempt_of(self.request, ports, self.caller)
        scope, proof = self.form.get("scope"), self.proof
        if proof is None and scope is None:
            return named
        # Each at its place: no scope can be written that is somebody's key.
        key = "-" if proof is None else proof.jkt or proof.x5t_s256
        return AttemptId(f"{named} {key} {scope or ''}")


async def _redeemed(asked: _Asked, ports: Ports) -> Issued:
    form = asked.form
    grant = redeem.CodeGrant(
        code=form.need("code"),
        redirect_uri=form.get("redirect_uri"),
        code_verifier=form.get("code_verifier"),
        resource=_resource(form),
        proof=asked.proof,
    )
    if not asked.is_named:
        return await redeem.redeem_unnamed(ports, asked.caller, grant)
    return await redeem.redeem(ports, asked.caller, grant, asked.attempt(ports))


async def _refreshed(asked: _Asked, ports: Ports) -> Issued:
    form = asked.form
    request = refresh_tokens.RefreshRequest(
        refresh_token=form.need("refresh_token"),
        scope=form.get("scope"),
        resource=_resource(form),
        proof=asked.proof,
    )
    if not asked.is_named:
        return await refresh_tokens.refresh_unnamed(ports, asked.caller, request)
    return await refresh_tokens.refresh(ports, asked.caller, request, asked.attempt(ports))


_GRANTS: Mapping[str, tuple[Callable[[_Asked, Ports], Awaitable[Issued]], Counter]] = {
    "authorization_code": (_redeemed, redemptions_total),
    "refresh_token": (_refreshed, refreshes_total),
}


def _resource(form: Form) -> str | None:
    """Read the resource, which some clients call the audience (RFC 8693 section 2.1).

    Raises:
        InvalidTargetError: If it has both names, and they differ.
    """
    resource, audience = form.get("resource"), form.get("audience")
    if resource is not None and audience not in {None, resource}:
        raise InvalidTargetError("resource and audience name two recipients.")
    return resource or audience


def _response(issued: Issued) -> TokenResponse:
    token = issued.token
    return TokenResponse(
        access_token=issued.text,
        expires_in=issued.expires_in,
        token_type=token.token_type,
        scope=token.scope,
        id_token=issued.id_token,
        refresh_token=issued.refresh_token,
        acr=token.acr,
        txn=token.txn,
        authorization_details=_details(token),
    )


def _outcome(error: StepUpError) -> str:
    match error:
        case errors.CodeReplayedError() | errors.RefreshReplayedError():
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
