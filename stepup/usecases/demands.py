"""What a checked request asks of its subject, once that is known: a level, and what it is for.

A ticket is a decision already. Without one the client asks for a level alone.
"""

from datetime import timedelta

import msgspec

from stepup.domain.assurance import Acr
from stepup.domain.authorization import Authorization, Purpose
from stepup.domain.authorization_errors import LoginRequiredError
from stepup.domain.checked_request import CheckedRequest
from stepup.domain.client import Client
from stepup.domain.errors import InvalidRequestError, InvalidSubjectTokenError
from stepup.domain.ids import Subject
from stepup.domain.requirement import Requirement
from stepup.ports import Ports
from stepup.usecases.audiences import audience_for
from stepup.usecases.requests import refusing


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
        _check_subject(client, checked, subject)
        demand = _demand(ports, checked)
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


def _check_subject(client: Client, checked: CheckedRequest, subject: Subject) -> None:
    if client.subject_issuer not in {None, subject.issuer}:
        raise InvalidSubjectTokenError("This client's subjects belong to another issuer.")
    # OpenID Connect Core section 3.1.2.2: never an answer about somebody else.
    if checked.expected_subject not in {None, subject}:
        raise LoginRequiredError("Somebody else is signed in.")


def _demand(ports: Ports, checked: CheckedRequest) -> _Demand:
    if checked.ticket is not None:
        return _Demand(requirement=checked.ticket.requirement, purpose=checked.ticket.purpose)
    if checked.acr_values is not None:
        return _raised(ports, checked, None, None)
    if checked.wants_id_token:
        # OpenID Connect lets a client leave the level open; an OAuth client that names neither an
        # action nor a level has nothing to step up to.
        lowest = Requirement(acr=ports.snapshot.policy.ladder.levels[0].acr)
        return _raised(ports, checked, lowest, None)
    raise InvalidRequestError("step_up_ticket or acr_values is needed.")


def _raised(
    ports: Ports, checked: CheckedRequest, asked: Requirement | None, purpose: Purpose | None
) -> _Demand:
    """Join what is asked with the levels and the age that the client wants: the stricter wins."""
    ladder = ports.snapshot.policy.ladder
    wanted = checked.acr_values or ()
    if asked is None:
        asked = Requirement(acr=wanted[0])
    levels = tuple(dict.fromkeys(ladder.strongest(asked.acr, acr) for acr in wanted))
    if checked.acr_values is not None:
        # Never less than what was asked for, so nobody falls back below it.
        asked = msgspec.structs.replace(asked.settled(), acr=levels[0])
    return _Demand(
        requirement=_no_older(asked, checked.max_age),
        purpose=purpose,
        acr_values=levels if len(levels) > 1 else (),
    )


def _no_older(asked: Requirement, max_age: int | None) -> Requirement:
    if max_age is None:
        return asked
    wanted = timedelta(seconds=max_age)
    least = wanted if asked.max_age is None else min(asked.max_age, wanted)
    return msgspec.structs.replace(asked, max_age=least)
