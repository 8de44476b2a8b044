"""Decide whether an authentication is good enough for an action, and sign what would lift a denial.

A request may ask for many decisions (AuthZEN's batches and searches). All of them are made in one
sitting: by one policy version, as of one moment.
"""

from datetime import datetime

import msgspec

from stepup.crypto import digests, tickets
from stepup.domain.assurance import Amr, Approval, AuthnContext, Method
from stepup.domain.authorization import TICKET_LIFETIME, Purpose, Ticket
from stepup.domain.binding import bound_digest
from stepup.domain.client import Client, Role
from stepup.domain.decision import Allow, Decision, Deny, DenyReason, StepUp
from stepup.domain.decision_request import DecisionRequest
from stepup.domain.directory import ISSUER
from stepup.domain.errors import ClientNotAllowedError, InvalidRequestError
from stepup.domain.ids import ActionName, DecisionId, Subject
from stepup.domain.keyring import Keyring
from stepup.domain.obligation import ObligationType
from stepup.domain.policy import Action, Policy
from stepup.domain.recorded_decision import Decided
from stepup.domain.ways import amr_values_of, methods_of
from stepup.ports import Ports
from stepup.usecases.degradation import decide_now
from stepup.usecases.presented import Presented, find_presented
from stepup.usecases.record import record
from stepup.usecases.shadow import watch
from stepup.usecases.token_state import require_known_for

_TICKET_PURPOSE = "ticket"


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller wants to know.

    `elevated_token` is one of our tokens that the subject holds already; `asserted` is an
    authentication that a client reports, believed only of clients that may. `obligations` are
    those that the caller can comply with; None when it did not say.
    """

    request: DecisionRequest
    subject_issuer: str | None = None
    elevated_token: str | None = None
    asserted: AuthnContext | None = None
    obligations: frozenset[ObligationType] | None = None

    def can_comply_with(self, obligation: ObligationType) -> bool:
        """Say whether the caller may be obliged to this; whoever says nothing may be."""
        return self.obligations is None or obligation in self.obligations


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A decision, and with a step-up what it takes: the ticket, and what can reach the level.

    `request` is what was decided on, completed with what the policy knows; `approval` is the
    authentication that was at hand; `id` names the decision, unless it was only
    weighed. `methods` can have a part in it; `amr_values` are what every way to it will show.
    `is_named` when the policy names the action. `must_consume` when the allowance rests on a
    once-only token, which the caller has to use up.
    """

    decision: Decision
    request: DecisionRequest
    subject: Subject
    is_named: bool
    approval: Approval | None = None
    id: DecisionId | None = None
    ticket: str | None = None
    methods: tuple[Method, ...] = ()
    amr_values: tuple[Amr, ...] = ()
    must_consume: bool = False


class Sitting(msgspec.Struct, kw_only=True):
    """What all decisions of one request share; a token that several of them bring is read once."""

    caller: Client
    policy: Policy
    now: datetime
    presented: dict[str, Presented | None] = {}


async def decide(ports: Ports, caller: Client, question: Question) -> Answer:
    """Decide, and make the ticket when a step-up would lift the denial.

    Raises:
        ClientNotAllowedError: If the caller may not ask for decisions.
        DependencyUnavailableError: If the action wants no answer while a dependency is away, or is
            critical and nobody knows whether the token was revoked.
    """
    return await decide_in(ports, open_sitting(ports, caller), question)


def open_sitting(ports: Ports, caller: Client) -> Sitting:
    """Fix who asks, the policy version and the moment for all decisions of one request.

    Raises:
        ClientNotAllowedError: If the caller may not ask for decisions.
    """
    if not caller.may(Role.PEP):
        raise ClientNotAllowedError
    return Sitting(caller=caller, policy=ports.snapshot.policy, now=ports.clock.now())


async def decide_in(ports: Ports, sitting: Sitting, question: Question) -> Answer:
    """Decide as one of a request's decisions, make the ticket when it needs one, and record it."""
    answer = await decide_once(ports, sitting, question)
    if not isinstance(answer.decision, StepUp):
        return answer
    asked = _ticket(ports, sitting, answer.subject, question.request.action, answer.decision)
    ticket = tickets.sign_ticket(asked, ticket_key(ports.snapshot.keyring))
    return msgspec.structs.replace(answer, ticket=ticket)


async def decide_once(ports: Ports, sitting: Sitting, question: Question) -> Answer:
    """Decide and record it, for a request that needs no ticket to come back with."""
    answer = await weigh(ports, sitting, question)
    decided = Decided(
        at=sitting.now,
        client_id=sitting.caller.client_id,
        subject=answer.subject,
        policy=sitting.policy,
        request=answer.request,
        approval=answer.approval,
        decision=answer.decision,
        sent=of_subject(ports, question.request, answer.subject),
    )
    name = record(ports, decided)
    watch(ports, decided, name)
    return msgspec.structs.replace(answer, id=name)


