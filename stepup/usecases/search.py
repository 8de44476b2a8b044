"""Search: which subjects, resources or actions a policy allows (AuthZEN section 8), page by page.

Nothing is granted: no ticket is made, nothing is counted or recorded as a decision.
"""

import asyncio
import hashlib
import json
from datetime import datetime

import msgspec

from stepup.crypto import digests, page_tokens
from stepup.crypto.page_tokens import InvalidPageTokenError, PagePlace
from stepup.crypto.sealing import Sealer
from stepup.domain.client import Client
from stepup.domain.decision import Deny, StepUp
from stepup.domain.decision_request import DecisionRequest, Entity
from stepup.domain.errors import InvalidRequestError
from stepup.domain.obligation import ObligationType
from stepup.domain.search import MAX_EVALUATED, MAX_RESULTS, candidates
from stepup.ports import Ports
from stepup.usecases.decide import Answer, Question, of_subject, open_sitting, subject_of, weigh

# About a millisecond of work: other requests are served in between.
BREATH = 16

_PURPOSE = "page"
_REFUSED = "The page token is not valid for this search; begin again without one."


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of the results is asked for; the first one without a token."""

    token: str | None = None
    limit: int | None = None


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is allowed, or would be after what its answer asks for."""

    request: DecisionRequest
    answer: Answer


class FoundPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some results; `next_token` is empty with the last ones."""

    found: tuple[Found, ...]
    next_token: str = ""


async def search(
    ports: Ports, caller: Client, searched: Entity, question: Question, page: Page
) -> FoundPage:
    """Find what may stand in the open place of a question.

    Raises:
        ClientNotAllowedError: If the caller may not ask for decisions.
        InvalidRequestError: If the page's token belongs to another search, or the subject's issuer
            is not one of this client's.
    """
    sitting = open_sitting(ports, caller)
    if searched is Entity.SUBJECT:
        # An authentication that a client reports is somebody's, and here nobody is named.
        question = msgspec.structs.replace(question, asserted=None)
    subject = subject_of(ports, caller, question.request.subject_id, question.subject_issuer)
    request = of_subject(ports, question.request, subject)
    digest = _digest(caller, searched, request)
    sealer = Sealer({1: digests.derive(ports.snapshot.keyring.root, _PURPOSE)}, ports.entropy.bytes)
    place = _place(page, sealer, digest, sitting.now)
    possible = candidates(sitting.policy, searched, request)
    end = min(len(possible), place.offset + MAX_EVALUATED)
    found: list[Found] = []
    for index in range(place.offset, end):
        if index % BREATH == 0:
            await asyncio.sleep(0)
        asked = msgspec.structs.replace(question, request=possible[index])
        answer = await weigh(ports, sitting, asked)
        if not _is_found(asked, answer):
            continue
        if len(found) == place.limit:
            end = index
            break
        found.append(Found(request=possible[index], answer=answer))
    if end == len(possible):
        return FoundPage(found=tuple(found))
    rest = PagePlace(end, place.limit)
    token = page_tokens.seal_place(rest, sealer, search=digest, now=sitting.now)
    return FoundPage(found=tuple(found), next_token=token)


def _is_found(question: Question, answer: Answer) -> bool:
    if isinstance(answer.decision, StepUp):
        # Whoever cannot ask for a step-up would have to leave it out anyway.
        return question.can_comply_with(ObligationType.STEP_UP)
    return not isinstance(answer.decision, Deny)


def _place(page: Page, sealer: Sealer, digest: str, now: datetime) -> PagePlace:
    limit = None if page.limit is None else min(page.limit, MAX_RESULTS)
    if not page.token:
        return PagePlace(0, MAX_RESULTS if limit is None else limit)
    try:
        place = page_tokens.open_place(page.token, sealer, search=digest, now=now)
    except InvalidPageTokenError:
        raise InvalidRequestError(_REFUSED) from None
    # Section 8.2: the limit stays as it was; leaving it out says so too.
    if limit not in {None, place.limit}:
        raise InvalidRequestError("The limit was changed between two pages of a search.")
    return place


def _digest(caller: Client, searched: Entity, request: DecisionRequest) -> str:
    said = [caller.client_id, searched.value, msgspec.to_builtins(request)]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
