"""A person at the administrators' gate, with an elevated token of our own.

The token is checked as any service would check it, and whether it is good enough is decided by our
own policy: a guardrail of a document that raises `stepup.admin.*` holds here like anywhere.
"""

from datetime import datetime

from stepup.crypto import tokens
from stepup.crypto.tokens import ReadToken
from stepup.domain.admin_errors import (
    InsufficientScopeError,
    InsufficientUserAuthenticationError,
    TokenRefusedError,
)
from stepup.domain.administrator import AdminAction, Administrator
from stepup.domain.client import Client, Role
from stepup.domain.confirmation import Possession
from stepup.domain.decision import Deny, StepUp
from stepup.domain.decision_request import DecisionRequest
from stepup.domain.errors import (
    ActionDeniedError,
    TokenAlreadyConsumedError,
    TokenNotConsumableError,
)
from stepup.domain.ids import ActionName, AttemptId, ClientId
from stepup.domain.recorded_decision import Decided
from stepup.domain.site import Site
from stepup.domain.token import ElevatedToken
from stepup.ports import Ports
from stepup.usecases.consume import Expected, consume
from stepup.usecases.degradation import decide_now
from stepup.usecases.record import record
from stepup.usecases.token_state import find_state

ADMIN_PATH = "/v1/admin"
ADMIN_CLIENT_ID = ClientId("stepup-admin")


def admin_audience(site: Site) -> str:
    """Return the audience of tokens for the administrators' API."""
    return site.url(ADMIN_PATH)


async def find_person(
    ports: Ports, text: str, action: AdminAction, possession: Possession
) -> Administrator:
    """Return the administrator whose elevated token this is; a once-only one is used up.

    Raises:
        TokenRefusedError: If the token is not valid, was revoked or used, or is for somebody else,
            or is bound to a key that was not proved.
        InsufficientScopeError: If the subject does not administer, or may not do this.
        InsufficientUserAuthenticationError: If the token is too weak, too old, or for another act.
        ActionDeniedError: If the policy denies it to anybody.
    """
    now = ports.clock.now()
    try:
        read = tokens.read(text, ports.snapshot.keyring, ports.site, now)
    except tokens.InvalidTokenError:
        raise TokenRefusedError from None
    # A token that a service was given for itself must not open anything when it comes on to us.
    if read.token.audience != admin_audience(ports.site) or (await find_state(ports, read)).is_over:
        raise TokenRefusedError
    if not possession.covers(read.token.confirmation):
        raise TokenRefusedError("The token is bound to another key, or shown as what it is not.")
    async with ports.database.transaction() as stores:
        appointment = await stores.administrators.find(read.token.subject)
    if appointment is None or action.scope not in appointment.scopes:
        raise InsufficientScopeError(action.scope)
    _decide(ports, read.token, action, now)
    if read.token.once:
        await _use_up(ports, text, read)
    return appointment.administrator


def _decide(ports: Ports, token: ElevatedToken, action: AdminAction, now: datetime) -> None:
    request = DecisionRequest(
        subject_type="user",
        subject_id=token.subject.sub,
        action=ActionName(action),
        resource_type="stepup",
        resource_id="admin",
    )
    is_for_this = _is_for(token, action)
    policy, approval = ports.snapshot.policy, token.approval if is_for_this else None
    decision = decide_now(ports, policy, request, approval, now)
    decided = Decided(
        at=now,
        client_id=ADMIN_CLIENT_ID,
        subject=token.subject,
        policy=policy,
        request=request,
        approval=approval,
        decision=decision,
    )
    record(ports, decided)
    if isinstance(decision, Deny):
        raise ActionDeniedError
    if isinstance(decision, StepUp):
        raise InsufficientUserAuthenticationError(
            request.action,
            decision.requirement,
            None if is_for_this else "The token was approved for something else.",
        )
    if not is_for_this:
        raise TokenRefusedError


def _is_for(token: ElevatedToken, action: AdminAction) -> bool:
    # Nobody who agreed to look at something has agreed to change it. Whoever agreed to change
    # something may look.
    good_for = set(AdminAction) if action.only_reads else {action}
    return token.action in {str(each) for each in good_for}


async def _use_up(ports: Ports, text: str, read: ReadToken) -> None:
    ourselves = Client(
        client_id=ADMIN_CLIENT_ID,
        name=ports.site.rp_name,
        roles=frozenset({Role.RS}),
        audiences=(read.token.audience,),
    )
    attempt = AttemptId(ports.entropy.token(16))
    try:
        await consume(ports, ourselves, text, attempt, Expected(action=read.token.action))
    except (TokenAlreadyConsumedError, TokenNotConsumableError) as error:
        raise TokenRefusedError from error
