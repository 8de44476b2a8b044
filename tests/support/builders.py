"""Valid values by default; a keyword changes one thing. Identifiers are never repeated."""

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from stepup.domain.action_details import ActionDetails, DetailsResource
from stepup.domain.assurance import (
    DEFAULT_LADDER,
    Acr,
    Amr,
    Approval,
    AuthnContext,
    CeremonyFacts,
    Method,
)
from stepup.domain.authenticator import Authenticator, Credential, TotpSecret, WebAuthnCredential
from stepup.domain.authorization import (
    TICKET_LIFETIME,
    Authorization,
    Purpose,
    ResponseMode,
    Ticket,
)
from stepup.domain.binding import bound_digest
from stepup.domain.browser_session import LONGEST_PROOF, Proof
from stepup.domain.challenge import CHALLENGE_LIFETIME, Challenge
from stepup.domain.checked_request import CheckedRequest, ResponseTarget, SignedObject
from stepup.domain.condition import AttributeSchema, Condition, EvaluationError, Inputs
from stepup.domain.confirmation import Confirmation
from stepup.domain.decision import Allow, AllowReason, Basis, Decision
from stepup.domain.decision_request import Attribute, AttributeType, DecisionRequest
from stepup.domain.ids import (
    ActionName,
    AttemptId,
    AuthenticatorId,
    ChallengeId,
    ClientId,
    Subject,
)
from stepup.domain.policy import Action, Guardrail, Policy, Rule
from stepup.domain.recorded_decision import RecordedDecision, outcome_of
from stepup.domain.refresh import RefreshGrant
from stepup.domain.requirement import Requirement
from stepup.ports import PresentedCode
from tests.support.determinism import NOON

TRANSFER = {"amount": 5000, "payee": "DE02120300000000202051"}
A_TOTP_SECRET = TotpSecret(secret=b"12345678901234567890")
A_PASSKEY = WebAuthnCredential(credential_id=b"credential-1", public_key=b"public-key-1")
A_TOTP = CeremonyFacts(method=Method.TOTP)
A_TOUCH = CeremonyFacts(method=Method.WEBAUTHN, user_verified=True)


def an_attempt() -> AttemptId:
    return AttemptId(secrets.token_urlsafe(9))


def a_subject(sub: str | None = None) -> Subject:
    return Subject(issuer="https://idp.example", sub=sub or f"alice-{secrets.token_hex(4)}")


def an_authenticator(credential: Credential = A_TOTP_SECRET, **changes: object) -> Authenticator:
    fields: dict = {
        "id": AuthenticatorId(secrets.token_urlsafe(12)),
        "subject": a_subject(),
        "name": "My phone",
        "credential": credential,
        "created_at": NOON,
    }
    return Authenticator(**fields | changes)


def a_requirement(**changes: object) -> Requirement:
    fields: dict = {"acr": Acr("urn:stepup:acr:2"), "max_age": timedelta(0), "once": True}
    return Requirement(**fields | changes)


def a_purpose(**changes: object) -> Purpose:
    fields: dict = {
        "action": ActionName("payments.transfer"),
        "title": {"en": "Transfer money"},
        "bound": TRANSFER,
        "bound_digest": bound_digest("payments.transfer", TRANSFER),
        "displayed": TRANSFER,
        "policy_version": 3,
    }
    return Purpose(**fields | changes)


def an_authorization(**changes: object) -> Authorization:
    fields: dict = {
        "client_id": ClientId("bank"),
        "client_name": "Bank",
        "subject": a_subject(),
        "requirement": a_requirement(),
        "purpose": a_purpose(),
        "audience": "https://api.bank.example",
        "redirect_uri": "https://bank.example/callback",
        "state": "state-1",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    }
    return Authorization(**fields | changes)


def a_checked_request(**changes: object) -> CheckedRequest:
    """One that waits for its subject, with everything that a request can have."""
    ticket = Ticket(
        id="ticket-1",
        client_id=ClientId("bank"),
        subject=a_subject("alice"),
        requirement=a_requirement(methods=frozenset({Method.TOTP}), bind=frozenset({"amount"})),
        purpose=a_purpose(),
        issued_at=NOON,
        expires_at=NOON + TICKET_LIFETIME,
    )
    fields: dict = {
        "client_id": ClientId("bank"),
        "pushed": False,
        "target": ResponseTarget(
            redirect_uri="https://bank.example/callback",
            response_mode=ResponseMode.FORM_POST,
            state="state-1",
        ),
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "scope": "openid",
        "nonce": "nonce-1",
        "prompt": frozenset({"login", "consent"}),
        "max_age": 0,
        "acr_values": (Acr("phr"), Acr("urn:stepup:acr:2")),
        "essential_acr": True,
        "ticket": ticket,
        "details": ActionDetails(
            action="payments.transfer",
            properties=TRANSFER,
            resource=DetailsResource(type="account", id="1"),
        ),
        "signed_object": SignedObject("object-1", NOON, NOON + TICKET_LIFETIME),
        "expected_subject": a_subject("alice"),
        "login_hint": "alice",
        "dpop_jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
        "waits_as": "digest-1",
        "waits_until": NOON + TICKET_LIFETIME,
    }
    return CheckedRequest(**fields | changes)


def a_challenge(*, now: datetime = NOON, **changes: object) -> Challenge:
    fields: dict = {
        "id": ChallengeId(f"r1.{secrets.token_urlsafe(16)}"),
        "authorization": an_authorization(),
        "methods": (Method.WEBAUTHN, Method.TOTP),
        "authenticators": (an_authenticator(), an_authenticator(A_PASSKEY)),
        "opened_at": now,
        "expires_at": now + CHALLENGE_LIFETIME,
    }
    return Challenge(**fields | changes)


