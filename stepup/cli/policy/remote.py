"""A service as a pipeline reaches it: by its admin API, with a key."""

import os
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import msgspec
import rich_click as click
from typing_extensions import override

from stepup.cli.files import read_text
from stepup.cli.policy.service import Pending, Remark, Service, Version, draft_name
from stepup.config_values import is_loopback
from stepup.domain.ids import DraftId

KEY_VARIABLE = "STEPUP_API_KEY"
# Longer than the service lets any document take.
_PATIENCE = 45.0
_POLICY = "/v1/admin/policy"
_CONFLICT = 409
_FORBIDDEN = 403
_NOT_FOUND = 404


class RemoteError(click.ClickException):
    """What the service answered, as one line; `code` is the problem's."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.code = str(problem.get("code", ""))
        self.problem = problem
        said = problem.get("detail") or f"the service answered {status}"
        super().__init__(f"{said} ({self.code or status})")


class RemoteService(Service):
    """The admin API behind one HTTP client, which carries the key."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client

    @override
    async def find_active(self) -> Version | None:
        try:
            return _version(await self._ask("GET", "/"))
        except RemoteError as error:
            if error.status == _NOT_FOUND and error.code == "policy_not_found":
                return None
            raise

    @override
    async def get(self, number: int) -> Version:
        return _version(await self._ask("GET", f"/versions/{number}"))

    @override
    async def check(self, text: str) -> Sequence[Remark]:
        found = await self._ask("POST", "/check", content=text.encode())
        return [msgspec.convert(each, Remark) for each in found["findings"]]

    @override
    async def activate(self, text: str, source: str, *, replacing: int) -> int | Pending:
        if replacing == 0:
            # Nobody has seen any version; one that came meanwhile must not be undone unseen.
            first = {"if-none-match": "*"}
            made = await self._ask("PUT", "/", content=text.encode(), headers=first)
            return int(made["version"])
        name = draft_name(source)
        draft = await self._ask("POST", "/drafts", json={"name": name, "document": text})
        path, seen = f"/drafts/{draft['id']}", {"if-match": f'"{draft["revision"]}"'}
        if draft["base"] != replacing:
            await self._ask("DELETE", path, headers=seen)
            raise click.ClickException(
                f"version {draft['base']} became active meanwhile: plan again"
            )
        try:
            made = await self._ask("POST", f"{path}/activation", json={}, headers=seen)
        except RemoteError as error:
            missing = _missing(error, draft.get("needed", 0))
            if missing is None:
                raise
            return Pending(draft=DraftId(draft["id"]), missing=missing)
        return int(made["version"])

    @override
    async def force(self, text: str, reason: str) -> int:
        raise click.UsageError("--force works on the host only, without --server")

    @override
    async def roll_back(self, number: int, reason: str) -> int:
        made = await self._ask("POST", f"/versions/{number}/rollback", json={"note": reason})
        return int(made["version"])

    async def _ask(self, method: str, path: str, **sent: Any) -> Any:
        try:
            answer = await self._client.request(method, f"{_POLICY}{path}", **sent)
        except httpx2.HTTPError as error:
            raise click.ClickException(f"the service does not answer: {error}") from error
        if answer.is_success:
            return answer.json() if answer.content else None
        raise RemoteError(answer.status_code, _problem(answer))


def open_client(server: str, key: str) -> AbstractAsyncContextManager[httpx2.AsyncClient]:
    """Make the client; it follows no redirect, so that nobody else is shown the key."""
    return httpx2.AsyncClient(
        base_url=server,
        headers={"authorization": f"Bearer {key}"},
        timeout=_PATIENCE,
        follow_redirects=False,
    )


def checked_server(server: str) -> str:
    """Return the URL of a service, if a key may be sent there."""
    parts = urlsplit(server)
    is_safe = parts.scheme == "https" or (
        parts.scheme == "http" and is_loopback(parts.hostname or "")
    )
    if not parts.hostname or parts.username or parts.query or not is_safe:
        raise click.BadParameter("needs https://..., or http:// on this machine")
    return server.rstrip("/")


def read_key(key_file: Path | None) -> str:
    """Return the key, from a file or the environment; never from the command line."""
    key = read_text(key_file) if key_file else os.environ.get(KEY_VARIABLE, "")
    words = key.split()
    # What cannot stand in a header would be shown in the error that says so.
    if len(words) != 1 or not (key.isascii() and words[0].isprintable()):
        raise click.UsageError(f"--server needs an API key in {KEY_VARIABLE} or --key-file")
    return words[0]


def _missing(error: RemoteError, wanted: int) -> str | None:
    if error.status == _CONFLICT and error.code == "approval_required":
        needed = int(error.problem.get("needed", 1))
        missing = needed - int(error.problem.get("approvals", 0))
        return f"{missing} of {needed} approvals missing"
    if error.status == _FORBIDDEN and error.code == "insufficient_scope":
        approvals = f"{wanted} of {wanted} approvals missing, and then " if wanted else "for "
        return f"{approvals}somebody who may activate it"
    return None


def _version(document: Any) -> Version:
    return msgspec.convert(document, Version)


def _problem(answer: httpx2.Response) -> dict[str, Any]:
    try:
        problem = answer.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}
