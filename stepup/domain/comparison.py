"""A requirement beside the authentication at hand, point by point.

All points together are met exactly when the authentication satisfies the requirement.
"""

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from stepup.domain.approval import CLOCK_LEEWAY, OWN_CEREMONY_LIFETIME
from stepup.domain.assurance import Acr, Approval, AuthnContext, Ladder
from stepup.domain.binding import Properties, bound_digest
from stepup.domain.ids import ActionName
from stepup.domain.methods_shown import shows_allowed_methods
from stepup.domain.requirement import Requirement


class Point(StrEnum):
    """What is compared."""

    LEVEL = "level"
    METHODS = "methods"
    CREDENTIAL_AGE = "credential_age"
    OWN_CEREMONY = "own_ceremony"
    BOUND_VALUES = "bound_values"
    ONCE = "once"
    AUTH_TIME = "auth_time"
    MAX_AGE = "max_age"


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One point: what is wanted, what was found, and whether that will do."""

    point: Point
    met: bool
    wanted: str | timedelta | None = None
    found: str | timedelta | None = None


def compare(
    ladder: Ladder,
    requirement: Requirement,
    action: ActionName,
    bound: Properties,
    approval: Approval | None,
    now: datetime,
) -> tuple[Compared, ...]:
    """Compare every point that the requirement has something to say about."""
    level = _level(ladder, requirement.acr, approval.context if approval else None)
    if approval is None:
        return (level,)
    methods = _methods(ladder, requirement, action, approval)
    own = _own_ceremony(requirement, action, bound, approval)
    age = _credential_age(requirement, approval.context) if requirement.min_credential_age else ()
    return (level, *methods, *age, *own, *_times(requirement, approval.context, now))


def _level(ladder: Ladder, wanted: Acr, context: AuthnContext | None) -> Compared:
    found = None if context is None else context.acr
    met = found is not None and ladder.reaches(found, wanted)
    return Compared(point=Point.LEVEL, met=met, wanted=wanted, found=found)


def _methods(
    ladder: Ladder, requirement: Requirement, action: ActionName, approval: Approval
) -> tuple[Compared, ...]:
    if requirement.methods is None:
        return ()
    context, is_own = approval.context, approval.action == action
    met = shows_allowed_methods(ladder, requirement, context, is_own=is_own)
    wanted, found = ", ".join(sorted(requirement.methods)), " ".join(context.amr)
    return (Compared(point=Point.METHODS, met=met, wanted=wanted, found=found or None),)


def _credential_age(requirement: Requirement, context: AuthnContext) -> tuple[Compared, ...]:
    wanted, found = requirement.min_credential_age, context.credential_age
    return (Compared(point=Point.CREDENTIAL_AGE, met=found >= wanted, wanted=wanted, found=found),)


def _own_ceremony(
    requirement: Requirement, action: ActionName, bound: Properties, approval: Approval
) -> tuple[Compared, ...]:
    if not requirement.needs_own_ceremony:
        return ()
    made_for = approval.action == action
    own = Compared(point=Point.OWN_CEREMONY, met=made_for, wanted=action, found=approval.action)
    wanted = bound_digest(action, bound)
    values = Compared(
        point=Point.BOUND_VALUES,
        met=approval.bound_digest == wanted,
        wanted=wanted,
        found=approval.bound_digest,
    )
    if not made_for:
        # What was made for nothing, or for something else, was made for no values either.
        return (own,)
    if not requirement.once:
        return (own, values)
    return own, values, Compared(point=Point.ONCE, met=approval.once)


def _times(requirement: Requirement, context: AuthnContext, now: datetime) -> tuple[Compared, ...]:
    age = now - context.auth_time
    if age < -CLOCK_LEEWAY:
        return (Compared(point=Point.AUTH_TIME, met=False, wanted=timedelta(0), found=age),)
    oldest = requirement.max_age
    if oldest is None:
        return ()
    if oldest == timedelta(0):
        # Such a token proves its freshness by its own short life, as in `is_approved`.
        oldest = OWN_CEREMONY_LIFETIME
    return (Compared(point=Point.MAX_AGE, met=age <= oldest, wanted=oldest, found=age),)
