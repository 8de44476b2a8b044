"""docs/errors.md, made of the errors themselves and the table that gives each its status."""

from collections.abc import Iterator

from litestar.exceptions import HTTPException

from stepup.domain.errors import StepUpError
from stepup.http.problems import OAUTH_CODES, STATUS, oauth_status, problem_of

_INTRODUCTION = """\
# Errors

Every error has a `code` that does not change between releases: the one to program against. At
`/oauth2/*` (except `consume`) an error is what RFC 6749 section 5.2 says, with the OAuth name in
`error` and the OAuth status; pages show a page; everything else answers RFC 9457 problem details of
type `urn:stepup:error:<code>`. `standards.md` describes the forms, `divergences.md` the departures.
Written by `make docs`.

## Causes

| code | status | OAuth name | OAuth status | meaning |
|---|---|---|---|---|
"""

_FRAME = """
## Requests that reach no route, and failures that nobody foresaw

| code | status | meaning |
|---|---|---|
"""

_REDIRECTS = """
## On the way back to the client

What a browser brings to the `redirect_uri` when there is no code: `state` and `iss` come with it
(RFC 9207).

| `error` | meaning |
|---|---|
| `access_denied` | The subject cancelled, or reported that it never asked for this. |
| `unmet_authentication_requirements` | The subject left a challenge that it had nothing to answer with. |

A request that `/oauth2/authorize` cannot trust redirects nowhere: the browser sees a page.

## Worth repeating

`outcome_unknown` and `dependency_unavailable` (503) granted nothing that the caller was told of;
send the same request with the same `Idempotency-Key` after `Retry-After`. `newer_format` (503) means
that a newer release wrote the state: it is answered by an instance of that release.
`too_many_attempts` (429) names the wait in `retry_after`; other methods are not paused.
"""


def errors_page() -> str:
    """Return docs/errors.md."""
    return _INTRODUCTION + "".join(_causes()) + _FRAME + "".join(_frame()) + _REDIRECTS


def _causes() -> Iterator[str]:
    for cause in sorted(STATUS, key=lambda cause: cause.code):
        status = STATUS[cause]
        name = OAUTH_CODES.get(cause, "invalid_request")
        yield (
            f"| `{cause.code}` | {status:d} | `{name}` | {oauth_status(status):d} "
            f"| {_meaning(cause)} |\n"
        )


def _frame() -> Iterator[str]:
    refused = [HTTPException(status_code=status) for status in (404, 405, 415)]
    for problem in map(problem_of, [*refused, RuntimeError()]):
        yield f"| `{problem.code}` | {problem.status} | {problem.title} |\n"


def _meaning(cause: type[StepUpError]) -> str:
    return " ".join((cause.__doc__ or "").split("\n\n")[0].split())