async def weigh(ports: Ports, sitting: Sitting, question: Question) -> Answer:
    """Find out what would be decided; no ticket and no record is made, so nothing comes of it."""
    policy, action = sitting.policy, question.request.action
    subject = subject_of(
        ports, sitting.caller, question.request.subject_id, question.subject_issuer
    )
    request = policy.directory.completed(of_subject(ports, question.request, subject))
    approval, is_certain = await _approval(ports, sitting, question, subject)
    decision = decide_now(ports, policy, request, approval, sitting.now, is_certain=is_certain)
    is_named = action in policy.actions
    if isinstance(decision, StepUp):
        level = policy.ladder.get(decision.requirement.acr)
        return Answer(
            decision=decision,
            request=request,
            subject=subject,
            is_named=is_named,
            approval=approval,
            methods=methods_of(level, decision.requirement),
            amr_values=amr_values_of(level, decision.requirement),
        )
    must_consume = approval is not None and approval.once and isinstance(decision, Allow)
    if must_consume and not question.can_comply_with(ObligationType.CONSUME):
        # Allowed, it would act as often as it likes with a token that is good for once.
        decision = Deny(reason=DenyReason.OBLIGATION_NOT_SUPPORTED, basis=decision.basis)
        must_consume = False
    return Answer(
        decision=decision,
        request=request,
        subject=subject,
        is_named=is_named,
        approval=approval,
        must_consume=must_consume,
    )


def subject_of(ports: Ports, caller: Client, sub: str, issuer: str | None) -> Subject:
    """Complete a bare subject identifier with the issuer it belongs to.

    Raises:
        InvalidRequestError: If the issuer is none of ours, or not the one whose subjects this
            client may speak of.
    """
    chosen = issuer or caller.subject_issuer or ports.site.subject_issuer
    if chosen not in ports.site.subject_issuers or caller.subject_issuer not in {None, chosen}:
        raise InvalidRequestError("The subject's issuer is not one of this client's.")
    return Subject(chosen, sub)


def of_subject(ports: Ports, request: DecisionRequest, subject: Subject) -> DecisionRequest:
    """Say in a request whose its subject is, unless it is the deployment's own."""
    if subject.issuer == ports.site.subject_issuer:
        return request
    # Rules see it whether the caller says it or not: `subject.id` alone is no name.
    told = {**request.subject, ISSUER: subject.issuer}
    return msgspec.structs.replace(request, subject_issuer=subject.issuer, subject=told)


def general_purpose(ports: Ports, action: Action) -> Purpose:
    """Name an action as a purpose that binds no values."""
    return Purpose(
        action=action.name,
        title=action.title,
        bound_digest=bound_digest(action.name, {}),
        policy_version=ports.snapshot.policy.version,
    )


def purpose_of(policy: Policy, action: ActionName, decision: StepUp) -> Purpose:
    """Say what a step-up is for: the action, and the values that it binds and shows."""
    # None when no document names it; such an action has no title either.
    catalogued = policy.actions.get(action)
    return Purpose(
        action=action,
        title=catalogued.title if catalogued else {},
        bound=decision.bound,
        bound_digest=bound_digest(action, decision.bound),
        displayed=decision.displayed,
        policy_version=decision.basis.policy_version,
    )


def ticket_key(keyring: Keyring) -> bytes:
    """Return the key that tickets are signed with; only we read them."""
    return digests.derive(keyring.root, _TICKET_PURPOSE)


def _ticket(
    ports: Ports, sitting: Sitting, subject: Subject, action: ActionName, decision: StepUp
) -> Ticket:
    return Ticket(
        id=ports.entropy.token(16),
        client_id=sitting.caller.client_id,
        subject=subject,
        requirement=decision.requirement,
        purpose=purpose_of(sitting.policy, action, decision),
        issued_at=sitting.now,
        expires_at=sitting.now + TICKET_LIFETIME,
    )


async def _approval(
    ports: Ports, sitting: Sitting, question: Question, subject: Subject
) -> tuple[Approval | None, bool]:
    token = question.elevated_token
    if token is not None:
        if token not in sitting.presented:
            sitting.presented[token] = await find_presented(
                ports, sitting.caller, token, sitting.now
            )
        presented = sitting.presented[token]
        # A token of somebody else approves nothing.
        if presented is None or presented.subject != subject:
            return None, True
        if presented.age is None:
            return presented.approval, True
        action = sitting.policy.find(question.request.action)
        # Whatever the token was made for: it is this action that it would allow.
        require_known_for(presented.age, critical=action is not None and action.critical)
        return presented.approval, False
    if question.asserted is not None and sitting.caller.asserts_authentication:
        return Approval(context=question.asserted), True
    return None, True
