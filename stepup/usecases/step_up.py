"""Decision and pushed request in one call: "go ahead", or the URL to send the browser to."""

import msgspec

from stepup.domain.authorization_request import AuthorizationRequest
from stepup.domain.client import Client
from stepup.domain.decision import StepUp
from stepup.domain.ids import AttemptId
from stepup.ports import Ports
from stepup.usecases import authorize, decide


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """The answer; `pushed` and its URL are there when the subject must step up."""

    answer: decide.Answer
    pushed: authorize.Pushed | None = None
    authorization_url: str | None = None


async def step_up(
    ports: Ports,
    caller: Client,
    question: decide.Question,
    pushed: AuthorizationRequest,
    attempt: AttemptId,
) -> Begun:
    """Decide, and push the ticket when a step-up is needed.

    Raises:
        StepUpError: What `decide` and `authorize.push` raise.
    """
    answer = await decide.decide(ports, caller, question)
    if not isinstance(answer.decision, StepUp):
        return Begun(answer=answer)
    request = msgspec.structs.replace(pushed, step_up_ticket=answer.ticket)
    accepted = await authorize.push(ports, caller, request, attempt)
    url = authorize.authorization_url(ports.site, caller.client_id, accepted)
    return Begun(answer=answer, pushed=accepted, authorization_url=url)
