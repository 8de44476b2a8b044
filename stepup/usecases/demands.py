"""What a checked request asks of its subject, once that is known: a level, and what it is for.

A ticket is a decision already, and `authorization_details` make one here. Without either the client
asks for a level alone.
"""

from datetime import timedelta

import msgspec

from stepup.crypto.tokens import subject_of_token
from stepup.domain.action_details import ActionDetails, check_declared
from stepup.domain.assurance import Acr, Ladder
from stepup.domain.authorization import Authorization, Purpose, Ticket
from stepup.domain.authorization_errors import LoginRequiredError
from stepup.domain.binding import Value, bound_digest
from stepup.domain.checked_request import CheckedRequest
from stepup.domain.client import Client
from stepup.domain.decision import Allow, Deny, DenyReason, ask_least
from stepup.domain.errors import (
    ActionDeniedError,
    InvalidAuthorizationDetailsError,
    InvalidSubjectTokenError,
    StepUpError,
    UnmetRequirementError,
)
from stepup.domain.ids import ActionName, Subject
from stepup.domain.requirement import Requirement
from stepup.domain.site import Site
from stepup.ports import Ports
from stepup.usecases import decide
from stepup.usecases.audiences import audience_for
from stepup.usecases.requests import known_levels, refusing

# What the details lack, no authentication makes up for.
_FAULTS_OF_THE_DETAILS = frozenset(
    {
        DenyReason.UNKNOWN_ACTION,
        DenyReason.MISSING_BOUND_ATTRIBUTE,
        DenyReason.INVALID_ATTRIBUTE,
    }
)