def a_proof(*, now: datetime = NOON, **changes: object) -> Proof:
    fields: dict = {
        "challenge_id": ChallengeId(f"r1.{secrets.token_urlsafe(16)}"),
        "subject": a_subject(),
        "passed": (A_TOUCH,),
        "auth_time": now,
        "expires_at": now + LONGEST_PROOF,
    }
    return Proof(**fields | changes)


def a_refresh_grant(*, now: datetime = NOON, **changes: object) -> RefreshGrant:
    fields: dict = {
        "challenge_id": ChallengeId(f"r1.{secrets.token_urlsafe(16)}"),
        "client_id": ClientId("bank"),
        "is_public": False,
        "subject": a_subject(),
        "audience": "bank-api",
        "scope": "openid offline_access",
        "acr": Acr("phr"),
        "amr": (Amr("hwk"), Amr("user")),
        "auth_time": now,
        "expires_at": now + timedelta(hours=1),
        "token_lifetime": timedelta(seconds=120),
        "confirmation": Confirmation(jkt="key-1"),
        "authenticators": (AuthenticatorId("a1"),),
    }
    return RefreshGrant(**fields | changes)


def a_presented_code(challenge: Challenge, digest: bytes, **changes: object) -> PresentedCode:
    fields: dict = {
        "challenge_id": challenge.id,
        "digest": digest,
        "client_id": challenge.authorization.client_id,
        "redirect_uri": challenge.authorization.redirect_uri,
        "code_challenge": challenge.authorization.code_challenge,
    }
    return PresentedCode(**fields | changes)


class AnyInputs(Inputs):
    """What `AnySchema` reads."""


class AnySchema(AttributeSchema):
    """Reads every request, or none."""

    def __init__(self, error: str | None = None, wrong: Iterable[str] = ()) -> None:
        self.error = error
        self.wrong = frozenset(wrong)

    def read(
        self, request: DecisionRequest, context: AuthnContext | None, now: datetime
    ) -> Inputs | EvaluationError:
        return AnyInputs() if self.error is None else EvaluationError(self.error, self.wrong)


class Answers(Condition):
    """A condition that always gives the same answer, whatever it looks at."""

    def __init__(
        self,
        answer: bool | EvaluationError,
        *,
        source: str = "",
        reads: Iterable[str] = (),
        asks: Iterable[str] = (),
    ) -> None:
        self.answer = answer
        self.source = source
        self.reads = frozenset(reads)
        self.asks = frozenset(asks)

    def holds(self, inputs: Inputs) -> bool | EvaluationError:
        return self.answer


def an_attribute(name: str = "amount", **changes: object) -> Attribute:
    fields: dict = {"name": name, "type": AttributeType.STRING}
    return Attribute(**fields | changes)


def a_rule(rule_id: str = "rule-1", **changes: object) -> Rule:
    fields: dict = {"id": rule_id, "when": Answers(True), "then": a_requirement()}
    return Rule(**fields | changes)


def a_guardrail(**changes: object) -> Guardrail:
    fields: dict = {
        "id": "guardrail-1",
        "require": Requirement(acr=Acr("urn:stepup:acr:1")),
        "actions": ("payments.*",),
    }
    return Guardrail(**fields | changes)


def an_action(**changes: object) -> Action:
    fields: dict = {
        "name": ActionName("payments.transfer"),
        "schema": AnySchema(),
        "attributes": (an_attribute("amount"), an_attribute("payee")),
        "default": Requirement(acr=Acr("urn:stepup:acr:2"), max_age=timedelta(minutes=15)),
    }
    return Action(**fields | changes)


def a_policy(*actions: Action, **changes: object) -> Policy:
    catalog = actions or (an_action(),)
    fields: dict = {
        "version": 3,
        "ladder": DEFAULT_LADDER,
        "actions": {action.name: action for action in catalog},
    }
    return Policy(**fields | changes)


def a_decision_request(**changes: object) -> DecisionRequest:
    fields: dict = {
        "subject_type": "user",
        "subject_id": "alice",
        "action": ActionName("payments.transfer"),
        "resource_type": "account",
        "resource_id": "account-1",
        "action_properties": TRANSFER,
    }
    return DecisionRequest(**fields | changes)


def a_recorded_decision(
    decision: Decision | None = None, *, at: datetime = NOON, **changes: object
) -> RecordedDecision:
    """A record of a decision; of one that allows, by version 3, when none is given."""
    decided = decision or Allow(
        reason=AllowReason.NOT_REQUIRED, basis=Basis(policy_version=3, rule="rule-1")
    )
    fields: dict = {
        "id": secrets.token_urlsafe(12),
        "at": at,
        "client_id": ClientId("bank"),
        "subject_id": a_subject().id,
        "request": a_decision_request(),
        "policy_version": decided.basis.policy_version,
        "outcome": outcome_of(decided),
        "rule": decided.basis.rule,
        "error": decided.basis.error,
    }
    return RecordedDecision(**fields | changes)


def an_approval(
    acr: str = "urn:stepup:acr:2", *, age: timedelta = timedelta(0), **changes: object
) -> Approval:
    fields: dict = {"context": AuthnContext(acr=Acr(acr), auth_time=NOON - age)}
    return Approval(**fields | changes)


def an_approval_of(action: str, bound: dict, acr: str = "phr", **changes: object) -> Approval:
    """An approval made for one action and its bound values, good for one use."""
    made_for = {"action": action, "bound_digest": bound_digest(action, bound), "once": True}
    return an_approval(acr, **made_for | changes)
