"""What an elevated token says, read strictly: a missing or malformed claim is a refusal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import time
from typing import NamedTuple

from stepup.sdk.errors import InvalidToken
from stepup.sdk.possession import Confirmation, confirmation_of

CLOCK_LEEWAY = 5
"""How many seconds two hosts' clocks may differ; no other service's clock is trusted further."""

_moment = datetime.fromtimestamp


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedToken:
    """A token that was verified; nothing but verification makes one.

    `subject` is unique within the service. `subject_issuer` and `subject_sub` name the person at
    the base identity provider. `confirmation` is the key that it is bound to, None for most.
    """

    raw: str = field(repr=False)
    jti: str
    subject: str
    subject_issuer: str | None
    subject_sub: str | None
    client_id: str
    audience: str
    level: str
    methods: tuple[str, ...]
    auth_time: datetime
    issued_at: datetime
    expires_at: datetime
    txn: str
    action: str | None
    bound_digest: str | None
    once: bool
    scope: str | None
    status: "StatusClaim | None" = None
    confirmation: Confirmation | None = None

    @property
    def expires_in(self) -> int:
        """Seconds that are left, never below zero."""
        return max(0, int(self.expires_at.timestamp() - time()))


class StatusClaim(NamedTuple):
    """Where a token's status is published (Token Status List 6.2)."""

    uri: str
    place: int


class Times(NamedTuple):
    """The claims that are compared with the clock each time."""

    not_before: int
    expires_at: int
    auth_time: int


def read_claims(
    raw: str, claims: Mapping[str, object], issuer: str, audience: str
) -> tuple[VerifiedToken, Times]:
    """Check the form of every claim and who the token is from and for.

    Raises:
        InvalidToken: If a claim is missing, malformed, or names somebody else.
    """
    if _text(claims, "iss") != issuer:
        raise InvalidToken("the token is from another issuer")
    # One string: a list would be a token for several services, which stepup never makes.
    if _text(claims, "aud") != audience:
        raise InvalidToken("the token is for another audience")
    issued_at, expires_at = _seconds(claims, "iat"), _seconds(claims, "exp")
    auth_time = _seconds(claims, "auth_time")
    not_before = max(issued_at, _seconds(claims, "nbf")) if "nbf" in claims else issued_at
    if issued_at >= expires_at:
        raise InvalidToken("the token expires before it was issued")
    subject_issuer, subject_sub = _subject_id(claims)
    action, digest, once = _approved(claims)
    token = VerifiedToken(
        raw=raw,
        jti=_text(claims, "jti"),
        subject=_text(claims, "sub"),
        subject_issuer=subject_issuer,
        subject_sub=subject_sub,
        client_id=_text(claims, "client_id"),
        audience=audience,
        level=_text(claims, "acr"),
        methods=_methods(claims),
        auth_time=_moment(auth_time, UTC),
        issued_at=_moment(issued_at, UTC),
        expires_at=_moment(expires_at, UTC),
        txn=_text(claims, "txn"),
        action=action,
        bound_digest=digest,
        once=once,
        scope=_text(claims, "scope") if "scope" in claims else None,
        status=_status(claims),
        confirmation=confirmation_of(claims),
    )
    return token, Times(not_before, expires_at, auth_time)


def _text(claims: Mapping[str, object], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidToken(f"the claim {name} is missing or malformed")
    return value


def _seconds(claims: Mapping[str, object], name: str) -> int:
    value = claims.get(name)
    # bool is an int in Python; the upper bound is the last second that datetime can hold.
    if type(value) is not int or not 0 < value < 253_402_300_800:
        raise InvalidToken(f"the claim {name} is missing or malformed")
    return value


def _methods(claims: Mapping[str, object]) -> tuple[str, ...]:
    value = claims.get("amr")
    if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
        raise InvalidToken("the claim amr is missing or malformed")
    return tuple(value)


def _subject_id(claims: Mapping[str, object]) -> tuple[str | None, str | None]:
    if "sub_id" not in claims:
        return None, None
    value = claims["sub_id"]
    # RFC 9493 section 3.2.3.
    if not isinstance(value, dict) or value.get("format") != "iss_sub":
        raise InvalidToken("the claim sub_id is malformed")
    return _text(value, "iss"), _text(value, "sub")


def _status(claims: Mapping[str, object]) -> StatusClaim | None:
    if "status" not in claims:
        return None
    status = claims["status"]
    listed = status.get("status_list") if isinstance(status, dict) else None
    if not isinstance(listed, dict):
        # Another mechanism, which we know nothing of.
        return None
    place = listed.get("idx")
    if type(place) is not int or place < 0:
        raise InvalidToken("the claim status is malformed")
    return StatusClaim(_text(listed, "uri"), place)


def _approved(claims: Mapping[str, object]) -> tuple[str | None, str | None, bool]:
    """Return the one action that the token was made for, its digest, and whether it is once-only."""
    if "authorization_details" not in claims:
        return None, None, False
    details = claims["authorization_details"]
    detail = details[0] if isinstance(details, list) and len(details) == 1 else None
    if not isinstance(detail, dict) or detail.get("type") != "stepup_action":
        raise InvalidToken("the claim authorization_details is malformed")
    once = detail.get("once", False)
    if not isinstance(once, bool):
        raise InvalidToken("the claim authorization_details is malformed")
    return _text(detail, "action"), _text(detail, "bound_digest"), once
