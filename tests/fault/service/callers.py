"""Callers of the whole service over HTTP, who write down what they were told."""

import base64
import json
from datetime import UTC, datetime

import httpx2

from tests.e2e.api import Api, Subject, is_honest_refusal
from tests.fault.checker import ACTIVATE, DECIDE, INTROSPECT, REDEEM, REVOKE
from tests.fault.history import History, Outcome, Try
from tests.support.builders import an_attempt
from tests.support.service import RunningService


class Caller:
    """One caller of one of the services; what is not a 503 during a fault was meant."""

    def __init__(self, name: str, service: RunningService, history: History) -> None:
        self.name = name
        self.api = Api(service)
        self._service = service
        self._history = history

    def close(self) -> None:
        self.api.close()

    def redeem(self, code: str, attempt: str) -> str | None:
        """Redeem a code; return the token."""
        with self._history.trying(self.name, REDEEM, challenge_of(code), attempt) as one:
            body = self._heard(one, self.api.redeem(code, attempt), "access_token")
            if body is None:
                return None
            token = str(body["access_token"])
            claims = claims_of(token)
            one.answer = f"{claims['jti']} {datetime.fromtimestamp(claims['iat'], UTC)}"
            return token

    def introspect(self, token: str) -> None:
        """Ask whether a token counts."""
        target = claims_of(token)["jti"]
        with self._history.trying(self.name, INTROSPECT, target, an_attempt()) as one:
            body = self._heard(one, self.api.introspect(token), "active")
            if body is not None and not body["active"]:
                one.outcome = Outcome.TAKEN

    def revoke(self, token: str) -> Outcome:
        """Revoke a token."""
        target = claims_of(token)["jti"]
        with self._history.trying(self.name, REVOKE, target, an_attempt()) as one:
            self._heard(one, self.api.revoke(token))
        return one.outcome

    def step_up(self, subject: Subject) -> str | None:
        """Open a challenge, answer it and redeem the code; each step may meet the fault."""
        opened = self.api.open(self.api.ticket(subject.sub))
        if opened.status_code != 201:
            assert is_honest_refusal(opened), opened.text
            return None
        challenge = opened.json()["challenge_id"]
        answered = self.api.answer(challenge, subject.app.code(), an_attempt())
        if answered.status_code != 200:
            assert is_honest_refusal(answered), answered.text
            return None
        return self.redeem(str(answered.json()["code"]), an_attempt())

    def activate(self, document: str, version: int) -> None:
        """Make a document the policy; its version is what the caller counts."""
        with self._history.trying(self.name, ACTIVATE, "policy", an_attempt()) as one:
            answer = httpx2.put(
                f"{self._service.origin}/v1/admin/policy",
                content=document,
                headers=self._service.admin,
                trust_env=False,
                timeout=15,
            )
            self._heard(one, answer)
            one.answer = str(version)

    def sees(self, version: int) -> bool:
        """Ask, on a connection that any worker may take, for an action that a version brought."""
        api = Api(self._service)
        try:
            with self._history.trying(self.name, DECIDE, "policy", an_attempt()) as one:
                body = self._heard(one, api.decide("anybody", f"probe.v{version}"), "decision")
                has = body is not None and body["decision"] is True
                one.answer = str(version if has else version - 1)
                return has
        finally:
            api.close()

    def _heard(self, one: Try, answer: httpx2.Response, *needs: str) -> dict | None:
        body = (answer.json() if answer.content else None) or {}
        if answer.status_code == 200 and set(needs) <= set(body):
            one.outcome = Outcome.GRANTED
            return body
        one.seen.append(f"{answer.status_code} {answer.text[:200]}")
        # S5: nothing else than an honest 503 may come of a fault.
        one.outcome = Outcome.UNKNOWN if is_honest_refusal(answer) else Outcome.REFUSED
        return None


def challenge_of(code: str) -> str:
    """Return the challenge that a code belongs to."""
    return code.rpartition(".")[0]


def claims_of(token: str) -> dict:
    """Read a token without verifying it."""
    payload = token.split(".")[1]
    claims: dict = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims
