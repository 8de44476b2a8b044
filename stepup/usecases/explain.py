"""Explain a decision: of the active policy, of another version, or of a text that nobody activated.

It is a simulation: nothing is recorded, no ticket made, and the authentication is imagined. What
the active version says is worked out here, where it is loaded. Any other text is read and tried out
in the workshop, where it stops nobody.
"""

from datetime import datetime, timedelta
from functools import lru_cache

import msgspec

from stepup.domain.assurance import Acr, Amr, Approval, AuthnContext
from stepup.domain.decision_request import DecisionRequest
from stepup.domain.errors import InvalidRequestError
from stepup.domain.explanation import Explanation, approval_for
from stepup.domain.explanation import explain as tell
from stepup.domain.fitness import Fitness, fitness_of
from stepup.domain.ids import DraftId, Subject
from stepup.domain.policy import Policy
from stepup.domain.policy_errors import DraftNotFoundError, VersionNotFoundError
from stepup.policy_language import document
from stepup.ports import Ports
from stepup.ports.workshop import Workshop

_MEBIBYTE = 1024 * 1024
# Some times what either takes: the workshop works at low priority beside everything else.
_EXPLAINED_WITHIN = timedelta(seconds=2)
_READ_WITHIN = timedelta(seconds=20)


class Imagined(msgspec.Struct, frozen=True, kw_only=True):
    """An authentication as somebody imagines it; `for_this` when made for this very action."""

    acr: Acr
    amr: tuple[Amr, ...] = ()
    age: timedelta = timedelta(0)
    auth_time: datetime | None = None
    for_this: bool = False

    def approval(self, policy: Policy, request: DecisionRequest, now: datetime) -> Approval:
        """Return what it would be worth at that time."""
        auth_time = now - self.age if self.auth_time is None else self.auth_time
        context = AuthnContext(acr=self.acr, amr=self.amr, auth_time=auth_time)
        if self.for_this:
            return approval_for(policy, request, context, now)
        return Approval(context=context)


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked, by whom, with which authentication and when."""

    request: DecisionRequest
    authentication: Imagined | None = None
    now: datetime


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """The policy to explain: at most one of these, the active version when none is."""

    version: int | None = None
    draft: DraftId | None = None
    document: str | None = None


ACTIVE = Chosen()
"""The active version."""


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """The explanation, and the subject's authenticators beside it.

    `version` is None for a text that is no version. `authenticators` is None when nobody asked for
    them, and empty when nothing is asked of the subject.
    """

    explanation: Explanation
    version: int | None = None
    authenticators: tuple[Fitness, ...] | None = None


async def explain(
    ports: Ports,
    workshop: Workshop,
    situation: Situation,
    chosen: Chosen = ACTIVE,
    subject: Subject | None = None,
) -> Explained:
    """Explain what a policy would decide, and which of a subject's authenticators could help.

    Raises:
        InvalidRequestError: If more than one policy is chosen.
        VersionNotFoundError: If there is no such version.
        DraftNotFoundError: If there is no such draft.
        PolicyInvalidError: If the text has errors; a failing test is none here.
        TookTooLongError: If the text is too much to be read and tried out.
    """
    if sum(each is not None for each in msgspec.structs.astuple(chosen)) > 1:
        raise InvalidRequestError("Choose one of version, draft and document.")
    text = await _text(ports, chosen)
    if text is None:
        explanation = explain_by(ports.snapshot.policy, situation)
    else:
        limit = _EXPLAINED_WITHIN + _READ_WITHIN * (len(text) / _MEBIBYTE)
        version = chosen.version or 0
        explanation = await workshop.run(explain_text, text, version, situation, limit=limit)
    return Explained(
        explanation=explanation,
        version=explanation.decision.basis.policy_version or None,
        authenticators=await _authenticators(ports, explanation, subject) if subject else None,
    )


def explain_text(text: str, version: int, situation: Situation) -> Explanation:
    """Read a document and explain what it would decide.

    Raises:
        PolicyInvalidError: If it has errors; a failing test is none here.
    """
    return explain_by(_read(text, version), situation)


def explain_by(policy: Policy, situation: Situation) -> Explanation:
    """Explain what a policy would decide in a situation."""
    request, now, imagined = situation.request, situation.now, situation.authentication
    approval = imagined.approval(policy, request, now) if imagined else None
    return tell(policy, request, approval, now)


async def _authenticators(
    ports: Ports, explanation: Explanation, subject: Subject
) -> tuple[Fitness, ...]:
    if explanation.required is None or explanation.level is None:
        return ()
    async with ports.database.transaction() as stores:
        enrolled = await stores.authenticators.of_subject(subject)
    return fitness_of(explanation.required, explanation.level, enrolled)


async def _text(ports: Ports, chosen: Chosen) -> str | None:
    if chosen.document is not None:
        return chosen.document
    if chosen.version is None and chosen.draft is None:
        return None
    async with ports.database.transaction() as stores:
        if chosen.draft is not None:
            draft = await stores.drafts.find(chosen.draft)
            if draft is None:
                raise DraftNotFoundError
            return draft.document
        version = await stores.policies.find(chosen.version or 0)
    if version is None:
        raise VersionNotFoundError
    return version.document


# Who tries things out asks the same text many questions.
@lru_cache(maxsize=2)
def _read(text: str, version: int) -> Policy:
    # A test that fails is the best reason to ask why.
    return document.parse(text, version=version, tests=False)
