"""Everything the SDK raises. What can be sent to a caller renders itself.

The order matters: a token is verified before a caller learns what an action demands, so strangers
see a plain RFC 6750 answer and only holders of a good token see the challenge (RFC 9470 section 9).
"""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, ClassVar

from stepup.sdk.requirement import Requirement

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


PROOF_ALGORITHMS = ("ES256", "PS256", "EdDSA", "Ed25519")
"""With what a DPoP proof may be signed: what FAPI 2.0 section 5.4.1 allows."""

_SCHEMES = {"Bearer": "Bearer", "DPoP": f'DPoP algs="{" ".join(PROOF_ALGORITHMS)}"'}


class SdkError(Exception):
    """A request that must not go on."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "error"
    title: ClassVar[str] = "The request cannot be done"

    @property
    def headers(self) -> dict[str, str]:
        """The fields of the answer, ready for any framework."""
        return {"Content-Type": "application/problem+json", "Cache-Control": "no-store"}

    @property
    def problem(self) -> dict[str, object]:
        """The answer's body as an RFC 9457 problem."""
        return {
            "type": f"urn:stepup:error:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": str(self) or self.title,
            "code": self.code,
        }

    @property
    def body(self) -> bytes:
        """The problem, encoded."""
        return json.dumps(self.problem, ensure_ascii=False).encode()

    def to_asgi(self) -> AsgiApp:
        """Return an ASGI application that answers with this error."""

        async def answer(_scope: Scope, _receive: Receive, send: Send) -> None:
            body = self.body
            fields = {**self.headers, "Content-Length": str(len(body))}
            headers = [(k.lower().encode(), v.encode()) for k, v in fields.items()]
            await send({"type": "http.response.start", "status": self.status, "headers": headers})
            await send({"type": "http.response.body", "body": body})

        return answer


class InvalidToken(SdkError):  # noqa: N818  public name, as in the documentation since the first day
    """The token is not one of ours, not for us, or not valid any more.

    The reason is for our own log. A caller only learns that the token is no good.
    """

    status = 401
    code = "invalid_token"
    title = "The access token is not valid"

    def __init__(self, reason: str = "the token is not valid") -> None:
        super().__init__(reason)
        self.reason = reason
        self.scheme = "Bearer"
        """The scheme that the token was shown with, which is answered in the same."""

    @property
    def headers(self) -> dict[str, str]:
        """Add the challenge of RFC 6750 section 3.1, which tells nothing about the policy."""
        challenge = _challenge(self.scheme, {"error": self.code})
        return super().headers | {"WWW-Authenticate": challenge}

    @property
    def problem(self) -> dict[str, object]:
        """Leave the reason out: it would help whoever forges tokens."""
        return super().problem | {"detail": self.title}


class MissingToken(InvalidToken):
    """There is no token at all; RFC 6750 section 3 sends no error code then."""

    code = "missing_token"
    title = "An access token is needed"

    def __init__(self, reason: str = "there is no token", *, takes_dpop: bool = False) -> None:
        super().__init__(reason)
        self.takes_dpop = takes_dpop

    @property
    def headers(self) -> dict[str, str]:
        """Send the bare challenge of every scheme that would do (RFC 9449 section 7.2)."""
        schemes = ["Bearer", _SCHEMES["DPoP"]] if self.takes_dpop else ["Bearer"]
        return super().headers | {"WWW-Authenticate": ", ".join(schemes)}


class InvalidProof(InvalidToken):
    """The DPoP proof that came with the token does not hold (RFC 9449 section 7.1)."""

    code = "invalid_dpop_proof"
    title = "The DPoP proof is not valid"

    def __init__(self, reason: str = "the proof is not valid") -> None:
        super().__init__(reason)
        self.scheme = "DPoP"


class UseDpopNonce(InvalidProof):
    """The DPoP proof must carry a nonce of ours; `nonce` is one (RFC 9449 section 9)."""

    code = "use_dpop_nonce"
    title = "The DPoP proof needs a nonce"

    def __init__(self, nonce: str) -> None:
        super().__init__("the proof has no nonce of ours, or an old one")
        self.nonce = nonce

    @property
    def headers(self) -> dict[str, str]:
        """Bring the nonce, and let scripts of other origins read it."""
        exposed = "WWW-Authenticate, DPoP-Nonce"
        fields = {"DPoP-Nonce": self.nonce, "Access-Control-Expose-Headers": exposed}
        return super().headers | fields


