"""Explain a decision: of the active policy, of another version, or of a text that nobody activated.

It is a simulation, unless it is of a recorded decision: nothing is recorded, no ticket made, and the authentication is imagined. What
the active version says is worked out here, where it is loaded. Any other text is read and tried out
in the workshop, where it stops nobody.
"""

from datetime import datetime, timedelta
from functools import lru_cache

import msgspec

from stepup.domain.assurance import Acr, Amr, Approval, AuthnContext
from stepup.domain.decision_request import DecisionRequest
from stepup.domain.demand import Situation
from stepup.domain.errors import DecisionDigestedError, InvalidRequestError
from stepup.domain.explanation import Explanation, approval_for
from stepup.domain.explanation import explain as tell
from stepup.domain.fitness import Fitness, fitness_of
from stepup.domain.ids import DecisionId, DraftId, Subject
from stepup.domain.policy import Policy
from stepup.domain.recorded_decision import RecordedDecision
from stepup.policy_language import document
from stepup.ports import Ports
from stepup.ports.workshop import Workshop
from stepup.usecases import decisions, drafts
from stepup.usecases.policies import get_active, get_version

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


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked, with which authentication, when, and how things are imagined to be."""

    request: DecisionRequest
    authentication: Imagined | None = None
    now: datetime
    degraded: bool = False


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
    asked: Asked,
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
    if chosen == ACTIVE:
        explanation = explain_by(ports.snapshot.policy, asked)
    else:
        text, version = await find_text(ports, chosen)
        limit = _EXPLAINED_WITHIN + _READ_WITHIN * (len(text) / _MEBIBYTE)
        explanation = await workshop.run(explain_text, text, version, asked, limit=limit)
    fitness = await authenticators_for(ports, explanation, subject, asked.now) if subject else None
    return explained(explanation, fitness)


async def explain_recorded(
    ports: Ports, workshop: Workshop, identifier: DecisionId
) -> tuple[Explained, datetime]:
    """Explain a decision that was made, by the version that made it; say when that was.

    What the subject has enrolled by now is no part of it.

    Raises:
        DecisionNotFoundError: If there is none of this name.
        DecisionDigestedError: If the record does not hold everything that was asked.
        VersionNotFoundError: If the version is gone.
        TookTooLongError: If the version's text is too much to be read.
    """
    recorded = await decisions.get(ports, identifier)
    if recorded.digested:
        raise DecisionDigestedError
    text, version = await find_text(ports, Chosen(version=recorded.policy_version))
    limit = _EXPLAINED_WITHIN + _READ_WITHIN * (len(text) / _MEBIBYTE)
    told = await workshop.run(explain_record, text, version, recorded, limit=limit)
    return explained(told), recorded.at


def explained(
    explanation: Explanation, authenticators: tuple[Fitness, ...] | None = None
) -> Explained:
    """Put an explanation beside what it was asked for."""
    version = explanation.decision.basis.policy_version or None
    return Explained(explanation=explanation, version=version, authenticators=authenticators)


def explain_text(text: str, version: int, asked: Asked) -> Explanation:
    """Read a document and explain what it would decide.

    Raises:
        PolicyInvalidError: If it has errors; a failing test is none here.
    """
    return explain_by(read_policy(text, version), asked)


def explain_record(text: str, version: int, recorded: RecordedDecision) -> Explanation:
    """Read the document that a decision was made by, and explain it."""
    situation = Situation(
        request=recorded.request,
        approval=recorded.approval,
        now=recorded.at,
        degraded=recorded.degraded,
    )
    return tell(read_policy(text, version), situation)


def explain_by(policy: Policy, asked: Asked) -> Explanation:
    """Explain what a policy would decide."""
    request, now, imagined = asked.request, asked.now, asked.authentication
    approval = imagined.approval(policy, request, now) if imagined else None
    return tell(
        policy, Situation(request=request, approval=approval, now=now, degraded=asked.degraded)
    )


async def authenticators_for(
    ports: Ports, explanation: Explanation, subject: Subject, now: datetime
) -> tuple[Fitness, ...]:
    """Say of each authenticator of a subject whether it could satisfy what is asked."""
    demand = explanation.demand or explanation.reported
    if demand is None:
        return ()
    async with ports.database.transaction() as stores:
        enrolled = await stores.authenticators.of_subject(subject)
    return fitness_of(demand.required, demand.level, enrolled, now)


async def find_text(ports: Ports, chosen: Chosen) -> tuple[str, int]:
    """Return the text that is chosen and its version, 0 when it is none.

    Raises:
        PolicyNotFoundError: If the active one is chosen, and there is none.
        VersionNotFoundError: If there is no such version.
        DraftNotFoundError: If there is no such draft.
    """
    if chosen.document is not None:
        return chosen.document, 0
    if chosen.draft is not None:
        return (await drafts.get(ports, chosen.draft)).document, 0
    if chosen.version is None:
        version = await get_active(ports)
    else:
        version = await get_version(ports, chosen.version)
    return version.document, version.version


# Who tries things out asks the same text many questions.
@lru_cache(maxsize=2)
def read_policy(text: str, version: int) -> Policy:
    """Read a document whether or not its tests pass.

    Raises:
        PolicyInvalidError: If it has other errors.
    """
    # A test that fails is the best reason to ask why.
    return document.parse(text, version=version, tests=False, in_force=version > 0)
