"""The `guardrails` of a document: floors above its actions that can only raise."""

import msgspec

from stepup.domain.assurance import Ladder
from stepup.domain.policy import Guardrail, Mode
from stepup.policy_language.fields import Fields, is_identifier
from stepup.policy_language.findings import Code, Place
from stepup.policy_language.requirements import Shared, read_requirement
from stepup.policy_language.shape import document as shape
from stepup.policy_language.shape.document import MAX_GUARDRAILS, MAX_PATTERN, MAX_PATTERNS
from stepup.policy_language.shape.requirements import Floor


class WrittenGuardrail(msgspec.Struct, frozen=True):
    """A guardrail with the places it was read from."""

    guardrail: Guardrail
    at: Place
    require_at: Place


def read_guardrails(document: Fields, ladder: Ladder) -> tuple[WrittenGuardrail, ...]:
    """Read every guardrail."""
    guardrails: dict[str, WrittenGuardrail] = {}
    for name, at, fields in document.named(
        "guardrails", "id", shape.Guardrail, most=MAX_GUARDRAILS
    ):
        written = _guardrail(name, at, fields, ladder)
        if not is_identifier(name):
            document.findings.refuse_if_new(
                Code.WRONG_VALUE, "a guardrail's name is not visible", at
            )
        if name in guardrails:
            document.findings.error(Code.DUPLICATE_ID, f"the guardrail `{name}` is there twice", at)
        elif written is not None:
            guardrails[name] = written
    return tuple(guardrails.values())


def _guardrail(name: str, at: Place, fields: Fields, ladder: Ladder) -> WrittenGuardrail | None:
    for field in ("match", "require"):
        if field not in fields:
            fields.missing(field)
    match, require = fields.mapping("match", shape.Match), fields.mapping("require", Floor)
    mode = fields.choice("mode", Mode)
    fields.refuse_unsupported("shadow")
    fields.finish()
    tags = match.texts("tags") if match else ()
    patterns = _patterns(match) if match else ()
    if match:
        match.finish()
        if not tags and not patterns:
            message = "a guardrail matches by `tags`, by `actions`, or by both"
            fields.findings.error(Code.MISSING_FIELD, message, match.at)
    requirement = require and read_requirement(require, ladder, Shared(), floor=True)
    if not require or not requirement:
        return None
    guardrail = Guardrail(
        id=name, require=requirement, tags=frozenset(tags), actions=patterns, mode=mode
    )
    return WrittenGuardrail(guardrail, at, require.at)


def _patterns(match: Fields) -> tuple[str, ...]:
    patterns = match.texts("actions")
    # Each is compared with the name of every action.
    if len(patterns) > MAX_PATTERNS or any(len(each) > MAX_PATTERN for each in patterns):
        message = (
            f"has more than {MAX_PATTERNS} patterns, or one of more than {MAX_PATTERN} letters"
        )
        match.wrong("actions", message, Code.TOO_LARGE)
        return ()
    return patterns
