"""Valid values by default; a keyword changes one thing. Identifiers are never repeated."""

import secrets
from datetime import datetime, timedelta

from stepup.domain.assurance import Acr, CeremonyFacts, Method
from stepup.domain.authenticator import Authenticator, Credential, TotpSecret, WebAuthnCredential
from stepup.domain.authorization import Authorization, Purpose
from stepup.domain.binding import bound_digest
from stepup.domain.challenge import CHALLENGE_LIFETIME, Challenge
from stepup.domain.ids import (
    ActionName,
    AttemptId,
    AuthenticatorId,
    ChallengeId,
    ClientId,
    Subject,
)
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


def a_presented_code(challenge: Challenge, digest: bytes, **changes: object) -> PresentedCode:
    fields: dict = {
        "challenge_id": challenge.id,
        "digest": digest,
        "client_id": challenge.authorization.client_id,
        "redirect_uri": challenge.authorization.redirect_uri,
        "code_challenge": challenge.authorization.code_challenge,
    }
    return PresentedCode(**fields | changes)
