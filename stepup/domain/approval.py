"""Whether an authentication that is at hand satisfies a requirement."""

from datetime import datetime, timedelta

import msgspec

from stepup.domain.assurance import Approval, AuthnContext, Ladder
from stepup.domain.binding import Properties, bound_digest
from stepup.domain.ids import ActionName
from stepup.domain.methods_shown import shows_allowed_methods
from stepup.domain.requirement import Requirement

# The authentication may be a few seconds "in the future" between hosts with ordinary clocks.
CLOCK_LEEWAY = timedelta(seconds=5)
# The oldest that a living token's ceremony can be: a challenge's ten minutes from the ceremony to
# the code, a minute for the code, ten minutes for the token.
OWN_CEREMONY_LIFETIME = timedelta(minutes=21)


def is_fresh(requirement: Requirement, context: AuthnContext, now: datetime) -> bool:
    """Say whether an authentication is recent enough."""
    age = now - context.auth_time
    # An auth_time in the future means a clock we cannot trust: treat it as stale.
    return age >= -CLOCK_LEEWAY and (requirement.max_age is None or age <= requirement.max_age)


def is_approved(
    ladder: Ladder,
    requirement: Requirement,
    action: ActionName,
    bound: Properties,
    approval: Approval,
    now: datetime,
) -> bool:
    """Say whether an approval is strong enough, recent enough and made as and for what is asked.

    What is bound or once-only, or may be no older than now, needs a ceremony of its own: a general
    authentication, however strong, says nothing about the payee.
    """
    context = approval.context
    if not ladder.reaches(context.acr, requirement.acr):
        return False
    if context.credential_age < requirement.min_credential_age or not shows_allowed_methods(
        ladder, requirement, context, is_own=approval.action == action
    ):
        return False
    if not requirement.needs_own_ceremony:
        return is_fresh(requirement, context, now)
    if not _is_made_for(approval, action, bound):
        return False
    # Made for a milder rule of the same action, it would be good for any number of uses.
    if requirement.once and not approval.once:
        return False
    if requirement.max_age == timedelta(0):
        # Such a token proves its freshness by its own short life.
        requirement = msgspec.structs.replace(requirement, max_age=OWN_CEREMONY_LIFETIME)
    return is_fresh(requirement, context, now)


def is_approved_by_fallback(
    ladder: Ladder,
    requirement: Requirement,
    action: ActionName,
    bound: Properties,
    approval: Approval,
    now: datetime,
) -> bool:
    """Say whether a subject that had nothing for the requirement itself has met its fallback.

    Only an approval that says so of itself counts, and only for the very same action and values:
    whoever has a passkey is not let through with less because somebody else may be.
    """
    fallback = requirement.fallen_back()
    demanded = approval.fallback_for
    return (
        fallback is not None
        and demanded is not None
        and ladder.reaches(demanded, requirement.acr)
        and _is_made_for(approval, action, bound)
        and is_approved(ladder, fallback, action, bound, approval, now)
    )


def _is_made_for(approval: Approval, action: ActionName, bound: Properties) -> bool:
    return approval.action == action and approval.bound_digest == bound_digest(action, bound)
