"""Read policy documents without holding up the requests of this process.

A mebibyte of rules takes some seconds to compile. What administrators send is checked in the
workshop. The active version must be compiled where it decides: in a thread, in which the event loop
gets its turns between one condition and the next.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from stepup.domain.errors import BodyTooLargeError, InvalidRequestError, PolicyInvalidError
from stepup.domain.policy import Policy
from stepup.policy_language import document
from stepup.policy_language.trial import Checked, checked
from stepup.ports.workshop import Workshop

# About thirty milliseconds, which is less than it costs to go elsewhere.
_AT_ONCE = 8 * 1024
_LONGEST = 1024 * 1024
_CHECKED_WITHIN = timedelta(seconds=2)
_MORE_FOR_THE_LONGEST = timedelta(seconds=20)
# One: two would only take turns.
_reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="policy-reader")


async def load_policy(text: str, version: int) -> Policy:
    """Compile the version that this process is to decide by.

    It passed its tests and all checks when it was activated. An upgrade that checks more, or decides
    one of its tests otherwise, must not leave the service without a policy.

    Raises:
        PolicyInvalidError: If it has errors; its findings say where.
    """
    if len(text) <= _AT_ONCE:
        return _in_force(text, version)
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_reader, _in_force, text, version)


def _in_force(text: str, version: int) -> Policy:
    return document.parse(text, version=version, tests=False, in_force=True)


async def check_policy(text: str, workshop: Workshop | None) -> Checked:
    """Say everything that is wrong or doubtful, and how its tests came out.

    Without a workshop it is done here: an operator's command has nobody to hold up.

    Raises:
        TookTooLongError: If it takes longer than any document may.
    """
    if workshop is None:
        return checked(text)
    return await workshop.run(checked, text, limit=time_for(text))


async def require_valid(text: str, workshop: Workshop | None) -> None:
    """Refuse a document that nobody may decide by.

    Raises:
        PolicyInvalidError: If it has errors; its findings say where.
        TookTooLongError: If it takes longer than any document may.
    """
    found, _ = await check_policy(text, workshop)
    first = next((str(finding) for finding in found if finding.is_error), None)
    if first is not None:
        message = f"The policy document has errors, the first at {first}"
        raise PolicyInvalidError(message, tuple(found))


def time_for(text: str) -> timedelta:
    """Return how long the workshop may take for a text."""
    return _CHECKED_WITHIN + _MORE_FOR_THE_LONGEST * (len(text) / _LONGEST)


def require_storable(text: str) -> str:
    """Return a text that can be kept, whatever else may be wrong with it.

    Raises:
        BodyTooLargeError: If it is longer than any document may be.
        InvalidRequestError: If it has a character that PostgreSQL cannot keep.
    """
    if len(text.encode()) > _LONGEST:
        raise BodyTooLargeError("A policy document has at most 1 MiB.")
    if "\0" in text:
        raise InvalidRequestError("The text has a NUL character.")
    return text
