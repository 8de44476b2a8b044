"""What can go wrong on a policy's way from a draft to a version.

None of it is an error of the policy itself: that is `PolicyInvalidError`.
"""

from collections.abc import Mapping

from typing_extensions import override

from stepup.domain.errors import StepUpError


class DraftNotFoundError(StepUpError):
    """There is no policy draft with this number."""

    code = "draft_not_found"
    message = "There is no such draft."


class VersionNotFoundError(StepUpError):
    """There is no policy version with this number."""

    code = "version_not_found"
    message = "There is no such version."


class RevisionRequiredError(StepUpError):
    """A change must say, in `If-Match`, which revision it changes."""

    code = "revision_required"
    message = "Send the ETag of what you changed in If-Match."


class RevisionStaleError(StepUpError):
    """Somebody changed it meanwhile: read it again before changing it."""

    code = "revision_stale"
    message = "Somebody has changed it meanwhile."

    def __init__(self, revision: int) -> None:
        super().__init__()
        self.revision = revision

    @property
    @override
    def facts(self) -> Mapping[str, object]:
        return {"revision": self.revision}


class VersionStaleError(StepUpError):
    """Another version is active than the one that was to be replaced."""

    code = "version_stale"
    message = "Another version became active meanwhile; look at what it changed."

    def __init__(self, active: int) -> None:
        super().__init__()
        self.active = active

    @property
    @override
    def facts(self) -> Mapping[str, object]:
        return {"active": self.active}


class DigestChangedError(StepUpError):
    """What was approved is not the text that the draft has now."""

    code = "digest_changed"
    message = "The draft has another text by now; read it again."

    def __init__(self, digest: str) -> None:
        super().__init__()
        self.digest = digest

    @property
    @override
    def facts(self) -> Mapping[str, object]:
        return {"digest": self.digest}


class BaseChangedError(StepUpError):
    """Another version became active since the draft was begun, and would be undone unseen."""

    code = "base_changed"
    message = "Another version became active meanwhile; compare, and base the draft on that one."

    def __init__(self, *, base: int, active: int) -> None:
        super().__init__()
        self.base = base
        self.active = active

    @property
    @override
    def facts(self) -> Mapping[str, object]:
        return {"base": self.base, "active": self.active}


class AlreadyActiveError(StepUpError):
    """The version to go back to is the one that is active."""

    code = "already_active"
    message = "That version is active already; there is nothing to go back to."


class ApprovalRequiredError(StepUpError):
    """Too few other administrators have approved exactly this."""

    code = "approval_required"
    message = "Other administrators must approve this first, as a draft."

    def __init__(self, *, approvals: int, needed: int, detail: str | None = None) -> None:
        super().__init__(detail)
        self.approvals = approvals
        self.needed = needed

    @property
    @override
    def facts(self) -> Mapping[str, object]:
        return {"approvals": self.approvals, "needed": self.needed}


class OwnDraftError(StepUpError):
    """Nobody approves a text that he has written, here or in another draft."""

    code = "own_draft"
    message = "You have a part in this text; somebody else must approve it."


class PersonRequiredError(StepUpError):
    """An approval is somebody's judgement; a pipeline's key has none."""

    code = "person_required"
    message = "Only a person approves."


class DraftClosedError(StepUpError):
    """The draft was activated or discarded, and stays as it is."""

    code = "draft_closed"
    message = "The draft was activated or discarded."


class DraftScheduledError(StepUpError):
    """The draft becomes active by itself; take that back before changing it."""

    code = "draft_scheduled"
    message = "The draft is scheduled; cancel its activation first."


class ShadowNotFoundError(StepUpError):
    """No draft is evaluated beside the active policy."""

    code = "shadow_not_found"
    message = "There is no shadow; PUT /v1/admin/policy/drafts/{id}/shadow makes a draft one."


class ReplayRunningError(StepUpError):
    """A replay needs a processor core of its own, so there is one at a time."""

    code = "replay_running"
    message = "A replay is running here already; try again when it is done."
