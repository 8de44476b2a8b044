"""A requirement as JSON, in the words of the policy document."""

from datetime import timedelta

import msgspec

from stepup.domain.assurance import Method
from stepup.domain.requirement import Fallback, Requirement


class FallbackDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked instead of a subject that has nothing for the requirement."""

    level: str
    max_age: int | None
    methods: list[str] | None
    min_credential_age: int


class RequirementDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for; spans are seconds, and null stands for any."""

    level: str
    max_age: int | None
    methods: list[str] | None
    once: bool
    bind: list[str]
    display: list[str]
    token_ttl: int
    audience: str | None
    on_unenrolled: str
    min_credential_age: int
    fallback: FallbackDocument | None
    on_degraded: str


def requirement_document(requirement: Requirement) -> RequirementDocument:
    """Write a requirement with all its parts."""
    return RequirementDocument(
        level=requirement.acr,
        max_age=seconds_of(requirement.max_age),
        methods=_methods(requirement.methods),
        once=requirement.once,
        bind=sorted(requirement.bind),
        display=list(requirement.display),
        token_ttl=int(requirement.token_lifetime.total_seconds()),
        audience=requirement.audience,
        on_unenrolled=requirement.on_unenrolled.value,
        min_credential_age=int(requirement.min_credential_age.total_seconds()),
        fallback=_fallback(requirement.fallback) if requirement.fallback else None,
        on_degraded=requirement.on_degraded.value,
    )


def _fallback(fallback: Fallback) -> FallbackDocument:
    return FallbackDocument(
        level=fallback.acr,
        max_age=seconds_of(fallback.max_age),
        methods=_methods(fallback.methods),
        min_credential_age=int(fallback.min_credential_age.total_seconds()),
    )


def _methods(methods: frozenset[Method] | None) -> list[str] | None:
    return None if methods is None else sorted(method.value for method in methods)


def seconds_of(span: timedelta | None) -> int | None:
    """Write a span as spans are written in an explanation."""
    return None if span is None else int(span.total_seconds())
