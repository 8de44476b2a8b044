"""Identifiers. A handle that leaves the service begins with the challenge it belongs to."""

import hashlib
from base64 import urlsafe_b64encode
from typing import NewType

import msgspec

ClientId = NewType("ClientId", str)
SubjectId = NewType("SubjectId", str)
AuthenticatorId = NewType("AuthenticatorId", str)
ChallengeId = NewType("ChallengeId", str)
CeremonyId = NewType("CeremonyId", str)
AttemptId = NewType("AttemptId", str)
ActionName = NewType("ActionName", str)
DecisionId = NewType("DecisionId", str)
AdministratorId = NewType("AdministratorId", str)
DraftId = NewType("DraftId", int)
ApiKeyId = NewType("ApiKeyId", str)
KeyId = NewType("KeyId", str)
TokenId = NewType("TokenId", str)
GenerationId = NewType("GenerationId", str)


class Subject(msgspec.Struct, frozen=True):
    """The person whose authentication is in question.

    Two issuers with the same `sub` are two subjects, so neither half identifies anybody alone.
    """

    issuer: str
    sub: str

    @property
    def id(self) -> SubjectId:
        """Name the subject in keys, logs and tables, without saying who it is."""
        digest = hashlib.sha256(f"{self.issuer}\0{self.sub}".encode()).digest()
        return SubjectId(urlsafe_b64encode(digest[:18]).decode())


class Handle(msgspec.Struct, frozen=True):
    """A secret that leads to a challenge: a `request_uri` or a code.

    On the wire it reads `<region>.<random>.<secret>`; the first two parts are the challenge's
    identifier, so that any region finds the home of the state.
    """

    challenge_id: ChallengeId
    secret: str

    def __str__(self) -> str:
        return f"{self.challenge_id}.{self.secret}"

    def __repr__(self) -> str:
        return f"Handle({self.challenge_id}, ***)"

    @classmethod
    def parse(cls, text: str) -> "Handle | None":
        """Read a handle; None when the text cannot be one."""
        region, _, rest = text.partition(".")
        random, _, secret = rest.partition(".")
        if not (region and random and secret) or len(text) > 200 or not text.isascii():
            return None
        return cls(ChallengeId(f"{region}.{random}"), secret)
