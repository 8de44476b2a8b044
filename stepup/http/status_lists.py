"""`/status-lists`: which tokens have ended, for resource servers that verify by themselves.

draft-ietf-oauth-status-list-20, section 8. The lists are public and the same for everybody: who
reads one does not say which token it was shown.
"""

from typing import Any

import msgspec
from litestar import Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from stepup.domain import status, status_errors
from stepup.domain.errors import DependencyUnavailableError
from stepup.domain.status_errors import HistoricalStatusError, StatusFormNotAcceptableError
from stepup.http.caching import cacheable, tag_of
from stepup.http.headers import header
from stepup.http.openapi import problem_responses, returns
from stepup.ports import Ports
from stepup.usecases.listing import uri_of
from stepup.usecases.status_lists import LiveStatusLists

_MEDIA_TYPE = "application/statuslist+jwt"
_ACCEPTED = frozenset({b"application/statuslist+jwt", b"application/*", b"*/*"})
# The claim `ttl` outranks it (section 8.1); no cache on the way may add to what that says.
_CACHING = f"public, max-age={status.TTL.total_seconds():.0f}"


class Aggregation(msgspec.Struct, frozen=True):
    """Every list of this issuer (section 9.2)."""

    status_lists: list[str]


@get(
    f"{status.STATUS_PATH}/{{name:str}}",
    tags=["status"],
    responses=returns(bytes, "A signed list, `application/statuslist+jwt` (section 5.1).")
    | problem_responses(
        status_errors.StatusListNotFoundError,
        status_errors.StatusFormNotAcceptableError,
        status_errors.HistoricalStatusError,
        DependencyUnavailableError,
    ),
)
async def status_list(
    request: Request[Any, Any, Any],
    name: FromPath[str],
    ports: NamedDependency[Ports],
    status_lists: NamedDependency[LiveStatusLists],
) -> Response[bytes]:
    """Return a status list token."""
    if "time" in request.query_params:
        raise HistoricalStatusError
    _check_accepted(header(request.scope, b"accept"))
    published = await status_lists.find(ports, name)
    is_gzipped = _takes_gzip(header(request.scope, b"accept-encoding"))
    body = published.gzipped if is_gzipped else published.body
    answer = cacheable(request, body, tag_of(body), _CACHING, media_type=_MEDIA_TYPE)
    answer.headers["vary"] = "accept, accept-encoding"
    if is_gzipped and answer.status_code != 304:
        answer.headers["content-encoding"] = "gzip"
    return answer


@get(
    status.STATUS_PATH,
    tags=["status"],
    responses=returns(Aggregation, "Every list (section 9.2).")
    | problem_responses(DependencyUnavailableError),
)
async def aggregation(
    request: Request[Any, Any, Any],
    ports: NamedDependency[Ports],
    status_lists: NamedDependency[LiveStatusLists],
) -> Response[bytes]:
    """Return the addresses of all lists, for who wants to have them before they are needed."""
    uris = [uri_of(ports, name) for name in await status_lists.names(ports)]
    body = msgspec.json.encode(Aggregation(status_lists=uris))
    return cacheable(request, body, tag_of(body), _CACHING)


def _check_accepted(accept: bytes | None) -> None:
    """Refuse a caller that wants another form.

    Raises:
        StatusFormNotAcceptableError: If ours is not among those that it names.
    """
    named = {part.partition(b";")[0].strip().lower() for part in (accept or b"*/*").split(b",")}
    if named.isdisjoint(_ACCEPTED):
        raise StatusFormNotAcceptableError


def _takes_gzip(accepted: bytes | None) -> bool:
    for part in (accepted or b"").split(b","):
        coding, _, quality = part.partition(b";")
        if coding.strip().lower() in {b"gzip", b"*"}:
            return quality.strip().lower().removeprefix(b"q=").strip(b"0.") != b"" or not quality
    return False


router = Router("/", route_handlers=[status_list, aggregation])
