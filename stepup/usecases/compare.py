"""What a draft would change, as text and in words, beside the active version or any other."""

from datetime import timedelta

import msgspec

from stepup.domain.ids import DraftId
from stepup.policy_language.meaning.documents import Comparison, compare_documents
from stepup.policy_language.meaning.statement import Statement
from stepup.ports import Ports
from stepup.ports.workshop import Workshop
from stepup.usecases import policies
from stepup.usecases.drafts import get

# Texts made to be hard to compare are given up; what people write takes milliseconds, and a mebibyte
# of rules some seconds to compile.
_COMPARED_WITHIN = timedelta(seconds=10)
_MORE_FOR_THE_LONGEST = timedelta(seconds=20)
_LONGEST = 1024 * 1024


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes different when the draft replaces a version; 0 stands for no version.

    `meaning` has what is weaker first; it is null when one of the texts has errors.
    """

    draft: DraftId
    digest: str
    version: int
    text: str
    meaning: tuple[Statement, ...] | None


async def compare(
    ports: Ports, workshop: Workshop, draft_id: DraftId, version: int | None = None
) -> Difference:
    """Compare a draft with a version, or with the active one.

    Raises:
        DraftNotFoundError: If there is no such draft.
        VersionNotFoundError: If there is no such version.
        TookTooLongError: If the texts are too hard to compare.
    """
    draft = await get(ports, draft_id)
    if version is None:
        other = await policies.find_active(ports)
    else:
        other = await policies.get_version(ports, version)
    number, before = (other.version, other.document) if other else (0, None)
    size = len(before or "") + len(draft.document)
    found: Comparison = await workshop.run(
        compare_documents,
        before,
        draft.document,
        (f"version {number}", f"draft {draft.id}"),
        limit=_COMPARED_WITHIN + _MORE_FOR_THE_LONGEST * (size / _LONGEST),
    )
    return Difference(
        draft=draft.id,
        digest=draft.digest,
        version=number,
        text=found.text,
        meaning=found.meaning,
    )
