"""A set of Redis servers as lines and as JSON."""

from collections.abc import Iterator, Sequence
from typing import Any

from stepup.adapters.redis.survey import SentinelView, ServerView, Survey, spell


def survey_table(seen: Survey, findings: Sequence[str]) -> Iterator[str]:
    """Return lines: servers, Sentinels, then what is wrong."""
    for server in seen.servers:
        yield f"server    {spell(server.address):<22} {_server_line(server, seen)}"
    for view in seen.sentinels:
        yield f"Sentinel  {view.at:<22} {_sentinel_line(view)}"
    yield ""
    yield from (f"- {finding}" for finding in findings)
    yield "not healthy" if findings else "healthy"


def survey_document(seen: Survey, findings: Sequence[str]) -> dict[str, Any]:
    """Return the same for programs."""
    return {
        "healthy": not findings,
        "primary": spell(seen.primary) if seen.primary else None,
        "findings": list(findings),
        "servers": [
            {
                "address": spell(server.address),
                "error": server.error or None,
                "role": None if server.error else _role(server),
                "follows": spell(server.follows) if server.follows else None,
                "link": server.link or None,
                "offset": server.offset,
                "behind_bytes": seen.behind(server),
                "min_replicas_to_write": server.min_replicas,
            }
            for server in seen.servers
        ],
        "sentinels": [
            {
                "address": view.at,
                "error": view.error or None,
                "primary": spell(view.primary) if view.primary else None,
                "config_epoch": view.config_epoch,
                "sees_primary_down": view.is_down,
                "failing_over": view.is_failing_over,
                "other_sentinels": view.others,
            }
            for view in seen.sentinels
        ],
    }


def _server_line(server: ServerView, seen: Survey) -> str:
    if server.error:
        return f"does not answer: {server.error}"
    if server.is_primary:
        return f"primary  offset {server.offset}, {len(server.attached)} replicas attached"
    link = f"of {spell(server.follows)}, {server.link}"
    return f"replica  offset {server.offset}, {seen.behind(server)} behind, {link}"


def _sentinel_line(view: SentinelView) -> str:
    if view.primary is None:
        return f"does not answer: {view.error}"
    doubts = [" sees it down"] * view.is_down + [" is failing over"] * view.is_failing_over
    line = f"names {spell(view.primary)}, configuration {view.config_epoch}"
    return ",".join([line, *doubts])


def _role(server: ServerView) -> str:
    return "primary" if server.is_primary else "replica"
