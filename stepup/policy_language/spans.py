"""Spans of time as people write them: `90s`, `15m`, `1h30m`, `30d`, or a number of seconds."""

import re
from datetime import timedelta

_SPAN = re.compile(r"(?:(\d{1,5})d)?(?:(\d{1,6})h)?(?:(\d{1,7})m)?(?:(\d{1,9})s)?\Z", re.ASCII)


def parse_span(text: str) -> timedelta | None:
    """Read a span; None when the text is none."""
    match = _SPAN.match(text)
    if match is None or not text:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def format_span(span: timedelta) -> str:
    """Write a span the way it is read."""
    seconds = int(span.total_seconds())
    parts = [(seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "m")]
    text = "".join(f"{number}{unit}" for number, unit in parts if number)
    return text + (f"{seconds % 60}s" if seconds % 60 or not text else "")


def format_seconds(seconds: int) -> str:
    """Write a number of seconds as a span, also one that lies in the future."""
    return ("-" if seconds < 0 else "") + format_span(timedelta(seconds=abs(seconds)))
