"""What the service is asked over HTTP, one request each. These calls block; `StepUp` awaits them."""

import json
import secrets
import time
from base64 import b64encode
from collections.abc import Mapping
from typing import cast
from urllib.parse import quote, urlencode

from stepup.sdk.errors import ServiceError, UnavailableError
from stepup.sdk.flow import ID_TOKEN, ActionRequest, Decision, Outcome, Pending, Started
from stepup.sdk.transport import HttpAnswer, HttpRequest, Transport

# The same attempt may be repeated: it carries the same key and gets the same answer.
ATTEMPTS = 3
PAUSE = 0.2
_MAX_PAUSE = 2.0


class Service:
    """A registered client's view of one stepup service."""

    def __init__(
        self, issuer: str, client_id: str | None, client_secret: str | None, transport: Transport
    ) -> None:
        self._issuer = issuer
        self._client = (client_id, client_secret)
        self._transport = transport

    def decide(self, request: ActionRequest, *, token: str | None = None) -> Decision:
        """Ask whether an action may go on, given the elevated token that the caller has already."""
        document = request.document()
        if token is not None:
            context = cast("dict[str, object]", document.setdefault("context", {}))
            context["elevated_token"] = token
        answer = self._call("/access/v1/evaluation", document, expected=(200,))
        return _decision(answer.document())

    def start(
        self,
        request: ActionRequest,
        *,
        redirect_uri: str,
        subject_token: str | None = None,
        audience: str | None = None,
        ui_locales: str | None = None,
    ) -> Started:
        """Decide, and where a challenge is needed, push the authorization request for it."""
        pending = Pending(redirect_uri=redirect_uri)
        optional = {"subject_token": subject_token, "audience": audience, "ui_locales": ui_locales}
        document = request.document() | {
            "redirect_uri": redirect_uri,
            "state": pending.state,
            "code_challenge": pending.pkce.challenge,
            "code_challenge_method": pending.pkce.method,
            **{name: value for name, value in optional.items() if value is not None},
        }
        if subject_token is not None:
            document["subject_token_type"] = ID_TOKEN
        answer = self._call("/v1/step-ups", document, expected=(200, 201))
        return _started(answer.document(), pending)

    def redeem(self, code: str, pending: Pending) -> str:
        """Exchange the code for the elevated token, which still has to be verified."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": pending.redirect_uri,
            "code_verifier": pending.pkce.verifier,
        }
        token = self._call("/oauth2/token", form, expected=(200,)).document().get("access_token")
        if not isinstance(token, str):
            raise ServiceError(200, "invalid_answer", "the answer has no access token")
        return token

    def consume(
        self, token: str, *, action: str | None = None, bound_digest: str | None = None
    ) -> bool:
        """Use up a once-only token; True for exactly one caller."""
        form = {"token": token}
        if action is not None:
            form["action"] = action
        if bound_digest is not None:
            form["bound_digest"] = bound_digest
        answer = self._call("/oauth2/consume", form, expected=(200, 409))
        return answer.status == 200 and answer.document().get("active") is True

    def introspect(self, token: str) -> Mapping[str, object]:
        """Ask what the service knows about a token now (RFC 7662)."""
        return self._call("/oauth2/introspect", {"token": token}, expected=(200,)).document()

    def revoke(self, token: str) -> None:
        """End a token before its time (RFC 7009)."""
        self._call("/oauth2/revoke", {"token": token}, expected=(200,))

    def _call(
        self, path: str, content: Mapping[str, object], *, expected: tuple[int, ...]
    ) -> HttpAnswer:
        request = self._request(path, content)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = self._transport(request)
            except UnavailableError:
                if attempt == ATTEMPTS:
                    raise
                time.sleep(PAUSE * attempt)
                continue
            if answer.status in expected:
                return answer
            failure = _failure(answer)
            pause = _pause(failure)
            if pause is None or attempt == ATTEMPTS:
                raise failure
            time.sleep(pause)
        raise AssertionError("unreachable")

    def _request(self, path: str, content: Mapping[str, object]) -> HttpRequest:
        as_form = path.startswith("/oauth2/")
        kind = "application/x-www-form-urlencoded" if as_form else "application/json"
        body = urlencode(content) if as_form else json.dumps(content, allow_nan=False)
        headers = {
            "Accept": "application/json",
            "Content-Type": kind,
            "Idempotency-Key": secrets.token_urlsafe(16),
            **self._authentication(),
        }
        return HttpRequest("POST", self._issuer + path, headers, body.encode())

    def _authentication(self) -> dict[str, str]:
        client_id, secret = self._client
        if client_id is None or secret is None:
            raise ValueError("this needs StepUp(client_id=..., client_secret=...)")
        # RFC 6749 section 2.3.1: both halves are form-encoded before they are joined.
        pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
        return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def _failure(answer: HttpAnswer) -> ServiceError:
    document = answer.document()
    error = _text(document, "error") or _text(document, "code") or f"http_{answer.status}"
    detail = _text(document, "error_description") or _text(document, "detail")
    if answer.status in {429, 503}:
        wait = answer.headers.get("retry-after", "1")
        return UnavailableError(detail or error, int(wait) if wait.isdecimal() else 1)
    return ServiceError(answer.status, error, detail)


def _pause(failure: ServiceError) -> float | None:
    """Say how long to wait before the same attempt; None when it would not help."""
    if isinstance(failure, UnavailableError) and failure.retry_after <= _MAX_PAUSE:
        return float(failure.retry_after)
    return None


def _decision(document: Mapping[str, object]) -> Decision:
    raw = document.get("context")
    context: Mapping[str, object] = raw if isinstance(raw, dict) else {}
    ticket = _text(context, "step_up_ticket")
    outcome: Outcome = "deny"
    if document.get("decision") is True:
        outcome = "allow"
    elif ticket is not None:
        outcome = "step_up"
    return Decision(
        outcome=outcome,
        level=_text(context, "acr_values"),
        max_age=_integer(context, "max_age"),
        methods=_texts(context, "methods"),
        reason=_text(context, "reason"),
        rule=_text(context, "rule"),
        policy_version=_integer(context, "policy_version"),
        ticket=ticket,
    )


def _started(document: Mapping[str, object], pending: Pending) -> Started:
    url, reason = _text(document, "authorization_url"), _text(document, "reason")
    match document.get("outcome"):
        case "allow":
            return Started(outcome="allow", reason=reason)
        case "step_up" if url is not None:
            return Started(
                outcome="step_up",
                authorization_url=url,
                pending=pending,
                expires_in=_integer(document, "expires_in"),
                level=_text(document, "acr"),
                max_age=_integer(document, "max_age"),
                methods=_texts(document, "methods"),
            )
        case "deny":
            return Started(outcome="deny", reason=reason)
        case _:
            raise ServiceError(200, "invalid_answer", "the answer has no outcome")


def _text(document: Mapping[str, object], name: str) -> str | None:
    value = document.get(name)
    return value if isinstance(value, str) else None


def _integer(document: Mapping[str, object], name: str) -> int | None:
    value = document.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _texts(document: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = document.get(name)
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()