class StepUpRequired(SdkError):  # noqa: N818  public name, as in the documentation since the first day
    """The token is good, but not good enough for this action (RFC 9470)."""

    status = 401
    code = "step_up_required"
    title = "A stronger authentication is needed"

    def __init__(
        self, requirement: Requirement, reason: str, *, start_url: str | None = None
    ) -> None:
        super().__init__(reason)
        self.requirement = requirement
        self.reason = reason
        self.start_url = start_url
        self.scheme = "Bearer"
        """The scheme that the token was shown with, which is answered in the same."""

    @property
    def headers(self) -> dict[str, str]:
        """Add the challenge of RFC 9470 section 3."""
        parameters = {
            "error": "insufficient_user_authentication",
            "error_description": self.reason,
            "acr_values": self.requirement.level,
        }
        challenge = _challenge(self.scheme, parameters)
        if self.requirement.max_age is not None:
            challenge += f", max_age={self.requirement.max_age}"
        return super().headers | {"WWW-Authenticate": challenge}

    @property
    def problem(self) -> dict[str, object]:
        """Say what would be enough, and where to get it."""
        problem = super().problem | {
            "action": self.requirement.action,
            "acr_values": self.requirement.level,
        }
        if self.requirement.max_age is not None:
            problem["max_age"] = self.requirement.max_age
        if self.start_url is not None:
            problem["start_url"] = self.start_url
        return problem


class BindingError(SdkError, ValueError):
    """A value that an approval is bound to is missing, ambiguous, or of a type that has no digest."""

    status = 400
    code = "invalid_request"
    title = "The request does not say what it must"


class BodyTypeError(BindingError):
    """The body is not sent as what the route takes, so others might read it differently."""

    status = 415
    code = "unsupported_media_type"
    title = "The body is sent as something else than this route takes"


class AlreadyConsumedError(SdkError):
    """A once-only token was used before."""

    status = 409
    code = "token_already_consumed"
    title = "This approval was used before"


class CallbackError(SdkError):
    """The browser came back without a code, or with one that is not the answer to our request.

    `error` is the code of RFC 6749 section 4.1.2.1; `access_denied` means that the user cancelled.
    """

    status = 400
    code = "step_up_not_completed"
    title = "The confirmation was not completed"

    def __init__(self, error: str, description: str | None = None) -> None:
        super().__init__(description or error)
        self.error = error

    @property
    def is_cancelled(self) -> bool:
        """Say whether the user chose not to go on."""
        return self.error == "access_denied"


class ServiceError(SdkError):
    """stepup refused what we asked for: `error` is its stable code."""

    status = 502
    code = "step_up_service_error"
    title = "The step-up service refused the request"

    def __init__(self, service_status: int, error: str, detail: str | None = None) -> None:
        super().__init__(f"{error}: {detail}" if detail else error)
        self.service_status = service_status
        self.error = error

    @property
    def problem(self) -> dict[str, object]:
        """Keep what was said between two services between them."""
        return super().problem | {"detail": self.title}


class UnavailableError(ServiceError):
    """stepup, or its keys, cannot be reached. Nothing was granted; trying again is safe."""

    status = 503
    code = "step_up_unavailable"
    title = "The confirmation service cannot be reached at the moment"

    def __init__(self, detail: str, retry_after: int = 1) -> None:
        super().__init__(503, "temporarily_unavailable", detail)
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        """Say when to come back."""
        return super().headers | {"Retry-After": str(self.retry_after)}


def _challenge(scheme: str, parameters: dict[str, str]) -> str:
    said = ", ".join(f"{name}={_quoted(value)}" for name, value in parameters.items())
    # The scheme DPoP has a parameter already, so a comma goes on.
    return f"{_SCHEMES[scheme]}{', ' if scheme == 'DPoP' else ' '}{said}"


def _quoted(text: str) -> str:
    # RFC 6750 section 3 allows neither quotes nor backslashes in these, nor anything outside ASCII.
    safe = "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in text)
    return f'"{safe}"'
