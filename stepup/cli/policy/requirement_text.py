"""A requirement in words, as one reads it at a terminal."""

from stepup.http.admin.requirement_document import RequirementDocument
from stepup.policy_language.spans import format_seconds

# What a line says, in this order; the rest is said where a guardrail adds it.
_SAID = (
    "level",
    "max_age",
    "methods",
    "min_credential_age",
    "once",
    "bind",
    "fallback",
)


def requirement_in_words(requirement: RequirementDocument) -> str:
    """Write a requirement in one line, without what goes without saying."""
    parts = parts_in_words(requirement)
    return ", ".join(parts[name] for name in _SAID if parts[name])


def parts_in_words(requirement: RequirementDocument) -> dict[str, str]:
    """Write each part of a requirement by its name; empty where it goes without saying."""
    max_age, young = requirement.max_age, requirement.min_credential_age
    methods, fallback = requirement.methods, requirement.fallback
    return {
        "level": requirement.level,
        "max_age": "" if max_age is None else _age(max_age),
        "methods": "" if methods is None else f"by {' or '.join(methods) or 'no method at all'}",
        "once": "once" if requirement.once else "",
        "bind": f"bound to {', '.join(requirement.bind)}" if requirement.bind else "",
        "display": f"showing {', '.join(requirement.display)}",
        "token_ttl": f"a token of {format_seconds(requirement.token_ttl)}",
        "audience": f"for {requirement.audience}",
        "on_unenrolled": f"{requirement.on_unenrolled} who is not enrolled",
        "min_credential_age": f"enrolled for {format_seconds(young)}" if young else "",
        "fallback": f"or {fallback.level} for who has nothing else" if fallback else "",
        "on_degraded": f"{requirement.on_degraded} while a dependency is away",
    }


def _age(seconds: int) -> str:
    return f"at most {format_seconds(seconds)} old" if seconds else "right now"
