"""Many decisions in one request: made in one sitting, in order, as far as the semantic goes."""

import asyncio
from collections.abc import Sequence

from stepup.domain.batch import Semantic, check_size
from stepup.domain.client import Client
from stepup.domain.decision import Allow
from stepup.domain.errors import InvalidRequestError
from stepup.ports import Ports
from stepup.usecases.decide import Answer, Question, Sitting, decide_in, open_sitting

# About a millisecond of work: other requests are served in between.
BREATH = 16

Asked = Question | InvalidRequestError
"""A question, or why an item of the batch is none."""
Answered = Answer | InvalidRequestError
"""An answer, or why there is none; the caller reads that as a denial."""


async def evaluate_batch(
    ports: Ports, caller: Client, batch: Sequence[Asked], semantic: Semantic
) -> list[Answered]:
    """Answer a batch in its order; a faulty item fails alone, and counts as a denial.

    Raises:
        ClientNotAllowedError: If the caller may not ask for decisions.
        InvalidRequestError: If there are more items than one request may hold.
        DependencyUnavailableError: If anything cannot be known: half a batch is no answer.
    """
    sitting = open_sitting(ports, caller)
    check_size(len(batch))
    answered: list[Answered] = []
    for asked in batch:
        if answered and len(answered) % BREATH == 0:
            await asyncio.sleep(0)
        answer = await _answer(ports, sitting, asked)
        answered.append(answer)
        if semantic.ends_with(permitted=is_permitted(answer)):
            break
    return answered


def is_permitted(answered: Answered) -> bool:
    """Say whether an item of a batch is allowed as things are."""
    return not isinstance(answered, InvalidRequestError) and isinstance(answered.decision, Allow)


async def _answer(ports: Ports, sitting: Sitting, asked: Asked) -> Answered:
    if isinstance(asked, InvalidRequestError):
        return asked
    try:
        return await decide_in(ports, sitting, asked)
    except InvalidRequestError as error:
        return error