class _Demand(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked; `acr_values` are the levels that would do, best first, when several would."""

    requirement: Requirement
    purpose: Purpose | None = None
    acr_values: tuple[Acr, ...] = ()


async def authorization_for(
    ports: Ports, client: Client, checked: CheckedRequest, subject: Subject
) -> Authorization:
    """Say what this subject has to do so that the request can be granted.

    Raises:
        RefusedRequestError: If nothing would help, and the request came through a browser.
        StepUpError: If nothing would help, and it was pushed.
    """
    with refusing(checked.target, pushed=checked.pushed):
        _check_subject(ports.site, client, checked, subject)
        demand = await _demand(ports, client, checked, subject)
        return Authorization(
            client_id=client.client_id,
            client_name=client.name,
            subject=subject,
            requirement=demand.requirement,
            purpose=demand.purpose,
            audience=audience_for(client, demand.requirement, checked.resource),
            scope=checked.scope,
            redirect_uri=checked.target.redirect_uri,
            state=checked.target.state,
            response_mode=checked.target.response_mode,
            code_challenge=checked.code_challenge,
            ui_locales=checked.ui_locales,
            nonce=checked.nonce,
            prompt=checked.prompt,
            max_age=checked.max_age,
            acr_values=demand.acr_values,
            essential_acr=checked.essential_acr,
            dpop_jkt=checked.dpop_jkt,
        )


def _check_subject(site: Site, client: Client, checked: CheckedRequest, subject: Subject) -> None:
    if client.subject_issuer not in {None, subject.issuer}:
        raise InvalidSubjectTokenError("This client's subjects belong to another issuer.")
    # OpenID Connect Core section 3.1.2.2: never an answer about somebody else.
    if checked.expected_subject not in {None, subject} or not is_named(site, checked, subject):
        raise LoginRequiredError("Somebody else is signed in.")


def is_named(site: Site, checked: CheckedRequest, subject: Subject) -> bool:
    """Say whether this is a subject that `claims` asks for, if it asks for any."""
    return checked.subs is None or subject_of_token(subject, site) in checked.subs


async def _demand(
    ports: Ports, client: Client, checked: CheckedRequest, subject: Subject
) -> _Demand:
    ticket, details = checked.ticket, checked.details
    if ticket is not None:
        if details is not None:
            _check_agreement(ports, ticket, details)
        return _Demand(requirement=ticket.requirement, purpose=ticket.purpose)
    if details is not None:
        return await _for_details(ports, client, checked, details, subject)
    ladder = ports.snapshot.policy.ladder
    return _raised(ladder, checked, Requirement(acr=ladder.levels[0].acr), None)


async def _for_details(
    ports: Ports,
    client: Client,
    checked: CheckedRequest,
    details: ActionDetails,
    subject: Subject,
) -> _Demand:
    policy = ports.snapshot.policy
    action = ActionName(details.action)
    check_declared(details, policy.find(action))
    # Any client that may send subjects here may name an action; the role is for asking alone.
    sitting = decide.Sitting(caller=client, policy=policy, now=ports.clock.now())
    question = decide.Question(request=details.request_of(subject), subject_issuer=subject.issuer)
    answer = await decide.decide_once(ports, sitting, question)
    decision = answer.decision
    if isinstance(decision, Allow):
        decision = ask_least(policy, answer.request, sitting.now, decision.basis)
    if isinstance(decision, Deny):
        raise _refusal(decision)
    purpose = decide.purpose_of(policy, action, decision)
    # The ladder that was decided by: on another one its level may rank below all others.
    return _raised(policy.ladder, checked, decision.requirement, purpose)


def _refusal(decision: Deny) -> StepUpError:
    if decision.reason in _FAULTS_OF_THE_DETAILS:
        return InvalidAuthorizationDetailsError(
            "The policy cannot decide on the action as it is described."
        )
    return ActionDeniedError(decision.text)


def _check_agreement(ports: Ports, ticket: Ticket, details: ActionDetails) -> None:
    """Refuse details that say something else than the ticket beside them."""
    purpose, policy = ticket.purpose, ports.snapshot.policy
    if purpose.action != details.action:
        raise InvalidAuthorizationDetailsError("The ticket was made for another action.")
    action = policy.find(purpose.action)
    check_declared(details, action)
    request = decide.of_subject(ports, details.request_of(ticket.subject), ticket.subject)
    request = policy.directory.completed(request)

    def said(name: str) -> Value:
        attribute = action.attribute(name) if action else None
        return None if attribute is None else request.value_of(attribute)

    bound = {name: said(name) for name in purpose.bound}
    if bound_digest(details.action, bound) != purpose.bound_digest or any(
        said(name) != value for name, value in purpose.displayed.items()
    ):
        raise InvalidAuthorizationDetailsError("The ticket was made for other values.")


def _raised(
    ladder: Ladder, checked: CheckedRequest, asked: Requirement, purpose: Purpose | None
) -> _Demand:
    """Join what is asked with the levels and the age that the client wants: the stricter wins."""
    requirement = _no_older(asked, checked.max_age)
    if checked.acr_values is None:
        return _Demand(requirement=requirement, purpose=purpose)
    levels = _levels(ladder, checked, asked.acr)
    # Never less than what was asked for, so nobody falls back below it.
    requirement = msgspec.structs.replace(requirement.settled(), acr=levels[0])
    return _Demand(
        requirement=requirement,
        purpose=purpose,
        acr_values=levels if len(levels) > 1 else (),
    )


def _levels(ladder: Ladder, checked: CheckedRequest, least: Acr) -> tuple[Acr, ...]:
    """Return the levels that would do, best first: none of them below what the policy asks.

    Raises:
        UnmetRequirementError: If there is none, or none that an essential claim accepts.
    """
    # Known when the request was checked; it may have waited since, and the ladder may be another.
    wanted = known_levels(ladder, checked.acr_values or ())
    levels = tuple(dict.fromkeys(ladder.strongest(least, acr) for acr in wanted))
    if not checked.essential_acr:
        return levels
    # OpenID Connect Core section 5.5.1.1: one of those that were named, or a failed attempt.
    accepted = tuple(acr for acr in levels if acr in wanted)
    if not accepted:
        raise UnmetRequirementError("The policy asks for more than the acr of claims accepts.")
    return accepted


def _no_older(asked: Requirement, max_age: int | None) -> Requirement:
    if max_age is None:
        return asked
    wanted = timedelta(seconds=max_age)
    least = wanted if asked.max_age is None else min(asked.max_age, wanted)
    return msgspec.structs.replace(asked, max_age=least)
