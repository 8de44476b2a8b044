"""A decision as it is kept: enough to decide it again, and nothing secret."""

from datetime import datetime
from enum import StrEnum

import msgspec

from stepup.domain.assurance import Acr, Approval
from stepup.domain.decision_request import DecisionRequest
from stepup.domain.ids import ClientId, Subject


class Outcome(StrEnum):
    """The three answers."""

    ALLOW = "allow"
    STEP_UP = "step_up"
    DENY = "deny"


class RecordedDecision(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked, by whom, and what was answered.

    `request` holds the attributes that the action declares and no others; of those in `digested`
    (as `resource.iban`) a keyed digest stands in place of the value. `approval` is the
    authentication that was at hand. `sampled_as` is how many decisions this one stands for.
    """

    id: str
    at: datetime
    client_id: ClientId
    subject: Subject
    request: DecisionRequest
    digested: frozenset[str] = frozenset()
    approval: Approval | None = None
    policy_version: int
    outcome: Outcome
    reason: str | None = None
    rule: str | None = None
    guardrails: tuple[str, ...] = ()
    acr: Acr | None = None
    error: str | None = None
    sampled_as: int = 1
