"""What a draft would change, as text, beside the active version or any other."""

from datetime import timedelta

import msgspec

from stepup.domain.ids import DraftId
from stepup.policy_language.text_difference import text_difference
from stepup.ports import Ports
from stepup.ports.workshop import Workshop
from stepup.usecases import policies
from stepup.usecases.drafts import get

# Texts made to be hard to compare are given up; what people write takes milliseconds.
_COMPARED_WITHIN = timedelta(seconds=10)


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes different when the draft replaces a version; 0 stands for no version."""

    draft: DraftId
    digest: str
    version: int
    text: str


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
    number, before = (other.version, other.document) if other else (0, "")
    text = await workshop.run(
        text_difference,
        before,
        draft.document,
        (f"version {number}", f"draft {draft.id}"),
        limit=_COMPARED_WITHIN,
    )
    return Difference(draft=draft.id, digest=draft.digest, version=number, text=text)
