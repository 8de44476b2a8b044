"""Spans and moments as they are typed at a prompt, in the words of the policy document."""

from datetime import UTC, datetime, timedelta

import rich_click as click
from typing_extensions import override

from stepup.policy_language.spans import parse_span
from stepup.policy_language.values import parse_timestamp


class Span(click.ParamType[timedelta]):
    """A span of time, as `15m`."""

    name = "span"

    @override
    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        span = parse_span(str(value))
        if span is None:
            self.fail("a span is written like 90s or 15m", param, ctx)
        return span


class Moment(click.ParamType[datetime]):
    """A time, as `2026-01-31T12:00:00Z`."""

    name = "time"

    @override
    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        moment = parse_timestamp(str(value))
        if moment is None:
            self.fail("a time is written like 2026-01-31T12:00:00Z", param, ctx)
        return moment


class MomentAgo(click.ParamType[datetime]):
    """A time, or the span that it lies back."""

    name = "span or timestamp"

    @override
    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        text = str(value)
        span = parse_span(text)
        moment = datetime.now(UTC) - span if span is not None else parse_timestamp(text)
        if moment is None:
            self.fail("write a span, like 7d, or a time, like 2026-01-31T12:00:00Z", param, ctx)
        return moment
