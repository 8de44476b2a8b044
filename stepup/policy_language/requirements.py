"""What a rule, a default or a guardrail asks for."""

from datetime import timedelta

import msgspec

from stepup.domain.assurance import Acr, Ladder, Method
from stepup.domain.requirement import (
    DEFAULT_TOKEN_LIFETIME,
    MAX_TOKEN_LIFETIME,
    Fallback,
    OnDegraded,
    OnUnenrolled,
    Requirement,
)
from stepup.policy_language.fields import Fields
from stepup.policy_language.findings import Code, did_you_mean
from stepup.policy_language.shape.actions import Token
from stepup.policy_language.shape.requirements import Fallback as FallbackShape
from stepup.policy_language.shape.requirements import GuardrailUnenrolled, Preset

# Later work gives these a meaning; a document that relies on one must not be used before.
NOT_SUPPORTED_YET = ("approvals",)


PRESETS = {
    Preset.ALWAYS: timedelta(0),
    Preset.STRICT: timedelta(minutes=10),
    Preset.MODERATE: timedelta(minutes=60),
    Preset.RELAXED: timedelta(hours=24),
}


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """What an action says once for all its requirements."""

    once: bool = False
    bind: tuple[str, ...] = ()
    display: tuple[str, ...] = ()
    token_lifetime: timedelta | None = None
    audience: str | None = None
    on_unenrolled: OnUnenrolled | None = None
    fallback: Fallback | None = None
    on_degraded: OnDegraded | None = None

    def alone(self, ladder: Ladder) -> Requirement:
        """Make a demand of nothing else, at the lowest level."""
        return Requirement(
            acr=ladder.levels[0].acr,
            once=self.once,
            bind=frozenset(self.bind),
            display=self.display or self.bind,
            token_lifetime=self.token_lifetime or DEFAULT_TOKEN_LIFETIME,
            audience=self.audience,
            on_unenrolled=self.on_unenrolled or OnUnenrolled.DENY,
            fallback=self.fallback,
            on_degraded=self.on_degraded or OnDegraded.SERVE,
        )


def read_shared(fields: Fields, ladder: Ladder) -> Shared:
    """Read an action's `token`, `bind`, `display`, `on_unenrolled` and `on_degraded`."""
    token = fields.mapping("token", Token)
    on_unenrolled, fallback = _unenrolled(fields, ladder, Shared())
    shared = Shared(
        once=(token.flag("once") if token else None) or False,
        bind=fields.texts("bind"),
        display=fields.texts("display"),
        token_lifetime=read_token_lifetime(token, "ttl") if token else None,
        audience=token.text("audience") if token else None,
        on_unenrolled=on_unenrolled,
        fallback=fallback,
        on_degraded=fields.choice("on_degraded", OnDegraded),
    )
    if token:
        token.finish()
    return shared


def read_requirement(
    fields: Fields, ladder: Ladder, shared: Shared, *, floor: bool = False
) -> Requirement | None:
    """Read a requirement and join it with what its action shares.

    A `floor` (a guardrail's) may leave the level out: then it raises everything but the level.
    """
    level = fields.text("level")
    if level is None and not floor and "level" not in fields:
        fields.missing("level")
    acr = _acr(fields, level, ladder)
    bind = tuple(dict.fromkeys((*shared.bind, *fields.texts("bind"))))
    on_unenrolled, fallback = (
        (_unenrolled_of_floor(fields), None) if floor else _unenrolled(fields, ladder, shared)
    )
    requirement = Requirement(
        acr=acr or ladder.top.acr,
        max_age=_max_age(fields, ladder.get(acr).max_age if level and acr else None),
        methods=_methods(fields),
        once=fields.flag("once") or shared.once,
        bind=frozenset(bind),
        # What you see is what you sign: what is bound is shown, unless the document says what is.
        display=fields.texts("display") or shared.display or bind,
        token_lifetime=read_token_lifetime(fields, "token_ttl")
        or shared.token_lifetime
        or (MAX_TOKEN_LIFETIME if floor else DEFAULT_TOKEN_LIFETIME),
        audience=fields.text("audience") or shared.audience,
        on_unenrolled=on_unenrolled or OnUnenrolled.DENY,
        min_credential_age=fields.span("min_credential_age") or timedelta(0),
        fallback=fallback,
        on_degraded=fields.choice("on_degraded", OnDegraded)
        or shared.on_degraded
        or OnDegraded.SERVE,
    )
    fields.refuse_unsupported(*NOT_SUPPORTED_YET)
    fields.finish()
    return requirement if acr else None


def read_token_lifetime(fields: Fields, name: str) -> timedelta | None:
    """Read how long a token lives, within the limit that no document lifts."""
    span = fields.span(name)
    if span is not None and not timedelta(0) < span <= MAX_TOKEN_LIFETIME:
        fields.wrong(name, "must be longer than nothing and at most 600s")
        return None
    return span


def _acr(fields: Fields, level: str | None, ladder: Ladder) -> Acr | None:
    if level is None:
        # Below everything that is asked for: raises no level.
        return ladder.levels[0].acr if "level" not in fields else None
    if Acr(level) in ladder:
        return Acr(level)
    fields.wrong(
        "level", f"is unknown: {level}{did_you_mean(level, ladder.acrs)}", Code.UNKNOWN_LEVEL
    )
    return None


def _max_age(fields: Fields, otherwise: timedelta | None) -> timedelta | None:
    preset = fields.choice("preset", Preset)
    max_age = fields.span("max_age")
    if preset is None:
        return otherwise if max_age is None else max_age
    if max_age is not None and max_age != PRESETS[preset]:
        fields.wrong("preset", "says another age than `max_age`", Code.CONTRADICTION)
    return PRESETS[preset]


def _methods(fields: Fields) -> frozenset[Method] | None:
    methods = fields.choices("methods", Method)
    if methods is None:
        return None
    if not methods:
        fields.wrong("methods", "must name a method, or be left out to allow all")
    return frozenset(methods)


def _unenrolled(
    fields: Fields, ladder: Ladder, shared: Shared
) -> tuple[OnUnenrolled | None, Fallback | None]:
    """Read what happens to a subject with no suitable authenticator; a fallback is written out."""
    nested = fields.mapping("fallback", FallbackShape)
    own = _fallback(nested, ladder) if nested else None
    chosen = fields.choice("on_unenrolled", OnUnenrolled) or shared.on_unenrolled
    if chosen is not OnUnenrolled.FALLBACK:
        if nested:
            message = "is for `on_unenrolled: fallback`"
            fields.wrong("fallback", message, Code.CONTRADICTION)
        return chosen, None
    fallback = own or shared.fallback
    if fallback is None and not nested:
        fields.missing("fallback")
    return (chosen, fallback) if fallback else (None, None)


def _fallback(fields: Fields, ladder: Ladder) -> Fallback | None:
    level = fields.text("level")
    if level is None and "level" not in fields:
        fields.missing("level")
    acr = _acr(fields, level, ladder) if level else None
    fallback = Fallback(
        acr=acr or ladder.top.acr,
        max_age=_max_age(fields, ladder.get(acr).max_age if acr else None),
        methods=_methods(fields),
        min_credential_age=fields.span("min_credential_age") or timedelta(0),
    )
    fields.finish()
    return fallback if acr else None


def _unenrolled_of_floor(fields: Fields) -> OnUnenrolled:
    chosen = fields.choice("on_unenrolled", GuardrailUnenrolled)
    # A guardrail that says nothing leaves an action its fallback, raised.
    return OnUnenrolled(chosen) if chosen else OnUnenrolled.FALLBACK
