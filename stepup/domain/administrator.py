"""Who administers: a person with a stepped-up token, or a pipeline with a key; and what they may."""

from datetime import datetime
from enum import StrEnum

import msgspec

from stepup.domain.ids import AdministratorId, ApiKeyId, Subject


class Scope(StrEnum):
    """What an administrator may do; a pipeline's key carries some of them."""

    POLICY_READ = "policy:read"
    POLICY_DRAFT = "policy:draft"
    POLICY_APPROVE = "policy:approve"
    POLICY_ACTIVATE = "policy:activate"
    DECISIONS_READ = "decisions:read"
    SUBJECTS_READ = "subjects:read"
    SUBJECTS_CHANGE = "subjects:change"
    REVOCATIONS_READ = "revocations:read"
    REVOCATIONS_CHANGE = "revocations:change"
    CLIENTS_READ = "clients:read"
    CLIENTS_CHANGE = "clients:change"
    CLIENTS_GRANT = "clients:grant"
    """Register clients, and let them do more than before."""


class AdminAction(StrEnum):
    """What a route of the administrators' API does: an action of our own catalogue.

    A person brings a token that was approved for it, at the level that the catalogue and the
    document's guardrails ask for.
    """

    POLICY_READ = "stepup.admin.policy.read"
    POLICY_DRAFT = "stepup.admin.policy.draft"
    POLICY_APPROVE = "stepup.admin.policy.approve"
    POLICY_ACTIVATE = "stepup.admin.policy.activate"
    POLICY_ROLLBACK = "stepup.admin.policy.rollback"
    DECISIONS_READ = "stepup.admin.decisions.read"
    SUBJECT_READ = "stepup.admin.subject.authenticators.read"
    SUBJECT_CHANGE = "stepup.admin.subject.authenticators.change"
    REVOCATION_READ = "stepup.admin.revocations.read"
    REVOCATION_CHANGE = "stepup.admin.revocations.change"
    CLIENT_READ = "stepup.admin.client.read"
    CLIENT_CHANGE = "stepup.admin.client.change"

    @property
    def scope(self) -> Scope:
        """The scope that it needs."""
        return _SCOPES[self]

    @property
    def only_reads(self) -> bool:
        """Say whether it changes nothing."""
        return self.value.endswith(".read")


_SCOPES = {
    AdminAction.POLICY_READ: Scope.POLICY_READ,
    AdminAction.POLICY_DRAFT: Scope.POLICY_DRAFT,
    AdminAction.POLICY_APPROVE: Scope.POLICY_APPROVE,
    AdminAction.POLICY_ACTIVATE: Scope.POLICY_ACTIVATE,
    AdminAction.POLICY_ROLLBACK: Scope.POLICY_ACTIVATE,
    AdminAction.DECISIONS_READ: Scope.DECISIONS_READ,
    AdminAction.SUBJECT_READ: Scope.SUBJECTS_READ,
    AdminAction.SUBJECT_CHANGE: Scope.SUBJECTS_CHANGE,
    AdminAction.REVOCATION_READ: Scope.REVOCATIONS_READ,
    AdminAction.REVOCATION_CHANGE: Scope.REVOCATIONS_CHANGE,
    AdminAction.CLIENT_READ: Scope.CLIENTS_READ,
    AdminAction.CLIENT_CHANGE: Scope.CLIENTS_CHANGE,
}


_PERSON, _KEY = "person:", "key:"


def is_person(administrator: AdministratorId) -> bool:
    """Say whether that is somebody who was appointed."""
    return administrator.startswith(_PERSON)


def key_of(administrator: AdministratorId) -> ApiKeyId | None:
    """Return the key of a pipeline, None of anybody else."""
    return ApiKeyId(administrator.removeprefix(_KEY)) if administrator.startswith(_KEY) else None


class AdministratorKind(StrEnum):
    """What somebody showed at the gate."""

    PERSON = "person"
    """A token of a step-up; what a person approves counts."""
    KEY = "key"
    """A pipeline's key; it approves nothing."""
    HOST = "host"
    """The host's database; whoever has that wrote a text, and approves none."""
    DEVELOPMENT = "development"
    """The one token of a deployment in development."""


class Administrator(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who was let in.

    `id` names the same person, or key, every time: of two approvals of one administrator one
    counts, and an author's own never does. `name` is for people to read.
    """

    id: AdministratorId
    name: str
    kind: AdministratorKind = AdministratorKind.PERSON
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        """Say whether the administrator may do this."""
        return scope in self.scopes


class Appointment(msgspec.Struct, frozen=True, kw_only=True):
    """A subject that administers, and what it may; `by` is whoever said so."""

    subject: Subject
    scopes: frozenset[Scope]
    by: str
    at: datetime

    @property
    def administrator(self) -> Administrator:
        """The person who comes with a token of this subject."""
        return Administrator(
            id=AdministratorId(f"{_PERSON}{self.subject.id}"),
            name=self.subject.sub,
            kind=AdministratorKind.PERSON,
            scopes=self.scopes,
        )


# Approving is a person's judgement; a key that leaked out of a pipeline must not have one.
SCOPES_OF_KEYS = frozenset(Scope) - {Scope.POLICY_APPROVE}


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline's key; `digest` is the keyed digest of its secret, which nobody can show again."""

    id: ApiKeyId
    name: str
    digest: bytes
    scopes: frozenset[Scope]
    created_by: str
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse what no key may do."""
        if not self.scopes <= SCOPES_OF_KEYS:
            raise ValueError("a key approves nothing")

    def is_usable(self, now: datetime) -> bool:
        """Say whether it opens the gate."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    @property
    def administrator(self) -> Administrator:
        """The pipeline that comes with this key."""
        return Administrator(
            id=AdministratorId(f"{_KEY}{self.id}"),
            name=self.name,
            kind=AdministratorKind.KEY,
            scopes=self.scopes,
        )

    def __repr__(self) -> str:
        return f"ApiKey({self.id}, {self.name})"


DEVELOPER = Administrator(
    id=AdministratorId("development"),
    name="administrator",
    kind=AdministratorKind.DEVELOPMENT,
    scopes=frozenset(Scope),
)
"""Whoever has the development token: everything may be tried."""
