"""Who administers: a person with a stepped-up token, or a pipeline with a key; and what they may."""

from enum import StrEnum

import msgspec

from stepup.domain.ids import AdministratorId


class Scope(StrEnum):
    """What an administrator may do; a pipeline's key carries some of them."""

    POLICY_READ = "policy:read"
    POLICY_DRAFT = "policy:draft"
    POLICY_APPROVE = "policy:approve"
    POLICY_ACTIVATE = "policy:activate"
    DECISIONS_READ = "decisions:read"
    SUBJECTS_CHANGE = "subjects:change"


class Administrator(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who was let in.

    `id` names the same person, or key, every time: of two approvals of one administrator one
    counts, and an author's own never does.
    """

    id: AdministratorId
    name: str
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        """Say whether the administrator may do this."""
        return scope in self.scopes
