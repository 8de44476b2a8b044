"""Attempt identifiers: what a caller repeats a request with, so that it is done once."""

import re
from typing import Annotated, Any

import msgspec
from litestar import Request

from stepup.domain.client import Client
from stepup.domain.errors import InvalidRequestError
from stepup.domain.ids import AttemptId
from stepup.ports import Ports

_KEY = re.compile(r"[\x21-\x7e]{1,128}")

FormAttempt = Annotated[AttemptId, msgspec.Meta(pattern=r"\A[\x20-\x7e]{1,128}\Z")]
"""The same in a form of ours, which carries an identifier that was made for it."""


def names_its_attempt(request: Request[Any, Any, Any]) -> bool:
    """Say whether the caller knows the name of its attempt, and so may come again with it."""
    return "idempotency-key" in request.headers


def attempt_of(request: Request[Any, Any, Any], ports: Ports, caller: Client) -> AttemptId:
    """Return the caller's `Idempotency-Key`, or a random one that nobody will repeat.

    A key is the caller's own: two clients that count from 1 are two attempts.

    Raises:
        InvalidRequestError: If the key is not 1 to 128 visible ASCII characters.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return AttemptId(ports.entropy.token(16))
    if not _KEY.fullmatch(key):
        raise InvalidRequestError("Idempotency-Key has 1 to 128 visible ASCII characters.")
    # A key has no space, so nobody can write another client's attempt.
    return AttemptId(f"{caller.client_id} {key}")
