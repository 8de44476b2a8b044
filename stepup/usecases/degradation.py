"""Decide while something that the answer rests on may be away: each action says what then.

A decision reads memory only, so it can always be made; the question is what it is worth. The policy,
the clients and the keys are old when PostgreSQL has not confirmed them lately, and so is what is
known of a token when the revocations come late.
"""

from datetime import datetime

from stepup.domain.assurance import Approval
from stepup.domain.decision import Decision, Deny, DenyReason, decide
from stepup.domain.decision_request import DecisionRequest
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.freshness import Freshness
from stepup.domain.policy import Policy
from stepup.ports import Ports

REFUSED = "The policy wants no answer for this action while a dependency is away."


def is_degraded(ports: Ports) -> bool:
    """Say whether the configuration in memory has not been confirmed lately."""
    return ports.snapshot.freshness is Freshness.STALE


def decide_now(
    ports: Ports,
    policy: Policy,
    request: DecisionRequest,
    approval: Approval | None,
    now: datetime,
    *,
    is_certain: bool = True,
) -> Decision:
    """Decide; not `is_certain` when nobody knows whether the approval was revoked lately.

    Raises:
        DependencyUnavailableError: If the policy wants no answer while something is away. That is
            no denial: nobody knows.
    """
    degraded = not is_certain or is_degraded(ports)
    decision = decide(policy, request, approval, now, degraded=degraded)
    if isinstance(decision, Deny) and decision.reason is DenyReason.DEGRADED:
        raise DependencyUnavailableError(REFUSED)
    return decision
