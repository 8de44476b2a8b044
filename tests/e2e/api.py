"""A service that uses ours over HTTP, with screens of its own."""

import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import httpx2

from stepup.demo.authenticator import AuthenticatorApp
from tests.support.service import RunningService

ACTION = "payments.transfer"
AMOUNT = "500.00"


class Api:
    """The bank's way to one service; every answer is handed back as it came."""

    def __init__(self, service: RunningService) -> None:
        self._admin = service.admin
        self._http = httpx2.Client(
            base_url=service.origin, auth=service.client(), timeout=15, trust_env=False
        )

    def close(self) -> None:
        self._http.close()

    def enroll(self) -> "Subject":
        """Provision somebody new with an authenticator app."""
        subject = Subject()
        answer = self.try_to_enroll(subject)
        assert answer.status_code == 201, answer.text
        return subject

    def try_to_enroll(self, subject: "Subject") -> httpx2.Response:
        return self._http.post(
            f"/v1/admin/subjects/{subject.sub}/authenticators",
            json=subject.app.provisioning(),
            headers=self._admin,
            auth=None,
        )

    def decide(
        self, sub: str, action: str = ACTION, amount: str = AMOUNT, token: str | None = None
    ) -> httpx2.Response:
        question: dict[str, Any] = {
            "subject": {"type": "user", "id": sub},
            "action": {"name": action},
            "resource": {"type": "account", "id": sub},
        }
        if action == ACTION:
            details = {"amount": amount, "payee": "ACME", "currency": "EUR"}
            question["action"] = {"name": action, "properties": details}
        if token is not None:
            question["context"] = {"elevated_token": token}
        return self._http.post("/access/v1/evaluation", json=question)

    def recorded(self, sub: str, count: int) -> list[dict[str, Any]]:
        """Wait until that many decisions about a subject are in the database."""
        for _ in range(200):
            query = {"subject": sub}
            answer = self._http.get(
                "/v1/admin/decisions", params=query, headers=self._admin, auth=None
            )
            found: list[dict[str, Any]] = answer.json()["decisions"]
            if len(found) >= count:
                return found
            time.sleep(0.1)
        raise AssertionError(f"{sub}: {found}")

    def ticket(self, sub: str) -> str:
        return str(self.decide(sub).json()["context"]["step_up_ticket"])

    def open(self, ticket: str) -> httpx2.Response:
        return self._http.post("/v1/challenges", json={"ticket": ticket})

    def answer(self, challenge_id: str, code: str, attempt: str) -> httpx2.Response:
        return self._http.post(
            f"/v1/challenges/{challenge_id}/otp",
            json={"method": "totp", "code": code},
            headers={"idempotency-key": attempt},
        )

    def answer_above_the_floor(self, pending: "Pending") -> httpx2.Response:
        """Answer with a code; after Redis came back, as late as it says that codes count again."""
        answer = self.answer(pending.challenge_id, pending.subject.app.code(), "too-early")
        if answer.json().get("code") != "code_too_early":
            return answer
        time.sleep(answer.json()["retry_after"])
        return self.answer(pending.challenge_id, pending.subject.app.code(), "in-time")

    def redeem(self, code: str, attempt: str) -> httpx2.Response:
        form = {"grant_type": "authorization_code", "code": code}
        return self._http.post("/oauth2/token", data=form, headers={"idempotency-key": attempt})

    def consume(self, token: str, attempt: str) -> httpx2.Response:
        headers = {"idempotency-key": attempt}
        return self._http.post("/oauth2/consume", data={"token": token}, headers=headers)

    def introspect(self, token: str) -> httpx2.Response:
        return self._http.post("/oauth2/introspect", data={"token": token})

    def revoke(self, token: str) -> httpx2.Response:
        return self._http.post("/oauth2/revoke", data={"token": token})

    def remove_authenticators(self, sub: str) -> None:
        """Do what an administrator does when somebody lost a phone."""
        path = f"/v1/admin/subjects/{sub}/authenticators"
        found = self._http.get(path, headers=self._admin, auth=None).json()
        for each in found["authenticators"]:
            removed = self._http.delete(f"{path}/{each['id']}", headers=self._admin, auth=None)
            assert removed.status_code == 204, removed.text

    def opened(self) -> "Pending":
        """Go as far as an open challenge."""
        subject = self.enroll()
        answer = self.open(self.ticket(subject.sub))
        assert answer.status_code == 201, answer.text
        return Pending(subject, answer.json()["challenge_id"])

    def passed(self) -> str:
        """Go as far as a code that has not been redeemed."""
        pending = self.opened()
        answer = self.answer(pending.challenge_id, pending.subject.app.code(), "answer")
        assert answer.status_code == 200, answer.text
        return str(answer.json()["code"])

    def elevated(self) -> str:
        """Go as far as an elevated token."""
        return str(self.redeem(self.passed(), "redeem").json()["access_token"])


@dataclass
class Subject:
    """Somebody with an authenticator app."""

    sub: str = field(default_factory=lambda: f"e2e-{secrets.token_hex(6)}")
    app: AuthenticatorApp = field(default_factory=AuthenticatorApp)


@dataclass
class Pending:
    """A challenge that waits for its answer."""

    subject: Subject
    challenge_id: str


def is_honest_refusal(answer: httpx2.Response) -> bool:
    """Say whether it is a 503 that names when to come again, and grants nothing."""
    body: dict[str, Any] = answer.json()
    return (
        answer.status_code == 503
        and int(answer.headers["retry-after"]) >= 1
        and not {"access_token", "code_"} & set(body)
        and body.get("status") != "passed"
        and body.get("error", "temporarily_unavailable") == "temporarily_unavailable"
    )
