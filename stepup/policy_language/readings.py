"""What a request's attributes became, for somebody who wants to know why."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from stepup.domain.binding import Value
from stepup.domain.condition import Reading, Source
from stepup.domain.decision_request import Attribute, AttributeType, DecisionRequest
from stepup.policy_language.spans import format_span
from stepup.policy_language.values import Checked, WrongValueError, reader_of


def reading_of(attribute: Attribute, request: DecisionRequest) -> Reading:
    """Read one declared attribute of a request."""
    sent = request.value_of(attribute)
    used = attribute.default if sent is None else sent
    source = Source.SENT
    if sent is None:
        source = Source.ABSENT if used is None else Source.DEFAULT
    value: Checked | None = None
    error = "is missing" if used is None and attribute.required else None
    if used is not None:
        try:
            value = reader_of(attribute)(used)
        except WrongValueError as wrong:
            error = str(wrong)
    shown = not attribute.sensitive
    return Reading(
        path=f"{attribute.entity}.{attribute.name}",
        type=attribute.type,
        source=source,
        value=written(value) if shown else None,
        sent=sent if shown else None,
        sensitive=attribute.sensitive,
        error=error,
    )


def given(
    values: Mapping[str, Mapping[str, Checked | None]],
    built_in: Mapping[str, Sequence[Attribute]],
    now: datetime,
) -> tuple[Reading, ...]:
    """Say what conditions see that nobody declares."""
    readings = [
        _given(f"{entity}.{attribute.name}", attribute.type, values[entity].get(attribute.name))
        for entity, attributes in built_in.items()
        for attribute in attributes
    ]
    return (*readings, _given("now", AttributeType.TIMESTAMP, now))


def written(value: Checked | None) -> Value:
    """Write a value as JSON can."""
    if isinstance(value, datetime):
        return value.isoformat()
    return format_span(value) if isinstance(value, timedelta) else value


def _given(path: str, kind: AttributeType, value: Checked | None) -> Reading:
    source = Source.ABSENT if value is None else Source.GIVEN
    return Reading(path=path, type=kind, source=source, value=written(value))
